/*
 * The Kafka modules against a real broker: what is committed is seen, what is
 * aborted is not, a twin is fenced, an old generation is refused, a seek goes
 * back, nothing is skipped and nothing comes twice.
 *
 *     build/integration/kafka 127.0.0.1:9092 [NAME...]
 *
 * Topics and groups carry the process's id and are removed at the end.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/config/config.h"
#include "common/kafka/admin.h"
#include "common/kafka/consumer.h"
#include "common/kafka/producer.h"
#include "common/kafka/transaction.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define PARTITIONS 3
#define BATCH 5000

static unsigned passed, failed;
static struct kafka_settings settings;
static struct kafka_admin *admin;
static const char *brokers;
static char topic_in[64], topic_out[64], topic_small[64];

#define CHECK(what) check((what), #what, __LINE__)

static bool
check(bool ok, const char *what, int line)
{
	if (ok)
		passed++;
	else
		failed++;
	if (!ok)
		printf("  line %d: %s\n", line, what);
	return ok;
}

/* A step that the test can't go on without. */
static void
must(bool ok, const char *what, const struct error *err)
{
	if (ok)
		return;
	printf("  %s: %s\n", what, err != NULL ? err->message : "");
	printf("%u passed, %u failed\n", passed, failed + 1);
	exit(1);
}

/* Tools ------------------------------------------------------------------ */

struct seen {
	int assigned, revoked, lost, moved;
	size_t partitions;
	int64_t committed;
	int64_t moved_to;
	int refuse;       /* how often to answer "not now" */
	int64_t start_at; /* 0: as it comes */
};

static int
on_assigned(void *opaque, struct kafka_position *positions, size_t n)
{
	struct seen *seen = opaque;

	if (seen->refuse > 0) {
		seen->refuse--;
		return -1;
	}
	seen->assigned++;
	seen->partitions = n;
	seen->committed = n > 0 ? positions[0].committed : -1;
	for (size_t i = 0; i < n; i++)
		if (seen->start_at != 0)
			positions[i].offset = seen->start_at;
	return 0;
}

static void
on_revoked(void *opaque, bool lost)
{
	struct seen *seen = opaque;

	seen->revoked++;
	seen->lost += lost;
}

static void
on_moved(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct seen *seen = opaque;

	(void)topic;
	(void)partition;
	seen->moved++;
	seen->moved_to = offset;
}

static struct kafka_consumer *
make_consumer(const char *group, struct seen *seen, bool accept_loss)
{
	struct kafka_consumer_options options = {
		.settings = settings,
		.group = group,
		.accept_loss = accept_loss,
		.events = { .assigned = on_assigned,
		    .revoked = on_revoked,
		    .moved = on_moved,
		    .opaque = seen },
	};
	struct error err = { 0 };
	struct kafka_consumer *consumer = kafka_consumer_create(&options, &err);

	must(consumer != NULL, "create a consumer", &err);
	return consumer;
}

static struct kafka_consumer *
join(const char *group, struct seen *seen)
{
	struct kafka_consumer *consumer = make_consumer(group, seen, false);
	const char *topics[] = { topic_in };
	struct error err = { 0 };

	must(kafka_consumer_subscribe(consumer, topics, 1, &err) == 0,
	    "subscribe", &err);
	return consumer;
}

static struct kafka_consumer *
read_topic(const char *topic, struct seen *seen)
{
	struct kafka_consumer *consumer = make_consumer(NULL, seen, true);
	struct kafka_start starts[PARTITIONS];
	struct error err = { 0 };

	for (int32_t i = 0; i < PARTITIONS; i++)
		starts[i] =
		    (struct kafka_start){ topic, i, KAFKA_FROM_BEGINNING, 0 };
	must(kafka_consumer_assign(consumer, starts, PARTITIONS, 10000, &err) ==
		0,
	    "assign", &err);
	return consumer;
}

/* Reads and counts until `want` records came or `wait_ms` passed. */
static size_t
drain(struct kafka_consumer *consumer, size_t want, int wait_ms)
{
	static struct kafka_record records[BATCH];
	int64_t until = clock_monotonic_ms() + wait_ms;
	size_t n = 0;

	while (n < want && clock_monotonic_ms() < until) {
		struct error err = { 0 };
		int got =
		    kafka_consumer_poll(consumer, records, BATCH, 100, &err);
		if (got > 0) {
			n += (size_t)got;
			kafka_records_release(records, (size_t)got);
		}
	}
	return n;
}

/* Reads exactly `want` records, or fewer if they don't come. */
static int
collect(struct kafka_consumer *consumer, struct kafka_record *records, int want)
{
	int64_t until = clock_monotonic_ms() + 5000;
	int n = 0;

	while (n < want && clock_monotonic_ms() < until) {
		int got = kafka_consumer_poll(
		    consumer, records + n, (size_t)(want - n), 200, NULL);
		n += got > 0 ? got : 0;
	}
	return n;
}

static void
on_delivered(void *opaque, const struct kafka_delivery *delivery)
{
	size_t *written = opaque;

	if (delivery->kind == ERROR_NONE)
		(*written)++;
}

