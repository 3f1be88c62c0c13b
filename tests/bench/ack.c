#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/clients.h"

/*
 * ack BOOTSTRAP TOPIC RATE SECONDS: what one acks=all produce takes.  Produces
 * RATE records per second, whether or not reports come, and measures from each
 * one's due time to its delivery report.  The first tenth warms up.
 */
#define VALUE_SIZE 300 /* about a RunRequest with its headers */

static int64_t *latency_us;
static size_t n_latencies, warm;

static void
on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
	int64_t due = (int64_t)(intptr_t)message->_private;

	(void)handle;
	(void)opaque;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		die("delivery", rd_kafka_err2str(message->err));
	latency_us[n_latencies++] = now_us() - due;
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
run(rd_kafka_t *producer, const char *topic, double rate, size_t n)
{
	rd_kafka_topic_t *handle = rd_kafka_topic_new(producer, topic, NULL);
	int64_t start = now_us();
	char value[VALUE_SIZE] = { 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		int64_t due = start + (int64_t)((double)i * 1e6 / rate), wait;

		while ((wait = due - now_us()) > 0)
			rd_kafka_poll(producer, (int)((wait + 999) / 1000));
		if (rd_kafka_produce(handle, RD_KAFKA_PARTITION_UA,
			RD_KAFKA_MSG_F_COPY, value, sizeof value, &i, sizeof i,
			(void *)(intptr_t)due) != 0)
			die("produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(producer, 0);
	}
	rd_kafka_flush(producer, 20000);
	rd_kafka_topic_destroy(handle);
}

int
main(int argc, char **argv)
{
	static const char *const settings[] = { "enable.idempotence", "true",
		"acks", "all", "linger.ms", "0", NULL };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *producer;
	double rate;
	size_t n;

	if (argc != 5) {
		fprintf(stderr, "usage: ack BOOTSTRAP TOPIC RATE SECONDS\n");
		return 64;
	}
	rate = atof(argv[3]);
	n = (size_t)(rate * atof(argv[4]));
	latency_us = calloc(n + 1, sizeof *latency_us);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	producer = client_create(RD_KAFKA_PRODUCER, argv[1], settings, conf);
	run(producer, argv[2], rate, n);
	if (n_latencies != n)
		die("delivery", "reports are missing");
	warm = n / 10;
	qsort(latency_us + warm, n - warm, sizeof *latency_us, compare);
	printf("{\"p50_us\":%" PRId64 ",\"p99_us\":%" PRId64 "}\n",
	    latency_us[warm + (n - warm) / 2],
	    latency_us[warm + (n - warm) * 99 / 100]);
	rd_kafka_destroy(producer);
	return 0;
}
