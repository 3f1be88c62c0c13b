#include "producer/api/runs.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "producer/api/options.h"
#include "producer/http/call.h"
#include "producer/runs/event.h"
#include "producer/runs/view.h"

#define LOOK_FIRST_MS 200 /* then doubled each time */

enum finding { RUN_FOUND, RUN_MISSING, RUN_DENIED };

/* One POST or GET of a run, in the call's arena; the owner of its jobs. */
struct run_call {
	struct http_call *call;
	struct http_runs *runs;
	struct schedule_run record; /* what will be answered */
	bool posted;                /* POST: has a Location */
	bool keyed;                 /* has an Idempotency-Key */
	bool accepted; /* the broker has it (or had it); GET: always */
	/* The look-up of the schedule, of its rights and of the run. */
	struct access access;
	struct schedule_access schedule;
	enum finding finding;
	bool asked;  /* the view, in this round */
	bool stored; /* by us, just now */
	bool again;  /* its answer did not count: that is not waited for */
	struct schedule_run spent; /* this answer, if `again` */
	bool anew;   /* the view's script was forgotten: it is asked again */
	int in_view; /* as of run_view_get */
	struct error *failed; /* of the view; who may not see it isn't told */
	/* The wait for the result. */
	int wait_s; /* preferred; -1: nothing */
	int64_t wait_until_ms, look_ms;
	struct run_waiter waiter;
	/*
	 * While a pool thread has the call, the loop only notes what happens
	 * here.
	 */
	bool working, hurry;
	/* The result as the feed told it, not the view; NULL: it hasn't. */
	struct result_event *news;
	bool is_kept; /* the view has it as well */
};

static void look_again(struct run_call *run);
static bool is_due(const struct run_call *run);
static void wait_on(struct run_call *run);

/* The answer -------------------------------------------------------------- */

static struct text
run_rid(struct run_call *run)
{
	char *rid = arena_alloc(run->call->arena, RID_SIZE_MAX);

	return (struct text){ rid,
		rid_format(TEXT(RID_RUN_PREFIX), &run->record.id, rid) };
}

static void
add_location(struct run_call *run)
{
	struct text base = run->call->app->base_path, rid = run_rid(run);
	size_t size = base.size + RID_SIZE_MAX * 2 + 80;
	char *out = arena_alloc(run->call->arena, size);
	int n = snprintf(out, size,
	    "%.*s/api/v2/orchestration/schedules/%.*s/runs/%.*s",
	    TEXT_ARG(base), TEXT_ARG(run->record.schedule_rid), TEXT_ARG(rid));

	http_call_field(run->call, "Location", (struct text){ out, (size_t)n });
}

/* Nobody waits for it any more. */
static void
end_wait(struct run_call *run)
{
	run_waiters_remove(run->runs->waiters, &run->waiter);
	result_events_free(run->news);
	run->news = NULL;
}

static void
answer_run(void *owner)
{
	struct run_call *run = owner;
	struct http_call *call = run->call;
	struct buffer body = { 0 };

	if (run->posted)
		add_location(run);
	if (run->posted && run->keyed && !run->stored)
		http_call_field(call, "Idempotency-Replayed", TEXT("true"));
	if (run->wait_s >= 0) {
		char *applied = arena_alloc(call->arena, 24);
		int n = snprintf(applied, 24, "wait=%d", run->wait_s);

		http_call_field(call, "Preference-Applied",
		    (struct text){ applied, (size_t)n });
	}
	http_profile_put_run(call->asked.profile, &run->record, &body);
	end_wait(run);
	http_call_json(call, 200, &body);
	buffer_finish(&body);
}

/* On a pool thread.  If it fails: the fold comes to it sooner or later. */
static void
keep_result(void *owner, struct work_redis *redis)
{
	struct run_call *run = owner;
	struct error ignored;

	run_view_keep(&redis->view, &run->record, &ignored);
}

