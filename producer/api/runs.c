#include "producer/api/runs.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "producer/api/lookup.h"
#include "producer/api/options.h"
#include "producer/http/call.h"
#include "producer/runs/event.h"
#include "producer/runs/view.h"

#define LOOK_FIRST_MS 200 /* then doubled each time */

/* One POST or GET of a run, in the call's arena. */
struct run_call {
	struct run_lookup at; /* first; its record is what will be answered */
	struct http_call *call;
	struct http_runs *runs;
	bool posted;   /* POST: has a Location */
	bool keyed;    /* has an Idempotency-Key */
	bool accepted; /* the broker has it (or had it); GET: always */
	int wait_s;    /* preferred; -1: nothing */
	int64_t wait_until_ms, look_ms;
	struct run_waiter waiter;
	/*
	 * While a pool thread has the call, the loop only notes what happens
	 * here.
	 */
	bool working, hurry;
	/* The result as the feed told it, not the view; NULL: it hasn't. */
	struct result_event *news;
};

static void look_again(struct run_call *run);
static bool is_due(const struct run_call *run);
static void wait_on(struct run_call *run);

static void
add_location(struct run_call *run)
{
	struct http_call *call = run->call;
	struct text base = call->app->base_path;
	char rid[RID_SIZE_MAX];
	size_t rid_size =
	    rid_format(TEXT(RID_RUN_PREFIX), &run->at.record.id, rid);
	size_t size = base.size + RID_SIZE_MAX * 2 + 80;
	char *out = arena_alloc(call->arena, size);
	int n = snprintf(out, size,
	    "%.*s/api/v2/orchestration/schedules/%.*s/runs/%.*s",
	    TEXT_ARG(base), TEXT_ARG(run->at.record.schedule_rid),
	    (int)rid_size, rid);

	http_call_field(call, "Location", (struct text){ out, (size_t)n });
}

static void
answer_run(struct run_call *run)
{
	struct http_call *call = run->call;
	struct buffer body = { 0 };

	run_waiters_remove(run->runs->waiters, &run->waiter);
	if (run->posted)
		add_location(run);
	if (run->posted && run->keyed && !run->at.stored)
		http_call_field(call, "Idempotency-Replayed", TEXT("true"));
	if (run->wait_s >= 0) {
		char *applied = arena_alloc(call->arena, 24);
		int n = snprintf(applied, 24, "wait=%d", run->wait_s);

		http_call_field(call, "Preference-Applied",
		    (struct text){ applied, (size_t)n });
	}
	http_profile_put_run(call->profile, &run->at.record, &body);
	result_events_free(run->news);
	http_call_json(call, 200, &body);
	buffer_finish(&body);
}

static void
drop_wait(struct run_call *run)
{
	run_waiters_remove(run->runs->waiters, &run->waiter);
	result_events_free(run->news);
}

static struct text
run_rid(struct run_call *run)
{
	char *rid = arena_alloc(run->call->arena, RID_SIZE_MAX);

	return (struct text){ rid,
		rid_format(TEXT(RID_RUN_PREFIX), &run->at.record.id, rid) };
}

static void
keep_result(struct http_call *call, struct work_redis *redis)
{
	struct run_call *run = call->state;
	struct error ignored;

	run_view_keep(&redis->view, &run->at.record, &ignored);
}

static void
after_keep(struct http_call *call)
{
	answer_run(call->state);
}

/*
 * Who is told a result must find it in the view, at any replica, though the
 * fold may not have come to it.
 */
static void
finish(struct run_call *run)
{
	run_waiters_remove(run->runs->waiters, &run->waiter);
	run->working = true;
	if (run->news == NULL ||
	    http_call_try_work(run->call, keep_result, after_keep) != 0)
		answer_run(run);
}

static void
on_found(struct run_waiter *waiter, const struct schedule_run *record)
{
	struct run_call *run = (struct run_call *)(void *)((char *)waiter -
	    offsetof(struct run_call, waiter));

	result_events_free(run->news);
	run->news = result_event_create(record);
	if (run->working)
		return; /* after_look takes it over */
	run->at.record = run->news->record;
	if (run->accepted)
		finish(run);
}

