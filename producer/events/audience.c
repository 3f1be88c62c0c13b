#include "producer/events/audience.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/crypto/rid.h"

#define CHUNK ((size_t)256 * 1024)  /* of one piece, about */
#define WINDOW ((size_t)128 * 1024) /* unsent of a reader who is sent more */
#define UNSENT_MAX ((size_t)128 * 1024 * 1024) /* of all, or it gets tight: */
#define CHUNK_TIGHT ((size_t)16 * 1024)
#define LAG_MAX ((size_t)1024 * 1024)
#define LAG_MS 5000    /* further behind for so long: he is cut */
#define STALL_MS 30000 /* who resumes takes nothing for so long: likewise */
#define AHEAD 500      /* events whose rights are asked for together */

enum stage { STAGE_REPLAY, STAGE_CATCH_UP, STAGE_LIVE };

struct audience {
	struct audience *prev, *next;
	struct event_hub *hub;
	enum stage stage;
	struct audience_key key;
	struct subscriber *subscribers; /* one until LIVE */
	uint64_t at; /* the next event of the ring; not in REPLAY */
	/* Until LIVE: */
	struct event_position position; /* everything before it is sent */
	bool outside; /* nobody has checked whether the log holds it */
	struct replay_slice *asked; /* under way */
	struct replay_slice *got;   /* its events are not all sent */
	int64_t moved_ms;  /* monotonic: when something was last sent */
	bool was_live;     /* fell behind; else it asked to resume */
	int64_t behind_ms; /* monotonic: since when too far; 0: it isn't */
};

/* Who sees what ----------------------------------------------------------- */

