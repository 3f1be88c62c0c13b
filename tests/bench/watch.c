#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/clients.h"
#include "tests/bench/requests.h"

/*
 * watch BOOTSTRAP TOPIC N MIX copies|answers|results|builds: reads a
 * topic read_committed from its beginning until it holds what a backlog of N
 * records must give: a copy of each record; one result of each request,
 * whatever it says or as it must be; one build of each request whose schedule
 * is stale.  Says "done MICROSECONDS" when the last one became visible, goes on
 * until its input is closed and the topic read to its end, and says what was
 * there that should not have been.  Gives up when nothing more comes.
 */
#define PARTITIONS_MAX 64
#define SILENCE_US (60 * 1000000LL)

enum what { COPIES, ANSWERS, RESULTS, BUILDS };

struct watch {
	rd_kafka_t *consumer;
	const char *topic;
	enum what what;
	struct mix mix;
	uint64_t wanted, seen, doubled, wrong, n_requests;
	unsigned char *has; /* a bit per request */
	int64_t done_us;
	int n_partitions;
	int64_t ends[PARTITIONS_MAX]; /* where its end was reached; -1: not */
};

/* Sets the request's bit; whether it was set already. */
static bool
note(struct watch *watch, uint64_t request)
{
	unsigned char bit = (unsigned char)(1u << (request % 8));
	bool had = (watch->has[request / 8] & bit) != 0;

	watch->has[request / 8] |= bit;
	return had;
}

static void
judge(struct watch *watch, const rd_kafka_message_t *message)
{
	int submitted = 0;
	uint64_t request = request_read(
	    message->payload, message->len, &watch->mix, &submitted);
	bool right = request < watch->n_requests;

	if (right && watch->what == RESULTS)
		right = submitted == request_is_stale(request, &watch->mix);
	if (right && watch->what == BUILDS)
		right = request_is_stale(request, &watch->mix);
	if (!right)
		watch->wrong++;
	else if (note(watch, request) && watch->what != COPIES)
		watch->doubled++;
	else if (++watch->seen == watch->wanted)
		watch->done_us = now_us();
}

static void
take(struct watch *watch, rd_kafka_message_t *message)
{
	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		watch->ends[message->partition] = message->offset;
	} else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		die("consume", rd_kafka_message_errstr(message));
	} else {
		watch->ends[message->partition] = -1;
		judge(watch, message);
	}
	rd_kafka_message_destroy(message);
}

static bool
is_at_end(const struct watch *watch)
{
	int64_t low, high;
	int i;

	for (i = 0; i < watch->n_partitions; i++)
		if (rd_kafka_query_watermark_offsets(watch->consumer,
			watch->topic, i, &low, &high,
			5000) != RD_KAFKA_RESP_ERR_NO_ERROR ||
		    watch->ends[i] < high)
			return false;
	return true;
}

static bool
is_closed(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&poll_fd, 1, 0) > 0 && read(fd, &byte, 1) == 0;
}

static void
give_up(const struct watch *watch)
{
	char text[128];

	snprintf(text, sizeof text,
	    "%" PRIu64 " of %" PRIu64 " came, %" PRIu64 " doubled, %" PRIu64
	    " wrong, and nothing for a minute",
	    watch->seen, watch->wanted, watch->doubled, watch->wrong);
	die(watch->topic, text);
}

static void
read_topic(struct watch *watch, rd_kafka_queue_t *queue)
{
	rd_kafka_message_t *messages[10000];
	bool said = false, closed = false;
	int64_t last_us = now_us();
	size_t n, i;

	for (;;) {
		n = client_take(watch->consumer, queue, messages, 10000, 20);
		for (i = 0; i < n; i++)
			take(watch, messages[i]);
		if (n > 0)
			last_us = now_us();
		else if (!said && now_us() - last_us > SILENCE_US)
			give_up(watch);
		if (watch->seen >= watch->wanted && !said) {
			printf("done %" PRId64 "\n", watch->done_us);
			fflush(stdout);
			said = true;
		}
		closed = closed || (n == 0 && is_closed(STDIN_FILENO));
		if (closed && n == 0 && is_at_end(watch))
			return;
	}
}

static uint64_t
count_wanted(const struct watch *watch, uint64_t n)
{
	uint64_t i, wanted = 0;

	if (watch->what == COPIES)
		return n;
	if (watch->what != BUILDS)
		return requests_distinct(n);
	for (i = 0; i < n; i++)
		wanted += request_of_record(i) == i &&
		    request_is_stale(i, &watch->mix);
	return wanted;
}

int
main(int argc, char **argv)
{
	static const char *const settings[] = { "isolation.level",
		"read_committed", "group.id", "bench-watch",
		"enable.auto.commit", "false", "enable.partition.eof", "true",
		"queued.min.messages", "1000000", "queued.max.messages.kbytes",
		"32768", NULL };
	struct watch watch = { 0 };
	rd_kafka_queue_t *queue;

	if (argc != 6)
		die("usage",
		    "watch BOOTSTRAP TOPIC N MIX "
		    "copies|answers|results|builds");
	watch.topic = argv[2];
	watch.n_requests = strtoull(argv[3], NULL, 10);
	watch.mix = mix_parse(argv[4]);
	watch.what = argv[5][0] == 'c' ? COPIES
	    : argv[5][0] == 'a'        ? ANSWERS
	    : argv[5][0] == 'r'        ? RESULTS
				       : BUILDS;
	watch.wanted = count_wanted(&watch, watch.n_requests);
	watch.has = calloc(watch.n_requests / 8 + 1, 1);
	memset(watch.ends, 0xff, sizeof watch.ends);
	watch.consumer =
	    client_create(RD_KAFKA_CONSUMER, argv[1], settings, NULL);
	rd_kafka_poll_set_consumer(watch.consumer);
	queue = rd_kafka_queue_get_consumer(watch.consumer);
	watch.n_partitions = client_assign_all(
	    watch.consumer, watch.topic, RD_KAFKA_OFFSET_BEGINNING);
	if (watch.n_partitions > PARTITIONS_MAX)
		die(watch.topic, "too many partitions");
	read_topic(&watch, queue);
	printf("{\"wanted\": %" PRIu64 ", \"seen\": %" PRIu64
	       ", \"doubled\": %" PRIu64 ", \"wrong\": %" PRIu64 "}\n",
	    watch.wanted, watch.seen, watch.doubled, watch.wrong);
	rd_kafka_queue_destroy(queue);
	rd_kafka_consumer_close(watch.consumer);
	rd_kafka_destroy(watch.consumer);
	free(watch.has);
	return 0;
}
