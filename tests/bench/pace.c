#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/clients.h"
#include "tests/bench/requests.h"

/*
 * pace BOOTSTRAP FROM TO RATE COUNT MIX FIRST: asks for requests FIRST,
 * FIRST + 1, ... at RATE per second, whether or not answers come (an open loop,
 * so that a stall is felt by all that come during it), and measures from each
 * one's due time to when its answer is visible to a read_committed consumer.
 * The first tenth warms up.
 */
#define WAIT_US 20000000

struct pace {
	rd_kafka_t *producer, *consumer;
	rd_kafka_topic_t *from;
	double rate;
	uint64_t n, first;
	struct mix mix;
	int n_partitions, n_ends;
	atomic_int_least64_t *due_us;
	int64_t *latency_us; /* -1: no answer yet */
	uint64_t n_answers, n_wrong;
};

static void
sleep_until(int64_t us)
{
	struct timespec at = { us / 1000000, us % 1000000 * 1000 };

	clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL);
}

static void *
ask(void *argument)
{
	struct pace *pace = argument;
	int64_t start = now_us();
	char value[REQUEST_SIZE_MAX], key[SCHEDULE_SIZE + 1];
	uint64_t i;
	size_t size;

	for (i = 0; i < pace->n; i++) {
		int64_t due = start + (int64_t)((double)i * 1e6 / pace->rate);

		sleep_until(due);
		pace->due_us[i] = due;
		size = request_encode(
		    pace->first + i, &pace->mix, due / 1000, value);
		request_schedule(pace->first + i, &pace->mix, key);
		if (rd_kafka_produce(pace->from, RD_KAFKA_PARTITION_UA,
			RD_KAFKA_MSG_F_COPY, value, size, key, SCHEDULE_SIZE,
			NULL) != 0)
			die("produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(pace->producer, 0);
	}
	return NULL;
}

static void
take(struct pace *pace, const rd_kafka_message_t *message)
{
	int submitted;
	uint64_t i;

	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		pace->n_ends++;
		return;
	}
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		die("consume", rd_kafka_message_errstr(message));
	i = request_read(
		message->payload, message->len, &pace->mix, &submitted) -
	    pace->first;
	if (i >= pace->n || pace->latency_us[i] >= 0) {
		pace->n_wrong++;
		return;
	}
	pace->latency_us[i] = now_us() - pace->due_us[i];
	pace->n_answers++;
}

static void
hear(struct pace *pace, int timeout_ms)
{
	rd_kafka_message_t *message =
	    rd_kafka_consumer_poll(pace->consumer, timeout_ms);

	if (message == NULL)
		return;
	take(pace, message);
	rd_kafka_message_destroy(message);
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
report(struct pace *pace)
{
	uint64_t skipped = pace->n / 10, n = pace->n - skipped;
	int64_t *sorted = pace->latency_us + skipped;

	qsort(sorted, n, sizeof *sorted, compare);
	printf("{\"asked\": %" PRIu64 ", \"answered\": %" PRIu64
	       ", \"wrong\": %" PRIu64 ", \"p50_ms\": %.2f, \"p99_ms\": %.2f, "
	       "\"max_ms\": %.2f}\n",
	    pace->n, pace->n_answers, pace->n_wrong,
	    (double)sorted[n / 2] / 1000, (double)sorted[n * 99 / 100] / 1000,
	    (double)sorted[n - 1] / 1000);
}

static void
open_clients(struct pace *pace, char **argv)
{
	static const char *const producing[] = { "acks", "all", "partitioner",
		"murmur2_random", "linger.ms", "0", NULL };
	static const char *const consuming[] = { "isolation.level",
		"read_committed", "group.id", "bench-pace",
		"enable.auto.commit", "false", "enable.partition.eof", "true",
		"fetch.error.backoff.ms", "5", NULL };

	pace->producer =
	    client_create(RD_KAFKA_PRODUCER, argv[1], producing, NULL);
	pace->from = rd_kafka_topic_new(pace->producer, argv[2], NULL);
	pace->consumer =
	    client_create(RD_KAFKA_CONSUMER, argv[1], consuming, NULL);
	rd_kafka_poll_set_consumer(pace->consumer);
	pace->n_partitions =
	    client_assign_all(pace->consumer, argv[3], RD_KAFKA_OFFSET_END);
	while (pace->n_ends < pace->n_partitions)
		hear(pace, 100);
}

int
main(int argc, char **argv)
{
	struct pace pace = { 0 };
	pthread_t thread;
	int64_t last_us;
	uint64_t i, before;

	if (argc != 8)
		die("usage", "pace BOOTSTRAP FROM TO RATE COUNT MIX FIRST");
	pace.rate = strtod(argv[4], NULL);
	pace.n = strtoull(argv[5], NULL, 10);
	pace.mix = mix_parse(argv[6]);
	pace.first = strtoull(argv[7], NULL, 10);
	pace.due_us = calloc(pace.n, sizeof *pace.due_us);
	pace.latency_us = calloc(pace.n, sizeof *pace.latency_us);
	for (i = 0; i < pace.n; i++)
		pace.latency_us[i] = -1;
	open_clients(&pace, argv);
	pthread_create(&thread, NULL, ask, &pace);
	last_us = now_us();
	while (pace.n_answers < pace.n && now_us() - last_us < WAIT_US) {
		before = pace.n_answers;
		hear(&pace, 100);
		if (pace.n_answers > before)
			last_us = now_us();
	}
	pthread_join(thread, NULL);
	report(&pace);
	rd_kafka_topic_destroy(pace.from);
	rd_kafka_destroy(pace.producer);
	rd_kafka_consumer_close(pace.consumer);
	rd_kafka_destroy(pace.consumer);
	return 0;
}
