#include "producer/api/changes.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "producer/api/draft.h"
#include "producer/api/json.h"
#include "producer/api/schedules.h"

#define ATTEMPTS_MAX 50

/* One call that changes a schedule, in the call's arena. */
struct change_call {
	struct http_call *call;
	struct access access;
	struct text by, now;
	struct schedule_draft draft; /* of create and replace */
	struct text version_rid;
};

/* What a change does to the schedule it has found; false: refused, or failed.
 */
typedef bool edit_function(
    struct change_call *change, struct schedule_access *schedule);

/* How a change is told to the log, and refused to those who may only view. */
struct change_kind {
	const char *what;
	enum api_error denied;
	edit_function *edit;
};

/* Who does it, for storage: nobody has a UUID too, clients demand one. */
static struct text
author_of(struct http_call *call)
{
	struct text user = http_caller_user(&call->asked.caller);

	return user.at != NULL ? user
			       : TEXT("00000000-0000-0000-0000-000000000000");
}

static struct text
new_rid(struct http_call *call, const char *prefix)
{
	char *rid = arena_alloc(call->arena, RID_SIZE_MAX);
	struct uuid id = uuid_random();

	return (struct text){ rid, rid_format(text_from(prefix), &id, rid) };
}

static void
begin_change(struct change_call *change, struct http_call *call,
    struct work_redis *redis)
{
	char *now = arena_alloc(call->arena, CLOCK_TEXT_SIZE);

	clock_format(clock_wall_ms(), now);
	*change = (struct change_call){
		.call = call,
		.access = http_call_access(call, redis),
		.by = author_of(call),
		.now = { now, CLOCK_TEXT_SIZE },
	};
}

static bool
read_draft(struct change_call *change, struct text schedule_rid)
{
	struct http_call *call = change->call;
	struct draft_refusal refusal;
	struct draft_ids ids = {
		.schedule_rid = schedule_rid,
		.created_by = change->by,
		.created_time = change->now,
	};

	change->version_rid =
	    new_rid(call, "ri.scheduler.main.schedule-version.");
	ids.version_rid = change->version_rid;
	if (schedule_draft_read(json_root(call->asked.document), &ids,
		call->arena, &change->draft, &refusal) == 0)
		return true;
	http_call_refuse(call, refusal.error, NULL, refusal.parameters);
	return false;
}

static bool
refuse_change(struct change_call *change, enum api_error denied)
{
	struct http_call *call = change->call;

	http_call_refuse(call, denied, NULL,
	    (struct api_parameter[]){ call->asked.rids[0].at != NULL
		    ? PARAMETER_T("scheduleRid", call->asked.rids[0])
		    : PARAMETER_END,
		PARAMETER_END });
	return false;
}

static bool
refuse_unseen(struct change_call *change, enum api_error error,
    const struct text_list *rids)
{
	http_call_refuse(change->call, error, NULL,
	    (struct api_parameter[]){ { .name = "resourceRids",
					  .type = PARAMETER_LIST,
					  .list = rids->at,
					  .n = rids->n },
		PARAMETER_END });
	return false;
}

/* The right to have it as it is sent, and that there is what it names. */
static bool
judge_draft(struct change_call *change, enum api_error denied,
    struct schedule_about *about)
{
	struct http_call *call = change->call;
	struct draft_access judged;

	if (access_judge(&change->access, &change->draft.version, &judged,
		&call->job.error) != 0)
		return false;
	if (judged.right != RIGHT_ACT)
		return refuse_change(change, denied);
	if (judged.targets.n > 0)
		return refuse_unseen(
		    change, API_TARGETS_NOT_FOUND, &judged.targets);
	if (judged.inputs.n > 0)
		return refuse_unseen(
		    change, API_INPUTS_NOT_FOUND, &judged.inputs);
	about->projects = judged.projects;
	about->projects_at = change->access.generation;
	return true;
}

/* The schedule after its draft. */
static void
take_draft(struct change_call *change, struct schedule_access *schedule)
{
	schedule->about.display_name = change->draft.display_name;
	schedule->about.description = change->draft.description;
	schedule->head.current_version_rid = change->version_rid;
	schedule->version = change->draft.json;
}

/* 1 written, 0 it has moved; -1: whether it was written is unknown. */
static int
write_change(struct change_call *change, struct schedule_access *schedule)
{
	struct http_call *call = change->call;
	struct schedule_change stored = {
		.rid = schedule->rid,
		.seen = schedule->head_seen,
		.head = &schedule->head,
		.about = &schedule->about,
		.version_rid = change->version_rid,
		.version = change->draft.json,
	};
	struct error err = { 0 };
	int rc;

	schedule->about.updated_by = change->by;
	schedule->about.updated_time = change->now;
	rc = schedule_store_write(change->access.store, &stored, &err);
	if (rc >= 0)
		return rc;
	log_event(LOG_WARN, "http", "schedule_change_unknown", err.message,
	    LOG_T("schedule_rid", schedule->rid), LOG_END);
	http_call_refuse(call, API_TIMEOUT,
	    "The store did not answer; the change may have been made.",
	    (struct api_parameter[]){
		PARAMETER_T("scheduleRid", schedule->rid), PARAMETER_END });
	return -1;
}

