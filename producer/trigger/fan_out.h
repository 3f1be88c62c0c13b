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
};

/* Borrows all; nothing is to be given back. */
void fan_out_init(struct fan_out *fan_out, struct redis *redis,
    const struct keyspace *keyspace, struct firing *firing, int64_t keep_ms);

struct happening {
	struct facts facts;
	struct text cause; /* which it is; its first line is for people */
	int64_t at_ms;     /* when it came */
};

/*
 * Hands the requests over to the firing, which settles them.  -1, and again:
 * ERROR_RETRY, Redis or Kafka does not answer; ERROR_FATAL, Redis is not as it
 * should be.  Uses `arena`, which it doesn't reset.
 */
int fan_out_fire(struct fan_out *fan_out, const struct happening *happening,
    struct arena *arena, struct error *err);

#endif
