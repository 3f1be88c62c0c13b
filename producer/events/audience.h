#ifndef SCHEDRUN_PRODUCER_EVENTS_AUDIENCE_H
#define SCHEDRUN_PRODUCER_EVENTS_AUDIENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/metrics.h"
#include "common/base/text.h"
#include "common/http/loop.h"
#include "common/http/server.h"
#include "producer/auth/caller.h"
#include "producer/base/profile.h"
#include "producer/events/replay.h"
#include "producer/events/rights.h"
#include "producer/events/ring.h"
#include "producer/runs/position.h"

/*
 * Subscribers and what they have been sent.  Those who see the same in the same
 * form and stand at the same place are one audience: what they are sent is
 * written once.  Who resumes is an audience of his own until he has caught up.
 *
 *   asked to resume                                    from now on
 *        │                                                 │
 *   ┌────v───┐ the ring holds  ┌──────────┐ at the end ┌───v──┐
 *   │ REPLAY ├────────────────>│ CATCH_UP ├───────────>│ LIVE │
 *   └────┬───┘ what follows    └────┬───^─┘            └──┬───┘
 *        ^  the ring has lost it    │   └──────────────────┘
 *        └──────────────────────────┘   he alone is slower
 * Until LIVE each reader is sent what he takes, at his pace.  One who was LIVE
 * and lags by more than 1 MiB for 5 s is cut, and may resume.  On the loop's
 * thread.
 */
struct audience;
struct http_events;

/* Who has the same key sees the same events in the same form. */
struct audience_key {
	enum http_profile profile;
	struct http_caller caller;
	struct text *schedules; /* ascending, ours; n 0: all that he may see */
	size_t n_schedules;
};

/* The names are copied; audience_join takes them over. */
void audience_key_init(struct audience_key *key, enum http_profile profile,
    const struct http_caller *caller, const struct text *schedules, size_t n);

/* What all audiences share. */
struct event_hub {
	struct loop *loop;
	struct event_ring *ring;
	struct event_replay *replay;
	struct event_rights *rights;
	struct audience *audiences;
	size_t n_subscribers;
	size_t unsent; /* bytes of pieces that live */
	struct metric *subscribers, *sent, *dropped;
	/* What LIVE audiences who see everything were sent last. */
	struct event_shared {
		struct http_piece *piece;
		uint64_t from, to;
	} shared[PROFILE_GA_UPPER + 1];
};
void event_hub_finish(struct event_hub *hub);

struct subscriber {
	struct subscriber *prev, *next; /* in the audience */
	struct audience *audience;
	struct http_events *events; /* for `gone` */
	struct http_stream *stream;
	struct http_caller caller; /* by his own token */
	int64_t alive_ms;          /* monotonic: of his next comment */
};

/*
 * Appends the event which says that what was there before `position` is gone;
 * `first_ms`: the time of what follows.
 */
void event_gap_write(const struct event_position *position, int64_t first_ms,
    struct buffer *out);

/*
 * A new subscriber, who is sent what comes behind `position` (none: from now
 * on).  Takes `key` over.  His stream is to be set before the loop goes on.
 */
struct subscriber *audience_join(struct event_hub *hub,
    struct audience_key *key, const struct event_position *position);

/* He leaves, his stream has been ended; the audience stays until reaped. */
void audience_leave(struct event_hub *hub, struct subscriber *subscriber);

/*
 * Sends all audiences what can be sent now; true: there is more to send soon.
 */
bool audiences_pump(struct event_hub *hub);

/* The ring was restarted because records are gone. */
void audiences_restart(struct event_hub *hub);

/* Calls for each subscriber; he may be made to leave by it. */
void audiences_each(struct event_hub *hub,
    void (*call)(void *argument, struct subscriber *subscriber),
    void *argument);

/* Sends one subscriber a text that is no event. */
void subscriber_send(
    struct event_hub *hub, struct subscriber *subscriber, struct text text);

/* Who hasn't taken what he was sent is sent no more for now. */
bool subscriber_is_full(
    const struct event_hub *hub, const struct subscriber *subscriber);

/* Whether he has been sent all there is. */
bool subscriber_is_current(
    const struct event_hub *hub, const struct subscriber *subscriber);

#endif
