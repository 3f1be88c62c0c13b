#include "common/kafka_places.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void
no_memory(void)
{
	static const char line[] = "no memory for partitions\n";
	ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);

	(void)written;
	_exit(71);
}

void
kafka_places_clear(struct kafka_places *places)
{
	for (size_t i = 0; i < places->n; i++)
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

static void
grow(struct kafka_places *places)
{
	size_t capacity = places->capacity == 0 ? 16 : 2 * places->capacity;
	struct kafka_place *at =
	    realloc(places->at, capacity * sizeof *places->at);

	if (at == NULL)
		no_memory();
	places->at = at;
	places->capacity = capacity;
}

void
kafka_places_add(struct kafka_places *places, const char *topic,
    int32_t partition, int64_t next)
{
	struct kafka_place *place;

	if (places->n == places->capacity)
		grow(places);
	place = &places->at[places->n++];
	*place = (struct kafka_place){
		.topic = strdup(topic), .partition = partition, .next = next
	};
	if (place->topic == NULL)
		no_memory();
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
	/* Records come in runs of one partition. */
	for (size_t i = 0; i < places->n; i++) {
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