/* Time to look, or time is up, or the process drains. */
static void
on_expired(struct run_waiter *waiter)
{
	struct run_call *run = (struct run_call *)(void *)((char *)waiter -
	    offsetof(struct run_call, waiter));

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
read_again(struct http_call *call, struct work_redis *redis)
{
	struct run_call *run = call->state;
	struct schedule_run found;

	if (run_view_get(&redis->view, &run->at.record.id, call->arena, &found,
		&call->error) == 1 &&
	    found.state != RUN_PENDING)
		run->at.record = found;
}

static void
after_look(struct http_call *call)
{
	struct run_call *run = call->state;

	run->working = false;
	if (run->news != NULL)
		run->at.record = run->news->record;
	if (run->at.record.state != RUN_PENDING || is_due(run))
		finish(run);
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
	run->working = true;
	run->waiter.until_ms = INT64_MAX;
	if (run->waiter.slot == NULL)
		run_waiters_add(run->runs->waiters, &run->waiter);
	if (http_call_try_work(run->call, read_again, after_look) == 0)
		return;
	run->working = false;
	answer_run(run); /* too busy to look: what is known must do */
}

static void
begin_wait(struct run_call *run)
{
	run->wait_until_ms =
	    loop_now_ms(run->call->app->loop) + run->wait_s * INT64_C(1000);
	run->look_ms = LOOK_FIRST_MS / 2;
	run->waiter.run = run->at.record.id;
	run->waiter.found = on_found;
	run->waiter.expired = on_expired;
	wait_on(run);
	http_request_set_gone(run->call->request, on_gone, run);
}

static bool
wants_to_wait(const struct run_call *run)
{
	return run->wait_s > 0 && !run->call->app->draining &&
	    run->at.record.state == RUN_PENDING;
}

static void
after_drop(struct http_call *call)
{
	call->error = (struct error){ .kind = ERROR_RETRY };
	http_call_failed(call);
}

static void
drop_pending(struct http_call *call, struct work_redis *redis)
{
	struct run_call *run = call->state;

	run_view_drop_pending(&redis->view, &run->at.record, &call->error);
}

/* Nothing was published: a run without a key must not stay pending for ever. */
static void
unpublished(struct run_call *run)
{
	drop_wait(run);
	http_request_set_gone(run->call->request, NULL, NULL);
	if (run->at.stored && !run->keyed)
		http_call_work(run->call, drop_pending, after_drop);
	else
		http_call_failed(run->call);
}

static void
fail_delivery(
    struct run_call *run, enum publish_outcome outcome, const char *reason)
{
	struct http_call *call = run->call;

	drop_wait(run);
	error_set(
	    &call->error, ERROR_FATAL, "run request not delivered: %s", reason);
	if (outcome == PUBLISH_REFUSED) {
		http_call_error(call, API_INTERNAL, NULL, NULL);
		return;
	}
	http_call_error(call, API_TIMEOUT,
	    "The broker did not answer in time; the run may still happen.",
	    (struct api_parameter[]){
		PARAMETER_T("scheduleRid", run->at.record.schedule_rid),
		PARAMETER_T("runRid", run_rid(run)), PARAMETER_END });
}

static void
on_delivered(void *argument, enum publish_outcome outcome, const char *reason)
{
	struct run_call *run = argument;

	run->accepted = true;
	if (outcome == PUBLISH_UNSENT && run->at.record.state == RUN_PENDING) {
		error_set(&run->call->error, ERROR_RETRY, "%s", reason);
		unpublished(run);
	} else if (outcome != PUBLISH_DONE &&
	    run->at.record.state == RUN_PENDING)
		fail_delivery(run, outcome, reason);
	else if (!wants_to_wait(run) || is_due(run))
		finish(run);
}

static void
publish(struct run_call *run)
{
	struct http_call *call = run->call;
	struct trace_header trace[TRACE_HEADERS_MAX];
	struct publish publish = {
		.run = &run->at.record,
		.headers = trace,
		.done = on_delivered,
		.argument = run,
	};

	if (run->runs->forward_trace)
		publish.n_headers =
		    run_options_trace(http_request_head(call->request), trace);
	if (wants_to_wait(run))
		begin_wait(run);
	if (run_publisher_send(run->runs->publisher, &publish, &call->error) !=
	    0)
		unpublished(run);
}

static void
after_store(struct http_call *call)
{
	struct run_call *run = call->state;
	struct api_parameter parameters[] = {
		PARAMETER_T("scheduleRid", call->rids[0]),
		PARAMETER_END,
	};

	if (call->error.kind != ERROR_NONE)
		http_call_failed(call);
	else if (run->at.finding == RUN_MISSING)
		http_call_error(call, API_SCHEDULE_NOT_FOUND, NULL, parameters);
	else if (run->at.finding == RUN_DENIED)
		http_call_error(call, API_RUN_DENIED, NULL, parameters);
	else if (run->at.record.state != RUN_PENDING)
		answer_run(run);
	else
		publish(run);
}

static struct run_call *
make_run(struct http_call *call)
{
	struct run_call *run = arena_zalloc(call->arena, 1, sizeof *run);

	run->call = run->at.call = call;
	run->runs = call->app->runs;
	run->wait_s = run_options_wait(
	    http_request_head(call->request), run->runs->wait_max_s);
	call->state = run;
	return run;
}

/* Refuses early what can't end well: nothing has been stored or published. */
static bool
is_open(struct run_call *run)
{
	struct http_call *call = run->call;

	call->close = run->wait_s > 0 &&
	    run_waiters_count(run->runs->waiters) >= WAITING_MAX;
	if (call->close)
		error_set(&call->error, ERROR_RETRY, "too many wait");
	else if (run->posted && call->app->draining)
		error_set(&call->error, ERROR_RETRY, "the process drains");
	else if (!run->posted ||
	    run_publisher_ready(run->runs->publisher, &call->error) == 0)
		return true;
	http_call_failed(call);
	return false;
}

static bool
is_within_rate(struct run_call *run)
{
	struct http_call *call = run->call;

	if (run->runs->rate == NULL ||
	    rate_limit_take(
		run->runs->rate, &call->caller, clock_monotonic_ms()))
		return true;
	http_call_error(call, API_RATE_LIMITED,
	    "More runs a second than a caller may ask for.", NULL);
	return false;
}

void
http_runs_post(struct http_call *call)
{
	struct run_call *run = make_run(call);
	struct text key = TEXT_NONE, caller = http_caller_user(&call->caller);
	int keyed = run_options_key(
	    http_request_head(call->request), call->arena, &key);

	if (keyed < 0) {
		http_call_invalid(call, "Idempotency-Key",
		    "must be 1 to 200 visible ASCII characters", TEXT_NONE);
		return;
	}
	run->posted = true;
	run->keyed = keyed > 0;
	if (!is_within_rate(run) || !is_open(run))
		return;
	run->at.record.schedule_rid = call->rids[0];
	run->at.record.created_by = caller;
	run->at.record.request_id = run_options_request_id(
	    caller, call->rids[0], run->keyed ? key : TEXT_NONE, call->arena);
	run->at.record.id =
	    rid_run(run->at.record.schedule_rid, run->at.record.request_id);
	run_lookup_store(&run->at, after_store);
}

static void
refuse_run(struct http_call *call)
{
	http_call_error(call, API_RUN_NOT_FOUND, NULL,
	    (struct api_parameter[]){ PARAMETER_T("scheduleRid", call->rids[0]),
		PARAMETER_T("scheduleRunRid", call->rids[1]), PARAMETER_END });
}

static void
after_read(struct http_call *call)
{
	struct run_call *run = call->state;

	if (call->error.kind != ERROR_NONE)
		http_call_failed(call);
	else if (run->at.finding != RUN_FOUND)
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
		call->rids[1], TEXT(RID_RUN_PREFIX), &run->at.record.id)) {
		refuse_run(call);
		return;
	}
	if (is_open(run))
		run_lookup_read(&run->at, after_read);
}
