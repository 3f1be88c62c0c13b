#ifndef SCHEDRUN_PRODUCER_TRIGGER_REPLICAS_H
#define SCHEDRUN_PRODUCER_TRIGGER_REPLICAS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"

/*
 * The triggers that fire beside this one, and which of them a schedule is left
 * to (docs/triggers.md, section 4).  Only a hint, so that each need not ask for
 * all: who looks away or is wrong loses nothing, since what nobody has asked
 * for in time is asked for by all.  One thread.
 */
struct replicas;

/* Borrows both; asks nothing of Redis. */
struct replicas *replicas_create(
    struct redis *redis, const struct keyspace *keyspace);
/*
 * Leaves the schedules to the others at once; where Redis is away, they miss it
 * soon.  Blocks for a round trip.  NULL is fine.
 */
void replicas_destroy(struct replicas *replicas);

/*
 * Says that this trigger fires, and hears who else does: to be called each
 * second, and only by one that could fire now.  Blocks for a round trip.
 * Errors as of redis_ask.
 */
int replicas_meet(struct replicas *replicas, struct error *err);

/* How many there are, this one too. */
size_t replicas_count(const struct replicas *replicas);

/*
 * Whether a schedule is this trigger's: each has one of those who see each
 * other, and keeps it when another one comes or goes.  Alone it has all.
 */
bool replicas_owns(const struct replicas *replicas, struct text schedule_rid);

#endif
