#ifndef SCHEDRUN_WORKER_SNAPSHOT_FETCH_H
#define SCHEDRUN_WORKER_SNAPSHOT_FETCH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "worker/snapshot/cache.h"

/*
 * Fields of one Redis hash that are wanted, read in bulk into their cache
 * entries: a few HMGET, however many plans ask.  Part of snapshot; one thread.
 *
 * An answer may have 12 MiB.  Once a hash has answered more, its list is read
 * with care from then on (common/redis/bounded): what is large costs rounds and
 * never stands in the way.
 */
/* Of one command (docs/keyspace.md, section 3). */
#define FETCH_FIELDS_MAX 4000
#define FETCH_VERSIONS_MAX 128 /* versions may be large */

struct fetch_list {
	struct cache_entry **entries;
	size_t n, capacity;
	size_t asked; /* of them, commands are out for */
	bool careful;
};

void fetch_list_finish(struct fetch_list *list);
void fetch_list_reset(struct fetch_list *list);
void fetch_list_add(struct fetch_list *list, struct cache_entry *entry);

/* Queues the commands for all entries, of the hash `key`. */
void fetch_list_ask(
    struct fetch_list *list, struct redis *redis, struct text key);

/*
 * Takes their answers; entries that did not fit stay in the list, to be asked
 * for again.  A key that holds no hash, or a value over REDIS_VALUE_MAX, is
 * damage of the entries.  Errors as of redis_receive and redis_reply_error;
 * they name the key.
 */
int fetch_list_hear(struct fetch_list *list, struct text key,
    struct cache *cache, struct redis *redis, struct error *err);

#endif
