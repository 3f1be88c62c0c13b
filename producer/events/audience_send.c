#include "producer/events/internal.h"

#include <stdlib.h>

#define WINDOW ((size_t)128 * 1024) /* unsent of a reader who is sent more */
#define UNSENT_MAX ((size_t)128 * 1024 * 1024) /* of all, or it gets tight: */
#define CHUNK_TIGHT ((size_t)16 * 1024)
#define LAG_MAX ((size_t)1024 * 1024)
#define LAG_MS 5000    /* further behind for so long: he is cut */
#define STALL_MS 30000 /* who resumes takes nothing for so long: likewise */

static bool
is_tight(const struct event_hub *hub)
{
	return hub->unsent > UNSENT_MAX;
}

size_t
audience_chunk(const struct audience *audience)
{
	return is_tight(audience->hub) ? CHUNK_TIGHT : CHUNK;
}

void
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

void
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

bool
audience_is_full(struct audience *audience)
{
	int64_t now = loop_now_ms(audience->hub->loop);
	bool full = subscriber_is_full(audience->hub, audience->subscribers);

	if (audience->was_live ? lags_too_long(audience, now)
			       : full && now - audience->moved_ms >= STALL_MS)
		audience_cut(audience);
	return full || audience->subscribers == NULL;
}

void
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
