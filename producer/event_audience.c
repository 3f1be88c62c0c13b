#include "producer/event_audience.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/memory.h"

#define CHUNK ((size_t)256 * 1024)  /* of one piece, about */
#define WINDOW ((size_t)128 * 1024) /* unsent of one who catches up */
#define STALL_MS 30000 /* he takes nothing for so long: he is cut */
#define UNSENT_MAX ((size_t)128 * 1024 * 1024) /* then lag is cut earlier */
#define AHEAD 500 /* events whose rights are asked for together */

enum stage { STAGE_REPLAY, STAGE_CATCH_UP, STAGE_LIVE };

struct audience {
	struct audience *prev, *next;
	struct event_hub *hub;
	enum stage stage;
	struct audience_key key;
	struct subscriber *subscribers;
	uint64_t at; /* the next event of the ring; not in REPLAY */
	/* Until LIVE: */
	struct event_position position; /* everything before it is sent */
	bool outside; /* nobody has checked whether the log holds it */
	struct replay_slice *asked; /* under way */
	struct replay_slice *got;   /* its events are not all sent */
	int64_t moved_ms; /* monotonic: when something was last sent */
};

static int
compare_texts(const void *a, const void *b)
{
	return text_compare(*(const struct text *)a, *(const struct text *)b);
}

void
audience_key_init(struct audience_key *key, enum http_profile profile,
    const struct http_caller *caller, const struct text *schedules, size_t n)
{
	size_t size = n * sizeof *schedules, i;
	char *at;

	*key = (struct audience_key){ profile, *caller, NULL, n };
	if (n == 0)
		return;
	for (i = 0; i < n; i++)
		size += schedules[i].size;
	key->schedules = memory_alloc(size);
	at = (char *)(key->schedules + n);
	for (i = 0; i < n; i++) {
		memcpy(at, schedules[i].at, schedules[i].size);
		key->schedules[i] = (struct text){ at, schedules[i].size };
		at += schedules[i].size;
	}
	qsort(key->schedules, n, sizeof *key->schedules, compare_texts);
}

static bool
is_same_key(const struct audience_key *a, const struct audience_key *b)
{
	size_t i;

	if (a->profile != b->profile || a->n_schedules != b->n_schedules ||
	    a->caller.known != b->caller.known ||
	    memcmp(a->caller.user, b->caller.user, UUID_TEXT_SIZE) != 0)
		return false;
	for (i = 0; i < a->n_schedules; i++)
		if (!text_equal(a->schedules[i], b->schedules[i]))
			return false;
	return true;
}

/* Coming and going ------------------------------------------------------- */

static struct audience *
make_audience(struct event_hub *hub, struct audience_key *key)
{
	struct audience *audience = memory_zalloc(1, sizeof *audience);

	audience->hub = hub;
	audience->key = *key;
	audience->moved_ms = loop_now_ms(hub->loop);
	audience->next = hub->audiences;
	if (hub->audiences != NULL)
		hub->audiences->prev = audience;
	hub->audiences = audience;
	return audience;
}

static void
free_audience(struct audience *audience)
{
	if (audience->prev != NULL)
		audience->prev->next = audience->next;
	else
		audience->hub->audiences = audience->next;
	if (audience->next != NULL)
		audience->next->prev = audience->prev;
	if (audience->asked != NULL)
		audience->asked->owner = NULL;
	replay_slice_free(audience->got);
	event_position_finish(&audience->position);
	free(audience->key.schedules);
	free(audience);
}

static void
link_subscriber(struct audience *audience, struct subscriber *subscriber)
{
	subscriber->audience = audience;
	subscriber->prev = NULL;
	subscriber->next = audience->subscribers;
	if (subscriber->next != NULL)
		subscriber->next->prev = subscriber;
	audience->subscribers = subscriber;
}

static void
unlink_subscriber(struct subscriber *subscriber)
{
	if (subscriber->prev != NULL)
		subscriber->prev->next = subscriber->next;
	else
		subscriber->audience->subscribers = subscriber->next;
	if (subscriber->next != NULL)
		subscriber->next->prev = subscriber->prev;
}

static void
count_subscribers(struct event_hub *hub)
{
	metric_set(hub->subscribers, (double)hub->n_subscribers);
}

