#ifndef SCHEDRUN_PRODUCER_TRIGGER_FAN_OUT_H
#define SCHEDRUN_PRODUCER_TRIGGER_FAN_OUT_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "producer/trigger/firing.h"
#include "producer/trigger/satisfy.h"
#include "schemas/keyspace.h"

/*
 * From what has happened to the runs that it fires (docs/triggers.md, section
 * 5): finds the schedules that wait for it, and asks for a run of each whose
 * trigger it satisfies.  One thread.
 */
struct fan_out {
	struct redis *redis; /* borrowed, as all pointers here; connected */
	const struct keyspace *keyspace;
	struct firing *firing;
	int64_t keep_ms; /* that an `and` knows an event again */
	struct redis_script satisfy;
	struct arena *arena; /* of a call */
};

/* Borrows all; nothing is to be given back. */
void fan_out_init(struct fan_out *fan_out, struct redis *redis,
    const struct keyspace *keyspace, struct firing *firing, int64_t keep_ms);

struct happening {
	struct facts facts;
	struct text cause; /* which it is; its first line is for people */
	int64_t at_ms;     /* when it came, or was due */
};

/* A schedule that waits for what has happened. */
struct waiter {
	const struct happening *happening;
	struct text schedule_rid, version_rid;
	struct satisfied satisfied; /* of it: filled in */
};

/* The same as the next where it is known who waits, if they still do. */
int fan_out_tell(struct fan_out *fan_out, struct waiter *waiters, size_t n,
    struct error *err);

/*
 * What has happened, in this order: hands the requests over to the firing,
 * which settles them.  A few round trips, however much it is.  -1, and all of
 * it again: ERROR_RETRY, Redis or Kafka does not answer; ERROR_FATAL, Redis is
 * not as it should be.  Uses `arena`, which it doesn't reset.
 */
int fan_out_fire(struct fan_out *fan_out, const struct happening *happenings,
    size_t n, struct arena *arena, struct error *err);

#endif
