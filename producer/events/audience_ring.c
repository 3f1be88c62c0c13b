#include "producer/events/internal.h"

#include "common/base/buffer.h"

#define AHEAD 500 /* events whose rights are asked for together */

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

static struct stretch
measure(const struct audience *audience)
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

void
event_shared_forget(struct event_shared *shared)
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
		event_shared_forget(shared);
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
		const struct schedule_run *record =
		    &event_ring_at(ring, i)->record;

		event_position_pass(
		    &audience->position, record->partition, record->offset + 1);
	}
	audience->at = stretch->to;
}

bool
audience_pump_ring(struct audience *audience)
{
	struct stretch stretch = measure(audience);
	struct http_piece *piece;

	if (stretch.n > 0) {
		piece = share_stretch(audience, &stretch);
		audience_send(audience, piece, stretch.n);
		http_piece_release(piece);
	}
	pass_stretch(audience, &stretch);
	return !stretch.blocked &&
	    audience->at < event_ring_end(audience->hub->ring);
}