void
audience_leave(struct event_hub *hub, struct subscriber *subscriber)
{
	unlink_subscriber(subscriber);
	free(subscriber);
	hub->n_subscribers--;
	count_subscribers(hub);
}

/* A place that the ring doesn't know must be looked for in the log. */
static bool
is_in_ring(const struct audience *audience)
{
	const struct event_ring *ring = audience->hub->ring;

	return event_position_covers(
		   &audience->position, event_ring_start(ring)) &&
	    event_position_covers(event_ring_head(ring), &audience->position) &&
	    audience->position.n <= event_ring_head(ring)->n;
}

static void
place(struct audience *audience, const struct event_position *position)
{
	const struct event_ring *ring = audience->hub->ring;

	if (position == NULL) {
		audience->stage = STAGE_LIVE;
		audience->at = event_ring_end(ring);
		return;
	}
	event_position_copy(&audience->position, position);
	audience->stage = STAGE_CATCH_UP;
	audience->at = event_ring_first(ring);
	if (is_in_ring(audience))
		return;
	audience->stage = STAGE_REPLAY;
	audience->outside = true;
}

/* The audience that stands where this one does and sees the same. */
static struct audience *
find_twin(const struct audience *audience)
{
	struct audience *other = audience->hub->audiences;

	while (other != NULL &&
	    (other == audience || other->stage != STAGE_LIVE ||
		other->at != audience->at ||
		!is_same_key(&other->key, &audience->key)))
		other = other->next;
	return other;
}

/* One who has caught up joins those who see the same; true: it is gone. */
static bool
merge(struct audience *audience)
{
	struct audience *twin = find_twin(audience);
	struct subscriber *subscriber;

	if (twin == NULL)
		return false;
	while ((subscriber = audience->subscribers) != NULL) {
		unlink_subscriber(subscriber);
		link_subscriber(twin, subscriber);
	}
	free_audience(audience);
	return true;
}

struct subscriber *
audience_join(struct event_hub *hub, struct audience_key *key,
    const struct event_position *position)
{
	struct subscriber *subscriber = memory_zalloc(1, sizeof *subscriber);
	struct audience *audience = make_audience(hub, key);

	link_subscriber(audience, subscriber);
	place(audience, position);
	hub->n_subscribers++;
	count_subscribers(hub);
	if (audience->stage == STAGE_LIVE)
		merge(audience);
	return subscriber;
}

/* Sending ---------------------------------------------------------------- */

/* While too much is unsent in all, slow readers are cut earlier. */
static size_t
lag_allowed(const struct event_hub *hub)
{
	return hub->unsent > UNSENT_MAX ? WINDOW : LAG_MAX;
}

/* `n` events to one reader; whoever lags too far is cut by it. */
static void
send_piece(struct audience *audience, struct subscriber *subscriber,
    struct http_piece *piece, size_t n)
{
	struct event_hub *hub = audience->hub;
	size_t lag = http_stream_lag(subscriber->stream);

	if (lag + http_piece_size(piece) > lag_allowed(hub)) {
		metric_add(hub->dropped, n);
		http_stream_cut(subscriber->stream);
		return;
	}
	metric_add(hub->sent, n);
	http_stream_send(subscriber->stream, piece);
}

static void
send_to_all(struct audience *audience, struct http_piece *piece, size_t n)
{
	struct subscriber *subscriber, *next;

	for (subscriber = audience->subscribers; subscriber != NULL;
	     subscriber = next) {
		next = subscriber->next;
		send_piece(audience, subscriber, piece, n);
	}
	audience->moved_ms = loop_now_ms(audience->hub->loop);
}

static void
send_text(struct audience *audience, struct text text, size_t n)
{
	struct http_piece *piece;

	if (text.size == 0)
		return;
	piece = http_piece_create(text, &audience->hub->unsent);
	send_to_all(audience, piece, n);
	http_piece_release(piece);
}

void
subscriber_send(
    struct event_hub *hub, struct subscriber *subscriber, struct text text)
{
	struct http_piece *piece = http_piece_create(text, &hub->unsent);

	send_piece(subscriber->audience, subscriber, piece, 0);
	http_piece_release(piece);
}

