#ifndef SCHEDRUN_COMMON_KAFKA_QUERY_H
#define SCHEDRUN_COMMON_KAFKA_QUERY_H

#include <stdint.h>

#include "common/kafka/consumer.h"

/*
 * Questions to the brokers that any handle can ask.  Part of the kafka_
 * modules.  All block up to `timeout_ms`; any thread.
 *   ERROR_RETRY  no answer
 *   ERROR_INPUT  there is no such topic or partition
 */
struct rd_kafka_s;

#define KAFKA_OFFSET_UNKNOWN (-1001)

/*
 * Partitions of a topic; 0: there is no such topic; -1: failed.  NULL as topic
 * only asks a broker for an answer (0).
 */
int32_t kafka_query_partitions(struct kafka_client *client,
    struct rd_kafka_s *handle, const char *topic, int timeout_ms,
    struct error *err);

/*
 * The first offset whose timestamp is at or after `time_ms`: KAFKA_OFFSET_END
 * (-1) if there is none; or an end of what can be read of a partition now,
 * KAFKA_OFFSET_BEGINNING or KAFKA_OFFSET_END in place of the time.  A handle
 * that fetches of the same broker is answered behind its fetch, of half a
 * second.  KAFKA_OFFSET_UNKNOWN comes with `err`.
 */
int64_t kafka_query_offset_at(struct kafka_client *client,
    struct rd_kafka_s *handle, struct kafka_partition of, int64_t time_ms,
    int timeout_ms, struct error *err);

/* Both ends, one after the other: log start, last stable offset. */
int kafka_query_range(struct kafka_client *client, struct rd_kafka_s *handle,
    struct kafka_partition of, struct kafka_range *range, int timeout_ms,
    struct error *err);

#endif