/* `n` records with keys "k<i mod 100>" and values "<i>". */
static void
fill(const char *topic, size_t n)
{
	size_t written = 0;
	struct kafka_producer_options options = {
		.settings = settings,
		.linger_ms = 5,
		.delivery_timeout_ms = 30000,
		.delivered = on_delivered,
		.opaque = &written,
	};
	struct error err = { 0 };
	struct kafka_producer *producer = kafka_producer_create(&options, &err);
	char key[16], value[24];

	must(producer != NULL, "create a producer", &err);
	must(kafka_producer_probe(producer, topic, 10000, &err) == 0, "probe",
	    &err);
	for (size_t i = 0; i < n;) {
		struct kafka_message message = {
			.key = { key,
			    (size_t)snprintf(
				key, sizeof key, "k%zu", i % 100) },
			.value = { value,
			    (size_t)snprintf(value, sizeof value, "%zu", i) },
		};
		if (kafka_producer_send(producer, topic, &message, &err) == 0)
			i++;
		else
			must(err.kind == ERROR_RETRY, "send", &err);
		kafka_producer_poll(producer, err.kind == ERROR_RETRY ? 10 : 0);
		err.kind = ERROR_NONE;
	}
	must(kafka_producer_flush(producer, 30000, &err) == 0, "flush", &err);
	must(written == n, "all written", NULL);
	CHECK(kafka_producer_destroy(producer, 5000) == 0);
}

static struct kafka_transaction *
open_transaction(const char *id)
{
	const char *topics[] = { topic_out, topic_small };
	struct kafka_transaction_options options = {
		.settings = settings,
		.transactional_id = id,
		.topics = topics,
		.n_topics = 2,
	};
	struct error err = { 0 };
	struct kafka_transaction *transaction =
	    kafka_transaction_create(&options, &err);
	int64_t until = clock_monotonic_ms() + 40000;

	must(transaction != NULL, "create a transaction", &err);
	while (kafka_transaction_open(transaction, 5000, &err) != 0) {
		must(err.kind == ERROR_RETRY && clock_monotonic_ms() < until,
		    "open a transaction", &err);
		usleep(100000);
	}
	return transaction;
}

static int
commit(struct kafka_transaction *transaction, struct error *err)
{
	int64_t until = clock_monotonic_ms() + 18000;

	while (kafka_transaction_commit(transaction, 5000, err) != 0)
		if (err->kind != ERROR_RETRY || clock_monotonic_ms() > until)
			return -1;
	return 0;
}

static void
produce_some(struct kafka_transaction *transaction, size_t n)
{
	static const struct kafka_header header = { { "traceparent", 11 },
		{ "00-1-2-01", 9 } };
	struct error err = { 0 };

	for (size_t i = 0; i < n; i++) {
		struct kafka_message message = {
			.key = TEXT("key"),
			.value = TEXT("value"),
			.headers = &header,
			.n_headers = i % 2,
		};
		must(kafka_transaction_produce(
			 transaction, 0, &message, 1, 1000, &err) == 0,
		    "produce", &err);
	}
}

/* Tests ------------------------------------------------------------------ */

/* A young broker makes its topic of groups at the first question. */
static int
look_at_group(
    const char *name, struct arena *arena, struct kafka_group_info *info)
{
	int64_t until = clock_monotonic_ms() + 10000;
	struct error err = { 0 };
	int rc;

	do {
		err.kind = 0;
		rc = kafka_admin_group(admin, name, arena, info, &err);
	} while (
	    rc != 0 && err.kind == ERROR_RETRY && clock_monotonic_ms() < until);
	return rc;
}

static void
test_admin(void)
{
	struct arena *arena = arena_create(0);
	struct kafka_topic topics[] = { { .name = topic_in },
		{ .name = "no-such-topic-here" } };
	struct kafka_topic_spec again = {
		.name = topic_in, .partitions = 1, .replication = 1
	};
	struct kafka_group_info info;
	struct error err = { 0 };
	struct kafka_log logs[PARTITIONS];

	CHECK(kafka_admin_cluster_id(admin, arena, &err) != NULL);
	CHECK(kafka_admin_brokers(admin, &err) == 1);
	CHECK(kafka_admin_describe_topics(admin, topics, 2, true, &err) == 0);
	CHECK(topics[0].partitions == PARTITIONS);
	CHECK(topics[0].replication == 1);
	CHECK(topics[0].configs_known);
	CHECK(topics[0].max_message_bytes == 1048588);
	CHECK(strcmp(topics[0].cleanup_policy, "delete") == 0);
	CHECK(topics[1].partitions == 0);
	CHECK(!topics[1].configs_known);
	CHECK(kafka_admin_create_topics(admin, &again, 1, false, &err) == 0);
	CHECK(again.existed);
	again.name = "bad name!";
	CHECK(kafka_admin_create_topics(admin, &again, 1, false, &err) != 0);
	CHECK(err.kind == ERROR_INPUT);
	CHECK(look_at_group("no-such-group-here", arena, &info) == 0);
	CHECK(strcmp(info.state, "Dead") == 0 && info.n_members == 0);
	CHECK(kafka_admin_logs(admin, topic_in, logs, PARTITIONS, &err) == 0);
	CHECK(logs[0].start == 0 && logs[0].stable == 0 && logs[0].end == 0);
	CHECK(
	    kafka_admin_logs(admin, "no-such-topic-here", logs, 1, &err) != 0);
	CHECK(err.kind == ERROR_INPUT);
	arena_destroy(arena);
}