static enum event_right
look(const struct audience *audience, const struct result_event *event)
{
	const struct audience_key *key = &audience->key;
	struct text rid = event->record.schedule_rid;

	if (key->n_schedules > 0 &&
	    bsearch(&rid, key->schedules, key->n_schedules,
		sizeof *key->schedules, compare_texts) == NULL)
		return EVENT_HIDDEN;
	return event_rights_look(
	    audience->hub->rights, &key->caller, rid, event->hash);
}

/* He who catches up, and is alone, takes no more for now. */
static bool
is_full(const struct audience *audience)
{
	return audience->subscribers != NULL &&
	    http_stream_lag(audience->subscribers->stream) > WINDOW;
}

static void
cut_if_stalled(struct audience *audience)
{
	struct event_hub *hub = audience->hub;

	if (loop_now_ms(hub->loop) - audience->moved_ms < STALL_MS)
		return;
	metric_add(hub->dropped, 1);
	http_stream_cut(audience->subscribers->stream);
}

/* From the ring ---------------------------------------------------------- */

/* A stretch of the ring that an audience is going to be sent. */
struct stretch {
	uint64_t from, to;
	size_t n, size; /* events in it that it may see, and their bytes */
	bool blocked;   /* a right is not known yet */
};

static bool
is_passed(const struct audience *audience, const struct result_event *event)
{
	const struct event_position *position = &audience->position;
	const struct run_record *record = &event->record;

	return audience->stage == STAGE_CATCH_UP &&
	    record->partition < position->n &&
	    record->offset < position->next[record->partition];
}

static bool
is_visible(const struct audience *audience, const struct result_event *event)
{
	return !is_passed(audience, event) &&
	    look(audience, event) == EVENT_VISIBLE;
}

/* What is unknown is asked for together. */
static void
ask_ahead(const struct audience *audience, uint64_t from)
{
	const struct event_ring *ring = audience->hub->ring;
	uint64_t end = event_ring_end(ring), i;

	for (i = from; i < end && i < from + AHEAD; i++)
		look(audience, event_ring_at(ring, i));
}

static struct stretch
measure(const struct audience *audience)
{
	struct event_ring *ring = audience->hub->ring;
	struct stretch stretch = { .from = audience->at, .to = audience->at };
	uint64_t end = event_ring_end(ring);

	for (; stretch.to < end && stretch.size < CHUNK; stretch.to++) {
		const struct result_event *event =
		    event_ring_at(ring, stretch.to);
		enum event_right right = EVENT_HIDDEN;

		if (!is_passed(audience, event))
			right = look(audience, event);
		if (right == EVENT_UNKNOWN) {
			stretch.blocked = true;
			ask_ahead(audience, stretch.to);
			break;
		}
		if (right == EVENT_HIDDEN)
			continue;
		stretch.n++;
		stretch.size +=
		    event_ring_text(ring, stretch.to, audience->key.profile)
			.size;
	}
	return stretch;
}

static struct http_piece *
write_stretch(const struct audience *audience, const struct stretch *stretch)
{
	struct event_ring *ring = audience->hub->ring;
	bool whole = stretch->n == stretch->to - stretch->from;
	struct buffer out = { 0 };
	struct http_piece *piece;
	uint64_t i;

	buffer_reserve(&out, stretch->size);
	for (i = stretch->from; i < stretch->to; i++)
		if (whole || is_visible(audience, event_ring_at(ring, i)))
			buffer_append(&out,
			    event_ring_text(ring, i, audience->key.profile));
	piece = http_piece_create(buffer_text(&out), &audience->hub->unsent);
	buffer_finish(&out);
	return piece;
}

static void
forget_shared(struct event_shared *shared)
{
	if (shared->piece != NULL)
		http_piece_release(shared->piece);
	*shared = (struct event_shared){ 0 };
}

/* A whole stretch is written once for all who see all of it. */
static struct http_piece *
share_stretch(struct audience *audience, const struct stretch *stretch)
{
	struct event_shared *shared =
	    &audience->hub->shared[audience->key.profile];

	if (stretch->n < stretch->to - stretch->from)
		return write_stretch(audience, stretch);
	if (shared->piece == NULL || shared->from != stretch->from ||
	    shared->to != stretch->to) {
		forget_shared(shared);
		*shared =
		    (struct event_shared){ write_stretch(audience, stretch),
			    stretch->from, stretch->to };
	}
	return http_piece_share(shared->piece);
}

