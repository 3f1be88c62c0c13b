#include "producer/builder/open_build.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "producer/catalogue/fields.h"

static struct text
find_traceparent(const struct kafka_record *record)
{
	struct kafka_header header;
	size_t i;

	for (i = 0; kafka_record_header(record, i, &header); i++)
		if (header.name.size == strlen("traceparent") &&
		    strncasecmp(
			header.name.at, "traceparent", header.name.size) == 0)
			return header.value;
	return TEXT_NONE;
}

struct open_build *
open_build_create(const struct kafka_record *record)
{
	struct open_build *build = memory_zalloc(1, sizeof *build);

	build->arena = arena_create(0);
	build->partition = record->partition;
	build->offset = record->offset;
	build->key = text_copy(build->arena, record->key);
	build->value = text_copy(build->arena, record->value);
	build->opened_ms = clock_monotonic_ms();
	if (tracer_is_on())
		build->traceparent =
		    text_copy(build->arena, find_traceparent(record));
	return build;
}

void
open_build_destroy(struct open_build *build)
{
	free(build->jobs);
	arena_destroy(build->arena);
	free(build);
}

/* Those before the job come before it in the list as well. */
static bool
is_to_be_skipped(const struct open_build *build, size_t i)
{
	const struct job *job = &build->event.build.jobs[i];
	size_t k;

	if (build->aborted)
		return true;
	for (k = 0; k < job->n_depends_on; k++)
		if (build->jobs[job->depends_on[k]].state >= JOB_FAILED)
			return true;
	return false;
}

static void
set_ended(struct open_build *build, size_t i, enum job_state state)
{
	if (build->jobs[i].state == JOB_RUNNING)
		build->n_running--;
	build->jobs[i].state = state;
	build->n_ended++;
}

static void
skip_behind(struct open_build *build)
{
	size_t i;

	for (i = build->first; i < build->event.build.n_jobs; i++)
		if (build->jobs[i].state == JOB_WAITING &&
		    is_to_be_skipped(build, i))
			set_ended(build, i, JOB_SKIPPED);
}

static void
pass_ended(struct open_build *build)
{
	while (build->first < build->event.build.n_jobs &&
	    job_has_ended(build->jobs[build->first].state))
		build->first++;
}

static void
note_failure(struct open_build *build)
{
	build->failed = true;
	build->aborted |= build->event.build.version->abort_on_failure;
}

void
open_build_ended(struct open_build *build, size_t job, enum job_state state)
{
	set_ended(build, job, state);
	if (state >= JOB_FAILED) {
		note_failure(build);
		skip_behind(build);
	}
	pass_ended(build);
}

/* One that was never heard of again costs no retry. */
static void
take_up(struct open_build *build, size_t i, struct text stored)
{
	struct job_said said;

	job_said_read(stored, &said);
	build->jobs[i].attempts = said.attempt - (said.state == JOB_RUNNING);
	build->jobs[i].lost = said.lost + (said.state == JOB_RUNNING);
	if (!job_has_ended(said.state))
		return;
	set_ended(build, i, said.state);
	if (said.state >= JOB_FAILED)
		note_failure(build);
}

static int
read_said(
    struct open_build *build, const struct job_store *store, struct error *err)
{
	struct fields *said = fields_create(build->arena);
	struct buffer key = { 0 };
	char number[TEXT_NUMBER_SIZE];
	size_t n = build->event.build.n_jobs, i;
	int rc = redis_connect(store->redis, err);

	if (rc == 0)
		rc = fields_read(said, store->redis,
		    keyspace_jobs(store->keyspace, &build->id, &key), err);
	for (i = 0; rc == 0 && i < n; i++)
		take_up(build, i,
		    fields_get(said, text_of_number((int64_t)i, number)));
	buffer_finish(&key);
	fields_destroy(said);
	return rc;
}

bool
open_build_is_decoded(const struct open_build *build)
{
	return build->jobs != NULL;
}

int
open_build_read(struct open_build *build, struct message_decoder *decoder,
    const struct job_store *store, struct error *err)
{
	if (!rid_parse(build->key, TEXT(RID_BUILD_PREFIX), &build->id))
		return error_set(
		    err, ERROR_INPUT, "the record's key is no buildRid");
	if (build->jobs == NULL) {
		if (decode_build(decoder, build->value, &build->id,
			build->arena, &build->event, err) != 0)
			return -1;
		build->jobs = memory_zalloc(
		    build->event.build.n_jobs + 1, sizeof *build->jobs);
	}
	if (read_said(build, store, err) != 0)
		return -1;
	if (build->failed)
		skip_behind(build);
	pass_ended(build);
	build->is_read = true;
	build->is_traced = tracer_begin(
	    build->traceparent, &build->event.run.id, "build", &build->span);
	build->span.kind = TRACE_CONSUMER;
	return 0;
}

static bool
is_ready(
    const struct open_build *build, size_t i, int64_t now_ms, uint64_t round)
{
	const struct job *job = &build->event.build.jobs[i];
	const struct open_job *open = &build->jobs[i];
	size_t k;

	if (open->state != JOB_WAITING ||
	    (now_ms < open->not_before_ms &&
		(open->round == 0 || open->round == round)))
		return false;
	for (k = 0; k < job->n_depends_on; k++)
		if (!job_has_ended(build->jobs[job->depends_on[k]].state))
			return false;
	return true;
}

bool
open_build_next(
    struct open_build *build, int64_t now_ms, uint64_t round, size_t *job)
{
	size_t i;

	if (!build->is_read || build->leaving || build->over)
		return false;
	for (i = build->first; i < build->event.build.n_jobs; i++)
		if (is_ready(build, i, now_ms, round)) {
			*job = i;
			return true;
		}
	return false;
}

bool
open_build_is_whole(const struct open_build *build)
{
	if (build->n_running > 0)
		return false;
	return build->leaving || build->over ||
	    (build->is_read && build->n_ended == build->event.build.n_jobs);
}
