#ifndef SCHEDRUN_PRODUCER_TRIGGER_WATCH_H
#define SCHEDRUN_PRODUCER_TRIGGER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "producer/trigger/book.h"
#include "schemas/keyspace.h"

/*
 * Keeps the book as Redis has the schedules (docs/triggers.md, section 4): a
 * round reads all heads in pieces, and what has changed whole.  Rounds come
 * when the edition has moved, and take a tenth of the time at most.  One
 * thread; each call blocks for a few round trips.  Errors: ERROR_RETRY, Redis
 * does not answer; ERROR_FATAL by 77 or 78.
 */
struct watch;

/* Everything is borrowed. */
struct watch *watch_create(struct redis *redis, const struct keyspace *keyspace,
    struct book *book, struct zones *zones);
void watch_destroy(struct watch *watch); /* NULL is fine */

/*
 * Looks whether anything has changed since the last look, at the first one also
 * where triggers stood: at `now_s`, the triggers' time, if nobody has said.
 */
int watch_look(struct watch *watch, int64_t now_s, struct error *err);

/* The next piece of a round, if one is due. */
int watch_step(struct watch *watch, int64_t now_s, struct error *err);
/* Whether watch_step has something to do. */
bool watch_is_behind(const struct watch *watch);
/* Whether the first round has come to its end. */
bool watch_is_complete(const struct watch *watch);

/*
 * Reads the heads of entries that are due: those whose schedule has changed, or
 * is paused or deleted by now, are written anew or dropped, and NULL in the
 * list.
 */
int watch_confirm(
    struct watch *watch, struct entry **list, size_t n, struct error *err);

/*
 * All that the book had due up to `fired_s` is acknowledged: writes it to
 * Redis, as far as each change of a schedule is known.  Returns where triggers
 * stand, in seconds since 1970; -1: see the error.
 */
int64_t watch_stand(struct watch *watch, int64_t fired_s, struct error *err);

#endif