static void
pass_stretch(struct audience *audience, const struct stretch *stretch)
{
	const struct event_ring *ring = audience->hub->ring;
	uint64_t i;

	for (i = stretch->from;
	     audience->stage == STAGE_CATCH_UP && i < stretch->to; i++) {
		const struct run_record *record =
		    &event_ring_at(ring, i)->record;

		event_position_pass(
		    &audience->position, record->partition, record->offset + 1);
	}
	audience->at = stretch->to;
}

/* Whether nothing keeps it apart from those who are sent the same. */
static bool
has_caught_up(const struct audience *audience)
{
	const struct event_ring *ring = audience->hub->ring;

	return audience->at == event_ring_end(ring) &&
	    event_position_covers(event_ring_head(ring), &audience->position);
}

static bool
pump_ring(struct audience *audience)
{
	struct stretch stretch = measure(audience);
	struct http_piece *piece;

	if (stretch.n > 0) {
		piece = share_stretch(audience, &stretch);
		send_to_all(audience, piece, stretch.n);
		http_piece_release(piece);
	}
	pass_stretch(audience, &stretch);
	return !stretch.blocked &&
	    audience->at < event_ring_end(audience->hub->ring);
}

static bool
pump_catch_up(struct audience *audience)
{
	bool more;

	if (is_full(audience)) {
		cut_if_stalled(audience);
		return true;
	}
	if (audience->at < event_ring_first(audience->hub->ring)) {
		audience->stage = STAGE_REPLAY;
		return true;
	}
	more = pump_ring(audience);
	if (!has_caught_up(audience))
		return more;
	audience->stage = STAGE_LIVE;
	event_position_finish(&audience->position);
	merge(audience);
	return false;
}

static void
cut_all(struct audience *audience)
{
	struct subscriber *subscriber, *next;

	for (subscriber = audience->subscribers; subscriber != NULL;
	     subscriber = next) {
		next = subscriber->next;
		metric_add(audience->hub->dropped, 1);
		http_stream_cut(subscriber->stream);
	}
}

static bool
pump_live(struct audience *audience)
{
	if (audience->at >= event_ring_first(audience->hub->ring))
		return pump_ring(audience);
	cut_all(audience); /* the ring has gone on: they resume */
	audience->at = event_ring_end(audience->hub->ring);
	return false;
}

/* From the log ----------------------------------------------------------- */

/* What was there between is gone; `first_ms`: the time of what follows. */
static void
send_gap(struct audience *audience, const struct event_position *position,
    int64_t first_ms)
{
	struct buffer out = { 0 };
	char time[CLOCK_TEXT_SIZE];

	clock_format(first_ms, time);
	buffer_append(&out, TEXT("id: "));
	event_position_write(position, &out);
	buffer_append(&out, TEXT("\nevent: gap\ndata: {\"resumedAt\":\""));
	buffer_append(&out, (struct text){ time, sizeof time });
	buffer_append(&out, TEXT("\"}\n\n"));
	send_text(audience, buffer_text(&out), 0);
	buffer_finish(&out);
}

static void
take_slice(struct audience *audience, struct replay_slice *slice)
{
	audience->outside = false;
	event_position_copy(&audience->position, &slice->from);
	if (slice->gap)
		send_gap(audience, &audience->position,
		    slice->events != NULL
			? slice->events->record.finished_time_ms
			: clock_wall_ms());
	audience->got = slice;
}

static void
on_slice(struct replay_slice *slice)
{
	struct audience *audience = slice->owner;

	if (audience == NULL) {
		replay_slice_free(slice);
		return;
	}
	audience->asked = NULL;
	if (slice->failed || audience->outside != slice->first)
		replay_slice_free(slice);
	else
		take_slice(audience, slice);
}

static void
ask_slice(struct audience *audience)
{
	struct event_hub *hub = audience->hub;
	struct replay_slice *slice = memory_zalloc(1, sizeof *slice);

	event_position_copy(&slice->from, &audience->position);
	event_position_copy(&slice->until, event_ring_start(hub->ring));
	slice->first = audience->outside;
	slice->done = on_slice;
	slice->owner = audience;
	audience->asked = slice;
	event_replay_ask(hub->replay, slice);
}