/*
 * Who is told a result must find it in the view, at any replica.  The feed lets
 * the fold go first; where it gave up waiting for that, we store it.
 */
static void
finish_run(struct run_call *run)
{
	struct http_call *call = run->call;

	if (run->news == NULL || run->is_kept) {
		answer_run(run);
		return;
	}
	run_waiters_remove(run->runs->waiters, &run->waiter);
	run->working = true;
	call->job = (struct work_job){
		.owner = run, .work = keep_result, .done = answer_run
	};
	if (work_pool_submit(call->app->pool, &call->job) != 0)
		answer_run(run);
}

/* The wait for the result ------------------------------------------------- */

static struct run_call *
run_of(struct run_waiter *waiter)
{
	return (struct run_call *)(void *)((char *)waiter -
	    offsetof(struct run_call, waiter));
}

static void
on_found(
    struct run_waiter *waiter, const struct schedule_run *record, bool in_view)
{
	struct run_call *run = run_of(waiter);

	result_events_free(run->news);
	run->news = result_event_create(record);
	run->is_kept = in_view;
	if (run->working)
		return; /* after_look takes it over */
	run->record = run->news->record;
	if (run->accepted)
		finish_run(run);
}

/* Time to look, or time is up, or the process drains. */
static void
on_expired(struct run_waiter *waiter)
{
	struct run_call *run = run_of(waiter);

	if (run->working)
		return; /* after_look sees what time it is */
	if (run->accepted)
		look_again(run);
	else if (!is_due(run))
		wait_on(run); /* the broker is slow: on_delivered goes on */
}

/* The client left, or shut its side and still reads: it hears what is known. */
static void
on_gone(void *argument)
{
	struct run_call *run = argument;

	if (run->working || !run->accepted)
		run->hurry = true;
	else
		answer_run(run);
}

static bool
is_due(const struct run_call *run)
{
	return run->hurry || run->call->app->draining ||
	    loop_now_ms(run->call->app->loop) >= run->wait_until_ms;
}

/* Waits for the result's event, and looks into the view now and then. */
static void
wait_on(struct run_call *run)
{
	int64_t now = loop_now_ms(run->call->app->loop);

	run->look_ms *= 2;
	run->waiter.until_ms = now + run->look_ms;
	if (run->waiter.until_ms > run->wait_until_ms)
		run->waiter.until_ms = run->wait_until_ms;
	if (run->waiter.slot == NULL)
		run_waiters_add(run->runs->waiters, &run->waiter);
}

static void
read_again(void *owner, struct work_redis *redis)
{
	struct run_call *run = owner;
	struct schedule_run found;

	if (run_view_get(&redis->view, &run->record.id, run->call->arena,
		&found, &run->call->job.error) == 1 &&
	    found.state != RUN_PENDING &&
	    !(run->again && found.partition == run->spent.partition &&
		found.offset == run->spent.offset))
		run->record = found;
}

static void
after_look(void *owner)
{
	struct run_call *run = owner;

	run->working = false;
	if (run->news != NULL)
		run->record = run->news->record;
	if (run->record.state != RUN_PENDING || is_due(run))
		finish_run(run);
	else
		wait_on(run);
}

/*
 * The result's event may have come before we waited, or the feed may be
 * behind: the view tells.  The waiter stays in the table meanwhile, so nothing
 * is missed in between.
 */
static void
look_again(struct run_call *run)
{
	struct http_call *call = run->call;

	run->working = true;
	run->waiter.until_ms = INT64_MAX;
	if (run->waiter.slot == NULL)
		run_waiters_add(run->runs->waiters, &run->waiter);
	call->job = (struct work_job){
		.owner = run, .work = read_again, .done = after_look
	};
	if (work_pool_submit(call->app->pool, &call->job) == 0)
		return;
	run->working = false;
	answer_run(run); /* too busy to look: what is known must do */
}

