#ifndef SCHEDRUN_PRODUCER_CATALOGUE_SCHEDULE_STORE_H
#define SCHEDRUN_PRODUCER_CATALOGUE_SCHEDULE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "producer/catalogue/about.h"
#include "schemas/keyspace.h"
#include "schemas/stored/schedule.h"

/*
 * One schedule in Redis: its head, what is kept about it, its versions
 * (docs/keyspace.md, section 2).  A change is one script that holds the head it
 * saw: if that has moved, nothing is written and it is read again.  One thread.
 */
struct schedule_store {
	struct redis *redis;             /* borrowed; connected by the caller */
	const struct keyspace *keyspace; /* borrowed */
	struct redis_script change;
};

/* Asks nothing of Redis; there is nothing to be given back. */
void schedule_store_init(struct schedule_store *store, struct redis *redis,
    const struct keyspace *keyspace);

struct stored_schedule {
	struct schedule_head head;
	struct schedule_about about;
	struct text version; /* the current one's JSON; none: unreadable */
};

/*
 * 1 there, 0 not, -1 with ERROR_RETRY (Redis) or ERROR_INPUT (malformed, names
 * the schedule).  Texts go to `arena`.
 */
int schedule_store_read(struct schedule_store *store, struct text rid,
    struct arena *arena, struct stored_schedule *schedule, struct error *err);

struct schedule_change {
	struct text rid;
	struct text seen; /* the head's bytes as read; none: a new schedule */
	const struct schedule_head *head;
	const struct schedule_about *about;
	struct text version_rid, version; /* a new version; none: none */
};

/*
 * Writes it whole or not at all: 1 written (and on a replica, if there is one),
 * 0 the head has moved, -1 as above; ERROR_FATAL (70) if the version's rid is
 * taken.
 */
int schedule_store_write(struct schedule_store *store,
    const struct schedule_change *change, struct error *err);

/*
 * Queues to replace what is kept about a schedule, if it is still as it was
 * seen; of the one answer only an error matters.
 */
void schedule_store_ask_refresh(struct schedule_store *store, struct text rid,
    struct text seen, const struct schedule_about *about);

/*
 * Makes it so; *changed is false if it was so already.  Who is live is not
 * paused; who is deleted stays so, but for `apply`.  `by` none: the last editor
 * stays.  1 done, 0 no such schedule (or deleted), -1 as above.
 */
enum schedule_state { SCHEDULE_LIVE, SCHEDULE_PAUSED, SCHEDULE_DELETED };
int schedule_store_set(struct schedule_store *store, struct text rid,
    enum schedule_state state, struct text by, bool *changed,
    struct error *err);
#endif
