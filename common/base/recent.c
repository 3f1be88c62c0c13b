#include "common/base/recent.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define WAYS 8

struct place {
	uint64_t used; /* 0: free */
	uint8_t key[RECENT_KEY_SIZE];
	alignas(max_align_t) char value[];
};

struct recent {
	size_t n_sets, place_size, value_size;
	uint64_t uses;
	char *places;
};

struct recent *
recent_create(size_t capacity, size_t value_size)
{
	struct recent *recent = memory_zalloc(1, sizeof *recent);
	size_t align = alignof(max_align_t);

	recent->n_sets = (capacity + WAYS - 1) / WAYS;
	recent->value_size = value_size;
	recent->place_size =
	    (sizeof(struct place) + value_size + align - 1) / align * align;
	recent->places =
	    memory_zalloc(recent->n_sets * WAYS, recent->place_size);
	return recent;
}

void
recent_destroy(struct recent *recent)
{
	if (recent == NULL)
		return;
	free(recent->places);
	free(recent);
}

static struct place *
place_at(struct recent *recent, size_t set, size_t way)
{
	size_t i = set * WAYS + way;

	return (
	    struct place *)(void *)(recent->places + i * recent->place_size);
}

/* A digest's bytes are as good as any hash of it. */
static size_t
set_of(const struct recent *recent, const uint8_t *key)
{
	uint64_t head;

	memcpy(&head, key, sizeof head);
	return (size_t)(head % recent->n_sets);
}

void *
recent_find(struct recent *recent, const uint8_t key[RECENT_KEY_SIZE])
{
	size_t set = set_of(recent, key), way;

	for (way = 0; way < WAYS; way++) {
		struct place *place = place_at(recent, set, way);

		if (place->used == 0 ||
		    memcmp(place->key, key, RECENT_KEY_SIZE) != 0)
			continue;
		place->used = ++recent->uses;
		return place->value;
	}
	return NULL;
}

void *
recent_put(struct recent *recent, const uint8_t key[RECENT_KEY_SIZE])
{
	size_t set = set_of(recent, key), way;
	struct place *oldest = place_at(recent, set, 0);
	void *known = recent_find(recent, key);

	if (known != NULL)
		return known;
	for (way = 1; way < WAYS; way++)
		if (place_at(recent, set, way)->used < oldest->used)
			oldest = place_at(recent, set, way);
	oldest->used = ++recent->uses;
	memcpy(oldest->key, key, RECENT_KEY_SIZE);
	memset(oldest->value, 0, recent->value_size);
	return oldest->value;
}

void
recent_clear(struct recent *recent)
{
	memset(recent->places, 0, recent->n_sets * WAYS * recent->place_size);
}