/* The time from the request on, as whoever stands before us counts it. */
static void
begin_wait(struct run_call *run)
{
	int64_t gone = clock_monotonic_ms() - run->call->asked.started_ms;

	run->wait_until_ms = loop_now_ms(run->call->app->loop) +
	    run->wait_s * INT64_C(1000) - gone;
	run->look_ms = LOOK_FIRST_MS / 2;
	run->waiter.run = run->record.id;
	run->waiter.found = on_found;
	run->waiter.expired = on_expired;
	wait_on(run);
	http_request_set_gone(run->call->asked.request, on_gone, run);
}

static bool
wants_to_wait(const struct run_call *run)
{
	return run->wait_s > 0 && !run->call->app->draining &&
	    run->record.state == RUN_PENDING;
}

/* POST: from the stored run to the broker's word ------------------------- */

static void
after_drop(void *owner)
{
	struct run_call *run = owner;

	run->call->job.error.kind = ERROR_RETRY;
	http_call_failed(run->call);
}

/* On a pool thread. */
static void
drop_pending(void *owner, struct work_redis *redis)
{
	struct run_call *run = owner;

	run_view_drop_pending(
	    &redis->view, &run->record, &run->call->job.error);
}

/* Nothing was published: a run without a key must not stay pending for ever. */
static void
undo_store(struct run_call *run)
{
	struct http_call *call = run->call;

	end_wait(run);
	http_request_set_gone(call->asked.request, NULL, NULL);
	if (!run->stored || run->keyed) {
		http_call_failed(call);
		return;
	}
	call->job = (struct work_job){
		.owner = run, .work = drop_pending, .done = after_drop
	};
	http_call_submit(call);
}

static void
fail_delivery(
    struct run_call *run, enum publish_outcome outcome, const char *reason)
{
	struct http_call *call = run->call;

	end_wait(run);
	error_set(&call->job.error, ERROR_FATAL,
	    "run request not delivered: %s", reason);
	if (outcome == PUBLISH_REFUSED) {
		http_call_error(call, API_INTERNAL, NULL, NULL);
		return;
	}
	http_call_error(call, API_TIMEOUT,
	    "The broker did not answer in time; the run may still happen.",
	    (struct api_parameter[]){
		PARAMETER_T("scheduleRid", run->record.schedule_rid),
		PARAMETER_T("runRid", run_rid(run)), PARAMETER_END });
}

static void
on_delivered(void *argument, enum publish_outcome outcome, const char *reason)
{
	struct run_call *run = argument;

	run->accepted = true;
	if (outcome == PUBLISH_UNSENT && run->record.state == RUN_PENDING) {
		error_set(&run->call->job.error, ERROR_RETRY, "%s", reason);
		undo_store(run);
	} else if (outcome != PUBLISH_DONE && run->record.state == RUN_PENDING)
		fail_delivery(run, outcome, reason);
	else if (run->news != NULL)
		finish_run(run);
	else if (!wants_to_wait(run) || is_due(run))
		answer_run(run);
}

/* What Redis knows: the schedule, the caller's right to it, the run ------- */

/* The first round trip is the schedule's, for both. */
static void
begin_access(struct run_call *run, struct work_redis *redis)
{
	run->schedule.rid = run->call->asked.rids[0];
	run->access = http_call_access(run->call, redis);
	access_begin(&run->access, &run->schedule, 1, false);
}

/* Its schedule's version is pinned, and the run stored unless it is there. */
static bool
ask_to_store(void *owner, struct work_redis *redis)
{
	struct run_call *run = owner;

	if (run->access.store == NULL)
		begin_access(run, redis);
	if (access_ask(&run->access))
		return true;
	if (run->asked && !run->anew)
		return false;
	if (!run->schedule.exists || run->schedule.head.deleted ||
	    run->schedule.right == RIGHT_NONE)
		run->finding = RUN_MISSING;
	else if (run->schedule.right != RIGHT_ACT)
		run->finding = RUN_DENIED;
	if (run->finding != RUN_FOUND)
		return false;
	run->asked = true;
	run->record.schedule_version_rid =
	    run->schedule.head.current_version_rid;
	run->record.created_time_ms = clock_wall_ms();
	run_view_ask_pending(&redis->view, &run->record, run->call->arena);
	return true;
}

