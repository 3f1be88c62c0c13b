#ifndef SCHEDRUN_COMMON_KAFKA_MESSAGE_H
#define SCHEDRUN_COMMON_KAFKA_MESSAGE_H

#include "common/kafka/client.h"
#include "common/kafka/query.h"

struct rd_kafka_error_s;

/*
 * Hands one message of ours to librdkafka: key and headers are copied, the
 * value if `flags` says so (RD_KAFKA_MSG_F_COPY).  Partition -1: the one of its
 * key.  NULL: accepted; else the error, to be destroyed.  Part of
 * kafka_producer and kafka_transaction.
 */
struct rd_kafka_error_s *kafka_message_produce(struct rd_kafka_s *handle,
    struct kafka_partition to, const struct kafka_message *message, int flags);

/* librdkafka does not write to what it gets, but does not say so. */
static inline void *
kafka_unconst(const char *at)
{
	union {
		const char *in;
		void *out;
	} either = { .in = at };

	return either.out;
}

#endif
