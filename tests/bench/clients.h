#ifndef SCHEDRUN_BENCH_CLIENTS_H
#define SCHEDRUN_BENCH_CLIENTS_H

#include <librdkafka/rdkafka.h>
#include <stdint.h>

/*
 * What the benchmark's own programs share: librdkafka handles with nothing of
 * schedrun's around them.  Whatever goes wrong ends the program with a line.
 */
_Noreturn void die(const char *what, const char *why);

/* Microseconds since 1970. */
int64_t now_us(void);

/* `settings`: name, value, ..., NULL. */
rd_kafka_t *client_create(rd_kafka_type_t type, const char *bootstrap,
    const char *const *settings, rd_kafka_conf_t *conf);

/* Assigns all partitions of the topic, at RD_KAFKA_OFFSET_…; how many. */
int client_assign_all(rd_kafka_t *consumer, const char *topic, int64_t offset);

/*
 * What has arrived, `max` at most; waits for the first one only, which
 * rd_kafka_consume_batch_queue alone does not.
 */
size_t client_take(rd_kafka_t *consumer, rd_kafka_queue_t *queue,
    rd_kafka_message_t **messages, size_t max, int timeout_ms);

#endif