static void
hear_stored(void *owner, struct work_redis *redis)
{
	struct run_call *run = owner;
	struct error *err = &run->call->job.error;
	struct schedule_run existing;
	int rc;

	if (!run->asked) {
		access_hear(&run->access, err);
		return;
	}
	rc = run_view_hear_pending(
	    &redis->view, run->call->arena, &run->stored, &existing, err);
	if (rc == 0 && run->anew)
		error_set(err, ERROR_RETRY, "redis %s forgets our scripts",
		    redis_address(redis->runs));
	run->anew = rc == 0;
	if (rc != 1 || run->stored)
		return;
	run->record = run->spent = existing;
	/* An answer that does not spend the id: it is asked again, as it was.
	 */
	run->again = schedule_run_is_damage(&existing);
	if (run->again)
		run->record.state = RUN_PENDING;
}

/* The run is asked for with its schedule. */
static bool
ask_to_read(void *owner, struct work_redis *redis)
{
	struct run_call *run = owner;

	if (run->access.store == NULL) {
		begin_access(run, redis);
		run->failed =
		    arena_alloc(run->call->arena, sizeof *run->failed);
		run_view_ask(&redis->view, &run->record.id, run->call->arena);
		run->asked = true;
	}
	return access_ask(&run->access);
}

static void
hear_read(void *owner, struct work_redis *redis)
{
	struct run_call *run = owner;
	struct schedule_run found;

	if (run->asked)
		run->in_view = run_view_hear(
		    &redis->view, run->call->arena, &found, run->failed);
	if (run->asked && run->in_view == 1)
		run->record = found;
	run->asked = false;
	access_hear(&run->access, &run->call->job.error);
}

/* The routes -------------------------------------------------------------- */

static struct run_call *
make_run(struct http_call *call)
{
	struct run_call *run = arena_zalloc(call->arena, 1, sizeof *run);

	run->call = call;
	run->runs = call->app->runs;
	run->wait_s = run_options_wait(call->asked.head, run->runs->wait_max_s);
	return run;
}

/* Refuses early what can't end well: nothing has been stored or published. */
static bool
is_open(struct run_call *run)
{
	struct http_call *call = run->call;
	struct error *err = &call->job.error;

	call->answer.close = run->wait_s > 0 &&
	    run_waiters_count(run->runs->waiters) >= WAITING_MAX;
	if (call->answer.close)
		error_set(err, ERROR_RETRY, "too many wait");
	else if (run->posted && call->app->draining)
		error_set(err, ERROR_RETRY, "the process drains");
	else if (!run->posted ||
	    run_publisher_ready(run->runs->publisher, err) == 0)
		return true;
	http_call_failed(call);
	return false;
}

/* The caller's trace context, unchanged but for our own span. */
static size_t
put_trace(const struct http_call *call,
    struct trace_header headers[TRACE_HEADERS_MAX])
{
	size_t n = run_options_trace(call->asked.head, headers);

	if (call->trace == NULL)
		return n;
	if (n == 0 || strcmp(headers[0].name, "traceparent") != 0) {
		/* There is room: without it no tracestate goes along. */
		memmove(headers + 1, headers, n * sizeof *headers);
		n++;
	}
	headers[0] = (struct trace_header){ "traceparent",
		{ call->trace->header, sizeof call->trace->header } };
	return n;
}