/* A topic that was made answers: its leaders are ready, not only named. */
/* By librdkafka itself: no program deletes a topic. */
static void
delete_topics(const char *const *names, size_t n)
{
	rd_kafka_DeleteTopic_t *topics[3];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_queue_t *queue;
	rd_kafka_event_t *event;
	rd_kafka_t *handle;
	char text[256];

	for (size_t i = 0; i < n; i++)
		topics[i] = rd_kafka_DeleteTopic_new(names[i]);
	rd_kafka_conf_set(
	    conf, "bootstrap.servers", brokers, text, sizeof text);
	handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	queue = rd_kafka_queue_new(handle);
	rd_kafka_DeleteTopics(handle, topics, n, NULL, queue);
	event = rd_kafka_queue_poll(queue, 10000);
	CHECK(event != NULL && rd_kafka_event_error(event) == 0);
	if (event != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_DeleteTopic_destroy_array(topics, n);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(handle);
}

static void
test_new_topics(void)
{
	char name[64];
	const char *names[] = { name };
	struct kafka_topic_spec spec = {
		.name = name, .partitions = PARTITIONS, .replication = 1
	};
	struct kafka_log logs[PARTITIONS];

	for (int i = 0; i < 50; i++) {
		struct error err = { 0 };
		snprintf(name, sizeof name, "it-%d-new-%d", (int)getpid(), i);
		must(kafka_admin_create_topics(admin, &spec, 1, false, &err) ==
			0,
		    "create a topic", &err);
		if (!CHECK(kafka_admin_logs(
			       admin, name, logs, PARTITIONS, &err) == 0))
			printf("  %s: %s\n", name, err.message);
		delete_topics(names, 1);
	}
}

static void
test_through(void)
{
	const size_t n = 200000;
	static struct kafka_record records[BATCH];
	int64_t next[100], started, took;
	struct seen seen = { 0 };
	struct kafka_consumer *consumer;
	size_t got = 0, wrong = 0, misplaced = 0;

	started = clock_monotonic_ms();
	fill(topic_in, n);
	took = clock_monotonic_ms() - started;
	printf("  plain producer: %lld records/s\n",
	    (long long)(n * 1000 / (size_t)(took + 1)));
	for (int i = 0; i < 100; i++)
		next[i] = i;
	consumer = read_topic(topic_in, &seen);
	started = clock_monotonic_ms();
	while (got < n && clock_monotonic_ms() - started < 30000) {
		struct error err = { 0 };
		int count =
		    kafka_consumer_poll(consumer, records, BATCH, 200, &err);
		must(count >= 0, "poll", &err);
		for (int i = 0; i < count; i++) {
			int64_t value = strtoll(records[i].value.at, NULL, 10);
			wrong += value != next[value % 100];
			next[value % 100] = value + 100;
			misplaced += kafka_partition_of(records[i].key,
					 PARTITIONS) != records[i].partition;
		}
		kafka_records_release(records, (size_t)count);
		got += (size_t)count;
	}
	took = clock_monotonic_ms() - started;
	printf("  consumer: %lld records/s\n",
	    (long long)(n * 1000 / (size_t)(took + 1)));
	CHECK(got == n);
	CHECK(wrong == 0);
	CHECK(misplaced == 0);
	CHECK(kafka_consumer_close(consumer, 5000) == 0);
}

static void
test_visibility(void)
{
	struct seen seen = { 0 };
	struct kafka_consumer *reader = read_topic(topic_out, &seen);
	struct kafka_transaction *transaction = open_transaction("it-visible");
	struct kafka_delivery_counts counts;
	struct kafka_header header;
	struct kafka_record records[10];
	struct error err = { 0 };

	must(kafka_transaction_begin(transaction, &err) == 0, "begin", &err);
	produce_some(transaction, 4);
	CHECK(drain(reader, 1, 500) == 0);
	CHECK(commit(transaction, &err) == 0);
	kafka_transaction_counts(transaction, &counts);
	CHECK(counts.produced == 4 && counts.delivered == 4);
	CHECK(!kafka_transaction_is_suspect(transaction));
	CHECK(collect(reader, records, 4) == 4);
	CHECK(!kafka_record_header(&records[0], 0, &header));
	CHECK(kafka_record_header(&records[1], 0, &header));
	CHECK(text_equal(header.name, TEXT("traceparent")));
	CHECK(text_equal(header.value, TEXT("00-1-2-01")));
	CHECK(!kafka_record_header(&records[1], 1, &header));
	kafka_records_release(records, 4);

	must(kafka_transaction_begin(transaction, &err) == 0, "begin", &err);
	produce_some(transaction, 4);
	CHECK(kafka_transaction_abort(transaction, 5000, &err) == 0);
	CHECK(kafka_transaction_destroy(transaction, 5000) == 0);
	CHECK(drain(reader, 1, 500) == 0);
	CHECK(kafka_consumer_close(reader, 5000) == 0);
}

static void
test_nulls(void)
{
	static const struct kafka_header headers[] = {
		{ { "a", 1 }, { NULL, 0 } }, { { "b", 1 }, { "", 0 } }
	};
	struct kafka_message messages[] = {
		{ .key = TEXT("k"),
		    .value = { NULL, 0 },
		    .headers = headers,
		    .n_headers = 2 },
		{ .key = TEXT("k"), .value = { "", 0 } },
		{ .key = { "k", 1 },
		    .value = TEXT("v"),
		    .timestamp_ms = 1234567890123 },
	};
	size_t written = 0;
	struct kafka_producer_options options = { .settings = settings,
		.delivered = on_delivered,
		.opaque = &written };
	struct error err = { 0 };
	struct kafka_producer *producer = kafka_producer_create(&options, &err);
	struct seen seen = { 0 };
	struct kafka_consumer *reader = read_topic(topic_out, &seen);
	struct kafka_record records[10];
	struct kafka_header header;
	size_t earlier = drain(reader, 100, 1000);

	(void)earlier;
	for (size_t i = 0; i < COUNT(messages); i++)
		CHECK(kafka_producer_send(
			  producer, topic_out, &messages[i], &err) == 0);
	CHECK(kafka_producer_flush(producer, 5000, &err) == 0);
	CHECK(written == 3);
	CHECK(collect(reader, records, 3) == 3);
	CHECK(records[0].value.at == NULL);
	CHECK(kafka_record_header(&records[0], 0, &header) &&
	    header.value.at == NULL);
	CHECK(kafka_record_header(&records[0], 1, &header) &&
	    header.value.at != NULL && header.value.size == 0);
	CHECK(records[1].value.at != NULL && records[1].value.size == 0);
	CHECK(records[2].timestamp_ms == 1234567890123);
	kafka_records_release(records, 3);
	CHECK(kafka_producer_send(
		  producer, "no-such-topic-here", &messages[0], &err) == 0 ||
	    err.kind == ERROR_INPUT);
	CHECK(kafka_producer_destroy(producer, 1000) == 0);
	CHECK(kafka_consumer_close(reader, 5000) == 0);
}

static void
test_zombie(void)
{
	struct kafka_transaction *old = open_transaction("it-zombie"), *new;
	struct error err = { 0 };

	must(kafka_transaction_begin(old, &err) == 0, "begin", &err);
	produce_some(old, 2);
	new = open_transaction("it-zombie");
	CHECK(commit(old, &err) != 0);
	CHECK(err.kind == ERROR_ABORT);
	CHECK(kafka_transaction_is_fenced(old));
	CHECK(kafka_transaction_is_suspect(old));
	must(kafka_transaction_begin(new, &err) == 0, "begin", &err);
	produce_some(new, 2);
	CHECK(commit(new, &err) == 0);
	CHECK(kafka_transaction_destroy(old, 5000) == 0);
	CHECK(kafka_transaction_destroy(new, 5000) == 0);
}

static void
test_too_large(void)
{
	static char big[20000];
	struct kafka_message message = { .key = TEXT("k"),
		.value = { big, sizeof big } };
	struct kafka_transaction *transaction = open_transaction("it-large");
	struct kafka_delivery_counts counts;
	struct error err = { 0 };

	must(kafka_transaction_begin(transaction, &err) == 0, "begin", &err);
	CHECK(kafka_transaction_produce(
		  transaction, 1, &message, 1, 1000, &err) == 0);
	CHECK(commit(transaction, &err) != 0);
	CHECK(err.kind == ERROR_ABORT);
	kafka_transaction_counts(transaction, &counts);
	CHECK(counts.failed == 1 && counts.too_large == 1);
	CHECK(strstr(err.message, topic_small) != NULL);
	kafka_transaction_abort(transaction, 5000, NULL);
	CHECK(kafka_transaction_destroy(transaction, 5000) == 0);
}

/* Reads one batch in the group; `next` gets the offsets behind it. */
static size_t
read_batch(struct kafka_consumer *consumer, struct kafka_record *records,
    size_t max, struct kafka_offset *next, size_t *n_next)
{
	struct error err = { 0 };
	int64_t until = clock_monotonic_ms() + 15000;
	int n = 0;

	while (n == 0 && clock_monotonic_ms() < until) {
		n = kafka_consumer_poll(consumer, records, max, 500, &err);
		must(n >= 0 || err.kind == ERROR_RETRY, "poll", &err);
		n = n < 0 ? 0 : n;
	}
	*n_next = 0;
	for (int i = 0; i < n; i++) {
		size_t j = 0;
		while (j < *n_next && next[j].partition != records[i].partition)
			j++;
		next[j] = (struct kafka_offset){ records[i].partition,
			records[i].offset + 1 };
		*n_next = j == *n_next ? j + 1 : *n_next;
	}
	return (size_t)n;
}

static void
test_offsets(void)
{
	char group[64];
	struct seen seen = { 0 };
	struct kafka_consumer *consumer;
	struct kafka_transaction *transaction = open_transaction("it-offsets");
	struct kafka_record records[100], again[100];
	struct kafka_offset next[PARTITIONS];
	struct kafka_group *generation;
	struct error err = { 0 };
	size_t n, n_next;
	int64_t committed[PARTITIONS];
	int64_t until = clock_monotonic_ms() + 20000;

	snprintf(group, sizeof group, "it-offsets-%d", (int)getpid());
	consumer = join(group, &seen);
	n = read_batch(consumer, records, 100, next, &n_next);
	CHECK(n > 0 && seen.assigned == 1 && seen.partitions == PARTITIONS);
	CHECK(seen.committed == -1);
	CHECK(kafka_consumer_is_joined(consumer));
	generation = kafka_consumer_group(consumer, &err);
	must(generation != NULL, "generation", &err);

	/* Aborted: the same records come again after seeking back. */
	must(kafka_transaction_begin(transaction, &err) == 0, "begin", &err);
	CHECK(kafka_transaction_send_offsets(transaction, generation,
		  (struct kafka_offset_list){ topic_in, next, n_next }, 5000,
		  &err) == 0);
	CHECK(kafka_transaction_abort(transaction, 5000, &err) == 0);
	CHECK(kafka_transaction_destroy(transaction, 5000) == 0);
	CHECK(kafka_consumer_seek(consumer, topic_in,
		  (struct kafka_offset){
		      records[0].partition, records[0].offset },
		  5000, &err) == 0);
	for (size_t i = 0; i < n; i++)
		if (records[i].partition != records[0].partition)
			kafka_consumer_seek(consumer, topic_in,
			    (struct kafka_offset){ records[i].partition, 0 },
			    5000, &err);
	CHECK(read_batch(consumer, again, 1, next, &n_next) == 1);
	CHECK(again[0].offset == 0);
	kafka_records_release(again, 1);
	kafka_records_release(records, n);

	/* Committed: the group's offset moved. */
	transaction = open_transaction("it-offsets");
	must(kafka_transaction_begin(transaction, &err) == 0, "begin", &err);
	CHECK(kafka_transaction_send_offsets(transaction, generation,
		  (struct kafka_offset_list){ topic_in, next, n_next }, 5000,
		  &err) == 0);
	CHECK(commit(transaction, &err) == 0);
	/* The broker writes its markers after it has answered. */
	do
		must(kafka_admin_group_offsets(admin,
			 (struct kafka_group_topic){ group, topic_in },
			 committed, PARTITIONS, &err) == 0,
		    "group's offsets", &err);
	while (
	    committed[next[0].partition] == -1 && clock_monotonic_ms() < until);
	CHECK(committed[next[0].partition] == next[0].offset);
	kafka_group_destroy(generation);
	CHECK(kafka_transaction_destroy(transaction, 5000) == 0);
	CHECK(kafka_consumer_close(consumer, 5000) == 0);
	CHECK(seen.revoked == 1 && seen.lost == 0);
}

static void
test_old_generation(void)
{
	char group[64];
	struct seen one = { 0 }, two = { 0 };
	struct kafka_consumer *first, *second;
	struct kafka_transaction *transaction = open_transaction("it-old");
	struct kafka_offset place = { 0, 1 };
	struct kafka_group *old, *now;
	struct kafka_group_info info;
	struct arena *arena = arena_create(0);
	struct error err = { 0 };
	int64_t until = clock_monotonic_ms() + 20000;

	snprintf(group, sizeof group, "it-old-%d", (int)getpid());
	first = join(group, &one);
	while (!kafka_consumer_is_joined(first) && clock_monotonic_ms() < until)
		drain(first, 1, 200);
	old = kafka_consumer_group(first, &err);
	must(old != NULL, "generation", &err);
	second = join(group, &two);
	while (clock_monotonic_ms() < until &&
	    !(two.assigned == 1 && one.assigned == 2)) {
		drain(first, BATCH, 50);
		drain(second, BATCH, 50);
	}
	CHECK(one.assigned == 2 && one.revoked == 1);
	CHECK(two.assigned == 1);
	CHECK(one.partitions + two.partitions == PARTITIONS);
	CHECK(kafka_admin_group(admin, group, arena, &info, &err) == 0);
	CHECK(strcmp(info.state, "Stable") == 0 && info.n_members == 2);
	CHECK(info.members[0].n_partitions + info.members[1].n_partitions ==
	    PARTITIONS);

	must(kafka_transaction_begin(transaction, &err) == 0, "begin", &err);
	CHECK(kafka_transaction_send_offsets(transaction, old,
		  (struct kafka_offset_list){ topic_in, &place, 1 }, 5000,
		  &err) != 0);
	CHECK(err.kind == ERROR_ABORT);
	kafka_transaction_abort(transaction, 5000, NULL);
	CHECK(kafka_transaction_destroy(transaction, 5000) == 0);

	now = kafka_consumer_group(first, &err);
	transaction = open_transaction("it-old");
	must(kafka_transaction_begin(transaction, &err) == 0, "begin", &err);
	CHECK(kafka_transaction_send_offsets(transaction, now,
		  (struct kafka_offset_list){ topic_in, &place, 1 }, 5000,
		  &err) == 0);
	CHECK(commit(transaction, &err) == 0);
	kafka_group_destroy(old);
	kafka_group_destroy(now);
	CHECK(kafka_transaction_destroy(transaction, 5000) == 0);
	CHECK(kafka_consumer_close(first, 5000) == 0);
	CHECK(kafka_consumer_close(second, 5000) == 0);
	arena_destroy(arena);
}

/*
 * Offsets of a transaction that is still open: a new member must wait for its
 * outcome, not read from the beginning or from before it.
 */
static void
test_open_offsets(void)
{
	char group[64];
	struct seen seen = { 0 };
	struct kafka_consumer *consumer;
	struct kafka_transaction *transaction = open_transaction("it-open");
	struct kafka_offset place = { 0, 7 };
	struct kafka_group *generation;
	struct error err = { 0 };
	int64_t until = clock_monotonic_ms() + 20000;

	snprintf(group, sizeof group, "it-open-%d", (int)getpid());
	consumer = join(group, &seen);
	while (
	    !kafka_consumer_is_joined(consumer) && clock_monotonic_ms() < until)
		drain(consumer, 1, 200);
	generation = kafka_consumer_group(consumer, &err);
	must(generation != NULL, "generation", &err);
	must(kafka_transaction_begin(transaction, &err) == 0, "begin", &err);
	produce_some(transaction, 1);
	CHECK(kafka_transaction_send_offsets(transaction, generation,
		  (struct kafka_offset_list){ topic_in, &place, 1 }, 5000,
		  &err) == 0);
	kafka_group_destroy(generation);
	CHECK(kafka_consumer_close(consumer, 5000) == 0);

	memset(&seen, 0, sizeof seen);
	consumer = join(group, &seen);
	CHECK(drain(consumer, 1, 3000) == 0);
	CHECK(seen.assigned == 0);
	CHECK(!kafka_consumer_is_joined(consumer));
	CHECK(commit(transaction, &err) == 0);
	CHECK(drain(consumer, 1, 10000) >= 1);
	CHECK(seen.assigned == 1);
	CHECK(seen.committed == 7);
	CHECK(kafka_transaction_destroy(transaction, 5000) == 0);
	CHECK(kafka_consumer_close(consumer, 5000) == 0);
}

/* The user's own places, and "not now". */
static void
test_own_places(void)
{
	char group[64];
	struct seen seen = { .refuse = 2, .start_at = 11 };
	struct kafka_consumer *consumer;
	struct kafka_record record;
	struct error err = { 0 };
	int64_t until = clock_monotonic_ms() + 20000;
	int n = 0;

	snprintf(group, sizeof group, "it-own-%d", (int)getpid());
	consumer = join(group, &seen);
	while (n <= 0 && clock_monotonic_ms() < until)
		n = kafka_consumer_poll(consumer, &record, 1, 200, &err);
	CHECK(n == 1 && record.offset == 11);
	CHECK(seen.refuse == 0 && seen.assigned == 1);
	if (n == 1)
		kafka_records_release(&record, 1);
	CHECK(kafka_consumer_close(consumer, 5000) == 0);
}

/* Pauses and seeks at random; the offsets must still be without a gap. */
static void
test_wandering(void)
{
	static struct kafka_record records[BATCH];
	struct seen seen = { 0 };
	struct kafka_consumer *consumer = read_topic(topic_in, &seen);
	int64_t next[PARTITIONS] = { 0 };
	struct kafka_log logs[PARTITIONS];
	struct error err = { 0 };
	size_t total = 0, gaps = 0;
	int64_t until = clock_monotonic_ms() + 60000;
	unsigned random = 42;
	int steps = 0;

	CHECK(kafka_admin_logs(admin, topic_in, logs, PARTITIONS, &err) == 0);
	while (clock_monotonic_ms() < until) {
		size_t left = 0;
		int n = kafka_consumer_poll(consumer, records,
		    1 + (size_t)rand_r(&random) % 2000, 100, &err);
		for (int i = 0; i < n; i++) {
			int32_t p = records[i].partition;
			gaps += records[i].offset != next[p];
			next[p] = records[i].offset + 1;
		}
		if (n > 0)
			kafka_records_release(records, (size_t)n);
		total += n > 0 ? (size_t)n : 0;
		for (int p = 0; p < PARTITIONS; p++)
			left += (size_t)(logs[p].end - next[p]);
		if (left == 0)
			break;
		if (++steps > 300)
			continue;
		int32_t p = (int32_t)(rand_r(&random) % PARTITIONS);
		int dice = (int)(rand_r(&random) % 4);
		if (dice == 0) {
			CHECK(kafka_consumer_pause(consumer, &err) == 0);
			CHECK(drain(consumer, 1, 2) == 0);
		}
		if (dice <= 1 && next[p] > 300) {
			next[p] -= (int64_t)(rand_r(&random) % 300);
			CHECK(kafka_consumer_seek(consumer, topic_in,
				  (struct kafka_offset){ p, next[p] }, 5000,
				  &err) == 0);
		}
		if (dice == 0)
			CHECK(kafka_consumer_resume(consumer, &err) == 0);
	}
	printf("  %zu records over %d steps\n", total, steps);
	CHECK(gaps == 0);
	for (int p = 0; p < PARTITIONS; p++)
		CHECK(next[p] == logs[p].end);
	CHECK(kafka_consumer_close(consumer, 5000) == 0);
}

static void
delete_before(const char *topic, int32_t partition, int64_t offset)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new(1);
	rd_kafka_DeleteRecords_t *order;
	rd_kafka_queue_t *queue;
	rd_kafka_event_t *event;
	rd_kafka_t *handle;

	rd_kafka_conf_set(
	    conf, "bootstrap.servers", brokers, text, sizeof text);
	handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	queue = rd_kafka_queue_new(handle);
	rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
	    offset;
	order = rd_kafka_DeleteRecords_new(list);
	rd_kafka_DeleteRecords(handle, &order, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, 10000);
	must(event != NULL && rd_kafka_event_error(event) == 0,
	    "delete records", NULL);
	rd_kafka_event_destroy(event);
	rd_kafka_DeleteRecords_destroy(order);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(handle);
}

