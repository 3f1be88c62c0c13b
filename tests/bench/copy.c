#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "tests/bench/clients.h"

/*
 * What no worker can beat, as programs:
 *   copy BOOTSTRAP GROUP FROM TO                 bytes in, the same bytes out
 *   copy BOOTSTRAP GROUP FROM TO REDIS-PORT      the floor: also HGET and
 *       SET NX GET PX per message, pipelined 1,000 deep
 * Both exactly once in Kafka's transactions, double-buffered: one batch is
 * prepared while the one before is committed.  Says "assigned MICROSECONDS";
 * ends on SIGTERM.  They do nothing else: no check, no recovery, no order of
 * errors.
 */
#define BATCH_MAX 10000
#define PIPELINE 1000
#define PARTITIONS_MAX 64
#define CALL_MS 30000

struct batch {
	rd_kafka_message_t *messages[BATCH_MAX];
	size_t n;
	rd_kafka_consumer_group_metadata_t *group;
};

struct copy {
	const char *from;
	rd_kafka_t *consumer, *producer;
	rd_kafka_queue_t *queue;
	rd_kafka_topic_t *to;
	redisContext *redis; /* NULL: copy alone */
	char *commands;      /* a pipeline's */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct batch *given; /* being committed; NULL: none */
	rd_kafka_message_t out[BATCH_MAX];
};

static atomic_bool stopping;

static void
on_signal(int number)
{
	(void)number;
	stopping = true;
}

static void
must(rd_kafka_error_t *error, const char *what)
{
	if (error != NULL)
		die(what, rd_kafka_error_string(error));
}

/* An empty callback: without one 2.0.2 looks every 10 ms whether it is done. */
static void
on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
	(void)handle;
	(void)opaque;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		die("deliver", rd_kafka_err2str(message->err));
}

/* Commit ----------------------------------------------------------------- */

static void
produce_partition(
    struct copy *copy, const struct batch *batch, int32_t partition)
{
	size_t n = 0, i;

	for (i = 0; i < batch->n; i++) {
		const rd_kafka_message_t *in = batch->messages[i];

		if (in->partition != partition)
			continue;
		copy->out[n++] = (rd_kafka_message_t){ .payload = in->payload,
			.len = in->len,
			.key = in->key,
			.key_len = in->key_len };
	}
	if (n > 0 &&
	    rd_kafka_produce_batch(copy->to, partition, 0, copy->out, (int)n) !=
		(int)n)
		die("produce", "not all were taken");
}

static void
commit(struct copy *copy, const struct batch *batch)
{
	rd_kafka_topic_partition_list_t *offsets =
	    rd_kafka_topic_partition_list_new(PARTITIONS_MAX);
	int64_t next[PARTITIONS_MAX] = { 0 };
	int32_t partition;
	size_t i;

	must(rd_kafka_begin_transaction(copy->producer), "begin");
	for (i = 0; i < batch->n; i++)
		next[batch->messages[i]->partition] =
		    batch->messages[i]->offset + 1;
	for (partition = 0; partition < PARTITIONS_MAX; partition++) {
		if (next[partition] == 0)
			continue;
		produce_partition(copy, batch, partition);
		rd_kafka_topic_partition_list_add(
		    offsets, copy->from, partition)
		    ->offset = next[partition];
	}
	must(rd_kafka_send_offsets_to_transaction(
		 copy->producer, offsets, batch->group, CALL_MS),
	    "send offsets");
	must(rd_kafka_commit_transaction(copy->producer, CALL_MS), "commit");
	rd_kafka_topic_partition_list_destroy(offsets);
}

static void
empty(struct batch *batch)
{
	size_t i;

	for (i = 0; i < batch->n; i++)
		rd_kafka_message_destroy(batch->messages[i]);
	if (batch->group != NULL)
		rd_kafka_consumer_group_metadata_destroy(batch->group);
	batch->group = NULL;
	batch->n = 0;
}

static void *
run_commits(void *argument)
{
	struct copy *copy = argument;

	pthread_mutex_lock(&copy->lock);
	for (;;) {
		while (copy->given == NULL)
			pthread_cond_wait(&copy->changed, &copy->lock);
		pthread_mutex_unlock(&copy->lock);
		commit(copy, copy->given);
		empty(copy->given);
		pthread_mutex_lock(&copy->lock);
		copy->given = NULL;
		pthread_cond_signal(&copy->changed);
		rd_kafka_queue_yield(copy->queue);
	}
	return NULL;
}

static bool
is_committing(struct copy *copy)
{
	bool committing;

	pthread_mutex_lock(&copy->lock);
	committing = copy->given != NULL;
	pthread_mutex_unlock(&copy->lock);
	return committing;
}

static void
give(struct copy *copy, struct batch *batch)
{
	pthread_mutex_lock(&copy->lock);
	while (copy->given != NULL)
		pthread_cond_wait(&copy->changed, &copy->lock);
	copy->given = batch;
	pthread_cond_signal(&copy->changed);
	pthread_mutex_unlock(&copy->lock);
}

/* Read ------------------------------------------------------------------- */

