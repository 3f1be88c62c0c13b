#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/clients.h"
#include "tests/bench/requests.h"

/*
 * backlog BOOTSTRAP TOPIC N MIX [FIRST]: puts the records of the mix from
 * FIRST (0) on and below N on the topic, keyed by schedule.
 */
static uint64_t failed;

static void
on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
	(void)handle;
	(void)opaque;
	failed += message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void
send_record(rd_kafka_t *producer, rd_kafka_topic_t *topic, uint64_t request,
    const struct mix *mix)
{
	char value[REQUEST_SIZE_MAX], key[SCHEDULE_SIZE + 1];
	size_t size = request_encode(request, mix, now_us() / 1000, value);

	request_schedule(request, mix, key);
	while (
	    rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
		value, size, key, SCHEDULE_SIZE, NULL) != 0) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die("produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(producer, 50);
	}
}

int
main(int argc, char **argv)
{
	static const char *const settings[] = { "acks", "all", "partitioner",
		"murmur2_random", "enable.idempotence", "true", "linger.ms",
		"20", "batch.size", "1000000", "batch.num.messages", "10000",
		NULL };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *producer;
	rd_kafka_topic_t *topic;
	struct mix mix;
	uint64_t n, i;

	if (argc < 5)
		die("usage", "backlog BOOTSTRAP TOPIC N MIX [FIRST]");
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	producer = client_create(RD_KAFKA_PRODUCER, argv[1], settings, conf);
	topic = rd_kafka_topic_new(producer, argv[2], NULL);
	n = strtoull(argv[3], NULL, 10);
	mix = mix_parse(argv[4]);
	for (i = argc > 5 ? strtoull(argv[5], NULL, 10) : 0; i < n; i++) {
		send_record(producer, topic, request_of_record(i), &mix);
		if (i % 1000 == 0)
			rd_kafka_poll(producer, 0);
	}
	if (rd_kafka_flush(producer, 60000) != RD_KAFKA_RESP_ERR_NO_ERROR ||
	    failed > 0)
		die("backlog", "records were not acknowledged");
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(producer);
	return 0;
}
