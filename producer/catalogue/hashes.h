#ifndef SCHEDRUN_PRODUCER_CATALOGUE_HASHES_H
#define SCHEDRUN_PRODUCER_CATALOGUE_HASHES_H

#include <stdint.h>

#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "producer/catalogue/fields.h"
#include "schemas/keyspace.h"

/*
 * What `apply`, `export` and commits know of a generation of the catalogue in
 * Redis (docs/keyspace.md, section 3): its number, and its hashes.
 */

/* The hashes, in the order in which `apply` tells of them. */
enum catalogue_hash {
	HASH_DATASETS,
	HASH_JOB_SPECS,
	HASH_USERS,
	HASH_PROJECTS,
	HASH_LIMITS,
	CATALOGUE_HASHES
};

extern const struct catalogue_hash_row {
	enum catalogue_part part;
	const char *what; /* "job specs" */
} catalogue_hashes[CATALOGUE_HASHES];

/*
 * The current generation, 0 if there is none.  Blocks for a round trip.
 * ERROR_FATAL with 78: what is stored is no number; else as of
 * redis_reply_error.
 */
int catalogue_generation(struct redis *redis, const struct keyspace *keyspace,
    int64_t *generation, struct error *err);

/*
 * Reads all hashes of a generation into tables of their own; those of one that
 * is not there are empty.  Blocks for many round trips.  Errors as of
 * fields_read.
 */
int catalogue_read_hashes(struct redis *redis, const struct keyspace *keyspace,
    int64_t generation, struct fields *into[CATALOGUE_HASHES],
    struct error *err);

#endif
