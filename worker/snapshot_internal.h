#ifndef SCHEDRUN_WORKER_SNAPSHOT_INTERNAL_H
#define SCHEDRUN_WORKER_SNAPSHOT_INTERNAL_H

#include "common/arena.h"
#include "worker/snapshot.h"
#include "worker/snapshot_cache.h"
#include "worker/snapshot_fetch.h"

/*
 * What the snapshot's rooms share: snapshot.c reads schedules and versions,
 * snapshot_answer.c what the planner's world asks for.  Nothing else includes
 * this.
 */
struct snapshot {
	struct redis *redis;
	struct keyspace *keyspace;
	struct cache *cache;
	struct world *world;
	struct arena *arena; /* of the batch */
	struct fetch_list lists[CACHE_KINDS];
	struct snapshot_plan *plans;
	struct cache_entry **schedules; /* of each plan */
	size_t n_plans, capacity;
	int64_t generation;        /* of this batch; 0: none */
	int64_t cached_generation; /* of the structure in the cache */
	bool is_stale;             /* nothing cached is to be believed */
	struct world_limits limits;
	struct metric *entries[CACHE_KINDS], *hits[CACHE_KINDS],
	    *misses[CACHE_KINDS];
};

void snapshot_count_lookup(
    struct snapshot *snapshot, enum cache_kind kind, bool hit);

/* Puts an entry on its list of what is read next, once per batch. */
void snapshot_want(struct snapshot *snapshot, struct cache_entry *entry);

/* Whether it was read in this batch. */
bool snapshot_is_fresh(
    const struct snapshot *snapshot, const struct cache_entry *entry);

/*
 * Every round of reads ends with one of `g`: if it is there, Redis had not been
 * emptied when the others were answered, and what they lack is not there.
 * `hear` is ERROR_RETRY if it is not.
 */
void snapshot_ask_proof(struct snapshot *snapshot);
int snapshot_hear_proof(struct snapshot *snapshot, struct error *err);

/* For people: which stored entry can't be read; in the batch's arena. */
struct text snapshot_damage_of(struct snapshot *snapshot, const char *hash,
    struct text field, const char *why);

#endif