/* The run is pending in the view: to the broker with it. */
static void
after_store(void *owner)
{
	struct run_call *run = owner;
	struct http_call *call = run->call;
	struct trace_header trace[TRACE_HEADERS_MAX];
	struct publish publish = {
		.run = &run->record,
		.headers = trace,
		.done = on_delivered,
		.argument = run,
	};
	struct api_parameter parameters[] = {
		PARAMETER_T("scheduleRid", call->asked.rids[0]),
		PARAMETER_END,
	};

	if (call->job.error.kind != ERROR_NONE)
		http_call_failed(call);
	else if (run->finding == RUN_MISSING)
		http_call_error(call, API_SCHEDULE_NOT_FOUND, NULL, parameters);
	else if (run->finding == RUN_DENIED)
		http_call_error(call, API_RUN_DENIED, NULL, parameters);
	else if (run->record.state != RUN_PENDING)
		answer_run(run);
	else {
		if (run->runs->forward_trace)
			publish.n_headers = put_trace(call, trace);
		if (wants_to_wait(run))
			begin_wait(run);
		if (run_publisher_send(
			run->runs->publisher, &publish, &call->job.error) != 0)
			undo_store(run);
	}
}

void
http_runs_post(struct http_call *call)
{
	struct run_call *run = make_run(call);
	struct schedule_run *record = &run->record;
	int keyed;

	record->schedule_rid = call->asked.rids[0];
	record->created_by = http_caller_user(&call->asked.caller);
	keyed = run_options_request_id(call->asked.head, record->created_by,
	    record->schedule_rid, call->arena, &record->request_id);
	if (keyed < 0) {
		http_call_invalid(call, "Idempotency-Key",
		    "must be 1 to 200 visible ASCII characters", TEXT_NONE);
		return;
	}
	run->posted = true;
	run->keyed = keyed > 0;
	if (run->runs->rate != NULL &&
	    !rate_limit_take(
		run->runs->rate, &call->asked.caller, clock_monotonic_ms())) {
		http_call_error(call, API_RATE_LIMITED,
		    "More runs and commits a second than a caller may send.",
		    NULL);
		return;
	}
	if (!is_open(run))
		return;
	record->id = rid_run(record->schedule_rid, record->request_id);
	http_call_trace(call, record->schedule_rid, &record->id);
	call->job = (struct work_job){
		.owner = run,
		.ask = ask_to_store,
		.hear = hear_stored,
		.done = after_store,
	};
	http_call_submit(call);
}

static void
refuse_run(struct http_call *call)
{
	http_call_error(call, API_RUN_NOT_FOUND, NULL,
	    (struct api_parameter[]){
		PARAMETER_T("scheduleRid", call->asked.rids[0]),
		PARAMETER_T("scheduleRunRid", call->asked.rids[1]),
		PARAMETER_END });
}

/* A run is seen with its schedule, also after that was deleted. */
static void
after_read(void *owner)
{
	struct run_call *run = owner;
	struct http_call *call = run->call;
	bool visible =
	    run->schedule.exists && run->schedule.right != RIGHT_NONE;

	if (call->job.error.kind == ERROR_NONE && visible && run->in_view < 0)
		call->job.error = *run->failed;
	if (call->job.error.kind != ERROR_NONE)
		http_call_failed(call);
	else if (!visible || run->in_view != 1 ||
	    !text_equal(run->record.schedule_rid, call->asked.rids[0]))
		refuse_run(call);
	else if (wants_to_wait(run))
		begin_wait(run);
	else
		answer_run(run);
}

void
http_runs_get(struct http_call *call)
{
	struct run_call *run = make_run(call);

	run->accepted = true;
	if (!rid_parse(
		call->asked.rids[1], TEXT(RID_RUN_PREFIX), &run->record.id)) {
		refuse_run(call);
		return;
	}
	if (!is_open(run))
		return;
	call->job = (struct work_job){
		.owner = run,
		.ask = ask_to_read,
		.hear = hear_read,
		.done = after_read,
	};
	http_call_submit(call);
}
