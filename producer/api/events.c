#include "producer/api/events.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/crypto/rid.h"
#include "producer/auth/access.h"
#include "producer/events/audience.h"
#include "producer/http/call.h"

#define RING_BYTES ((size_t)64 * 1024 * 1024)
#define TICK_MS 10   /* events of so long are written together */
#define SWEEP_MS 250 /* tokens, comments */
#define ALIVE_MS 15000
#define SCHEDULES_MAX 100
#define RECENT_MAX 1000

#define RETRY "retry: 2000\n"
#define ALIVE ": keep-alive\n"

struct http_events {
	struct http_app *app;
	struct event_hub hub;
	bool ready; /* the feed has caught up once */
	bool ticking;
	int64_t pumped_ms;
	struct loop_timer *tick, *sweep;
	struct buffer alive; /* the comment with the id of now */
};

/* Who asks for events, in the call's arena. */
struct event_call {
	struct http_call *call;
	struct http_events *events;
	struct text schedules[SCHEDULES_MAX];
	size_t n_schedules;
	bool resumes;
	int64_t recent; /* of the last results, how many he wants first */
	bool lost;      /* he would resume, but by an id that isn't ours */
	struct event_position position;
	struct text hidden; /* a schedule that he may not see */
	bool gone;
};

/* Time ------------------------------------------------------------------- */

static void pump_streams(void *argument);

static void
pump_in(struct http_events *events, int64_t wait_ms)
{
	loop_timer_stop(events->tick);
	events->ticking = true;
	events->tick = loop_timer_start(
	    events->app->loop, wait_ms, 0, pump_streams, events);
}

static void
pump_streams(void *argument)
{
	struct http_events *events = argument;

	events->ticking = false;
	events->pumped_ms = loop_now_ms(events->app->loop);
	if (audiences_pump(&events->hub))
		pump_in(events, TICK_MS);
}

/* Now if nothing was written lately, else with what else comes. */
static void
pump_soon(struct http_events *events)
{
	int64_t wait =
	    events->pumped_ms + TICK_MS - loop_now_ms(events->app->loop);

	if (events->ticking)
		return;
	if (wait <= 0)
		pump_streams(events);
	else
		pump_in(events, wait);
}

static void
end_stream(struct http_events *events, struct subscriber *subscriber,
    const char *reason)
{
	struct http_stream *stream = subscriber->stream;
	char text[80];
	int n = snprintf(text, sizeof text,
	    "event: end\ndata: {\"reason\":\"%s\"}\n\n", reason);
	struct http_piece *piece =
	    http_piece_create((struct text){ text, (size_t)n }, NULL);

	audience_leave(&events->hub, subscriber);
	http_stream_set_gone(stream, NULL, NULL);
	http_stream_send(stream, piece);
	http_piece_release(piece);
	http_stream_end(stream);
}

static void
end_by_drain(void *argument, struct subscriber *subscriber)
{
	end_stream(argument, subscriber, "DRAINING");
}

/* The comment; whoever has been sent all may resume from here. */
static void
send_alive(struct http_events *events, struct subscriber *subscriber)
{
	struct text text = TEXT(ALIVE "\n");

	if (subscriber_is_full(&events->hub, subscriber))
		return; /* he has enough to read */
	if (subscriber_is_current(&events->hub, subscriber))
		text = buffer_text(&events->alive);
	subscriber_send(&events->hub, subscriber, text);
}

static void
look_after(void *argument, struct subscriber *subscriber)
{
	struct http_events *events = argument;
	int64_t now = loop_now_ms(events->app->loop);
	const char *revoked =
	    http_auth_recheck(events->app->auth, &subscriber->caller);

	if (revoked != NULL) {
		end_stream(events, subscriber, revoked);
	} else if (subscriber->caller.expires_ms <= clock_wall_ms()) {
		end_stream(events, subscriber, "TOKEN_EXPIRED");
	} else if (subscriber->alive_ms <= now) {
		subscriber->alive_ms = now + ALIVE_MS;
		send_alive(events, subscriber);
	}
}

