#include "common/kafka/places.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

void
kafka_places_clear(struct kafka_places *places)
{
	size_t i;

	for (i = 0; i < places->n; i++)
		free(places->at[i].topic);
	places->n = 0;
	places->last = 0;
}

void
kafka_places_finish(struct kafka_places *places)
{
	kafka_places_clear(places);
	free(places->at);
	*places = (struct kafka_places){ 0 };
}

void
kafka_places_add(struct kafka_places *places, const char *topic,
    int32_t partition, int64_t next)
{
	struct kafka_place *place;

	if (places->n == places->capacity) {
		places->capacity = 2 * places->capacity + 16;
		places->at = memory_resize(
		    places->at, places->capacity, sizeof *places->at);
	}
	place = &places->at[places->n++];
	*place = (struct kafka_place){ .topic = memory_copy_string(topic),
		.partition = partition,
		.next = next };
}

static bool
is_place(const struct kafka_place *place, const void *handle, const char *topic,
    int32_t partition)
{
	return place->partition == partition &&
	    ((handle != NULL && place->handle == handle) ||
		strcmp(place->topic, topic) == 0);
}

struct kafka_place *
kafka_places_find(struct kafka_places *places, const void *handle,
    const char *topic, int32_t partition)
{
	size_t i;

	/* Records come in runs of one partition. */
	for (i = 0; i < places->n; i++) {
		size_t at = (places->last + i) % places->n;
		if (!is_place(&places->at[at], handle, topic, partition))
			continue;
		places->last = at;
		if (handle != NULL)
			places->at[at].handle = handle;
		return &places->at[at];
	}
	return NULL;
}
