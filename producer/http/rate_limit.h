#ifndef SCHEDRUN_PRODUCER_HTTP_RATE_LIMIT_H
#define SCHEDRUN_PRODUCER_HTTP_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "producer/auth/caller.h"

/*
 * At most so many runs per caller and second, with a burst of two seconds'
 * worth (http.rate): a bucket of tokens for each of the latest 10,000 users.
 * The loop's thread only.
 */
struct rate_limit;

/* Takes all its memory; `per_second` is at least 1. */
struct rate_limit *rate_limit_create(int64_t per_second);
void rate_limit_destroy(struct rate_limit *limit); /* NULL is fine */

/*
 * Takes a token of the caller's; false: he has none, in a second he has one
 * again.  All unknown callers share a bucket.
 */
bool rate_limit_take(
    struct rate_limit *limit, const struct http_caller *caller, int64_t now_ms);

#endif