static void
test_loss(void)
{
	struct kafka_start start = { topic_in, 0, KAFKA_FROM_OFFSET, 10 };
	struct kafka_start behind = { topic_in, 0, KAFKA_FROM_OFFSET,
		1000000000 };
	struct seen seen = { 0 };
	struct kafka_consumer *strict = make_consumer(NULL, &seen, false);
	struct kafka_consumer *lax = make_consumer(NULL, &seen, true);
	struct kafka_record record;
	struct error err = { 0 };
	int64_t until = clock_monotonic_ms() + 10000;
	int n;

	delete_before(topic_in, 0, 100);
	CHECK(kafka_consumer_assign(strict, &start, 1, 5000, &err) == 0);
	do
		n = kafka_consumer_poll(strict, &record, 1, 500, &err);
	while (n == 0 && clock_monotonic_ms() < until);
	CHECK(n == -1 && err.kind == ERROR_FATAL && err.exit_code == 65);
	CHECK(strstr(err.message, "10..99") != NULL);

	CHECK(kafka_consumer_assign(lax, &start, 1, 5000, &err) == 0);
	do
		n = kafka_consumer_poll(lax, &record, 1, 500, &err);
	while (n == 0 && clock_monotonic_ms() < until);
	CHECK(n == 1 && record.offset == 100);
	CHECK(seen.moved == 1 && seen.moved_to == 100);
	if (n == 1)
		kafka_records_release(&record, 1);

	/* Behind the end: the topic is not the one it was. */
	CHECK(kafka_consumer_assign(lax, &behind, 1, 5000, &err) == 0);
	do
		n = kafka_consumer_poll(lax, &record, 1, 500, &err);
	while (n == 0 && clock_monotonic_ms() < until);
	CHECK(n == 1 && record.offset == 100);
	CHECK(seen.moved == 2);
	if (n == 1)
		kafka_records_release(&record, 1);
	CHECK(kafka_consumer_close(strict, 5000) == 0);
	CHECK(kafka_consumer_close(lax, 5000) == 0);
}

