#ifndef SCHEDRUN_WORKER_SNAPSHOT_INTERNAL_H
#define SCHEDRUN_WORKER_SNAPSHOT_INTERNAL_H

#include "common/base/buffer.h"
#include "schemas/keyspace.h"
#include "schemas/stored/world.h"
#include "worker/snapshot/cache.h"
#include "worker/snapshot/snapshot.h"

/*
 * What the snapshot's files share: asked.c knows what is asked and what was
 * answered, snapshot.c what plans need and what it means; round.c reads it,
 * cache.c keeps it.
 */
struct fetch_list { /* fields of one kind's hash that are read next */
	struct cache_entry **entries;
	size_t n, capacity;
	size_t asked; /* of them, commands are out for */
	bool careful; /* the hash has answered more than fits one answer */
};

/* A short text that Redis has, as it was found last. */
struct snapshot_seen {
	char at[64];
	size_t size;
};

struct asked_list { /* asked.c's: the batch's questions */
	struct asked *at;
	size_t n, capacity;
};

struct snapshot {
	struct redis *redis;
	const struct keyspace *keyspace;
	struct cache *cache;
	struct world *world;
	struct arena *arena; /* of the batch */
	struct fetch_list lists[CACHE_ANSWER];
	struct asked_list asked;
	int64_t generation;           /* of this batch; 0: none yet */
	int64_t cached_generation;    /* of the structure in the cache */
	struct snapshot_seen store;   /* `meta`'s created: whose cache it is */
	struct snapshot_seen edition; /* that the cached heads are of */
	int64_t epoch_ms; /* when the cache's epoch began, monotonic */
	bool is_stale;    /* nothing cached is to be believed */
	bool moved;       /* the generation went on while schedules were read */
	struct world_limits limits;
	struct metric *entries[CACHE_KINDS], *hits[CACHE_KINDS],
	    *misses[CACHE_KINDS];
	uint64_t n_hits[CACHE_KINDS], n_misses[CACHE_KINDS]; /* not yet told */
	struct judged *judged;                               /* asked.c's */
	int64_t judged_generation;
};

/* The key of a kind's hash, appended to `out`; of this batch's generation. */
struct text snapshot_key(
    const struct snapshot *snapshot, enum cache_kind kind, struct buffer *out);

/* A look-up in the cache, for the metrics of its kind. */
void snapshot_count(struct snapshot *snapshot, enum cache_kind kind, bool hit);

/* Puts an entry on its list of what is read next, until it has been read. */
void snapshot_want(struct snapshot *snapshot, struct cache_entry *entry);
void snapshot_want_fresh(struct snapshot *snapshot, struct cache_entry *entry);

/*
 * Whether what the store says of a user, or of his role on a project, is known;
 * else it is wanted.  The entry may be damaged, which gives no right.
 */
bool snapshot_knows_user(struct snapshot *snapshot, struct text name,
    struct cache_entry **entry, bool *is_active);
bool snapshot_knows_role(struct snapshot *snapshot, struct text user,
    struct text project, struct cache_entry **entry, enum role *role);

/* For people: which stored entry can't be read; in the batch's arena. */
struct text snapshot_damage(struct snapshot *snapshot, enum cache_kind kind,
    struct text field, const char *why);

/*
 * A new generation: its limits, and nothing cached of the old structure.
 * Errors as snapshot_read.
 */
int snapshot_follow_generation(struct snapshot *snapshot, struct error *err);

/*
 * An epoch ends when `e` has changed; at the latest after 5 s, so that a change
 * by somebody who knows nothing of `e` is seen too.
 */
void snapshot_age(struct snapshot *snapshot);

/* Whether something is on the lists, to be read by the next round. */
bool snapshot_has_wants(const struct snapshot *snapshot);

/*
 * Reads all that is on the lists into its cache entries, every hash in one
 * pipeline, in as many trips as it takes.  Each trip ends with a look at whose
 * store it was: one that was emptied meanwhile must not look like one in which
 * nothing exists.  The first round of a batch (generation 0) settles its
 * generation, and begins a new epoch if `e` has changed; `moved` says whether
 * the generation was another at the trip's end.  Blocks.
 *   ERROR_RETRY  no answer, no catalogue, or another store than before
 *   ERROR_FATAL  77 credentials, 78 no Redis of ours
 */
int snapshot_round(struct snapshot *snapshot, struct error *err);

#endif