/* HGET of the schedule and SET NX GET PX of the request, for each message. */
static void
ask_redis(struct copy *copy, rd_kafka_message_t *const *messages, size_t n)
{
	char *at = copy->commands;
	void *reply;
	size_t i;

	for (i = 0; i < n; i++)
		at += sprintf(at,
		    "*3\r\n$4\r\nHGET\r\n$10\r\nschedrun:s\r\n$%zu\r\n%.*s\r\n"
		    "*7\r\n$3\r\nSET\r\n$45\r\nschedrun:%.*s\r\n$1\r\n1\r\n"
		    "$2\r\nNX\r\n$3\r\nGET\r\n$2\r\nPX\r\n$8\r\n86400000\r\n",
		    messages[i]->key_len, (int)messages[i]->key_len,
		    (const char *)messages[i]->key, 36,
		    (const char *)messages[i]->payload + 6);
	if (redisAppendFormattedCommand(copy->redis, copy->commands,
		(size_t)(at - copy->commands)) != REDIS_OK)
		die("redis", copy->redis->errstr);
	for (i = 0; i < 2 * n; i++) {
		if (redisGetReply(copy->redis, &reply) != REDIS_OK)
			die("redis", copy->redis->errstr);
		if (((redisReply *)reply)->type == REDIS_REPLY_ERROR)
			die("redis", ((redisReply *)reply)->str);
		freeReplyObject(reply);
	}
}

/* Drops what is no record; how many are left. */
static size_t
keep_records(rd_kafka_message_t **messages, size_t n)
{
	size_t kept = 0, i;

	for (i = 0; i < n; i++) {
		if (messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			messages[kept++] = messages[i];
		else
			rd_kafka_message_destroy(messages[i]);
	}
	return kept;
}

static void
fill(struct copy *copy, struct batch *batch)
{
	while (!stopping && batch->n < BATCH_MAX) {
		rd_kafka_message_t **place = batch->messages + batch->n;
		size_t room = BATCH_MAX - batch->n;
		size_t n = client_take(copy->consumer, copy->queue, place,
		    room < PIPELINE ? room : PIPELINE, batch->n > 0 ? 1 : 100);
		size_t kept = keep_records(place, n);

		if (copy->redis != NULL && kept > 0)
			ask_redis(copy, place, kept);
		batch->n += kept;
		if (batch->n > 0 && !is_committing(copy))
			break;
	}
}

static void
on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t code,
    rd_kafka_topic_partition_list_t *list, void *opaque)
{
	(void)opaque;
	if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		rd_kafka_assign(consumer, NULL);
		return;
	}
	printf("assigned %" PRId64 "\n", now_us());
	fflush(stdout);
	rd_kafka_assign(consumer, list);
}

static void
work(struct copy *copy)
{
	static struct batch batches[2];
	unsigned turn = 0;

	for (; !stopping; turn++) {
		struct batch *batch = &batches[turn % 2];

		fill(copy, batch);
		if (batch->n == 0)
			continue;
		batch->group = rd_kafka_consumer_group_metadata(copy->consumer);
		give(copy, batch);
	}
}

/* Start ------------------------------------------------------------------ */

static void
create_consumer(struct copy *copy, const char *bootstrap, const char *group)
{
	const char *settings[] = { "group.id", group, "isolation.level",
		"read_committed", "enable.auto.commit", "false",
		"auto.offset.reset", "earliest",
		"partition.assignment.strategy", "range", "queued.min.messages",
		"1000000", NULL };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *topics =
	    rd_kafka_topic_partition_list_new(1);

	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	copy->consumer =
	    client_create(RD_KAFKA_CONSUMER, bootstrap, settings, conf);
	rd_kafka_poll_set_consumer(copy->consumer);
	copy->queue = rd_kafka_queue_get_consumer(copy->consumer);
	rd_kafka_topic_partition_list_add(
	    topics, copy->from, RD_KAFKA_PARTITION_UA);
	rd_kafka_subscribe(copy->consumer, topics);
	rd_kafka_topic_partition_list_destroy(topics);
}

static void
create_producer(struct copy *copy, const char *bootstrap, const char *group,
    const char *topic)
{
	const char *settings[] = { "transactional.id", group, "linger.ms", "0",
		"retry.backoff.ms", "5", "queue.buffering.max.messages",
		"100000", NULL };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	copy->producer =
	    client_create(RD_KAFKA_PRODUCER, bootstrap, settings, conf);
	must(rd_kafka_init_transactions(copy->producer, CALL_MS), "init");
	copy->to = rd_kafka_topic_new(copy->producer, topic, NULL);
}

int
main(int argc, char **argv)
{
	static struct copy copy;
	pthread_t thread;

	if (argc < 5)
		die("usage", "copy BOOTSTRAP GROUP FROM TO [REDIS-PORT]");
	signal(SIGTERM, on_signal);
	copy.from = argv[3];
	pthread_mutex_init(&copy.lock, NULL);
	pthread_cond_init(&copy.changed, NULL);
	if (argc > 5) {
		copy.redis = redisConnect("127.0.0.1", atoi(argv[5]));
		if (copy.redis == NULL || copy.redis->err != 0)
			die("redis", "can't connect");
		copy.commands = malloc(PIPELINE * 512);
	}
	create_producer(&copy, argv[1], argv[2], argv[4]);
	create_consumer(&copy, argv[1], argv[2]);
	pthread_create(&thread, NULL, run_commits, &copy);
	work(&copy);
	while (is_committing(&copy))
		rd_kafka_poll(copy.producer, 10);
	return 0; /* the process's end closes what is open */
}