static void
test_times(void)
{
	struct seen seen = { 0 };
	struct kafka_consumer *reader = make_consumer(NULL, &seen, true);
	const struct kafka_search search = { topic_in, false };
	struct kafka_first first = { .partition = 1 };
	struct error err = { 0 };
	struct kafka_partition of = { topic_in, 1 };
	struct kafka_range range;
	int64_t at;

	CHECK(kafka_consumer_range(reader, of, &range, 5000, &err) == 0);
	CHECK(kafka_consumer_offset_at(reader, of, 0, &at, 5000, &err) == 0 &&
	    at == range.start);
	CHECK(kafka_consumer_offset_at(reader, of, clock_wall_ms() + 1000000,
		  &at, 5000, &err) == 0 &&
	    at == range.end);
	CHECK(kafka_admin_search(admin, &search, &first, 1, &err) == 0);
	CHECK(first.time_ms > clock_wall_ms() - 600000 &&
	    first.time_ms <= clock_wall_ms());
	CHECK(kafka_consumer_partitions(reader, topic_in, 5000, &err) ==
	    PARTITIONS);
	CHECK(kafka_consumer_partitions(
		  reader, "no-such-topic-here", 5000, &err) == 0);
	CHECK(kafka_consumer_close(reader, 5000) == 0);
}

