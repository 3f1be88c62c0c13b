#include "producer/auth/role_cache.h"

#include <stdlib.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/recent.h"
#include "common/crypto/digest.h"
#include "schemas/keyspace.h"

#define PAIRS 1024 /* of user and project */

struct role_cache {
	int64_t generation;
	struct recent *rights;
	struct buffer name; /* of the pair that is looked for; reused */
};

struct role_cache *
role_cache_create(void)
{
	struct role_cache *cache = memory_zalloc(1, sizeof *cache);

	cache->rights = recent_create(PAIRS, sizeof(enum right));
	return cache;
}

void
role_cache_destroy(struct role_cache *cache)
{
	if (cache == NULL)
		return;
	recent_destroy(cache->rights);
	buffer_finish(&cache->name);
	free(cache);
}

/* The pair's key, in the cache as it is of this generation. */
static void
find_key(struct role_cache *cache, int64_t generation, struct text user,
    struct text project, uint8_t key[SHA256_SIZE])
{
	if (cache->generation != generation)
		recent_clear(cache->rights);
	cache->generation = generation;
	buffer_reset(&cache->name);
	sha256(keyspace_field(user, project, &cache->name), key);
}

bool
role_cache_get(struct role_cache *cache, int64_t generation, struct text user,
    struct text project, enum right *right)
{
	const enum right *known;
	uint8_t key[SHA256_SIZE];

	find_key(cache, generation, user, project, key);
	known = recent_find(cache->rights, key);
	if (known != NULL)
		*right = *known;
	return known != NULL;
}

void
role_cache_put(struct role_cache *cache, int64_t generation, struct text user,
    struct text project, enum right right)
{
	enum right *known;
	uint8_t key[SHA256_SIZE];

	find_key(cache, generation, user, project, key);
	known = recent_put(cache->rights, key);
	*known = right;
}
