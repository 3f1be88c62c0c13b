#ifndef SCHEDRUN_PRODUCER_CATALOGUE_LOCK_H
#define SCHEDRUN_PRODUCER_CATALOGUE_LOCK_H

#include <stdint.h>

#include "common/base/error.h"
#include "common/crypto/rid.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"

/*
 * The lock of `apply` (`n:lock`): one loads at a time.  It lapses by itself 30
 * s after it was taken or renewed last; the publish script looks whether it is
 * still ours, so a lapse loses the work and nothing else.
 */
struct catalogue_lock {
	struct redis *redis; /* borrowed, as all of it */
	const struct keyspace *keyspace;
	/* A UUID, which becomes the edition, and who has it, for people: host,
	 * process, since when. */
	char token[UUID_TEXT_SIZE + 160];
};

/* Waits for another apply until `deadline_ms`; then ERROR_RETRY, which says
 * whose it is, when it lapses, and what to do. */
int catalogue_lock_take(
    struct catalogue_lock *lock, int64_t deadline_ms, struct error *err);

/* ERROR_RETRY if it has lapsed and another apply has it. */
int catalogue_lock_renew(struct catalogue_lock *lock, struct error *err);

/* Gives it back, if it is still ours; connects again for it if need be. */
void catalogue_lock_release(struct catalogue_lock *lock);

#endif
