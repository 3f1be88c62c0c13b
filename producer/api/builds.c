#include "producer/api/builds.h"

#include "common/json/write.h"
#include "producer/api/batch.h"
#include "producer/runs/build_report.h"
#include "producer/runs/decoder.h"
#include "schemas/message/build_requested.h"

#define BATCH_MAX 100

/* One look at builds; the arena is given back after each. */
struct look {
	struct http_call *call;
	struct work_redis *redis;
	struct access access;
	enum right right; /* of the build that was found last */
};

static void
put_rid(struct buffer *out, struct text prefix, const struct uuid *id)
{
	char rid[RID_SIZE_MAX];

	json_put_text(out, (struct text){ rid, rid_format(prefix, id, rid) });
}

static void
put_branches(struct buffer *out, const struct schedule_version *version)
{
	size_t i;

	json_member_text(out, "branchName", version->branch_name);
	json_member_open(out, "fallbackBranches", '[');
	for (i = 0; i < version->fallback_branches.n; i++)
		json_put_text(out, version->fallback_branches.at[i]);
	json_close(out, ']');
}

static void
put_jobs(struct buffer *out, const struct build_requested *event)
{
	size_t i;

	json_member_open(out, "jobRids", '[');
	for (i = 0; i < event->build.n_jobs; i++)
		put_rid(out, TEXT(RID_JOB_PREFIX), &event->job_ids[i]);
	json_close(out, ']');
}

/* Clients demand a duration: without a policy it is none at all. */
static void
put_retries(struct buffer *out, const struct build *build)
{
	const struct duration *backoff = &build->version->retry_backoff;
	bool given = backoff->unit.at != NULL;

	json_member_integer(out, "retryCount", build->retry_count);
	json_member_open(out, "retryBackoffDuration", '{');
	json_member_integer(out, "value", given ? backoff->value : 0);
	json_member_text(out, "unit", given ? backoff->unit : TEXT("SECONDS"));
	json_close(out, '}');
}

static void
put_build(struct buffer *out, const struct build_requested *event,
    struct text created_by, struct text state)
{
	const struct schedule_version *version = event->build.version;

	json_open(out, '{');
	json_name(out, "rid");
	put_rid(out, TEXT(RID_BUILD_PREFIX), &event->run.build_id);
	put_branches(out, version);
	json_member_time(out, "createdTime", event->run.created_time_ms);
	json_member_text(out, "createdBy", created_by);
	put_jobs(out, event);
	put_retries(out, &event->build);
	json_member_bool(out, "abortOnFailure", version->abort_on_failure);
	json_member_text(
	    out, "status", state.at != NULL ? state : TEXT("RUNNING"));
	json_member_text(out, "scheduleRid", event->run.schedule_rid);
	json_close(out, '}');
}

/* Nobody asked for an automatic run: its build is by the version's creator. */
static int
find_creator(
    struct look *look, const struct schedule_run *run, struct text *creator)
{
	struct version_access version;

	*creator = run->created_by;
	if (creator->at != NULL)
		return 0;
	*creator = TEXT("00000000-0000-0000-0000-000000000000");
	if (access_read_version(&look->access, run->schedule_version_rid,
		&version, &look->call->job.error) != 0)
		return -1;
	if (version.json.at != NULL)
		*creator = version.version.created_by;
	return 0;
}

/* 1: it is in the view, and its schedule may be viewed; 0: not. */
static int
find_build(struct look *look, struct text rid, struct build_record *record,
    struct build_requested *build)
{
	struct error *err = &look->call->job.error;
	struct schedule_access schedule;
	struct uuid id;
	int found;

	if (!rid_parse(rid, TEXT(RID_BUILD_PREFIX), &id))
		return 0;
	found = run_view_get_build(
	    &look->redis->view, &id, look->access.arena, record, err);
	if (found != 1)
		return found;
	if (decode_build(look->redis->builds, record->event, &id,
		look->access.arena, build, err) != 0 ||
	    access_read(&look->access, &build->run.schedule_rid, 1, false,
		&schedule, err) != 0)
		return -1;
	look->right = schedule.right;
	return schedule.exists && schedule.right != RIGHT_NONE;
}

static void
refuse_build(struct http_call *call, enum api_error error)
{
	http_call_refuse(call, error, NULL,
	    (struct api_parameter[]){
		PARAMETER_T("buildRid", call->asked.rids[0]), PARAMETER_END });
}

/* 1: written; 0: nothing to write; -1: failed.  `named`: as a map's member. */
static int
write_build(struct look *look, struct text rid, bool named)
{
	struct build_record record;
	struct build_requested build;
	struct text creator;
	int found = find_build(look, rid, &record, &build);

	if (found != 1)
		return found;
	if (find_creator(look, &build.run, &creator) != 0)
		return -1;
	if (named)
		json_name_text(&look->call->answer.body, rid);
	put_build(&look->call->answer.body, &build, creator, record.state);
	return 1;
}

void
http_builds_get(struct http_call *call, struct work_redis *redis)
{
	struct look look = { .call = call,
		.redis = redis,
		.access = http_call_access(call, redis) };

	if (write_build(&look, call->asked.rids[0], false) == 0)
		refuse_build(call, API_BUILD_NOT_FOUND);
}

/* One that has ended stays as it is, which is no error of whoever asks. */
static void
cancel_build(struct look *look, const struct uuid *id)
{
	struct error *err = &look->call->job.error;
	struct build_report report = { .redis = look->redis->schedules,
		.keyspace = look->redis->store.keyspace,
		.view = &look->redis->view,
		.arena = look->access.arena };
	struct report_result ignored;

	if (redis_connect(look->redis->schedules, err) == 0)
		build_report_state(&report, id, "CANCELED", &ignored, err);
}

void
http_builds_cancel(struct http_call *call, struct work_redis *redis)
{
	struct look look = { .call = call,
		.redis = redis,
		.access = http_call_access(call, redis) };
	struct build_record record;
	struct build_requested build;
	int found = find_build(&look, call->asked.rids[0], &record, &build);

	if (found == 0)
		refuse_build(call, API_BUILD_NOT_FOUND);
	else if (found == 1 && look.right != RIGHT_ACT)
		refuse_build(call, API_CANCEL_DENIED);
	else if (found == 1)
		cancel_build(&look, &build.run.build_id);
}

void
http_builds_get_batch(struct http_call *call, struct work_redis *redis)
{
	struct look look = { .call = call,
		.redis = redis,
		.access = http_call_access(call, redis) };
	struct text_list rids;
	size_t i;

	if (!http_batch_read(call, "buildRid", BATCH_MAX, &rids))
		return;
	look.access.arena = arena_create(0);
	json_open(&call->answer.body, '{');
	json_member_open(&call->answer.body, "data", '{');
	for (i = 0; i < rids.n && http_batch_has_room(call); i++) {
		arena_reset(look.access.arena, SIZE_MAX);
		if (write_build(&look, rids.at[i], true) < 0)
			break;
	}
	json_close(&call->answer.body, '}');
	json_close(&call->answer.body, '}');
	arena_destroy(look.access.arena);
}
