#ifndef SCHEDRUN_COMMON_KAFKA_SPREAD_H
#define SCHEDRUN_COMMON_KAFKA_SPREAD_H

#include <stddef.h>
#include <stdint.h>

#include "common/kafka/client.h"

/*
 * Messages in the order of their partitions, those of one partition in the
 * order in which they came: so each partition's are handed to librdkafka in one
 * go.  Pure; part of kafka_transaction.  `{0}` is an empty one.
 */
struct kafka_stretch {
	size_t begin, end;
};

struct kafka_spread {
	uint32_t *order;                 /* numbers of the messages */
	struct kafka_stretch *stretches; /* of `order`, by partition */
	int32_t *partitions;             /* by message */
	size_t capacity, n_partitions;
};

/* Gives the memory back; `{0}` after it. */
void kafka_spread_finish(struct kafka_spread *spread);

/*
 * Spreads `n` messages over partitions 0 to before `n_partitions`; those
 * without a key or partition of their own, which may go anywhere, are the
 * stretch behind the last one.
 */
void kafka_spread(struct kafka_spread *spread,
    const struct kafka_message *messages, size_t n, int32_t n_partitions);

#endif
