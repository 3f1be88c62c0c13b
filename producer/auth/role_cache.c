#include "producer/auth/role_cache.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define SLOTS 1024 /* a power of two */
#define RID_MAX 200

/* One slot for each hash: a collision replaces. */
struct slot {
	enum right right;
	size_t user_size, project_size; /* 0, 0: empty */
	char user[64], project[RID_MAX];
};

struct role_cache {
	int64_t generation;
	struct slot *slots;
};

struct role_cache *
role_cache_create(void)
{
	struct role_cache *cache = memory_zalloc(1, sizeof *cache);

	cache->slots = memory_zalloc(SLOTS, sizeof *cache->slots);
	return cache;
}

void
role_cache_destroy(struct role_cache *cache)
{
	if (cache == NULL)
		return;
	free(cache->slots);
	free(cache);
}

static struct slot *
slot_of(struct role_cache *cache, struct text user, struct text project)
{
	size_t hash = text_hash(user) * 31 ^ text_hash(project);

	return &cache->slots[hash & (SLOTS - 1)];
}

static void
use_generation(struct role_cache *cache, int64_t generation)
{
	if (cache->generation != generation)
		memset(cache->slots, 0, SLOTS * sizeof *cache->slots);
	cache->generation = generation;
}

bool
role_cache_get(struct role_cache *cache, int64_t generation, struct text user,
    struct text project, enum right *right)
{
	const struct slot *slot = slot_of(cache, user, project);

	use_generation(cache, generation);
	if (!text_equal((struct text){ slot->user, slot->user_size }, user) ||
	    !text_equal(
		(struct text){ slot->project, slot->project_size }, project))
		return false;
	*right = slot->right;
	return true;
}

void
role_cache_put(struct role_cache *cache, int64_t generation, struct text user,
    struct text project, enum right right)
{
	struct slot *slot = slot_of(cache, user, project);

	use_generation(cache, generation);
	if (user.size > sizeof slot->user || project.size > RID_MAX)
		return;
	memcpy(slot->user, user.at, user.size);
	memcpy(slot->project, project.at, project.size);
	slot->user_size = user.size;
	slot->project_size = project.size;
	slot->right = right;
}
