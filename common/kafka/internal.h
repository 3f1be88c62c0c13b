#ifndef SCHEDRUN_COMMON_KAFKA_INTERNAL_H
#define SCHEDRUN_COMMON_KAFKA_INTERNAL_H

#include <librdkafka/rdkafka.h>

#include "common/kafka/spread.h"
#include "common/kafka/transaction.h"

/*
 * What transaction.c and transaction_produce.c share.  Nothing else includes
 * this.
 */

/* Messages that are handed to librdkafka in one call. */
#define KAFKA_TRANSACTION_CHUNK 1000

struct kafka_output {
	char *topic;
	rd_kafka_topic_t *handle; /* NULL until open */
	int32_t n_partitions;
};

struct kafka_transaction {
	struct kafka_client client; /* first: librdkafka's opaque */
	rd_kafka_t *handle;
	struct kafka_output *outputs;
	size_t n_outputs;
	int64_t asked_ms; /* when their partitions were */
	struct kafka_spread spread;
	int64_t slow_ms;    /* socket.timeout.ms */
	size_t batch_bytes; /* batch.size */
	bool opened, fenced;
	/* Since begin: */
	int64_t commit_started_ms;
	unsigned commits, events_at_begin, closed_at_begin;
	bool slow;
	struct kafka_delivery_counts counts;
	rd_kafka_message_t chunk[KAFKA_TRANSACTION_CHUNK];
};

/* Whether the error says that another producer has taken this one's place. */
bool kafka_transaction_is_fencing(rd_kafka_resp_err_t code);

#endif
