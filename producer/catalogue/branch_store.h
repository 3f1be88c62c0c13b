#ifndef SCHEDRUN_PRODUCER_CATALOGUE_BRANCH_STORE_H
#define SCHEDRUN_PRODUCER_CATALOGUE_BRANCH_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/crypto/rid.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"
#include "schemas/stored/world.h"

/*
 * Branches of datasets in Redis (hash `h`): read, and changed by one script
 * that compares what was read, so that no commit, build or apply in between is
 * overwritten (docs/keyspace.md, section 4).
 */
struct branch_change {
	struct text dataset; /* in: its RID */
	bool exists;         /* read: the catalogue has the dataset ... */
	struct text
	    project;       /* ... in there; none: what is stored is malformed */
	struct text seen;  /* read: the stored value; none: no branches yet */
	struct text value; /* in: to be written; none: leave it alone */
};

/* The catalogue and the branches as they were when they were read. */
struct branch_view {
	int64_t generation;
	struct branch_change *changes;
	size_t n;
};

/*
 * Reads what is stored of all changes' datasets; texts go to `arena`.
 *   ERROR_RETRY  Redis does not answer, or has no catalogue
 *   ERROR_FATAL  as of redis_reply_error
 */
int branch_store_read(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, struct branch_view *view, struct error *err);

/*
 * What is said, with what is written, of the build, job or commits that have
 * made it, unless that is said already of any.
 */
struct build_mark {
	/* The `b` of a build, the `j` of a job, those of commits; or none. */
	const struct text *keys;
	size_t n_keys;
	struct text field; /* "s", of a job its position */
	struct text value; /* "SUCCEEDED" */
	int64_t ttl_ms;    /* of each key that has none */
	/* Of a job: the leases of its outputs, and the number they must have */
	const struct text *leases;
	size_t n_leases;
	struct text number;
};

/*
 * Writes all values, or nothing.  1: written; 0: something has moved, read
 * again; 2: it is said already; 3: a lease is lost; -1: failed.
 */
int branch_store_write(struct redis *redis, const struct keyspace *keyspace,
    const struct branch_view *view, const struct build_mark *mark,
    struct error *err);

/*
 * When a branch came to have its head, ms since 1970: of a stored `h:at`; 0:
 * that is of another head, or none is stored.
 */
int64_t branch_moved_ms(struct text stored, struct text head);

/*
 * The stored value with `branch` set in it: replaced, or added in its place.
 * ERROR_INPUT if what is stored is malformed or the branches' parents would be
 * in a loop.
 */
int branch_value_set(struct text stored, const struct branch *branch,
    struct arena *arena, struct text *value, struct error *err);

/*
 * The same for what a job has made: a branch that is there keeps its parent,
 * and a new one whose parent would make a loop is a root.
 */
int branch_value_built(struct text stored, const struct branch *made,
    struct arena *arena, struct text *value, struct error *err);

/* The branch as stored, in `arena`; NULL if there is none; -1 if malformed. */
int branch_value_get(struct text stored, struct text name, struct arena *arena,
    const struct branch **branch, struct error *err);

#endif
