#include "tests/bench/clients.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TIMEOUT_MS 30000

_Noreturn void
die(const char *what, const char *why)
{
	fprintf(stderr, "bench: %s: %s\n", what, why);
	exit(1);
}

int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[256];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof text) !=
	    RD_KAFKA_CONF_OK)
		die(name, text);
}

rd_kafka_t *
client_create(rd_kafka_type_t type, const char *bootstrap,
    const char *const *settings, rd_kafka_conf_t *conf)
{
	rd_kafka_t *handle;
	char text[256];

	if (conf == NULL)
		conf = rd_kafka_conf_new();
	set(conf, "bootstrap.servers", bootstrap);
	for (; *settings != NULL; settings += 2)
		set(conf, settings[0], settings[1]);
	handle = rd_kafka_new(type, conf, text, sizeof text);
	if (handle == NULL)
		die("librdkafka", text);
	return handle;
}

/* How many partitions a topic has; one that was just made may take a moment. */
static int
count_partitions(rd_kafka_t *client, const char *topic)
{
	rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
	int64_t until = now_us() + TIMEOUT_MS * 1000;
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t code;
	int n = 0;

	while (n == 0 && now_us() < until) {
		code =
		    rd_kafka_metadata(client, 0, handle, &metadata, TIMEOUT_MS);
		if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
			die("metadata", rd_kafka_err2str(code));
		n = metadata->topics[0].partition_cnt;
		rd_kafka_metadata_destroy(metadata);
	}
	rd_kafka_topic_destroy(handle);
	if (n == 0)
		die(topic, "there is no such topic");
	return n;
}

int
client_assign_all(rd_kafka_t *consumer, const char *topic, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t code;
	int n = count_partitions(consumer, topic), i;

	list = rd_kafka_topic_partition_list_new(n);
	for (i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset =
		    offset;
	code = rd_kafka_assign(consumer, list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		die("assign", rd_kafka_err2str(code));
	rd_kafka_topic_partition_list_destroy(list);
	return n;
}

size_t
client_take(rd_kafka_t *consumer, rd_kafka_queue_t *queue,
    rd_kafka_message_t **messages, size_t max, int timeout_ms)
{
	ssize_t n;

	messages[0] = rd_kafka_consumer_poll(consumer, timeout_ms);
	if (messages[0] == NULL)
		return 0;
	n = max > 1
	    ? rd_kafka_consume_batch_queue(queue, 0, messages + 1, max - 1)
	    : 0;
	return 1 + (n > 0 ? (size_t)n : 0);
}
