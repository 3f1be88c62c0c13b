#include "producer/dashboard/builds.h"

#include <stdlib.h>
#include <string.h>

#include "common/json/write.h"
#include "producer/builder/said.h"
#include "producer/catalogue/fields.h"
#include "producer/dashboard/dashboard.h"
#include "producer/runs/decoder.h"
#include "schemas/message/build_requested.h"

#define LOOKED_MAX 500
#define TOLD_MAX 100
#define JOBS_MAX 20 /* of a build that are named */
#define NOTE_MAX 400
#define EVENTS_MAX ((size_t)16 * 1024 * 1024) /* of all that is told */
#define SLICE 100

void
recent_builds_init(struct recent_builds *builds)
{
	pthread_mutex_init(&builds->lock, NULL);
}

void
recent_builds_finish(struct recent_builds *builds)
{
	pthread_mutex_destroy(&builds->lock);
}

void
recent_builds_note(struct recent_builds *builds, const struct schedule_run *run)
{
	struct recent_build *noted;

	if (run->state != RUN_SUBMITTED ||
	    run->schedule_rid.size > sizeof noted->schedule)
		return;
	pthread_mutex_lock(&builds->lock);
	noted = &builds->at[builds->n++ % RECENT_BUILDS];
	noted->build_id = run->build_id;
	noted->run_id = run->id;
	noted->finished_ms = run->finished_time_ms;
	noted->size = (uint16_t)run->schedule_rid.size;
	memcpy(noted->schedule, run->schedule_rid.at, noted->size);
	pthread_mutex_unlock(&builds->lock);
}

/* In the order in which they are told. */
enum build_stage {
	STAGE_RUNNING,
	STAGE_FAILED,
	STAGE_CANCELED,
	STAGE_SUCCEEDED,
	STAGE_UNKNOWN, /* its event is not in the view, or no more */
	STAGES
};
static const char *const stage_names[STAGES] = { "RUNNING", "FAILED",
	"CANCELED", "SUCCEEDED", "UNKNOWN" };

struct told_build {
	struct recent_build recent;
	enum build_stage stage;
};

struct builds_look {
	struct http_call *call;
	struct work_redis *redis;
	struct told_build *builds;
	size_t n;
	size_t read; /* bytes of events */
};

static int
newest_first(const void *left, const void *right)
{
	const struct told_build *a = left, *b = right;

	return (a->recent.finished_ms < b->recent.finished_ms) -
	    (a->recent.finished_ms > b->recent.finished_ms);
}

static int
by_stage(const void *left, const void *right)
{
	const struct told_build *a = left, *b = right;

	return a->stage != b->stage ? (int)a->stage - (int)b->stage
				    : newest_first(left, right);
}

static void
copy_recent(struct builds_look *look)
{
	struct recent_builds *recent = &look->call->app->dashboard->builds;
	size_t n, i;

	look->builds = arena_alloc(
	    look->call->arena, RECENT_BUILDS * sizeof *look->builds);
	pthread_mutex_lock(&recent->lock);
	n = recent->n < RECENT_BUILDS ? recent->n : RECENT_BUILDS;
	for (i = 0; i < n; i++)
		look->builds[i].recent = recent->at[i];
	pthread_mutex_unlock(&recent->lock);
	if (n > 0)
		qsort(look->builds, n, sizeof *look->builds, newest_first);
	look->n = n < LOOKED_MAX ? n : LOOKED_MAX;
}

static struct text
schedule_of(const struct told_build *build)
{
	return (struct text){ build->recent.schedule, build->recent.size };
}

/* Leaves those of schedules that he may view. */
static int
keep_visible(struct builds_look *look)
{
	struct access access = http_call_access(look->call, look->redis);
	struct schedule_access schedules[SLICE];
	struct text rids[SLICE];
	size_t at, kept = 0, n, i;

	for (at = 0; at < look->n; at += n) {
		n = look->n - at < SLICE ? look->n - at : SLICE;
		for (i = 0; i < n; i++)
			rids[i] = schedule_of(&look->builds[at + i]);
		if (access_read(&access, rids, n, false, schedules,
			&look->call->job.error) != 0)
			return -1;
		for (i = 0; i < n; i++)
			if (schedules[i].exists &&
			    schedules[i].right != RIGHT_NONE)
				look->builds[kept++] = look->builds[at + i];
	}
	look->n = kept;
	return 0;
}

