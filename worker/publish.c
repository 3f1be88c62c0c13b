#include "worker/publish.h"

#include <strings.h>

#include "schemas/build_requested.h"
#include "schemas/schedule_run.h"

/* What Kafka's record batch adds to a value, generously. */
#define RECORD_OVERHEAD 512
#define TRACE_HEADERS_MAX 2

_Static_assert((int)OUTCOME_SUBMITTED == (int)RESULT_SUBMITTED, "same order");
_Static_assert((int)OUTCOME_ERROR == (int)RESULT_ERROR, "same order");

static struct text
format_rid(struct arena *arena, struct text prefix, const struct uuid *uuid)
{
	char *at = arena_alloc(arena, prefix.size + UUID_TEXT_SIZE);

	return (struct text){ at, rid_format(prefix, uuid, at) };
}

static bool
is_trace_header(struct text name)
{
	return (name.size == 11 &&
		   strncasecmp(name.at, "traceparent", 11) == 0) ||
	    (name.size == 10 && strncasecmp(name.at, "tracestate", 10) == 0);
}

/* The record's own trace context goes along, unchanged. */
static void
copy_trace(struct batch *batch, size_t i, struct kafka_message *message)
{
	struct kafka_header found[TRACE_HEADERS_MAX], header, *copy;
	size_t at, n = 0;

	for (at = 0; n < TRACE_HEADERS_MAX &&
	     kafka_record_header(&batch->kafka[i], at, &header);
	     at++)
		if (is_trace_header(header.name) && header.value.at != NULL &&
		    header.value.size <= 512)
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

/* Begins at `start` of the buffer; publish_finish sets the pointer. */
static void
add_message(const struct publish_settings *settings, struct batch *batch,
    size_t i, enum batch_topic topic, struct text key, size_t start)
{
	struct kafka_message *message = batch_message(batch, topic);

	message->key = key;
	message->value = (struct text){ NULL, batch->out.size - start };
	message->opaque = (void *)(uintptr_t)start;
	if (settings->forward_trace)
		copy_trace(batch, i, message);
}

static void
put_job(struct buffer *out, const struct job *job, struct arena *arena)
{
	const struct job_spec *spec = job->spec;
	struct build_job_head head = {
		.job_rid = format_rid(arena, TEXT(RID_JOB_PREFIX), &job->id),
		.job_spec_rid = spec->rid,
		.spec_branch = spec->branch,
		.logic = spec->logic,
	};
	struct build_reason reason = {
		.cause = text_from(reason_cause_text(job->reason)),
		.output = job->reason_output,
		.from = job->reason_from,
		.to = job->reason_to,
		.has_inputs = job->reason == REASON_INPUTS_CHANGED ||
		    job->reason == REASON_UPSTREAM,
		.inputs_count = job->reason_inputs.count,
	};
	size_t i;

	reason.inputs_first.at = job->reason_inputs.first;
	reason.inputs_first.n =
	    (size_t)(reason.inputs_count < LISTING_FIRST ? reason.inputs_count
							 : LISTING_FIRST);
	build_put_job(out, &head);
	build_put_items(out, spec->n_outputs);
	for (i = 0; i < spec->n_outputs; i++)
		build_put_output(out,
		    &(struct build_output){ job->outputs[i].rid,
			job->outputs[i].new_branch, job->outputs[i].parent });
	build_put_end(out);
	build_put_items(out, spec->n_inputs);
	for (i = 0; i < spec->n_inputs; i++) {
		const struct job_input *input = &job->inputs[i];
		bool is_read = input->job < 0;

		build_put_input(out,
		    &(struct build_input){ input->rid, input->job,
			input->pinned, is_read ? input->branch : TEXT_NONE,
			is_read ? input->transaction : TEXT_NONE });
	}
	build_put_end(out);
	build_put_depends_on(out, job->depends_on, job->n_depends_on);
	build_put_reason(out, &reason);
}

static struct build_head
head_of(const struct batch *batch, size_t i, const struct outcome *outcome)
{
	const struct run_request *request = &batch->records[i].request;
	const struct schedule_version *version = outcome->build.version;
	bool notifies =
	    version->notifications_enabled && version->scope == SCOPE_USER;

	return (struct build_head){
		.request_id = request->request_id,
		.schedule_rid = request->schedule_rid,
		.schedule_version_rid = outcome->schedule_version_rid,
		.created_time_ms = request->created_time_ms,
		.created_by = request->created_by,
		.branch = version->branch_name,
		.fallback_branches = version->fallback_branches,
		.force_build = version->force_build,
		.abort_on_failure = version->abort_on_failure,
		.retry_count = outcome->build.retry_count,
		.retry_backoff = version->retry_backoff,
		.run_as = version->scope,
		.user_id = version->created_by,
		.project_rids = version->project_rids,
		.notify = notifies ? version->created_by : TEXT_NONE,
	};
}

/* Encodes the build; false: it is over its topic's limit, and not written. */
static bool
publish_build(const struct publish_settings *settings, struct batch *batch,
    size_t i, const struct outcome *outcome)
{
	struct build_head head = head_of(batch, i, outcome);
	size_t start = batch->out.size, job;

	head.build_rid = format_rid(
	    batch->arena, TEXT(RID_BUILD_PREFIX), &outcome->build_id);
	head.run_rid =
	    format_rid(batch->arena, TEXT(RID_RUN_PREFIX), &outcome->run_id);
	build_put_head(
	    &batch->out, settings->build_schema, &head, outcome->build.n_jobs);
	for (job = 0; job < outcome->build.n_jobs; job++)
		put_job(&batch->out, &outcome->build.jobs[job], batch->arena);
	build_put_end(&batch->out);
	if ((int64_t)(batch->out.size - start + RECORD_OVERHEAD) >
	    settings->build_max) {
		batch->out.size = start;
		return false;
	}
	add_message(settings, batch, i, BATCH_BUILDS, head.build_rid, start);
	return true;
}

static struct run_listing
listing_of(const struct listing *listing)
{
	return (struct run_listing){ listing->count, listing->first,
		(size_t)(listing->count < LISTING_FIRST ? listing->count
							: LISTING_FIRST) };
}

static void
publish_result(const struct publish_settings *settings, struct batch *batch,
    size_t i, const struct outcome *outcome, int64_t now_ms)
{
	const struct run_request *request = &batch->records[i].request;
	const struct why *why = &outcome->why;
	struct schedule_run run = {
		.rid = format_rid(
		    batch->arena, TEXT(RID_RUN_PREFIX), &outcome->run_id),
		.request_id = request->request_id,
		.schedule_rid = request->schedule_rid,
		.schedule_version_rid = outcome->schedule_version_rid,
		.created_time_ms = request->created_time_ms,
		.created_by = request->created_by,
		.trigger = request->trigger,
		.finished_time_ms = now_ms,
		.result = (enum run_result)outcome->type,
		.error_name = (int32_t)outcome->error_name,
		.description = outcome->description,
		.phase = why->phase,
		.cause = text_from(why->cause),
		.selected = why->selected,
		.running = why->running,
		.up_to_date = why->up_to_date,
		.blocked = why->blocked,
	};
	size_t start = batch->out.size;

	if (outcome->type == OUTCOME_SUBMITTED)
		run.build_rid = format_rid(
		    batch->arena, TEXT(RID_BUILD_PREFIX), &outcome->build_id);
	run.lists[LIST_OFFENDERS] = listing_of(&why->offenders);
	run.lists[LIST_UP_TO_DATE_TARGETS] =
	    listing_of(&why->up_to_date_targets);
	run.lists[LIST_DROPPED_TARGETS] = listing_of(&why->dropped_targets);
	run.lists[LIST_OUT_OF_SCOPE] = listing_of(&why->out_of_scope);
	schedule_run_encode(&run, settings->result_schema, &batch->out);
	add_message(
	    settings, batch, i, BATCH_RESULTS, request->schedule_rid, start);
}

static void
count_outcome(struct batch *batch, const struct outcome *outcome)
{
	switch (outcome->type) {
	case OUTCOME_SUBMITTED:
		batch->counts.submitted++;
		batch->counts.planned_jobs += outcome->build.n_jobs;
		break;
	case OUTCOME_IGNORED:
		batch->counts.ignored++;
		break;
	case OUTCOME_ERROR:
		batch->counts.errors[outcome->error_name]++;
		break;
	}
}

void
publish_outcome(const struct publish_settings *settings, struct batch *batch,
    size_t i, const struct outcome *outcome, int64_t now_ms)
{
	if (outcome->type == OUTCOME_SUBMITTED &&
	    !publish_build(settings, batch, i, outcome))
		outcome =
		    plan_internal(batch->arena, &batch->records[i].request,
			outcome->schedule_version_rid, "buildTooLarge",
			TEXT("The build event exceeds the topic's "
			     "max.message.bytes; lower limits.maxJobs of the "
			     "catalogue or raise the topic's limit."));
	publish_result(settings, batch, i, outcome, now_ms);
	count_outcome(batch, outcome);
}

void
publish_finish(struct batch *batch)
{
	static const enum batch_topic ours[] = { BATCH_RESULTS, BATCH_BUILDS };
	size_t t, i;

	for (t = 0; t < sizeof ours / sizeof ours[0]; t++) {
		struct batch_messages *messages = &batch->messages[ours[t]];

		for (i = 0; i < messages->n; i++)
			messages->at[i].value.at =
			    batch->out.at + (uintptr_t)messages->at[i].opaque;
	}
}
