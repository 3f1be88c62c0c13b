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
	struct text parent;     /* of a new branch; none: it is a root */
	struct build_mark mark; /* written with it, unless it is there */
	/* out: */
	bool already;      /* the head was so before */
	bool made_branch;  /* the dataset had no such branch ... */
	bool lacks_parent; /* ... nor that which it is to come from */
};

/*
 * 1: written, 2: the mark is there already and nothing was written, 0: the
 * catalogue has no such dataset, -1:
 *   ERROR_INPUT  the branch is there with another parent, or what is stored is
 *                malformed
 *   ERROR_RETRY  Redis does not answer, has no catalogue, or others write the
 *                dataset again and again
 *   ERROR_FATAL  as of redis_reply_error
 */
int dataset_commit(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, struct dataset_commit *commit, struct error *err);

#endif
