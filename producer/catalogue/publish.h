#ifndef SCHEDRUN_PRODUCER_CATALOGUE_PUBLISH_H
#define SCHEDRUN_PRODUCER_CATALOGUE_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "producer/catalogue/lock.h"
#include "producer/catalogue/merge.h"
#include "producer/catalogue/progress.h"

/*
 * What an apply writes: the hashes of a new generation beside those that are
 * read, and stages that one script makes what everybody reads, a step at a time
 * (docs/keyspace.md, section 3).  Until that is done all expires by itself.
 */
struct publication {
	struct redis *redis;
	const struct keyspace *keyspace;
	struct catalogue_lock *lock;
	const struct apply_progress *progress;
	int64_t number;     /* of the stages and of a new generation; 0: none */
	int64_t generation; /* that is current, as far as this process knows */
	unsigned steps;     /* that were published */
	int64_t took_ms;    /* Redis, for the last one, but for its way */
};

/* A number that none has had, then the new generation's hashes. */
int publication_number(struct publication *publication, struct error *err);
int publication_write_parts(
    struct publication *publication, struct merge *merge, struct error *err);

/*
 * Stages a step and publishes it, with the new generation if `with_parts`.  1
 * done, also where the answer was lost and had to be asked for again; 0
 * somebody wrote in between; -1 failed.
 */
int publication_step(struct publication *publication,
    const struct merge_changes *step, bool with_parts, struct error *err);

#endif
