#include "producer/events/internal.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

enum event_right
audience_look(const struct audience *audience, const struct result_event *event)
{
	const struct audience_key *key = &audience->key;
	struct text rid = event->record.schedule_rid;

	if (!audience_key_names(key, rid))
		return EVENT_HIDDEN;
	return event_rights_look(
	    audience->hub->rights, &key->caller, rid, event->hash);
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
		!audience_key_equal(&other->key, &audience->key)))
		other = other->next;
	return other;
}

/* One who has caught up joins those who see the same. */
static void
merge(struct audience *audience)
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

/* One who is slower than the others goes on alone, at his own pace. */
static void
part(struct audience *audience, struct subscriber *subscriber)
{
	struct audience *alone;
	struct audience_key key;

	audience_key_init(&key, audience->key.profile, &audience->key.caller,
	    audience->key.schedules, audience->key.n_schedules);
	alone = make_audience(audience->hub, &key);
	unlink_subscriber(subscriber);
	link_subscriber(alone, subscriber);
	alone->stage = STAGE_CATCH_UP;
	alone->was_live = true;
	alone->at = audience->at;
	event_ring_position(alone->hub->ring, alone->at, &alone->position);
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

/* From stage to stage ---------------------------------------------------- */

static bool
pump_replay(struct audience *audience)
{
	if (audience->asked != NULL)
		return false;
	if (audience_is_full(audience))
		return true;
	if (audience_needs_log(audience))
		return audience_pump_log(audience);
	audience->stage = STAGE_CATCH_UP;
	audience->at = event_ring_first(audience->hub->ring);
	return true;
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
	merge(audience);
	return false;
}

/* True: there are new audiences, with more to send. */
static bool
part_with_slow(struct audience *audience)
{
	struct subscriber *subscriber, *next;
	bool parted = false;

	for (subscriber = audience->subscribers; subscriber != NULL;
	     subscriber = next) {
		next = subscriber->next;
		if (!subscriber_is_full(audience->hub, subscriber))
			continue;
		part(audience, subscriber);
		parted = true;
	}
	return parted;
}

static bool
pump_live(struct audience *audience)
{
	const struct event_ring *ring = audience->hub->ring;
	bool parted;

	if (audience->at == event_ring_end(ring))
		return false;
	if (audience->at < event_ring_first(ring)) {
		audience_cut(audience); /* they resume */
		audience->at = event_ring_end(ring);
		return false;
	}
	parted = part_with_slow(audience);
	return audience_pump_ring(audience) || parted;
}

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
