#include "worker/commit/publish.h"

#include <strings.h>

#include "schemas/avro/framing.h"
#include "worker/commit/traced.h"

/* What Kafka's record batch adds to a value, generously. */
#define RECORD_OVERHEAD 512
#define TRACE_HEADERS_MAX 2

static bool
is_trace_header(struct text name)
{
	return (name.size == 11 &&
		   strncasecmp(name.at, "traceparent", 11) == 0) ||
	    (name.size == 10 && strncasecmp(name.at, "tracestate", 10) == 0);
}

/* The record's own trace context goes along, unchanged but for our own span. */
static void
copy_trace(struct batch *batch, size_t i, const struct traced *traced,
    struct kafka_message *message)
{
	struct kafka_header found[TRACE_HEADERS_MAX], header, *copy;
	size_t at, n = 0;

	if (traced != NULL)
		found[n++] = (struct kafka_header){ TEXT("traceparent"),
			{ traced->header, sizeof traced->header } };
	for (at = 0; n < TRACE_HEADERS_MAX && batch->records[i].has_headers &&
	     kafka_record_header(&batch->kafka[i], at, &header);
	     at++)
		if (is_trace_header(header.name) && header.value.at != NULL &&
		    header.value.size <= 512 &&
		    (traced == NULL || header.name.size != 11))
			found[n++] = header;
	if (n == 0)
		return;
	copy = arena_alloc(batch->arena, n * sizeof *copy);
	for (at = 0; at < n; at++) {
		copy[at].name = found[at].name.size == 11 ? TEXT("traceparent")
							  : TEXT("tracestate");
		copy[at].value = text_copy(batch->arena, found[at].value);
	}
	message->headers = copy;
	message->n_headers = n;
}

/* Begins at `start` of the buffer; publish_finish sets the pointers. */
static void
add_message(const struct publish_settings *settings, struct batch *batch,
    size_t i, enum batch_topic topic, size_t start)
{
	struct kafka_message *message = batch_message(batch, topic);
	const struct traced *traced = traced_of(batch, i);

	message->key = batch->records[i].request.schedule_rid;
	message->value = (struct text){ NULL, batch->out.size - start };
	message->opaque = (void *)(uintptr_t)start;
	if (settings->forward_trace &&
	    (batch->records[i].has_headers || traced != NULL))
		copy_trace(batch, i, traced, message);
}

static struct run_own
own_of(const struct batch *batch, size_t i, int64_t now_ms)
{
	const struct batch_record *record = &batch->records[i];

	return (struct run_own){
		.id = &record->run,
		.request_id = record->request.request_id,
		.created_by = record->request.created_by,
		.trigger = record->request.trigger,
		.created_time_ms = record->request.created_time_ms,
		.finished_time_ms = now_ms,
	};
}

/* Encodes the build; false: it is over its topic's limit, and not written. */
static bool
publish_build(const struct publish_settings *settings, struct batch *batch,
    size_t i, const struct answer *answer, const struct run_own *own)
{
	size_t start = batch->out.size;

	build_requested_put_own(&batch->out, settings->build_schema,
	    answer->block, &answer->build, own);
	if ((int64_t)(batch->out.size - start + RECORD_OVERHEAD) >
	    settings->build_max) {
		batch->out.size = start;
		return false;
	}
	add_message(settings, batch, i, BATCH_BUILDS, start);
	return true;
}

static void
count_answer(struct batch *batch, const struct answer *answer)
{
	switch (answer->state) {
	case RUN_SUBMITTED:
		batch->counts.submitted++;
		batch->counts.planned_jobs += answer->build.n_jobs;
		break;
	case RUN_PENDING: /* no answer is */
	case RUN_IGNORED:
		batch->counts.ignored++;
		break;
	case RUN_FAILED:
		batch->counts.errors[answer->error]++;
		break;
	}
}

/* What a request gets whose build is over the topic's limit. */
static const struct answer *
too_large(struct batch *batch, size_t i, const struct answer *answer)
{
	const struct run_request *request = &batch->records[i].request;
	const struct outcome *outcome = plan_internal(batch->arena, request,
	    answer->schedule_version_rid, "buildTooLarge",
	    TEXT("The build event exceeds the topic's max.message.bytes; lower "
		 "limits.maxJobs of the catalogue or raise the topic's "
		 "limit."));
	struct buffer scratch = { 0 };

	answer = answer_make(batch->arena, &scratch, outcome);
	buffer_finish(&scratch);
	return answer;
}

void
publish_answer(const struct publish_settings *settings, struct batch *batch,
    size_t i, const struct answer *answer, int64_t now_ms)
{
	struct run_own own = own_of(batch, i, now_ms);
	struct traced *traced = NULL;
	size_t start;

	if (tracer_is_on())
		traced = traced_begin(batch, i, settings->plan_begun_ns);
	if (answer->state == RUN_SUBMITTED) {
		own.build_id = rid_build(own.id);
		if (!publish_build(settings, batch, i, answer, &own))
			answer = too_large(batch, i, answer);
	}
	start = batch->out.size;
	schedule_run_put_own(&batch->out, settings->result_schema,
	    answer->block, &answer->run, &own);
	add_message(settings, batch, i, BATCH_RESULTS, start);
	count_answer(batch, answer);
	if (traced != NULL) {
		traced->state = answer->state;
		traced->error = answer->error;
	}
}

/* Where the buildRid stands in a build's record: its key. */
static struct text
build_key(struct text value)
{
	return (struct text){ value.at + FRAMING_SIZE + 1,
		sizeof RID_BUILD_PREFIX - 1 + UUID_TEXT_SIZE };
}

void
publish_finish(struct batch *batch)
{
	static const enum batch_topic ours[] = { BATCH_RESULTS, BATCH_BUILDS };
	size_t t, i;

	for (t = 0; t < sizeof ours / sizeof ours[0]; t++) {
		struct batch_messages *messages = &batch->messages[ours[t]];

		for (i = 0; i < messages->n; i++) {
			struct kafka_message *message = &messages->at[i];

			message->value.at =
			    batch->out.at + (uintptr_t)message->opaque;
			if (ours[t] == BATCH_BUILDS)
				message->key = build_key(message->value);
		}
	}
}