static void
tell_change(const struct change_call *change,
    const struct schedule_access *schedule, const char *what)
{
	log_audit("http", "schedule_changed", "a schedule was changed",
	    LOG_T("schedule_rid", schedule->rid), LOG_S("what", what),
	    LOG_T("by", change->by),
	    LOG_T("schedule_version_rid", schedule->head.current_version_rid),
	    LOG_END);
}

void
http_schedules_create(struct http_call *call, struct work_redis *redis)
{
	struct schedule_access schedule = {
		.rid = new_rid(call, "ri.scheduler.main.schedule."),
		.exists = true,
	};
	struct change_call change;

	begin_change(&change, call, redis);
	if (!read_draft(&change, schedule.rid) ||
	    !judge_draft(&change, API_CREATE_DENIED, &schedule.about))
		return;
	schedule.about.created_by = change.by;
	schedule.about.created_time = change.now;
	take_draft(&change, &schedule);
	if (write_change(&change, &schedule) != 1)
		return;
	tell_change(&change, &schedule, "created");
	schedule_write_api(&schedule, call->asked.profile, &call->answer.body,
	    &call->job.error);
}

/* One attempt: 1 done or refused, 0 the schedule has moved. */
static int
attempt_change(struct change_call *change, struct work_redis *redis,
    const struct change_kind *kind, struct schedule_access *schedule)
{
	int rc;

	if (!http_schedules_find(change->call, redis, false, schedule))
		return 1;
	if (schedule->right != RIGHT_ACT) {
		refuse_change(change, kind->denied);
		return 1;
	}
	if (!kind->edit(change, schedule))
		return 1;
	rc = write_change(change, schedule);
	if (rc == 1)
		tell_change(change, schedule, kind->what);
	return rc != 0;
}

/* Whether it ended otherwise than by being tried again and again. */
static bool
try_change(struct change_call *change, struct work_redis *redis,
    const struct change_kind *kind, struct schedule_access *schedule)
{
	int attempts = 0;

	while (attempts++ < ATTEMPTS_MAX)
		if (attempt_change(change, redis, kind, schedule) != 0)
			return !change->call->answer.refused &&
			    change->call->job.error.kind == ERROR_NONE;
	error_set(&change->call->job.error, ERROR_RETRY,
	    "schedule %.*s changes again and again", TEXT_ARG(schedule->rid));
	return false;
}

static bool
edit_replace(struct change_call *change, struct schedule_access *schedule)
{
	if (!judge_draft(change, API_REPLACE_DENIED, &schedule->about))
		return false;
	take_draft(change, schedule);
	return true;
}

void
http_schedules_replace(struct http_call *call, struct work_redis *redis)
{
	static const struct change_kind kind = { "replaced", API_REPLACE_DENIED,
		edit_replace };
	struct schedule_access schedule;
	struct change_call change;

	begin_change(&change, call, redis);
	if (read_draft(&change, call->asked.rids[0]) &&
	    try_change(&change, redis, &kind, &schedule))
		schedule_write_api(&schedule, call->asked.profile,
		    &call->answer.body, &call->job.error);
}

/* The changes without a body and without an answer. */
static void
change_flags(struct http_call *call, struct work_redis *redis,
    const struct change_kind *kind)
{
	struct schedule_access schedule;
	struct change_call change;

	begin_change(&change, call, redis);
	try_change(&change, redis, kind, &schedule);
}

static bool
edit_delete(struct change_call *change, struct schedule_access *schedule)
{
	(void)change;
	schedule->head.deleted = true;
	return true;
}

void
http_schedules_delete(struct http_call *call, struct work_redis *redis)
{
	static const struct change_kind kind = { "deleted", API_DELETE_DENIED,
		edit_delete };

	change_flags(call, redis, &kind);
}

/* Nothing to write if it is so already. */
static bool
edit_pause(struct change_call *change, struct schedule_access *schedule)
{
	bool was = schedule->head.paused;

	(void)change;
	schedule->head.paused = true;
	return !was;
}

void
http_schedules_pause(struct http_call *call, struct work_redis *redis)
{
	static const struct change_kind kind = { "paused", API_PAUSE_DENIED,
		edit_pause };

	change_flags(call, redis, &kind);
}

static bool
edit_unpause(struct change_call *change, struct schedule_access *schedule)
{
	bool was = schedule->head.paused;

	(void)change;
	schedule->head.paused = false;
	return was;
}

void
http_schedules_unpause(struct http_call *call, struct work_redis *redis)
{
	static const struct change_kind kind = { "unpaused", API_UNPAUSE_DENIED,
		edit_unpause };

	change_flags(call, redis, &kind);
}
