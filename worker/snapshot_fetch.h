#ifndef SCHEDRUN_WORKER_SNAPSHOT_FETCH_H
#define SCHEDRUN_WORKER_SNAPSHOT_FETCH_H

#include <stddef.h>

#include "common/error.h"
#include "common/redis_pipeline.h"
#include "worker/snapshot_cache.h"

/*
 * Fields of one Redis hash that are wanted, read in bulk into their cache
 * entries: a few HMGET, however many plans ask.  Part of snapshot; one thread.
 */
#define FETCH_FIELDS_MAX 4000  /* of one command (keyspace, section 3) */
#define FETCH_VERSIONS_MAX 128 /* versions may be large */

struct fetch_list {
	struct cache_entry **entries;
	size_t n, capacity;
	size_t asked; /* of them, commands are out for */
};

void fetch_list_finish(struct fetch_list *list);
void fetch_list_reset(struct fetch_list *list);
void fetch_list_add(struct fetch_list *list, struct cache_entry *entry);

/* Queues the commands for all entries, of the hash `key`. */
void fetch_list_ask(
    struct fetch_list *list, struct redis *redis, struct text key);

/* Takes their answers and empties the list.  Errors as of redis_receive. */
int fetch_list_hear(struct fetch_list *list, struct cache *cache,
    struct redis *redis, struct error *err);

#endif