static void
sweep_streams(void *argument)
{
	struct http_events *events = argument;

	buffer_reset(&events->alive);
	buffer_append(&events->alive, TEXT(ALIVE "id: "));
	event_position_write(event_ring_head(events->hub.ring), &events->alive);
	buffer_append(&events->alive, TEXT("\n\n"));
	audiences_each(&events->hub, look_after, events);
	pump_soon(events);
}

/* Life ------------------------------------------------------------------- */

static void
create_metrics(struct event_hub *hub, struct metrics *metrics)
{
	static const char name[] = "schedrun_sse_events_total";
	static const char help[] =
	    "Events for subscribers: sent, or dropped with one who lagged.";

	hub->subscribers = metrics_series(metrics, METRIC_GAUGE,
	    "schedrun_sse_subscribers", "", "Open streams of events.");
	hub->sent = metrics_series(
	    metrics, METRIC_COUNTER, name, "result=\"sent\"", help);
	hub->dropped = metrics_series(
	    metrics, METRIC_COUNTER, name, "result=\"dropped\"", help);
}

static void
on_rights(void *argument)
{
	pump_soon(argument);
}

struct http_events *
http_events_create(struct http_app *app, struct kafka_health *kafka)
{
	struct http_events *events = memory_zalloc(1, sizeof *events);

	events->app = app;
	events->hub.loop = app->loop;
	events->hub.ring = event_ring_create(RING_BYTES);
	events->hub.replay = event_replay_create(app->config, kafka, app->loop);
	events->hub.rights = event_rights_create(app, on_rights, events);
	create_metrics(&events->hub, app->metrics);
	events->sweep = loop_timer_start(
	    app->loop, SWEEP_MS, SWEEP_MS, sweep_streams, events);
	return events;
}

void
http_events_stop(struct http_events *events)
{
	if (events != NULL)
		event_replay_stop(events->hub.replay);
}

static void
forget_subscriber(void *argument, struct subscriber *subscriber)
{
	struct http_events *events = argument;

	http_stream_set_gone(subscriber->stream, NULL, NULL);
	http_stream_end(subscriber->stream);
	audience_leave(&events->hub, subscriber);
}

void
http_events_destroy(struct http_events *events)
{
	if (events == NULL)
		return;
	loop_timer_stop(events->tick);
	loop_timer_stop(events->sweep);
	audiences_each(&events->hub, forget_subscriber, events);
	event_hub_finish(&events->hub);
	event_replay_destroy(events->hub.replay);
	event_rights_destroy(events->hub.rights);
	event_ring_destroy(events->hub.ring);
	buffer_finish(&events->alive);
	free(events);
}

void
http_events_news(struct http_events *events, const struct feed_news *news)
{
	struct event_ring *ring = events->hub.ring;
	struct result_event *event, *next;
	int32_t i;

	if (news->restarted)
		event_ring_restart(ring, &news->position);
	if (news->lost)
		audiences_restart(&events->hub);
	for (event = news->events; event != NULL; event = next) {
		next = event->next;
		event_ring_append(ring, event);
	}
	for (i = 0; i < news->position.n; i++)
		event_ring_pass(ring, i, news->position.next[i]);
	events->ready |= news->ready;
	if (news->events != NULL)
		pump_soon(events);
}

void
http_events_drain(struct http_events *events)
{
	audiences_each(&events->hub, end_by_drain, events);
}

/* The route -------------------------------------------------------------- */

static bool
is_twice(const struct event_call *event_call, struct text rid)
{
	size_t i;

	for (i = 0; i < event_call->n_schedules; i++)
		if (text_equal(event_call->schedules[i], rid))
			return true;
	return false;
}

