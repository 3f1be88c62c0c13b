#ifndef SCHEDRUN_PRODUCER_TRIGGER_PARTS_H
#define SCHEDRUN_PRODUCER_TRIGGER_PARTS_H

#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "producer/trigger/firing.h"
#include "schemas/keyspace.h"

/*
 * Instants of times that are parts of `and`s (docs/triggers.md, section 3):
 * each is something that has happened, of which the `and` says whether it fires
 * by it.  Collected, and then fired together.  One thread.
 */
struct parts;

/* Borrows all; `keep_ms`: that an `and` knows an instant again. */
struct parts *parts_create(struct redis *redis, const struct keyspace *keyspace,
    struct firing *firing, int64_t keep_ms);
void parts_destroy(struct parts *parts); /* NULL is fine */

/* A schedule's instant, at which something else of it may be due as well. */
struct part_due {
	struct text schedule_rid, version_rid;
	const struct timetable *times;
	int64_t at_s;
};
/* The texts must stay until it is fired, or forgotten. */
void parts_add(struct parts *parts, const struct part_due *due);

/* What was added is not to be fired. */
void parts_forget(struct parts *parts);

/*
 * Hands over the requests of all that were added.  -1: as of fan_out_tell.
 */
int parts_fire(struct parts *parts, struct error *err);

#endif
