#include "common/kafka/spread.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

void
kafka_spread_finish(struct kafka_spread *spread)
{
	free(spread->order);
	free(spread->partitions);
	free(spread->stretches);
	*spread = (struct kafka_spread){ 0 };
}

static int32_t
place_of(const struct kafka_message *message, int32_t n_partitions)
{
	if (message->pinned > 0)
		return message->pinned - 1;
	return message->key.at != NULL
	    ? kafka_partition_of(message->key, n_partitions)
	    : n_partitions;
}

/* A counting sort: how many each partition has, then where they begin. */
void
kafka_spread(struct kafka_spread *spread, const struct kafka_message *messages,
    size_t n, int32_t n_partitions)
{
	struct kafka_stretch *stretches;
	size_t begin = 0, i;

	if (n > spread->capacity) {
		spread->order =
		    memory_resize(spread->order, n, sizeof *spread->order);
		spread->partitions = memory_resize(
		    spread->partitions, n, sizeof *spread->partitions);
		spread->capacity = n;
	}
	spread->stretches = memory_resize(spread->stretches,
	    (size_t)n_partitions + 1, sizeof *spread->stretches);
	spread->n_partitions = (size_t)n_partitions;
	stretches = spread->stretches;
	memset(stretches, 0, (spread->n_partitions + 1) * sizeof *stretches);
	for (i = 0; i < n; i++) {
		spread->partitions[i] = place_of(&messages[i], n_partitions);
		stretches[spread->partitions[i]].end++;
	}
	for (i = 0; i <= spread->n_partitions; i++) {
		size_t size = stretches[i].end;

		stretches[i] = (struct kafka_stretch){ begin, begin };
		begin += size;
	}
	for (i = 0; i < n; i++)
		spread->order[stretches[spread->partitions[i]].end++] =
		    (uint32_t)i;
}