static void
refuse_schedule(struct http_call *call, struct text rid)
{
	http_call_error(call, API_SCHEDULE_NOT_FOUND, NULL,
	    (struct api_parameter[]){
		PARAMETER_T("scheduleRid", rid), PARAMETER_END });
}

/* One of the query's; false: the call has been answered. */
static bool
take_schedule(
    struct http_call *call, struct event_call *event_call, struct text rid)
{
	if (!rid_is_valid(rid)) {
		http_call_invalid(
		    call, "scheduleRid", "not a resource identifier", rid);
		return false;
	}
	if (is_twice(event_call, rid))
		return true;
	if (event_call->n_schedules == SCHEDULES_MAX) {
		http_call_invalid(call, "scheduleRid",
		    "may be given 100 times at most", TEXT_NONE);
		return false;
	}
	event_call->schedules[event_call->n_schedules++] = rid;
	return true;
}

static bool
take_schedules(struct http_call *call, struct event_call *event_call)
{
	const struct http_path *path = &call->asked.path;
	size_t i;

	for (i = 0; i < path->n_parameters; i++)
		if (text_equal(path->parameters[i].name, TEXT("scheduleRid")) &&
		    !take_schedule(call, event_call, path->parameters[i].value))
			return false;
	return true;
}

/* A number of the query's, if it is given. */
static bool
take_recent(struct http_call *call, struct event_call *event_call)
{
	struct text value = TEXT_NONE;
	int n = http_path_get(&call->asked.path, "recent", &value);

	if (n == 0 ||
	    (n == 1 && text_to_number(value, RECENT_MAX, &event_call->recent)))
		return true;
	http_call_invalid(call, "recent",
	    n < 0 ? "must be given once" : "must be a number from 0 to 1000",
	    value);
	return false;
}

/* A browser repeats whatever id it has, and can't be told by a refusal. */
static bool
take_position(struct http_call *call, struct event_call *event_call)
{
	const struct http_head *head = call->asked.head;
	size_t n = http_head_count(head, "last-event-id");
	struct text id = text_trim(http_head_get(head, "last-event-id"));

	if (n > 1) {
		http_call_invalid(
		    call, "Last-Event-ID", "must be given once", TEXT_NONE);
		return false;
	}
	event_call->resumes = event_position_read(&event_call->position, id);
	event_call->lost = !event_call->resumes && id.size > 0;
	return true;
}

/* On a pool thread: each schedule that he names he must be able to see. */
static void
check_schedules(void *owner, struct work_redis *redis)
{
	struct event_call *event_call = owner;
	struct http_call *call = event_call->call;
	struct access access = http_call_access(call, redis);
	size_t n = event_call->n_schedules, i;
	struct schedule_access *found =
	    arena_alloc(call->arena, (n + 1) * sizeof *found);

	if (access_read(&access, event_call->schedules, n, false, found,
		&call->job.error) != 0)
		return;
	for (i = 0; i < n; i++) {
		if (found[i].exists && found[i].right != RIGHT_NONE)
			continue;
		event_call->hidden = found[i].rid;
		return;
	}
}

static void
on_gone(void *argument)
{
	struct subscriber *subscriber = argument;
	struct http_events *events = subscriber->events;

	http_stream_end(subscriber->stream);
	audience_leave(&events->hub, subscriber);
}

/* What comes first; from here one may resume who has seen no event yet. */
static void
greet_subscriber(
    const struct event_call *event_call, struct subscriber *subscriber)
{
	struct http_events *events = event_call->events;
	const struct event_position *now = event_ring_head(events->hub.ring);
	struct buffer out = { 0 };

	buffer_append(&out, TEXT(RETRY));
	if (event_call->lost) {
		event_gap_write(now, clock_wall_ms(), &out);
	} else if (event_call->resumes) {
		buffer_append(&out, TEXT("\n"));
	} else {
		buffer_append(&out, TEXT("id: "));
		event_position_write(now, &out);
		buffer_append(&out, TEXT("\n\n"));
	}
	subscriber_send(&events->hub, subscriber, buffer_text(&out));
	buffer_finish(&out);
}

