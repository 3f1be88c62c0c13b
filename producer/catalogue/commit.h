#ifndef SCHEDRUN_PRODUCER_CATALOGUE_COMMIT_H
#define SCHEDRUN_PRODUCER_CATALOGUE_COMMIT_H

#include <stdbool.h>

#include "producer/catalogue/branch_store.h"

/*
 * New data on a branch of a dataset: its head moves, all else stays as it is
 * (docs/keyspace.md, section 4).
 */
struct dataset_commit {
	/* in: */
	struct text dataset, branch, transaction;
	struct text parent; /* of a new branch; none: it is a root */
	struct text mark; /* a key that is written with it, unless it is there;
			     none: it may be done again and again */
	/* out: */
	enum commit_outcome {
		COMMIT_WRITTEN,
		COMMIT_MARKED,     /* the mark is there already */
		COMMIT_NO_DATASET, /* the catalogue has none of that RID */
		/* The branch is there with another parent, or what is stored is
		 * malformed: `why` */
		COMMIT_REFUSED,
	} outcome;
	bool already;      /* the head was so before */
	bool made_branch;  /* the dataset had no such branch ... */
	bool lacks_parent; /* ... nor that which it is to come from */
	struct error why;
};

/*
 * Some commits, in this order, by a few round trips for all of them; those that
 * are written are written in one step.  Marks last `mark_ttl_ms`.  -1: nothing
 * is known of any.
 *   ERROR_RETRY  Redis does not answer, has no catalogue, or others write the
 *                datasets again and again
 *   ERROR_FATAL  as of redis_reply_error
 */
struct dataset_commits {
	struct dataset_commit *at;
	size_t n;
	int64_t mark_ttl_ms;
};
int dataset_commit(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, const struct dataset_commits *commits,
    struct error *err);

#endif
