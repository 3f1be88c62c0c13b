#ifndef SCHEDRUN_WORKER_CLAIMS_BLAME_H
#define SCHEDRUN_WORKER_CLAIMS_BLAME_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "worker/claims/claims.h"

/*
 * A script's WRONGTYPE doesn't name the key (docs/keyspace.md, section 6):
 * finds out by TYPE which of a chunk's keys it is.
 */
struct claims_blame {
	struct redis *redis;      /* with nothing in flight */
	const struct text *marks; /* their keys */
	size_t n_marks;
	struct text claim_prefix; /* of the claims' keys, up to the bucket */
	int64_t ttl_ms;           /* of a bucket */
	const struct claim *items;
	size_t n;
	uint32_t shards;
};

/*
 * Makes `err` name the key and what it holds; leaves it alone if all keys are
 * as they should be or Redis does not answer.  Blocks for two rounds.
 */
void claims_blame(const struct claims_blame *blame, struct error *err);

#endif
