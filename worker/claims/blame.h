#ifndef SCHEDRUN_WORKER_CLAIMS_BLAME_H
#define SCHEDRUN_WORKER_CLAIMS_BLAME_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/redis/pipeline.h"

/*
 * A script's WRONGTYPE doesn't name the key (docs/keyspace.md, section 6):
 * finds out by TYPE which of `keys` holds something else than `type`, a hash or
 * a string, and makes `err` say so (ERROR_RETRY), what it holds, and what
 * helps.  False if all are as they should be, or there is no answer; `err` is
 * as it was then.  Nothing may be in flight.  Blocks for a round trip.
 */
bool blame_key(struct redis *redis, const struct text *keys, size_t n,
    const char *type, struct error *err);

#endif