/* A consumer of brokers that are none, of which the second leads the topic. */
static struct kafka_consumer *
make_consumer_of(const char *addresses)
{
	char property[256];
	struct config_flag flag = { CONFIG_FLAG_KAFKA, property };
	struct error err = { 0 };
	struct kafka_consumer_options options = { 0 };
	struct kafka_consumer *consumer;
	struct config *config;

	snprintf(property, sizeof property, "bootstrap.servers=%s", addresses);
	config = config_load(NULL, &flag, 1, &err);
	must(config != NULL, "configuration", &err);
	options.settings.config = config;
	consumer = kafka_consumer_create(&options, &err);
	must(consumer != NULL, "create a consumer", &err);
	config_destroy(config);
	return consumer;
}

/*
 * The leader can't be reached, the others can: who asks for its log's range is
 * told in time that there is no answer.  One that waits is ended by SIGALRM.
 */
static void
test_leader_away(void)
{
	char why[256];
	rd_kafka_t *handle =
	    rd_kafka_new(RD_KAFKA_PRODUCER, NULL, why, sizeof why);
	rd_kafka_mock_cluster_t *mock = rd_kafka_mock_cluster_new(handle, 2);
	struct kafka_consumer *consumer =
	    make_consumer_of(rd_kafka_mock_cluster_bootstraps(mock));
	struct kafka_partition of = { "led", 0 };
	struct kafka_range range;
	struct error err = { 0 };
	int64_t began;

	rd_kafka_mock_topic_create(mock, of.topic, 1, 1);
	rd_kafka_mock_partition_set_leader(mock, of.topic, 0, 2);
	CHECK(kafka_consumer_range(consumer, of, &range, 5000, &err) == 0 &&
	    range.start == 0 && range.end == 0);
	rd_kafka_mock_broker_set_down(mock, 2);
	began = clock_monotonic_ms();
	alarm(20);
	CHECK(kafka_consumer_range(consumer, of, &range, 500, &err) == -1 &&
	    err.kind == ERROR_RETRY);
	alarm(0);
	CHECK(clock_monotonic_ms() - began < 5000);
	CHECK(kafka_consumer_close(consumer, 5000) == 0);
	rd_kafka_mock_cluster_destroy(mock);
	rd_kafka_destroy(handle);
}

