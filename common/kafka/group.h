#ifndef SCHEDRUN_COMMON_KAFKA_GROUP_H
#define SCHEDRUN_COMMON_KAFKA_GROUP_H

#include <stdbool.h>

#include "common/kafka/consumer.h"

/*
 * A consumer's generation and member id at one moment.  Part of kafka_consumer;
 * destroyed from any thread.
 */
struct rd_kafka_s;

/* NULL: the library has none.  `group_id` is the group's name. */
struct kafka_group *kafka_group_take(
    struct rd_kafka_s *handle, const char *group_id);

/*
 * Whether it names a member: librdkafka forgets generation and member id apart
 * from each other when it loses its membership, before the application hears of
 * it, and Kafka takes offsets with neither from anybody.
 */
bool kafka_group_is_member(const struct kafka_group *group);

/* Both may be NULL, which equals nothing. */
bool kafka_group_equal(
    const struct kafka_group *left, const struct kafka_group *right);

#endif
