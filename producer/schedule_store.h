#ifndef SCHEDRUN_PRODUCER_SCHEDULE_STORE_H
#define SCHEDRUN_PRODUCER_SCHEDULE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/redis_pipeline.h"
#include "producer/schedule_about.h"
#include "schemas/keyspace.h"
#include "schemas/schedule.h"

/*
 * One schedule in Redis: its head, what is kept about it, its current version
 * (keyspace, section 2).  A change is one script that holds the head it saw: if
 * that has moved, nothing is written and it is read again.
 */
struct stored_schedule {
	struct schedule_head head;
	struct schedule_about about;
	struct text version; /* the current one's JSON; none: unreadable */
};

/*
 * 1 there, 0 not, -1 with ERROR_RETRY (Redis) or ERROR_INPUT (malformed, names
 * the schedule).  Texts go to `arena`.
 */
int schedule_store_read(struct redis *redis, const struct keyspace *keyspace,
    struct text rid, struct arena *arena, struct stored_schedule *schedule,
    struct error *err);

/*
 * Pauses or unpauses; *changed is false if it was so already.  `by` none: the
 * last editor stays.  1 done, 0 no such schedule (or deleted), -1 as above.
 */
int schedule_store_pause(struct redis *redis, const struct keyspace *keyspace,
    struct text rid, bool paused, struct text by, bool *changed,
    struct error *err);

#endif
