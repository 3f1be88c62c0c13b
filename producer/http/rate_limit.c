#include "producer/http/rate_limit.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/base/recent.h"
#include "common/crypto/digest.h"

#define CALLERS_MAX 10000
#define BURST_S 2

/* Tokens are counted in thousandths: one second's rate in ms gives them. */
struct bucket {
	int64_t tokens, since_ms;
	bool used;
};

struct rate_limit {
	int64_t per_second, most;
	struct recent *buckets;
};

struct rate_limit *
rate_limit_create(int64_t per_second)
{
	struct rate_limit *limit = memory_alloc(sizeof *limit);

	limit->per_second = per_second;
	limit->most = per_second * BURST_S * 1000;
	limit->buckets = recent_create(CALLERS_MAX, sizeof(struct bucket));
	return limit;
}

void
rate_limit_destroy(struct rate_limit *limit)
{
	if (limit == NULL)
		return;
	recent_destroy(limit->buckets);
	free(limit);
}

static void
fill_bucket(
    const struct rate_limit *limit, struct bucket *bucket, int64_t now_ms)
{
	int64_t passed_ms = now_ms - bucket->since_ms;

	if (!bucket->used || passed_ms >= BURST_S * 1000)
		bucket->tokens = limit->most;
	else
		bucket->tokens += passed_ms * limit->per_second;
	if (bucket->tokens > limit->most)
		bucket->tokens = limit->most;
	bucket->since_ms = now_ms;
	bucket->used = true;
}

bool
rate_limit_take(
    struct rate_limit *limit, const struct http_caller *caller, int64_t now_ms)
{
	uint8_t key[SHA256_SIZE];
	struct bucket *bucket;

	sha256(http_caller_user(caller), key);
	bucket = recent_put(limit->buckets, key);
	fill_bucket(limit, bucket, now_ms);
	if (bucket->tokens < 1000)
		return false;
	bucket->tokens -= 1000;
	return true;
}
