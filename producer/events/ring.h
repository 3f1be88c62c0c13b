#ifndef SCHEDRUN_PRODUCER_EVENTS_RING_H
#define SCHEDRUN_PRODUCER_EVENTS_RING_H

#include <stddef.h>
#include <stdint.h>

#include "producer/base/profile.h"
#include "producer/runs/event.h"
#include "producer/runs/position.h"

/*
 * The last results, in the order in which this replica read them, within a
 * bound of bytes: what subscribers are sent, now or when they resume.
 *
 *     start            first                         end, head
 *       │ (dropped)      │ event │ event │ … │ event │
 *
 * Events are numbered on from 1 for ever.  `start` is the place before the
 * first that is held: whoever stands at or behind it misses nothing.  On the
 * loop's thread.
 */
struct event_ring;

/* Empty, and at no place yet: event_ring_restart says where it begins. */
struct event_ring *event_ring_create(size_t bytes_max);
void event_ring_destroy(struct event_ring *ring); /* NULL is fine */

/* Empties it: from now on it holds what comes behind `position`. */
void event_ring_restart(
    struct event_ring *ring, const struct event_position *position);

/* Takes an event over; old ones may go. */
void event_ring_append(struct event_ring *ring, struct result_event *event);

/* Nothing is before `next` in this partition but what was appended. */
void event_ring_pass(struct event_ring *ring, int32_t partition, int64_t next);

/* The places before the first event held and behind the last; the ring's own.
 */
const struct event_position *event_ring_start(const struct event_ring *ring);
const struct event_position *event_ring_head(const struct event_ring *ring);

/* Numbers: of the first event held, and of the next that will come. */
uint64_t event_ring_first(const struct event_ring *ring);
uint64_t event_ring_end(const struct event_ring *ring);
const struct result_event *event_ring_at(
    const struct event_ring *ring, uint64_t number);

/* The place before an event that is held. */
void event_ring_position(const struct event_ring *ring, uint64_t number,
    struct event_position *position);

/* Bytes of the events from this one on, about; of all if it isn't held. */
size_t event_ring_bytes(const struct event_ring *ring, uint64_t number);

/*
 * The event as it is sent to all subscribers of a profile: id, event, data.
 * Valid until the next append.
 */
struct text event_ring_text(
    struct event_ring *ring, uint64_t number, enum http_profile profile);

/* The same for an event that is not in a ring. */
void event_write(const struct schedule_run *record,
    const struct event_position *position, enum http_profile profile,
    struct buffer *out);

#endif
