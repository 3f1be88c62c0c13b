#include "producer/dashboard/detail.h"

#include "common/base/clock.h"
#include "common/json/write.h"
#include "producer/builder/said.h"
#include "producer/catalogue/fields.h"
#include "producer/dryrun/live.h"
#include "producer/dryrun/view.h"
#include "producer/runs/decoder.h"
#include "schemas/message/build_requested.h"

#define DRY_RUN_ID "dry-run"

/* Of whom it can't be told from one that isn't there. */
static bool
may_view(struct http_call *call, struct work_redis *redis, struct text rid,
    struct schedule_access *schedule)
{
	struct access access = http_call_access(call, redis);

	return access_read(
		   &access, &rid, 1, false, schedule, &call->job.error) == 0 &&
	    schedule->exists && schedule->right != RIGHT_NONE;
}

/* The whole of it would be larger than a page can use. */
static void
put_outcome(struct buffer *out, const struct outcome *outcome)
{
	struct outcome shown = *outcome;
	char time[CLOCK_TEXT_SIZE];

	if (shown.build.n_jobs > PLAN_JOBS_MAX)
		shown.build.n_jobs = PLAN_JOBS_MAX;
	if (shown.run.why.cause.at == NULL) /* told by the feed alone */
		shown.run.why.cause = TEXT("unknown");
	clock_format(shown.run.created_time_ms, time);
	json_member_integer(out, "jobs", (int64_t)outcome->build.n_jobs);
	json_name(out, "outcome");
	outcome_write_json(&shown, (struct text){ time, sizeof time }, out);
}

/* A run ----------------------------------------------------------------- */

static void
put_said(struct buffer *out, const struct field *field)
{
	struct job_said said;

	job_said_read(field->value, &said);
	json_name_text(out, field->name);
	json_open(out, '{');
	json_member_string(out, "state", job_state_name(said.state));
	json_member_integer(out, "attempt", said.attempt);
	if (said.begun_ms > 0)
		json_member_time(out, "begun", said.begun_ms);
	if (said.ended_ms > 0)
		json_member_time(out, "ended", said.ended_ms);
	json_member_integer(out, "code", said.code);
	json_member_known(out, "host", said.host);
	json_member_known(out, "note", said.note);
	json_close(out, '}');
}

/* What a builder of ours has said of its jobs, by their positions. */
static void
put_jobs(struct http_call *call, struct work_redis *redis,
    const struct uuid *build_id)
{
	struct fields *said = fields_create(call->arena);
	struct buffer key = { 0 }, *out = &call->answer.body;
	const struct field *list;
	size_t i;

	if (redis_connect(redis->schedules, &call->job.error) == 0 &&
	    fields_read(said, redis->schedules,
		keyspace_jobs(call->app->keyspace, build_id, &key),
		&call->job.error) == 0) {
		list = fields_sorted(said);
		json_member_open(out, "said", '{');
		for (i = 0; i < fields_size(said) && i < PLAN_JOBS_MAX; i++)
			put_said(out, &list[i]);
		json_close(out, '}');
	}
	buffer_finish(&key);
	fields_destroy(said);
}

/* The build's event, where the view has it. */
static void
put_build(
    struct http_call *call, struct work_redis *redis, struct outcome *outcome)
{
	struct error *err = &call->job.error;
	struct build_requested build;
	struct build_record record;
	int found = run_view_get_build(
	    &redis->view, &outcome->run.build_id, call->arena, &record, err);

	if (found != 1 ||
	    decode_build(redis->builds, record.event, &outcome->run.build_id,
		call->arena, &build, err) != 0)
		return;
	outcome->build = build.build;
	put_outcome(&call->answer.body, outcome);
	json_member_text(&call->answer.body, "buildState",
	    record.state.at != NULL ? record.state : TEXT("RUNNING"));
	put_jobs(call, redis, &outcome->run.build_id);
}

static void
put_run(
    struct http_call *call, struct work_redis *redis, struct outcome *outcome)
{
	const struct schedule_run *run = &outcome->run;
	struct buffer *out = &call->answer.body;

	json_open(out, '{');
	json_name(out, "run");
	http_profile_put_run(call->asked.profile, run, out);
	json_member_text(out, "requestId", run->request_id);
	json_member_known(out, "trigger", run->trigger);
	if (run->state != RUN_PENDING)
		json_member_time(out, "finishedTime", run->finished_time_ms);
	if (run->state == RUN_SUBMITTED)
		put_build(call, redis, outcome);
	else if (run->state != RUN_PENDING)
		put_outcome(out, outcome);
	json_close(out, '}');
}

void
dashboard_run_get(struct http_call *call, struct work_redis *redis)
{
	struct outcome outcome = { 0 };
	struct schedule_access schedule;
	struct uuid id;
	int found = 0;

	if (rid_parse(call->asked.rids[0], TEXT(RID_RUN_PREFIX), &id))
		found = run_view_get(&redis->view, &id, call->arena,
		    &outcome.run, &call->job.error);
	if (found == 1 &&
	    may_view(call, redis, outcome.run.schedule_rid, &schedule)) {
		put_run(call, redis, &outcome);
		return;
	}
	http_call_refuse(call, API_RUN_NOT_FOUND, NULL,
	    (struct api_parameter[]){
		PARAMETER_T("scheduleRunRid", call->asked.rids[0]),
		PARAMETER_END });
}

/* A dry run --------------------------------------------------------------- */

void
dashboard_plan(struct http_call *call, struct work_redis *redis)
{
	const struct run_request request = {
		.request_id = TEXT(DRY_RUN_ID),
		.schedule_rid = call->asked.rids[0],
		.created_time_ms = clock_wall_ms(),
		.created_by = http_caller_user(&call->asked.caller),
	};
	struct schedule_access schedule;
	const struct outcome *outcome;

	if (!may_view(call, redis, call->asked.rids[0], &schedule) ||
	    schedule.head.deleted) {
		http_call_refuse(call, API_SCHEDULE_NOT_FOUND, NULL,
		    (struct api_parameter[]){
			PARAMETER_T("scheduleRid", call->asked.rids[0]),
			PARAMETER_END });
		return;
	}
	outcome =
	    live_plan_run(redis->planner, &request, false, &call->job.error);
	if (outcome == NULL)
		return;
	json_open(&call->answer.body, '{');
	put_outcome(&call->answer.body, outcome);
	json_close(&call->answer.body, '}');
}