/* Sends what a slice brought; false: a right is not known yet. */
static bool
send_slice(struct audience *audience)
{
	struct replay_slice *slice = audience->got;
	struct result_event *event;
	struct buffer out = { 0 };
	enum event_right right = EVENT_VISIBLE;
	size_t n = 0;

	while ((event = slice->events) != NULL && out.size < CHUNK) {
		const struct run_record *record = &event->record;

		right = look(audience, event);
		if (right == EVENT_UNKNOWN)
			break;
		event_position_pass(
		    &audience->position, record->partition, record->offset + 1);
		if (right == EVENT_VISIBLE && ++n > 0)
			event_write(record, &audience->position,
			    audience->key.profile, &out);
		slice->events = event->next;
		free(event);
	}
	for (; right == EVENT_UNKNOWN && event != NULL; event = event->next)
		look(audience, event);
	send_text(audience, buffer_text(&out), n);
	buffer_finish(&out);
	return right != EVENT_UNKNOWN;
}

static bool
pump_replay(struct audience *audience)
{
	const struct event_ring *ring = audience->hub->ring;

	if (audience->asked != NULL)
		return false;
	if (is_full(audience)) {
		cut_if_stalled(audience);
		return true;
	}
	if (audience->got != NULL) {
		if (!send_slice(audience))
			return false;
		if (audience->got->events != NULL)
			return true;
		event_position_copy(
		    &audience->position, &audience->got->position);
		replay_slice_free(audience->got);
		audience->got = NULL;
	}
	if (audience->outside ||
	    !event_position_covers(
		&audience->position, event_ring_start(ring))) {
		ask_slice(audience);
		return false;
	}
	audience->stage = STAGE_CATCH_UP;
	audience->at = event_ring_first(ring);
	return true;
}

/* All together ----------------------------------------------------------- */

static bool
pump(struct audience *audience)
{
	switch (audience->stage) {
	case STAGE_REPLAY:
		return pump_replay(audience);
	case STAGE_CATCH_UP:
		return pump_catch_up(audience);
	case STAGE_LIVE:
		return pump_live(audience);
	}
	return false;
}

bool
audiences_pump(struct event_hub *hub)
{
	struct audience *audience, *next;
	bool more = false;

	for (audience = hub->audiences; audience != NULL; audience = next) {
		next = audience->next;
		if (audience->subscribers == NULL)
			free_audience(audience);
		else
			more |= pump(audience);
	}
	return more;
}

void
audiences_restart(struct event_hub *hub)
{
	const struct event_ring *ring = hub->ring;
	struct audience *audience;

	for (audience = hub->audiences; audience != NULL;
	     audience = audience->next) {
		if (audience->stage == STAGE_LIVE) {
			audience->at = event_ring_end(ring);
			send_gap(
			    audience, event_ring_head(ring), clock_wall_ms());
			continue;
		}
		audience->stage = STAGE_REPLAY;
		audience->outside = true;
		replay_slice_free(audience->got);
		audience->got = NULL;
	}
}

void
audiences_each(struct event_hub *hub,
    void (*call)(void *argument, struct subscriber *subscriber), void *argument)
{
	struct audience *audience;
	struct subscriber *subscriber, *next;

	for (audience = hub->audiences; audience != NULL;
	     audience = audience->next)
		for (subscriber = audience->subscribers; subscriber != NULL;
		     subscriber = next) {
			next = subscriber->next;
			call(argument, subscriber);
		}
}

bool
subscriber_is_current(
    const struct event_hub *hub, const struct subscriber *subscriber)
{
	const struct audience *audience = subscriber->audience;

	return audience->stage == STAGE_LIVE &&
	    audience->at == event_ring_end(hub->ring);
}

void
event_hub_finish(struct event_hub *hub)
{
	size_t i;

	struct audience *audience, *next;

	for (audience = hub->audiences; audience != NULL; audience = next) {
		next = audience->next;
		free_audience(audience);
	}
	for (i = 0; i < sizeof hub->shared / sizeof hub->shared[0]; i++)
		forget_shared(&hub->shared[i]);
}
