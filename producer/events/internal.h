#ifndef SCHEDRUN_PRODUCER_EVENTS_INTERNAL_H
#define SCHEDRUN_PRODUCER_EVENTS_INTERNAL_H

#include "producer/events/audience.h"

/*
 * What the files of the audiences share: audience.c (who belongs to which, and
 * its stages), audience_ring.c and audience_log.c (what it is sent next, from
 * either), audience_send.c (sending, and who is too slow).  Not for others.
 */
#define CHUNK ((size_t)256 * 1024) /* of one piece, about */

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

/* audience.c: whether it may see it, as far as that is known */
enum event_right audience_look(
    const struct audience *audience, const struct result_event *event);

/* audience_send.c */
void audience_send(
    struct audience *audience, struct http_piece *piece, size_t n_events);
void audience_send_text(
    struct audience *audience, struct text text, size_t n_events);
/* Bytes of the next piece, about. */
size_t audience_chunk(const struct audience *audience);
/* Of one who is alone; he is cut by it if he is too slow. */
bool audience_is_full(struct audience *audience);
/* They resume, if they like. */
void audience_cut(struct audience *audience);

/* audience_ring.c; true: there is more */
bool audience_pump_ring(struct audience *audience);
void event_shared_forget(struct event_shared *shared);

/* audience_log.c */
bool audience_needs_log(const struct audience *audience);
bool audience_pump_log(struct audience *audience);
void audience_send_gap(struct audience *audience,
    const struct event_position *position, int64_t first_ms);

#endif