static void
test_waking(void)
{
	struct seen seen = { 0 };
	struct kafka_consumer *reader = make_consumer(NULL, &seen, true);
	struct kafka_start start = { topic_out, 0, KAFKA_FROM_END, 0 };
	struct kafka_record record;
	struct error err = { 0 };
	int64_t started;

	CHECK(kafka_consumer_assign(reader, &start, 1, 5000, &err) == 0);
	kafka_consumer_poll(reader, &record, 1, 100, &err);
	kafka_consumer_wake(reader);
	started = clock_monotonic_ms();
	CHECK(kafka_consumer_poll(reader, &record, 1, 3000, &err) == 0);
	CHECK(clock_monotonic_ms() - started < 1000);
	CHECK(kafka_consumer_close(reader, 5000) == 0);
}

static void
test_health(void)
{
	struct kafka_settings none = { .health = kafka_health_create() };
	struct kafka_consumer_options options = { .settings = none };
	struct error err = { 0 };
	struct kafka_consumer *consumer = kafka_consumer_create(&options, &err);
	struct kafka_state state;

	kafka_health_read(settings.health, 600000, &state);
	CHECK(state.up);
	/* Nobody listens on the default port here. */
	must(consumer != NULL, "create a consumer", &err);
	CHECK(kafka_consumer_partitions(consumer, topic_in, 1500, &err) < 0);
	CHECK(err.kind == ERROR_RETRY);
	kafka_consumer_poll(consumer, NULL, 0, 0, &err);
	kafka_health_read(none.health, 10000, &state);
	CHECK(!state.up && state.reason[0] != '\0');
	CHECK(kafka_consumer_close(consumer, 5000) == 0);
	kafka_health_destroy(none.health);
}