static enum build_stage
stage_of(struct text type, struct text state)
{
	size_t i;

	for (i = 0; i < STAGES; i++)
		if (text_equal(state, text_from(stage_names[i])))
			return (enum build_stage)i;
	return text_equal(type, TEXT("hash")) ? STAGE_RUNNING : STAGE_UNKNOWN;
}

static void
ask_stages(const struct builds_look *look, struct redis *view)
{
	size_t i;

	for (i = 0; i < look->n; i++) {
		struct buffer buffer = { 0 };
		struct text key = keyspace_build(look->call->app->keyspace,
		    &look->builds[i].recent.build_id, &buffer);

		redis_append(view, (struct text[]){ TEXT("TYPE"), key }, 2);
		redis_append(
		    view, (struct text[]){ TEXT("HGET"), key, TEXT("s") }, 3);
		buffer_finish(&buffer);
	}
}

/* One round trip for all of them. */
static int
read_stages(struct builds_look *look)
{
	struct redis *view = look->redis->runs;
	struct error *err = &look->call->job.error;
	size_t i;

	if (redis_connect(view, err) != 0)
		return -1;
	ask_stages(look, view);
	for (i = 0; i < look->n; i++) {
		struct redis_reply *type = redis_receive(view, err);
		struct redis_reply *state =
		    type != NULL ? redis_receive(view, err) : NULL;

		if (state != NULL)
			look->builds[i].stage = stage_of(
			    redis_reply_text(type), redis_reply_text(state));
		redis_reply_destroy(type);
		redis_reply_destroy(state);
		if (state == NULL)
			return -1;
	}
	return 0;
}

/* Jobs --------------------------------------------------------------------- */

static void
put_job(struct buffer *out, const struct job *job, int64_t position,
    const struct job_said *said)
{
	json_open(out, '{');
	json_member_integer(out, "position", position);
	json_member_text(out, "rid", job->spec->outputs[0]);
	json_member_string(out, "state", job_state_name(said->state));
	json_member_integer(out, "attempt", said->attempt);
	if (said->begun_ms > 0)
		json_member_time(out, "begun", said->begun_ms);
	if (said->ended_ms > 0)
		json_member_time(out, "ended", said->ended_ms);
	json_member_integer(out, "code", said->code);
	json_member_known(out, "host", said->host);
	if (said->note.at != NULL)
		json_member_text(out, "note", text_cut(said->note, NOTE_MAX));
	json_close(out, '}');
}

/* Those that run or have failed; the rest is counted. */
static void
put_jobs(struct buffer *out, const struct build *build, struct fields *said)
{
	int64_t counts[JOB_STATES] = { 0 };
	const struct field *list = fields_list(said);
	size_t n = 0, i;
	int64_t position;

	json_member_integer(out, "jobs", (int64_t)build->n_jobs);
	json_member_open(out, "shown", '[');
	for (i = 0; i < fields_size(said); i++) {
		struct job_said one;

		job_said_read(list[i].value, &one);
		if (one.state >= JOB_STATES ||
		    !text_to_number(
			list[i].name, (int64_t)build->n_jobs - 1, &position))
			continue;
		counts[one.state]++;
		if ((one.state == JOB_RUNNING || one.state == JOB_FAILED ||
			one.state == JOB_WAITING) &&
		    n++ < JOBS_MAX)
			put_job(out, &build->jobs[position], position, &one);
	}
	json_close(out, ']');
	json_member_open(out, "states", '{');
	for (i = 0; i < JOB_STATES; i++)
		if (counts[i] > 0)
			json_member_integer(
			    out, job_state_name((enum job_state)i), counts[i]);
	json_close(out, '}');
}

