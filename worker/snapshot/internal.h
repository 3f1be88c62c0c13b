#ifndef SCHEDRUN_WORKER_SNAPSHOT_INTERNAL_H
#define SCHEDRUN_WORKER_SNAPSHOT_INTERNAL_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "worker/snapshot/cache.h"
#include "worker/snapshot/fetch.h"
#include "worker/snapshot/snapshot.h"

/*
 * What the snapshot's rooms share: snapshot.c reads schedules and versions,
 * answer.c what the planner's world asks for, both through the rounds of
 * round.c; questions.c remembers plans.  Nothing else includes this.
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
	int64_t generation;        /* of this batch; 0: none yet */
	int64_t cached_generation; /* of the structure in the cache */
	/* When this store was made, as `meta` says: the cache is of that one.
	 */
	char store[32];
	size_t store_size;
	char edition[64]; /* that the cached heads are of */
	size_t edition_size;
	int64_t epoch_ms; /* when the cache's epoch began, monotonic */
	bool is_stale;    /* nothing cached is to be believed */
	bool moved;       /* the generation went on while schedules were read */
	struct world_limits limits;
	struct metric *entries[CACHE_KINDS], *hits[CACHE_KINDS],
	    *misses[CACHE_KINDS];
};

void snapshot_count_lookup(
    struct snapshot *snapshot, enum cache_kind kind, bool hit);

/* Puts an entry on its list of what is read next, until it has been read. */
void snapshot_want(struct snapshot *snapshot, struct cache_entry *entry);
/* The same, unless it is as Redis has it now: as of this batch's first look. */
void snapshot_want_fresh(struct snapshot *snapshot, struct cache_entry *entry);
/* After a while nothing that may change counts as fresh any more. */
void snapshot_age(struct snapshot *snapshot);
bool snapshot_has_wants(const struct snapshot *snapshot);

/*
 * The first look of a batch: its generation, and the schedules that `want`
 * wants (snapshot_want_fresh), as they were at that generation.  It is called
 * again when a look has shown more to be stale.  Of an older generation nothing
 * is cached after it.  Errors as snapshot_round.
 */
int snapshot_settle(struct snapshot *snapshot, void (*want)(void *opaque),
    void *opaque, struct error *err);

/* Which version each plan is for; reads those that are not cached. */
int snapshot_choose(struct snapshot *snapshot, struct error *err);

/* The key of a kind's hash, appended to `out`; of this batch's generation. */
struct text snapshot_key(
    const struct snapshot *snapshot, enum cache_kind kind, struct buffer *out);

/* For people: which stored entry can't be read; in the batch's arena. */
struct text snapshot_damage_of(struct snapshot *snapshot, enum cache_kind kind,
    struct text field, const char *why);

/*
 * Reads all that is wanted, every hash in one pipeline, in as many rounds as it
 * takes.  Each round ends with a look at whose store it was: one that was
 * emptied meanwhile must not look like one in which nothing exists.  The first
 * round of a batch settles its generation.
 *   ERROR_RETRY  no answer, no catalogue, or another store than before
 */
int snapshot_round(struct snapshot *snapshot, struct error *err);

#endif
