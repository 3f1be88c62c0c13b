#include "worker/commit/traced.h"

#include <string.h>
#include <strings.h>

static struct text
find_header(const struct batch *batch, size_t i)
{
	struct kafka_header header;
	size_t at;

	for (at = 0; batch->records[i].has_headers &&
	     kafka_record_header(&batch->kafka[i], at, &header);
	     at++)
		if (header.name.size == 11 &&
		    strncasecmp(header.name.at, "traceparent", 11) == 0)
			return header.value;
	return TEXT_NONE;
}

struct traced *
traced_begin(struct batch *batch, size_t i, int64_t plan_begun_ns)
{
	struct trace_span span;
	struct traced *traced;

	if (!tracer_begin(find_header(batch, i), &batch->records[i].run,
		"request", &span))
		return NULL;
	if (batch->traced == NULL)
		batch->traced =
		    arena_alloc(batch->arena, batch->n * sizeof *batch->traced);
	traced = &batch->traced[batch->n_traced++];
	*traced = (struct traced){ .record = i,
		.span = span,
		.plan_begun_ns = plan_begun_ns,
		.plan_ended_ns = span.begun_ns };
	traced->span.kind = TRACE_CONSUMER;
	traced->span.begun_ns = batch->polled_ns;
	trace_context_write(&span.own, traced->header);
	return traced;
}

const struct traced *
traced_of(const struct batch *batch, size_t i)
{
	const struct traced *last;

	if (batch->n_traced == 0)
		return NULL;
	last = &batch->traced[batch->n_traced - 1];
	return last->record == i ? last : NULL;
}

static void
tell_request(const struct batch *batch, const struct traced *traced,
    const char *topic, int64_t ended_ns)
{
	const struct kafka_record *kafka = &batch->kafka[traced->record];
	const struct run_request *request =
	    &batch->records[traced->record].request;
	const bool failed = traced->state == RUN_FAILED;
	struct trace_span span = traced->span;
	char run[RID_SIZE_MAX];
	const struct trace_attribute attributes[] = {
		{ "messaging.system", TEXT("kafka"), 0 },
		{ "messaging.operation.type", TEXT("process"), 0 },
		{ "messaging.destination.name", text_from(topic), 0 },
		{ "messaging.destination.partition.id", TEXT_NONE,
		    kafka->partition },
		{ "messaging.kafka.offset", TEXT_NONE, kafka->offset },
		{ "schedrun.schedule", request->schedule_rid, 0 },
		{ "schedrun.request", request->request_id, 0 },
		{ "schedrun.run",
		    { run,
			rid_format(TEXT(RID_RUN_PREFIX),
			    &batch->records[traced->record].run, run) },
		    0 },
		{ "schedrun.outcome", text_from(run_state_name(traced->state)),
		    0 },
		{ failed ? "error.type" : NULL,
		    failed ? text_from(run_error_name(traced->error))
			   : TEXT_NONE,
		    0 },
		{ NULL, TEXT_NONE, 0 },
	};

	span.ended_ns = ended_ns;
	span.failure = failed ? run_error_name(traced->error) : NULL;
	tracer_add(&span, attributes);
}

static void
tell_part(const struct batch *batch, const struct traced *traced,
    const char *name, int64_t begun_ns, int64_t ended_ns)
{
	const struct trace_attribute attributes[] = {
		{ "schedrun.batch.records", TEXT_NONE, (int64_t)batch->n },
		{ NULL, TEXT_NONE, 0 },
	};
	struct trace_span span;

	trace_span_below(
	    &traced->span, &batch->records[traced->record].run, name, 0, &span);
	span.begun_ns = begun_ns;
	span.ended_ns = ended_ns;
	tracer_add(&span, attributes);
}

void
traced_tell(
    const struct batch *batch, const char *topic, int64_t commit_begun_ns)
{
	int64_t now = trace_now_ns();
	size_t i;

	for (i = 0; i < batch->n_traced; i++) {
		const struct traced *traced = &batch->traced[i];

		tell_request(batch, traced, topic, now);
		tell_part(batch, traced, "plan", traced->plan_begun_ns,
		    traced->plan_ended_ns);
		tell_part(batch, traced, "commit", commit_begun_ns, now);
	}
}
