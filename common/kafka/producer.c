#include "common/kafka/producer.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/kafka/message.h"
#include "common/kafka/query.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct kafka_producer {
	struct kafka_client client; /* first: librdkafka's opaque */
	rd_kafka_t *handle;
	rd_kafka_queue_t *queue;
	void (*delivered)(void *opaque, const struct kafka_delivery *delivery);
	void *opaque;
	size_t pending;
};

static void
on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
	struct kafka_producer *producer = opaque;
	struct kafka_delivery delivery = {
		.opaque = message->_private,
		.reason = "",
		.partition = message->partition,
		.offset = message->offset,
	};
	struct error err = { 0 };

	(void)handle;
	producer->pending--;
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_client_answered(&producer->client);
	} else {
		kafka_client_fail(&producer->client, KAFKA_CALL_DELIVERY,
		    (struct kafka_failure){
			.code = message->err, .fatal = producer->client.fatal },
		    &err, "not written", NULL);
		delivery.kind = err.kind;
		delivery.unsent = rd_kafka_message_status(message) ==
		    RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
		delivery.exit_code = err.exit_code;
		delivery.reason = err.message;
	}
	if (producer->delivered != NULL)
		producer->delivered(producer->opaque, &delivery);
}

static rd_kafka_conf_t *
configure_producer(struct kafka_producer *producer,
    const struct kafka_producer_options *options, struct error *err)
{
	char delivery_timeout[16], max_queued[24], linger[16];
	struct kafka_preset presets[] = {
		{ "enable.idempotence", "true", true },
		{ "acks", "all", true },
		{ "partitioner", "murmur2_random", true },
		{ "message.timeout.ms", delivery_timeout, false },
		{ "queue.buffering.max.messages", max_queued, false },
		{ "linger.ms", linger, false },
		{ "retry.backoff.ms", "20", false },
	};
	rd_kafka_conf_t *conf;
	int timeout_ms = options->delivery_timeout_ms;
	size_t queued = options->max_queued;

	snprintf(delivery_timeout, sizeof delivery_timeout, "%d",
	    timeout_ms > 0 ? timeout_ms : 10000);
	snprintf(
	    max_queued, sizeof max_queued, "%zu", queued > 0 ? queued : 100000);
	snprintf(linger, sizeof linger, "%d", options->linger_ms);
	conf = kafka_client_conf(&producer->client, &options->settings,
	    CONFIG_PRODUCER, presets, COUNT(presets), err);
	if (conf != NULL)
		rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	return conf;
}

struct kafka_producer *
kafka_producer_create(
    const struct kafka_producer_options *options, struct error *err)
{
	struct kafka_producer *producer = memory_zalloc(1, sizeof *producer);

	producer->delivered = options->delivered;
	producer->opaque = options->opaque;
	producer->client.strict_credentials = options->strict;
	producer->handle =
	    kafka_client_open(configure_producer(producer, options, err),
		RD_KAFKA_PRODUCER, "producer", err);
	if (producer->handle == NULL) {
		free(producer);
		return NULL;
	}
	producer->queue = rd_kafka_queue_get_main(producer->handle);
	return producer;
}

int
kafka_producer_destroy(struct kafka_producer *producer, int timeout_ms)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	int64_t left;

	if (producer == NULL)
		return 0;
	rd_kafka_flush(producer->handle, timeout_ms);
	rd_kafka_purge(producer->handle,
	    RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_flush(producer->handle, 100);
	rd_kafka_queue_destroy(producer->queue);
	left = until - clock_monotonic_ms();
	if (kafka_client_destroy_handle(
		producer->handle, left > 500 ? (int)left : 500) != 0)
		return -1; /* its threads may still look at `producer` */
	free(producer);
	return 0;
}

int
kafka_producer_send(struct kafka_producer *producer, const char *topic,
    const struct kafka_message *message, struct error *err)
{
	const struct kafka_partition to = { topic, RD_KAFKA_PARTITION_UA };
	rd_kafka_error_t *cause;

	if (producer->client.fatal)
		return error_fatal(err, 70,
		    "the kafka producer is broken: it must be made anew");
	cause = kafka_message_produce(
	    producer->handle, to, message, RD_KAFKA_MSG_F_COPY);
	if (cause != NULL)
		return kafka_client_fail_error(
		    &producer->client, KAFKA_CALL_SEND, cause, err, topic);
	producer->pending++;
	return 0;
}

int
kafka_producer_poll(struct kafka_producer *producer, int timeout_ms)
{
	return rd_kafka_poll(producer->handle, timeout_ms);
}

void
kafka_producer_notify(struct kafka_producer *producer, int fd)
{
	static const uint64_t one = 1;

	rd_kafka_queue_io_event_enable(producer->queue, fd, &one, sizeof one);
	/* Only an empty queue tells; what is in it by now would keep silent. */
	if (write(fd, &one, sizeof one) < 0)
		return; /* full: told already */
}

int
kafka_producer_flush(
    struct kafka_producer *producer, int timeout_ms, struct error *err)
{
	if (rd_kafka_flush(producer->handle, timeout_ms) ==
	    RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	return error_set(err, ERROR_RETRY,
	    "%zu records are not written after %d ms", producer->pending,
	    timeout_ms);
}

bool
kafka_producer_is_broken(const struct kafka_producer *producer)
{
	return producer->client.fatal;
}

int
kafka_producer_probe(struct kafka_producer *producer, const char *topic,
    int timeout_ms, struct error *err)
{
	int32_t n = kafka_query_partitions(
	    &producer->client, producer->handle, topic, timeout_ms, err);

	if (n == 0)
		return error_set(
		    err, ERROR_INPUT, "there is no topic %s", topic);
	if (n < 0 && producer->client.strict_credentials) {
		rd_kafka_poll(producer->handle, 0);
		if (producer->client.refusal[0] != '\0')
			kafka_client_fail_code(&producer->client,
			    KAFKA_CALL_QUERY, RD_KAFKA_RESP_ERR__TRANSPORT, err,
			    topic);
	}
	return n > 0 ? 0 : -1;
}

void
kafka_producer_cluster_id(
    struct kafka_producer *producer, char *id, size_t size)
{
	char *known = rd_kafka_clusterid(producer->handle, 0);

	snprintf(id, size, "%s", known != NULL ? known : "");
	if (known != NULL)
		rd_kafka_mem_free(producer->handle, known);
}