static void
start_stream(struct event_call *event_call, struct event_position *position)
{
	struct http_call *call = event_call->call;
	struct http_events *events = event_call->events;
	bool resumes = event_call->resumes;
	struct subscriber *subscriber;
	struct audience_key key;

	audience_key_init(&key, call->asked.profile, &call->asked.caller,
	    event_call->schedules, event_call->n_schedules);
	subscriber =
	    audience_join(&events->hub, &key, resumes ? position : NULL);
	subscriber->events = events;
	subscriber->caller = call->asked.caller;
	subscriber->alive_ms = loop_now_ms(events->app->loop) + ALIVE_MS;
	http_call_field(call, "X-Accel-Buffering", TEXT("no"));
	http_request_set_gone(call->asked.request, NULL, NULL);
	subscriber->stream = http_call_stream(call, on_gone, subscriber);
	greet_subscriber(event_call, subscriber);
	if (resumes)
		pump_soon(events);
}

/*
 * Who does not resume, but wants the last results first, resumes behind the
 * one before these, as far as this replica holds them.
 */
static void
step_back(struct event_call *event_call, struct event_position *position)
{
	const struct event_ring *ring = event_call->events->hub.ring;
	uint64_t first = event_ring_first(ring), end = event_ring_end(ring);
	uint64_t held = end - first, wanted = (uint64_t)event_call->recent;

	if (event_call->resumes || event_call->lost || wanted == 0 || held == 0)
		return;
	event_ring_position(
	    ring, end - (wanted < held ? wanted : held), position);
	event_call->resumes = true;
}

/* Why a stream can't begin now; NULL: it can. */
static const char *
why_closed(const struct http_events *events)
{
	if (events->app->draining)
		return "the process drains";
	if (!events->ready)
		return "the results topic has not been read yet";
	if (events->hub.n_subscribers >= STREAMS_MAX)
		return "too many streams";
	return NULL;
}

static void
answer_head(struct http_call *call)
{
	http_call_field(call, "X-Accel-Buffering", TEXT("no"));
	http_call_answer(call,
	    &(struct http_answer){ .status = 200,
		.content_type = "text/event-stream",
		.streamed = true });
}

static void
answer_events(void *owner)
{
	struct event_call *event_call = owner;
	struct http_call *call = event_call->call;
	struct event_position position = event_call->position;
	const char *closed = why_closed(event_call->events);
	struct text method = call->asked.head->method;

	if (call->job.error.kind == ERROR_NONE && closed != NULL) {
		error_set(&call->job.error, ERROR_RETRY, "%s", closed);
		call->answer.close = true;
	}
	if (call->job.error.kind != ERROR_NONE)
		http_call_failed(call);
	else if (event_call->hidden.at != NULL)
		refuse_schedule(call, event_call->hidden);
	else if (event_call->gone || text_equal(method, TEXT("HEAD")))
		answer_head(call);
	else {
		step_back(event_call, &position);
		start_stream(event_call, &position);
	}
	event_position_finish(&position);
}

static void
note_gone(void *argument)
{
	struct event_call *event_call = argument;

	event_call->gone = true;
}

void
http_events_get(struct http_call *call)
{
	struct event_call *event_call =
	    arena_zalloc(call->arena, 1, sizeof *event_call);

	event_call->call = call;
	event_call->events = call->app->events;
	if (!take_schedules(call, event_call) ||
	    !take_recent(call, event_call) || !take_position(call, event_call))
		return;
	if (event_call->n_schedules == 0) {
		answer_events(event_call);
		return;
	}
	http_request_set_gone(call->asked.request, note_gone, event_call);
	call->job = (struct work_job){
		.owner = event_call,
		.work = check_schedules,
		.done = answer_events,
	};
	http_call_submit(call);
}
