#ifndef SCHEDRUN_PRODUCER_EVENTS_REPLAY_H
#define SCHEDRUN_PRODUCER_EVENTS_REPLAY_H

#include <stdbool.h>

#include "common/config/config.h"
#include "common/http/loop.h"
#include "common/kafka/client.h"
#include "producer/runs/event.h"
#include "producer/runs/position.h"

/*
 * Reads results again that the ring holds no more, for subscribers who resume:
 * a slice at a time, at most 8 slices at once, in the order in which they were
 * asked for, so that one who is far behind doesn't keep the others waiting
 * (docs/keyspace.md, section 5).
 *
 *   loop: event_replay_ask ─> queue ─> reader thread ─> done, on the loop
 */
struct event_replay;

struct replay_slice {
	struct replay_slice *next; /* the pool's */
	/* Asked: */
	struct event_position from;  /* `first`: becomes the oldest one held */
	struct event_position until; /* where the ring begins */
	bool first; /* `from` comes from outside: is it in the log at all? */
	void (*done)(struct replay_slice *slice); /* on the loop's thread */
	void *owner; /* the one who asked; NULL: nobody wants it any more */
	/* Answered: */
	bool failed; /* Kafka does not answer: ask again */
	bool gap;    /* something between `from` and here is gone */
	struct result_event *events;    /* a list */
	struct event_position position; /* behind them */
};

/* The configuration and `kafka` are borrowed. */
struct event_replay *event_replay_create(
    const struct config *config, struct kafka_health *kafka, struct loop *loop);

/* Ends the threads; `done` of what was asked is left on the loop. */
void event_replay_stop(struct event_replay *replay); /* NULL is fine */
void event_replay_destroy(struct event_replay *replay);

/* Hands a slice over until its `done`.  On the loop's thread. */
void event_replay_ask(struct event_replay *replay, struct replay_slice *slice);

/* Zero is fine: a slice may be given up before it was asked for. */
void replay_slice_free(struct replay_slice *slice);

#endif
