#include "producer/api/lookup.h"

#include "common/base/clock.h"
#include "producer/auth/access.h"
#include "producer/runs/view.h"

static enum run_finding
judge(const struct schedule_access *schedule)
{
	if (!schedule->exists || schedule->head.deleted ||
	    schedule->right == RIGHT_NONE)
		return RUN_MISSING;
	return schedule->right == RIGHT_ACT ? RUN_FOUND : RUN_DENIED;
}

/* On a pool thread: resolves, pins and stores the run as pending. */
static void
store_run(struct http_call *call, struct work_redis *redis)
{
	struct run_lookup *lookup = call->state;
	struct access access = http_call_access(call, redis);
	struct schedule_access schedule;
	struct schedule_run existing;

	if (access_read(&access, &call->rids[0], 1, false, &schedule,
		&call->error) != 0)
		return;
	lookup->finding = judge(&schedule);
	if (lookup->finding != RUN_FOUND)
		return;
	lookup->record.schedule_version_rid = schedule.head.current_version_rid;
	lookup->record.created_time_ms = clock_wall_ms();
	if (run_view_store_pending(&redis->view, &lookup->record, call->arena,
		&lookup->stored, &existing, &call->error) == 0 &&
	    !lookup->stored)
		lookup->record = existing;
}

/* Begins to look the schedule up; the call's first round. */
static void
begin_access(struct run_lookup *lookup, struct work_redis *redis)
{
	lookup->schedule.rid = lookup->call->rids[0];
	access_round_begin(&lookup->access,
	    http_call_access(lookup->call, redis), redis->roles,
	    &lookup->schedule);
	lookup->begun = true;
}

static void
hear_access(struct run_lookup *lookup)
{
	if (access_round_hear(&lookup->access, &lookup->call->error) != 0)
		return;
	if (lookup->access.next == ROUND_ALONE)
		lookup->call->job.alone = true;
}

/* The same as store_run: the schedule and its rights, then the view. */
static bool
ask_to_store(struct http_call *call, struct work_redis *redis)
{
	struct run_lookup *lookup = call->state;

	if (!lookup->begun)
		begin_access(lookup, redis);
	if (access_round_ask(&lookup->access))
		return true;
	if (lookup->asked_view)
		return false;
	lookup->finding = judge(&lookup->schedule);
	if (lookup->finding != RUN_FOUND)
		return false;
	lookup->record.schedule_version_rid =
	    lookup->schedule.head.current_version_rid;
	lookup->record.created_time_ms = clock_wall_ms();
	lookup->asked_view = true;
	run_view_ask_pending(&redis->view, &lookup->record, call->arena);
	return true;
}

static void
hear_stored(struct http_call *call, struct work_redis *redis)
{
	struct run_lookup *lookup = call->state;
	struct schedule_run existing;
	int rc;

	if (!lookup->asked_view) {
		hear_access(lookup);
		return;
	}
	rc = run_view_hear_pending(&redis->view, call->arena, &lookup->stored,
	    &existing, &call->error);
	if (rc == 1 && !lookup->stored)
		lookup->record = existing;
	call->job.alone = rc == 0;
}

static const struct call_rounds storing = { ask_to_store, hear_stored,
	store_run };

/* A run is seen with its schedule, also after that was deleted. */
static void
read_run(struct http_call *call, struct work_redis *redis)
{
	struct run_lookup *lookup = call->state;
	struct access access = http_call_access(call, redis);
	struct schedule_access schedule;
	struct uuid id = lookup->record.id;
	int rc;

	lookup->finding = RUN_MISSING;
	if (access_read(&access, &call->rids[0], 1, false, &schedule,
		&call->error) != 0)
		return;
	if (!schedule.exists || schedule.right == RIGHT_NONE)
		return;
	rc = run_view_get(
	    &redis->view, &id, call->arena, &lookup->record, &call->error);
	if (rc == 1 && text_equal(lookup->record.schedule_rid, call->rids[0]))
		lookup->finding = RUN_FOUND;
}

/* The same as read_run: the run is asked for with the schedule. */
static bool
ask_to_read(struct http_call *call, struct work_redis *redis)
{
	struct run_lookup *lookup = call->state;

	if (!lookup->begun) {
		begin_access(lookup, redis);
		lookup->finding = RUN_MISSING;
		run_view_ask(&redis->view, &lookup->record.id, call->arena);
		lookup->asked_view = true;
	}
	return access_round_ask(&lookup->access);
}

static void
hear_read(struct http_call *call, struct work_redis *redis)
{
	struct run_lookup *lookup = call->state;

	if (lookup->asked_view)
		lookup->in_view = run_view_hear(
		    &redis->view, call->arena, &lookup->record, &call->error);
	lookup->asked_view = false;
	hear_access(lookup);
	if (lookup->in_view == 1 && lookup->access.next == ROUND_KNOWN &&
	    lookup->schedule.exists && lookup->schedule.right != RIGHT_NONE &&
	    text_equal(lookup->record.schedule_rid, call->rids[0]))
		lookup->finding = RUN_FOUND;
}

static const struct call_rounds reading = { ask_to_read, hear_read, read_run };

void
run_lookup_store(struct run_lookup *lookup, call_function *done)
{
	http_call_work_in_rounds(lookup->call, &storing, done);
}

void
run_lookup_read(struct run_lookup *lookup, call_function *done)
{
	http_call_work_in_rounds(lookup->call, &reading, done);
}