static int
put_said(struct builds_look *look, const struct uuid *id,
    const struct build *build, struct arena *arena)
{
	struct fields *said = fields_create(arena);
	struct redis *redis = look->redis->schedules;
	struct error *err = &look->call->job.error;
	struct buffer key = { 0 };
	int rc = redis_connect(redis, err);

	if (rc == 0)
		rc = fields_read(said, redis,
		    keyspace_jobs(look->call->app->keyspace, id, &key), err);
	if (rc == 0)
		put_jobs(&look->call->answer.body, build, said);
	buffer_finish(&key);
	fields_destroy(said);
	return rc;
}

/* What its event can't tell is left out. */
static int
put_detail(struct builds_look *look, const struct told_build *build)
{
	const struct uuid *id = &build->recent.build_id;
	struct arena *arena = arena_create(0);
	struct build_requested event;
	struct build_record record;
	struct error unread = { 0 };
	int rc = run_view_get_build(
	    &look->redis->view, id, arena, &record, &look->call->job.error);

	if (rc == 1)
		look->read += record.event.size;
	if (rc == 1 &&
	    decode_build(look->redis->builds, record.event, id, arena, &event,
		&unread) == 0)
		rc = put_said(look, id, &event.build, arena);
	arena_destroy(arena);
	return rc < 0 ? -1 : 0;
}

static int
put_build(struct builds_look *look, const struct told_build *build)
{
	struct buffer *out = &look->call->answer.body;
	char rid[RID_SIZE_MAX];
	int rc = 0;

	json_open(out, '{');
	json_member_text(out, "buildRid",
	    (struct text){ rid,
		rid_format(
		    TEXT(RID_BUILD_PREFIX), &build->recent.build_id, rid) });
	json_member_text(out, "runRid",
	    (struct text){ rid,
		rid_format(TEXT(RID_RUN_PREFIX), &build->recent.run_id, rid) });
	json_member_text(out, "scheduleRid", schedule_of(build));
	json_member_time(out, "time", build->recent.finished_ms);
	json_member_string(out, "state", stage_names[build->stage]);
	if (build->stage != STAGE_UNKNOWN && look->read < EVENTS_MAX)
		rc = put_detail(look, build);
	json_close(out, '}');
	return rc;
}

/* The runs of all builds of a stage. */
static void
put_runs(const struct builds_look *look, enum build_stage stage)
{
	struct buffer *out = &look->call->answer.body;
	char rid[RID_SIZE_MAX];
	size_t i, n;

	json_member_open(out, stage_names[stage], '[');
	for (i = 0; i < look->n; i++) {
		if (look->builds[i].stage != stage)
			continue;
		n = rid_format(
		    TEXT(RID_RUN_PREFIX), &look->builds[i].recent.run_id, rid);
		json_put_text(out, (struct text){ rid, n });
	}
	json_close(out, ']');
}

static void
put_builds(struct builds_look *look)
{
	struct buffer *out = &look->call->answer.body;
	int64_t counts[STAGES] = { 0 };
	size_t i;
	int rc = 0;

	for (i = 0; i < look->n; i++)
		counts[look->builds[i].stage]++;
	json_open(out, '{');
	json_member_integer(out, "looked", (int64_t)look->n);
	json_member_open(out, "counts", '{');
	for (i = 0; i < STAGES; i++)
		json_member_integer(out, stage_names[i], counts[i]);
	json_close(out, '}');
	json_member_open(out, "runs", '{');
	put_runs(look, STAGE_FAILED);
	put_runs(look, STAGE_CANCELED);
	json_close(out, '}');
	json_member_open(out, "builds", '[');
	for (i = 0; rc == 0 && i < look->n && i < TOLD_MAX; i++)
		rc = put_build(look, &look->builds[i]);
	json_close(out, ']');
	json_close(out, '}');
}

void
dashboard_builds_get(struct http_call *call, struct work_redis *redis)
{
	struct builds_look look = { .call = call, .redis = redis };
	struct text jobs = TEXT_NONE;

	http_path_get(&call->asked.path, "jobs", &jobs);
	if (text_equal(jobs, TEXT("no")))
		look.read = EVENTS_MAX;
	copy_recent(&look);
	if (keep_visible(&look) != 0 || read_stages(&look) != 0)
		return;
	if (look.n > 0)
		qsort(look.builds, look.n, sizeof *look.builds, by_stage);
	put_builds(&look);
}