/* Rate of a transactional copy of values, single-threaded. */
static void
test_rate(void)
{
	static struct kafka_record records[20000];
	static struct kafka_message messages[20000];
	struct seen seen = { 0 };
	struct kafka_consumer *reader = read_topic(topic_in, &seen);
	struct kafka_transaction *transaction = open_transaction("it-rate");
	struct error err = { 0 };
	int64_t started = clock_monotonic_ms(), took = 0, producing = 0;
	size_t total = 0;

	for (;;) {
		int n = kafka_consumer_poll(reader, records, 10000, 1000, &err);
		int64_t mark;
		if (n <= 0)
			break;
		for (int i = 0; i < n; i++)
			messages[i] =
			    (struct kafka_message){ .key = records[i].key,
				    .value = records[i].value };
		must(kafka_transaction_begin(transaction, &err) == 0, "begin",
		    &err);
		mark = clock_monotonic_ms();
		must(kafka_transaction_produce(
			 transaction, 0, messages, (size_t)n, 1000, &err) == 0,
		    "produce", &err);
		producing += clock_monotonic_ms() - mark;
		must(commit(transaction, &err) == 0, "commit", &err);
		CHECK(!kafka_transaction_is_suspect(transaction));
		kafka_records_release(records, (size_t)n);
		total += (size_t)n;
		took = clock_monotonic_ms() - started;
	}
	printf("  copy in transactions, one thread: %lld records/s "
	       "(produce call %.2f us each)\n",
	    (long long)(total * 1000 / (size_t)(took + 1)),
	    (double)producing * 1000 / (double)(total + 1));
	CHECK(kafka_transaction_destroy(transaction, 5000) == 0);
	CHECK(kafka_consumer_close(reader, 5000) == 0);
}

/* ------------------------------------------------------------------------ */

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "admin", test_admin },
	{ "new_topics", test_new_topics },
	{ "through", test_through },
	{ "visibility", test_visibility },
	{ "nulls", test_nulls },
	{ "zombie", test_zombie },
	{ "too_large", test_too_large },
	{ "offsets", test_offsets },
	{ "old_generation", test_old_generation },
	{ "open_offsets", test_open_offsets },
	{ "own_places", test_own_places },
	{ "wandering", test_wandering },
	{ "rate", test_rate },
	{ "times", test_times },
	{ "leader_away", test_leader_away },
	{ "waking", test_waking },
	{ "loss", test_loss },
	{ "health", test_health },
};

static bool
wanted(const char *name, int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc <= 2 || strcmp(name, "through") == 0;
}

static void
create_topics(void)
{
	static const struct config_property small = { "max.message.bytes",
		"10000" };
	struct kafka_topic_spec specs[] = {
		{ .name = topic_in,
		    .partitions = PARTITIONS,
		    .replication = 1 },
		{ .name = topic_out,
		    .partitions = PARTITIONS,
		    .replication = 1 },
		{ .name = topic_small,
		    .partitions = 1,
		    .replication = 1,
		    .configs = &small,
		    .n_configs = 1 },
	};
	struct error err = { 0 };

	snprintf(topic_in, sizeof topic_in, "it-%d-in", (int)getpid());
	snprintf(topic_out, sizeof topic_out, "it-%d-out", (int)getpid());
	snprintf(topic_small, sizeof topic_small, "it-%d-small", (int)getpid());
	must(kafka_admin_create_topics(
		 admin, specs, COUNT(specs), false, &err) == 0,
	    "create topics", &err);
	must(!specs[0].existed, "topics are new", NULL);
}

int
main(int argc, char **argv)
{
	char property[256];
	struct config_flag flag = { CONFIG_FLAG_KAFKA, property };
	struct error err = { 0 };
	struct config *config;

	brokers = argc > 1 ? argv[1] : "127.0.0.1:9092";
	snprintf(property, sizeof property, "bootstrap.servers=%s", brokers);
	log_configure(LOG_WARN, LOG_LOGFMT, 100);
	config = config_load(NULL, &flag, 1, &err);
	must(config != NULL, "configuration", &err);
	settings.config = config;
	settings.health = kafka_health_create();
	admin = kafka_admin_create(&settings, 10000, &err);
	must(admin != NULL, "admin client", &err);
	create_topics();
	for (size_t i = 0; i < COUNT(tests); i++) {
		if (!wanted(tests[i].name, argc, argv))
			continue;
		int64_t started = clock_monotonic_ms();
		printf("%s\n", tests[i].name);
		fflush(stdout);
		tests[i].run();
		printf(
		    "  %lld ms\n", (long long)(clock_monotonic_ms() - started));
	}
	delete_topics((const char *[]){ topic_in, topic_out, topic_small }, 3);
	kafka_admin_destroy(admin);
	kafka_health_destroy(settings.health);
	config_destroy(config);
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