static int
compare_texts(const void *left, const void *right)
{
	return text_compare(
	    *(const struct text *)left, *(const struct text *)right);
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
audience_key_equal(
    const struct audience_key *left, const struct audience_key *right)
{
	size_t i;

	if (left->profile != right->profile ||
	    left->n_schedules != right->n_schedules ||
	    left->caller.known != right->caller.known ||
	    memcmp(left->caller.user, right->caller.user, UUID_TEXT_SIZE) != 0)
		return false;
	for (i = 0; i < left->n_schedules; i++)
		if (!text_equal(left->schedules[i], right->schedules[i]))
			return false;
	return true;
}

/* Whether it may see it, as far as that is known; else it is being looked up.
 */
static enum event_right
audience_look(const struct audience *audience, const struct result_event *event)
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

/* Sending ----------------------------------------------------------------- */

/*
 * What is unsent of all streams is bounded together: 2,000 readers who each
 * have a window's worth would take twice as much, and a burst comes to all of
 * them at once.  When it gets tight pieces are small, and only who has taken
 * everything is sent more.
 */
static bool
is_tight(const struct event_hub *hub)
{
	return hub->unsent > UNSENT_MAX;
}

/* Bytes of the next piece, about. */
static size_t
audience_chunk(const struct audience *audience)
{
	return is_tight(audience->hub) ? CHUNK_TIGHT : CHUNK;
}

/* A stream may end by what is sent to it, and its subscriber with it. */
static void
audience_send(
    struct audience *audience, struct http_piece *piece, size_t n_events)
{
	struct subscriber *subscriber, *next;

	for (subscriber = audience->subscribers; subscriber != NULL;
	     subscriber = next) {
		next = subscriber->next;
		metric_add(audience->hub->sent, n_events);
		http_stream_send(subscriber->stream, piece);
	}
	audience->moved_ms = loop_now_ms(audience->hub->loop);
}

static void
audience_send_text(struct audience *audience, struct text text, size_t n_events)
{
	struct http_piece *piece;

	if (text.size == 0)
		return;
	piece = http_piece_create(text, &audience->hub->unsent);
	audience_send(audience, piece, n_events);
	http_piece_release(piece);
}

bool
subscriber_is_full(
    const struct event_hub *hub, const struct subscriber *subscriber)
{
	return http_stream_lag(subscriber->stream) >
	    (is_tight(hub) ? 0 : WINDOW);
}

void
subscriber_send(
    struct event_hub *hub, struct subscriber *subscriber, struct text text)
{
	struct http_piece *piece = http_piece_create(text, &hub->unsent);

	http_stream_send(subscriber->stream, piece);
	http_piece_release(piece);
}

/*
 * He lags by what he hasn't taken and by what waits for that in the ring.  A
 * moment doesn't count: of a burst everybody is behind at first.
 */
static bool
lags_too_long(struct audience *audience, int64_t now)
{
	const struct event_hub *hub = audience->hub;
	size_t lag = http_stream_lag(audience->subscribers->stream);
	bool behind = lag > 0 &&
	    (audience->stage == STAGE_REPLAY ||
		lag + event_ring_bytes(hub->ring, audience->at) > LAG_MAX);

	if (!behind)
		audience->behind_ms = 0;
	else if (audience->behind_ms == 0)
		audience->behind_ms = now;
	return behind && now - audience->behind_ms >= LAG_MS;
}

/* They resume, if they like. */
static void
audience_cut(struct audience *audience)
{
	struct subscriber *subscriber, *next;

	for (subscriber = audience->subscribers; subscriber != NULL;
	     subscriber = next) {
		next = subscriber->next;
		metric_add(audience->hub->dropped, 1);
		http_stream_cut(subscriber->stream);
	}
}

/* Of one who is alone; he is cut by it if he is too slow. */
static bool
audience_is_full(struct audience *audience)
{
	int64_t now = loop_now_ms(audience->hub->loop);
	bool full = subscriber_is_full(audience->hub, audience->subscribers);

	if (audience->was_live ? lags_too_long(audience, now)
			       : full && now - audience->moved_ms >= STALL_MS)
		audience_cut(audience);
	return full || audience->subscribers == NULL;
}

/* From the ring ----------------------------------------------------------- */

/* A stretch of the ring that an audience is going to be sent. */
struct stretch {
	uint64_t from, to;
	size_t n, size; /* events in it that it may see, and their bytes */
	bool blocked;   /* a right is not known yet */
};

/*
 * Who comes from the log has seen some of what the ring holds: the ring is in
 * the order in which this replica read the partitions, the id he gave in that
 * of another one.
 */
static bool
is_passed(const struct audience *audience, const struct result_event *event)
{
	const struct event_position *position = &audience->position;
	const struct schedule_run *record = &event->record;

	return audience->stage == STAGE_CATCH_UP &&
	    record->partition < position->n &&
	    record->offset < position->next[record->partition];
}

static bool
is_visible(const struct audience *audience, const struct result_event *event)
{
	return !is_passed(audience, event) &&
	    audience_look(audience, event) == EVENT_VISIBLE;
}

/* What is unknown is asked for together. */
static void
ask_ahead(const struct audience *audience, uint64_t from)
{
	const struct event_ring *ring = audience->hub->ring;
	uint64_t end = event_ring_end(ring), i;

	for (i = from; i < end && i < from + AHEAD; i++)
		audience_look(audience, event_ring_at(ring, i));
}

/*
 * Order is kept per schedule, so an event whose right isn't known holds up what
 * is behind it; the look-ups that will be needed next start meanwhile.
 */
static struct stretch
measure_stretch(const struct audience *audience)
{
	struct event_ring *ring = audience->hub->ring;
	struct stretch stretch = { .from = audience->at, .to = audience->at };
	uint64_t end = event_ring_end(ring);
	size_t most = audience_chunk(audience);

	for (; stretch.to < end && stretch.size < most; stretch.to++) {
		const struct result_event *event =
		    event_ring_at(ring, stretch.to);
		enum event_right right = EVENT_HIDDEN;

		if (!is_passed(audience, event))
			right = audience_look(audience, event);
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
event_shared_forget(struct event_shared *shared)
{
	if (shared->piece != NULL)
		http_piece_release(shared->piece);
	*shared = (struct event_shared){ 0 };
}

/*
 * A whole stretch is written once for all who see all of it: most subscribers
 * are different callers, so different audiences, but see the same.
 */
static struct http_piece *
share_stretch(struct audience *audience, const struct stretch *stretch)
{
	struct event_shared *shared =
	    &audience->hub->shared[audience->key.profile];

	if (stretch->n < stretch->to - stretch->from)
		return write_stretch(audience, stretch);
	if (shared->piece == NULL || shared->from != stretch->from ||
	    shared->to != stretch->to) {
		event_shared_forget(shared);
		*shared =
		    (struct event_shared){ write_stretch(audience, stretch),
			    stretch->from, stretch->to };
	}
	return http_piece_share(shared->piece);
}

static bool
audience_pump_ring(struct audience *audience)
{
	struct stretch stretch = measure_stretch(audience);
	struct http_piece *piece;
	const struct event_ring *ring = audience->hub->ring;
	uint64_t i;

	if (stretch.n > 0) {
		piece = share_stretch(audience, &stretch);
		audience_send(audience, piece, stretch.n);
		http_piece_release(piece);
	}
	/* Only who isn't LIVE needs a position; the others stand at `at`. */
	for (i = stretch.from;
	     audience->stage == STAGE_CATCH_UP && i < stretch.to; i++) {
		const struct schedule_run *record =
		    &event_ring_at(ring, i)->record;

		event_position_pass(
		    &audience->position, record->partition, record->offset + 1);
	}
	audience->at = stretch.to;
	return !stretch.blocked && audience->at < event_ring_end(ring);
}

/* From the log ------------------------------------------------------------ */

void
event_gap_write(
    const struct event_position *position, int64_t first_ms, struct buffer *out)
{
	char time[CLOCK_TEXT_SIZE];

	clock_format(first_ms, time);
	buffer_append(out, TEXT("id: "));
	event_position_write(position, out);
	buffer_append(out, TEXT("\nevent: gap\ndata: {\"resumedAt\":\""));
	buffer_append(out, (struct text){ time, sizeof time });
	buffer_append(out, TEXT("\"}\n\n"));
}

static void
audience_send_gap(struct audience *audience,
    const struct event_position *position, int64_t first_ms)
{
	struct buffer out = { 0 };

	event_gap_write(position, first_ms, &out);
	audience_send_text(audience, buffer_text(&out), 0);
	buffer_finish(&out);
}

/*
 * The slice answers what was asked, not what is wanted by now: he may have
 * left, and the ring may have been restarted meanwhile, which makes his place
 * one that nobody has checked.
 */
static void
on_slice(struct replay_slice *slice)
{
	struct audience *audience = slice->owner;

	if (audience == NULL) {
		replay_slice_free(slice);
		return;
	}
	audience->asked = NULL;
	if (slice->failed || audience->outside != slice->first) {
		replay_slice_free(slice);
	} else {
		audience->outside = false;
		event_position_copy(&audience->position, &slice->from);
		if (slice->gap)
			audience_send_gap(audience, &audience->position,
			    slice->events != NULL
				? slice->events->record.finished_time_ms
				: clock_wall_ms());
		audience->got = slice;
	}
}

/* Sends what a slice brought; false: a right is not known yet. */
static bool
send_slice(struct audience *audience)
{
	struct replay_slice *slice = audience->got;
	struct result_event *event;
	struct buffer out = { 0 };
	enum event_right right = EVENT_VISIBLE;
	size_t most = audience_chunk(audience), n = 0;

	while ((event = slice->events) != NULL && out.size < most) {
		const struct schedule_run *record = &event->record;

		right = audience_look(audience, event);
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
		audience_look(audience, event);
	audience_send_text(audience, buffer_text(&out), n);
	buffer_finish(&out);
	return right != EVENT_UNKNOWN;
}

static bool
audience_needs_log(const struct audience *audience)
{
	return audience->got != NULL || audience->outside ||
	    !event_position_covers(
		&audience->position, event_ring_start(audience->hub->ring));
}

static bool
audience_pump_log(struct audience *audience)
{
	struct event_hub *hub = audience->hub;
	struct replay_slice *slice;

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
	if (!audience_needs_log(audience))
		return true;
	slice = memory_zalloc(1, sizeof *slice);
	event_position_copy(&slice->from, &audience->position);
	event_position_copy(&slice->until, event_ring_start(hub->ring));
	slice->first = audience->outside;
	slice->done = on_slice;
	slice->owner = audience;
	audience->asked = slice;
	event_replay_ask(hub->replay, slice);
	return false;
}

/* Coming and going ------------------------------------------------------- */

/* Of no stage yet; the newest stands first. */
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

/* A gauge: set, not counted up and down, so that it can't drift. */
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
place_audience(struct audience *audience, const struct event_position *position)
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

/*
 * The audience that stands where this one does and sees the same.  A list is
 * walked: it is done when somebody comes or has caught up, not per event.
 */
static struct audience *
find_twin(const struct audience *audience)
{
	struct audience *other = audience->hub->audiences;

	while (other != NULL &&
	    (other == audience || other->stage != STAGE_LIVE ||
		other->at != audience->at ||
		!audience_key_equal(&other->key, &audience->key)))
		other = other->next;
	return other;
}

/* One who has caught up joins those who see the same. */
static void
merge_with_twin(struct audience *audience)
{
	struct audience *twin = find_twin(audience);
	struct subscriber *subscriber;

	if (twin == NULL)
		return;
	while ((subscriber = audience->subscribers) != NULL) {
		unlink_subscriber(subscriber);
		link_subscriber(twin, subscriber);
	}
	free_audience(audience);
}

struct subscriber *
audience_join(struct event_hub *hub, struct audience_key *key,
    const struct event_position *position)
{
	struct subscriber *subscriber = memory_zalloc(1, sizeof *subscriber);
	struct audience *audience = make_audience(hub, key);

	link_subscriber(audience, subscriber);
	place_audience(audience, position);
	hub->n_subscribers++;
	count_subscribers(hub);
	if (audience->stage == STAGE_LIVE)
		merge_with_twin(audience);
	return subscriber;
}

/* From stage to stage ---------------------------------------------------- */

/* Whether nothing keeps it apart from those who are sent the same. */
static bool
has_caught_up(const struct audience *audience)
{
	const struct event_ring *ring = audience->hub->ring;

	return audience->at == event_ring_end(ring) &&
	    event_position_covers(event_ring_head(ring), &audience->position);
}

/*
 * The ring goes on while he reads.  If it has dropped what he needs he is back
 * at the log; that costs Kafka a read, and he has his own pace anyway.
 */
static bool
pump_catch_up(struct audience *audience)
{
	bool more;

	if (audience_is_full(audience))
		return true;
	if (audience->at < event_ring_first(audience->hub->ring)) {
		audience->stage = STAGE_REPLAY;
		return true;
	}
	more = audience_pump_ring(audience);
	if (!has_caught_up(audience))
		return more;
	audience->stage = STAGE_LIVE;
	event_position_finish(&audience->position);
	merge_with_twin(audience);
	return false;
}

/*
 * Before the piece is sent, so that a slow reader costs a look at his lag and
 * no more.  True: there are new audiences, with more to send.
 */
static bool
part_with_slow(struct audience *audience)
{
	struct subscriber *subscriber, *next;
	bool parted = false;
	struct audience *alone;
	struct audience_key key;

	for (subscriber = audience->subscribers; subscriber != NULL;
	     subscriber = next) {
		next = subscriber->next;
		if (!subscriber_is_full(audience->hub, subscriber))
			continue;
		/*
		 * One who is slower than the others goes on alone, at his own
		 * pace: nobody waits for him, and nothing is kept for him but
		 * his place in the ring.
		 */
		audience_key_init(&key, audience->key.profile,
		    &audience->key.caller, audience->key.schedules,
		    audience->key.n_schedules);
		alone = make_audience(audience->hub, &key);
		unlink_subscriber(subscriber);
		link_subscriber(alone, subscriber);
		alone->stage = STAGE_CATCH_UP;
		alone->was_live = true;
		alone->at = audience->at;
		event_ring_position(
		    alone->hub->ring, alone->at, &alone->position);
		parted = true;
	}
	return parted;
}

/* True: there is more to send soon. */
static bool
pump_audience(struct audience *audience)
{
	const struct event_ring *ring = audience->hub->ring;
	bool parted;

	switch (audience->stage) {
	case STAGE_REPLAY:
		if (audience->asked != NULL)
			return false;
		if (audience_is_full(audience))
			return true;
		if (audience_needs_log(audience))
			return audience_pump_log(audience);
		audience->stage = STAGE_CATCH_UP;
		audience->at = event_ring_first(ring);
		return true;
	case STAGE_CATCH_UP:
		return pump_catch_up(audience);
	case STAGE_LIVE:
		/* One that the ring has overtaken can't be sent all: its
		 * readers are cut. */
		if (audience->at == event_ring_end(ring))
			return false;
		if (audience->at < event_ring_first(ring)) {
			audience_cut(audience);
			audience->at = event_ring_end(ring);
			return false;
		}
		parted = part_with_slow(audience);
		return audience_pump_ring(audience) || parted;
	}
	return false;
}

/* Empty ones are freed here, and not by who leaves: a walk may be under way. */
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
			more |= pump_audience(audience);
	}
	return more;
}

/*
 * The topic was made anew, or records were deleted faster than they were read:
 * places have lost their meaning.  Who is LIVE is told of the gap; who isn't
 * asks the log, which says what it holds.
 */
void
audiences_restart(struct event_hub *hub)
{
	const struct event_ring *ring = hub->ring;
	struct audience *audience;

	for (audience = hub->audiences; audience != NULL;
	     audience = audience->next) {
		if (audience->stage == STAGE_LIVE) {
			audience->at = event_ring_end(ring);
			audience_send_gap(
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
		event_shared_forget(&hub->shared[i]);
}
