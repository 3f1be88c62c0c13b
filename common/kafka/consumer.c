#include "common/kafka/consumer.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/kafka/assignment.h"
#include "common/kafka/group.h"
#include "common/kafka/query.h"
#include "common/kafka/workarounds.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* librdkafka tells once that a topic may not be read, and fetches on: a new
 * assignment, this long after, has it told again. */
#define AGAIN_MS 2000
#define TOLD_MS 8000 /* it is told anew each 5 s */
#define TOPIC_SIZE 250
#define LOOK_MS 1000
#define UNANSWERED_MAX 2
#define LOOK_CALL_MS 1000
#define EX_NOPERM 77
#define EX_CONFIG 78

struct kafka_consumer {
	struct kafka_client client; /* first: librdkafka's opaque */
	rd_kafka_t *handle;
	rd_kafka_queue_t *queue;
	struct kafka_assignment assignment;
	struct error deferred; /* came after records: the next poll's */
	int64_t refused_ms;    /* since when a topic may not be read; or 0 */
	int64_t looked_ms;     /* whether the topics are there */
	unsigned unanswered;   /* looks in a row */
	struct error lacks;    /* the one that is not */
	struct error refused;  /* the right that was missing last, */
	char refused_topic[TOPIC_SIZE]; /* of this one, or "": the group's, */
	int64_t told_ms;                /* and when */
};

static int
fail_consumer(struct kafka_consumer *consumer, enum kafka_call call,
    rd_kafka_resp_err_t code, struct error *err, const char *what)
{
	char detail[256] = "";
	bool fatal = code == RD_KAFKA_RESP_ERR__FATAL;

	if (fatal)
		rd_kafka_fatal_error(consumer->handle, detail, sizeof detail);
	return kafka_client_fail(&consumer->client, call,
	    (struct kafka_failure){ .code = code, .fatal = fatal }, err, what,
	    detail);
}

static void
on_rebalance(rd_kafka_t *handle, rd_kafka_resp_err_t code,
    rd_kafka_topic_partition_list_t *list, void *opaque)
{
	struct kafka_consumer *consumer = opaque;

	(void)handle;
	kafka_assignment_rebalance(&consumer->assignment, code, list);
}

/* Create, close ---------------------------------------------------------- */

static const struct kafka_preset presets[] = {
	{ "enable.auto.commit", "false", true },
	{ "enable.auto.offset.store", "false", true },
	{ "auto.offset.reset", "error", true },
	/* Where the log ends is told: markers of transactions are no records,
	 * so the last record does not say how far one is. */
	{ "enable.partition.eof", "true", true },
	{ "partition.assignment.strategy", "range", true },
	{ "session.timeout.ms", "10000", false },
	{ "heartbeat.interval.ms", "3000", false },
	{ "max.poll.interval.ms", "60000", false },
	{ "queued.min.messages", KAFKA_QUEUE_MESSAGES, false },
};

static rd_kafka_conf_t *
configure_consumer(struct kafka_consumer *consumer,
    const struct kafka_consumer_options *options, struct error *err)
{
	struct kafka_preset all[COUNT(presets) + 5];
	char queue[16], refresh[16], wait[16];
	rd_kafka_conf_t *conf;

	memcpy(all, presets, sizeof presets);
	snprintf(queue, sizeof queue, "%d",
	    options->queue_kib > 0 ? options->queue_kib : 8192);
	all[COUNT(presets)] =
	    (struct kafka_preset){ "queued.max.messages.kbytes", queue, false };
	/* librdkafka wants a name even if nobody joins. */
	all[COUNT(presets) + 1] = (struct kafka_preset){ "group.id",
		options->group != NULL ? options->group : KAFKA_NO_GROUP,
		options->group != NULL };
	all[COUNT(presets) + 2] = (struct kafka_preset){ "isolation.level",
		options->uncommitted ? "read_uncommitted" : "read_committed",
		true };
	snprintf(refresh, sizeof refresh, "%d",
	    options->refresh_ms > 0 ? options->refresh_ms : 300000);
	all[COUNT(presets) + 3] =
	    (struct kafka_preset){ "topic.metadata.refresh.interval.ms",
		    refresh, false };
	snprintf(wait, sizeof wait, "%d",
	    options->end_wait_ms > 0 ? options->end_wait_ms : 500);
	all[COUNT(presets) + 4] =
	    (struct kafka_preset){ "fetch.wait.max.ms", wait, false };
	conf = kafka_client_conf(&consumer->client, &options->settings,
	    CONFIG_CONSUMER, all, COUNT(all), err);
	if (conf != NULL)
		rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	return conf;
}

struct kafka_consumer *
kafka_consumer_create(
    const struct kafka_consumer_options *options, struct error *err)
{
	struct kafka_consumer *consumer = memory_zalloc(1, sizeof *consumer);

	consumer->assignment.client = &consumer->client;
	consumer->assignment.events = options->events;
	consumer->assignment.group = memory_copy_string(options->group);
	consumer->assignment.accept_loss = options->accept_loss;
	consumer->handle =
	    kafka_client_open(configure_consumer(consumer, options, err),
		RD_KAFKA_CONSUMER, "consumer", err);
	if (consumer->handle == NULL) {
		kafka_assignment_finish(&consumer->assignment);
		free(consumer);
		return NULL;
	}
	consumer->assignment.handle = consumer->handle;
	rd_kafka_poll_set_consumer(consumer->handle);
	consumer->queue = rd_kafka_queue_get_consumer(consumer->handle);
	return consumer;
}

/* Serves the leave: 2.0's consumer_close has no time-out and can hang. */
static bool
leave_group(struct kafka_consumer *consumer, int64_t until)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->handle);
	rd_kafka_error_t *cause =
	    rd_kafka_consumer_close_queue(consumer->handle, queue);
	bool closed = cause != NULL;

	if (cause != NULL) /* a fatal error left nothing to close */
		rd_kafka_error_destroy(cause);
	while (!closed && clock_monotonic_ms() < until) {
		rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 20);
		if (event != NULL &&
		    rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
			on_rebalance(consumer->handle,
			    rd_kafka_event_error(event),
			    rd_kafka_event_topic_partition_list(event),
			    consumer);
		if (event != NULL)
			rd_kafka_event_destroy(event);
		closed = rd_kafka_consumer_closed(consumer->handle) != 0;
	}
	rd_kafka_queue_destroy(queue);
	return closed;
}

int
kafka_consumer_close(struct kafka_consumer *consumer, int timeout_ms)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	int64_t left;
	int rc = -1;

	if (consumer == NULL)
		return 0;
	rd_kafka_queue_destroy(consumer->queue);
	if (leave_group(consumer, until)) {
		left = until - clock_monotonic_ms();
		rc = kafka_client_destroy_handle(
		    consumer->handle, left > 100 ? (int)left : 100);
	}
	if (rc != 0)
		return -1; /* its threads may still look at `consumer` */
	kafka_assignment_finish(&consumer->assignment);
	free(consumer);
	return 0;
}

int
kafka_consumer_find(struct kafka_consumer *consumer, const char *const *topics,
    size_t n, int timeout_ms, struct error *err)
{
	size_t i;

	for (i = 0; i < n; i++) {
		int32_t partitions = kafka_consumer_partitions(
		    consumer, topics[i], timeout_ms, err);

		if (partitions < 0)
			return -1;
		if (partitions == 0) {
			error_set(err, ERROR_RETRY,
			    "topic %s does not exist; run schedrun init",
			    topics[i]);
			err->exit_code = EX_CONFIG;
			return -1;
		}
	}
	return 0;
}

bool
kafka_consumer_lacks(struct kafka_consumer *consumer, const char *const *topics,
    size_t n, struct error *why)
{
	struct error err = { 0 };

	if (clock_monotonic_ms() - consumer->looked_ms >= LOOK_MS) {
		if (kafka_consumer_find(
			consumer, topics, n, LOOK_CALL_MS, &err) == 0 ||
		    err.exit_code == EX_CONFIG)
			consumer->unanswered = 0;
		else
			consumer->unanswered++;
		if (consumer->unanswered == 0 ||
		    consumer->unanswered >= UNANSWERED_MAX)
			consumer->lacks = err;
		consumer->looked_ms = clock_monotonic_ms();
	}
	*why = consumer->lacks;
	if (consumer->refused.kind != ERROR_NONE &&
	    clock_monotonic_ms() - consumer->told_ms < TOLD_MS)
		*why = consumer->refused;
	return why->kind != ERROR_NONE;
}

int
kafka_consumer_subscribe(struct kafka_consumer *consumer,
    const char *const *topics, size_t n, struct error *err)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new((int)n);
	rd_kafka_resp_err_t code;
	size_t i;

	for (i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(
		    list, topics[i], RD_KAFKA_PARTITION_UA);
	code = rd_kafka_subscribe(consumer->handle, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail_consumer(
		    consumer, KAFKA_CALL_POLL, code, err, "subscribe");
	return 0;
}

/* Explicit places -------------------------------------------------------- */

static int
resolve_start(struct kafka_consumer *consumer, const struct kafka_start *start,
    int64_t *offset, int timeout_ms, struct error *err)
{
	struct kafka_partition of = { start->topic, start->partition };

	switch (start->from) {
	case KAFKA_FROM_OFFSET:
		*offset = start->at;
		break;
	case KAFKA_FROM_BEGINNING:
		*offset = KAFKA_OFFSET_BEGINNING;
		break;
	case KAFKA_FROM_END:
		*offset = KAFKA_OFFSET_END;
		break;
	case KAFKA_FROM_TIME:
		return kafka_consumer_offset_at(
		    consumer, of, start->at, offset, timeout_ms, err);
	}
	return kafka_assignment_resolve(
	    &consumer->assignment, of, offset, timeout_ms, err);
}

int
kafka_consumer_assign(struct kafka_consumer *consumer,
    const struct kafka_start *starts, size_t n, int timeout_ms,
    struct error *err)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new((int)n);
	int64_t until = clock_monotonic_ms() + timeout_ms;
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < n; i++) {
		int64_t left = until - clock_monotonic_ms();
		rd_kafka_topic_partition_t *at =
		    rd_kafka_topic_partition_list_add(
			list, starts[i].topic, starts[i].partition);
		rc = resolve_start(consumer, &starts[i], &at->offset,
		    left > 1 ? (int)left : 1, err);
	}
	if (rc == 0)
		rc = kafka_assignment_take(&consumer->assignment, list, err);
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

int
kafka_consumer_seek(struct kafka_consumer *consumer, const char *topic,
    struct kafka_offset place, int timeout_ms, struct error *err)
{
	return kafka_assignment_seek(
	    &consumer->assignment, topic, place, timeout_ms, err);
}

/* Poll ------------------------------------------------------------------- */

/* Of a partition that was revoked meanwhile nothing is told: its place is no
 * longer ours to speak of. */
static void
tell_end(struct kafka_consumer *consumer, const rd_kafka_message_t *message)
{
	const struct kafka_consumer_events *events =
	    &consumer->assignment.events;
	const char *topic = rd_kafka_topic_name(message->rkt);

	struct kafka_place *place =
	    kafka_places_find(&consumer->assignment.places, message->rkt, topic,
		message->partition);

	kafka_client_answered(&consumer->client);
	if (strcmp(topic, consumer->refused_topic) == 0)
		consumer->refused.kind = ERROR_NONE;
	if (place != NULL && kafka_place_end(place, message->offset) &&
	    events->ended != NULL)
		events->ended(
		    events->opaque, topic, message->partition, message->offset);
}

/* librdkafka has stopped the partition, whose place the log has not. */
static void
mark_stuck(struct kafka_consumer *consumer, const rd_kafka_message_t *message)
{
	struct kafka_place *place =
	    kafka_places_find(&consumer->assignment.places, message->rkt,
		rd_kafka_topic_name(message->rkt), message->partition);

	if (place != NULL)
		place->stuck = true;
}

static void
note_refused(
    struct kafka_consumer *consumer, const char *topic, const struct error *err)
{
	consumer->refused = *err;
	snprintf(consumer->refused_topic, TOPIC_SIZE, "%s", topic);
	consumer->told_ms = clock_monotonic_ms();
}

/* 0: handled; -1: for the caller.  Records before the error come first. */
static int
handle_error(struct kafka_consumer *consumer, const rd_kafka_message_t *message,
    struct error *err)
{
	const char *topic =
	    message->rkt != NULL ? rd_kafka_topic_name(message->rkt) : "";
	char what[300];

	if (message->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED &&
	    consumer->assignment.group == NULL)
		return 0; /* the name stands for nothing */
	if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
		mark_stuck(consumer, message);
		return kafka_assignment_unstick(&consumer->assignment, err);
	}
	if (message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
		consumer->refused_ms = clock_monotonic_ms();
	if (message->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
		snprintf(
		    what, sizeof what, "group %s", consumer->assignment.group);
	else
		snprintf(what, sizeof what, "%s [%d]", topic,
		    (int)message->partition);
	fail_consumer(consumer, KAFKA_CALL_POLL, message->err, err, what);
	if (message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
	    message->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
		note_refused(consumer, topic, err);
	return -1;
}

static struct text
text_of(const void *at, size_t size)
{
	return (struct text){ at, size };
}

/*
 * Whether the message became a record; else it is given back: one of a
 * partition that was revoked while it lay in the queue, or one that was read
 * already.
 */
static bool
take_message(struct kafka_consumer *consumer, rd_kafka_message_t *message,
    struct kafka_record *record)
{
	const char *topic = rd_kafka_topic_name(message->rkt);
	struct kafka_place *place =
	    kafka_places_find(&consumer->assignment.places, message->rkt, topic,
		message->partition);
	rd_kafka_timestamp_type_t type;

	if (place == NULL || !kafka_place_accept(place, message->offset)) {
		rd_kafka_message_destroy(message);
		return false;
	}
	*record = (struct kafka_record){
		.topic = topic,
		.partition = message->partition,
		.offset = message->offset,
		.timestamp_ms = rd_kafka_message_timestamp(message, &type),
		.key = text_of(message->key, message->key_len),
		.value = text_of(message->payload, message->len),
		.handle = message,
	};
	return true;
}

/*
 * Waits for the first message only: what is there goes out at once, and a batch
 * is never held up to become larger.  An error behind records is kept for the
 * next poll, or the records before it would be lost with it.
 */
static int
take_batch(struct kafka_consumer *consumer, struct kafka_record *records,
    size_t max, int timeout_ms, struct error *err)
{
	size_t n = 0;

	while (n < max) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(
		    consumer->handle, n == 0 ? timeout_ms : 0);
		int rc = 0;
		if (message == NULL)
			break;
		if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			n += take_message(consumer, message, &records[n]);
			continue;
		}
		if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
			/* The end is news that the caller waits for. */
			tell_end(consumer, message);
			rd_kafka_message_destroy(message);
			timeout_ms = 0;
			continue;
		}
		if (n > 0 &&
		    message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
			/* Told by the next poll, behind these records. */
			mark_stuck(consumer, message);
			rd_kafka_message_destroy(message);
			break;
		}
		rc = handle_error(consumer, message, err);
		rd_kafka_message_destroy(message);
		if (rc != 0 && n == 0)
			return -1;
		if (rc != 0) {
			consumer->deferred = *err;
			break;
		}
	}
	if (n > 0)
		kafka_client_answered(&consumer->client);
	return (int)n;
}

int
kafka_consumer_poll(struct kafka_consumer *consumer,
    struct kafka_record *records, size_t max, int timeout_ms, struct error *err)
{
	struct error trouble = { 0 }, ignored;
	int n;

	if (consumer->deferred.kind != ERROR_NONE) {
		if (err != NULL)
			*err = consumer->deferred;
		consumer->deferred.kind = ERROR_NONE;
		return -1;
	}
	if (consumer->refused_ms != 0 &&
	    clock_monotonic_ms() - consumer->refused_ms > AGAIN_MS) {
		consumer->refused_ms = 0;
		kafka_assignment_renew(&consumer->assignment, &trouble);
	}
	if (kafka_assignment_settle(&consumer->assignment, &trouble) != 0 ||
	    kafka_assignment_unstick(&consumer->assignment, &trouble) != 0)
		/* Not all can be read until that is settled: it is tried again
		 * soon, and the poll serves membership meanwhile. */
		timeout_ms = timeout_ms < 100 ? timeout_ms : 100;
	n = take_batch(
	    consumer, records, max, timeout_ms, err != NULL ? err : &ignored);
	if (n != 0 || trouble.kind == ERROR_NONE)
		return n;
	if (err != NULL)
		*err = trouble;
	return -1;
}

void
kafka_consumer_wake(struct kafka_consumer *consumer)
{
	rd_kafka_queue_yield(consumer->queue);
}

void
kafka_records_release(struct kafka_record *records, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		rd_kafka_message_destroy(records[i].handle);
		records[i].handle = NULL;
	}
}

bool
kafka_record_header(
    const struct kafka_record *record, size_t i, struct kafka_header *header)
{
	rd_kafka_headers_t *headers;
	const char *name;
	const void *value;
	size_t size;

	if (rd_kafka_message_headers(record->handle, &headers) !=
		RD_KAFKA_RESP_ERR_NO_ERROR ||
	    rd_kafka_header_get_all(headers, i, &name, &value, &size) !=
		RD_KAFKA_RESP_ERR_NO_ERROR)
		return false;
	*header =
	    (struct kafka_header){ text_from(name), text_of(value, size) };
	return true;
}

int
kafka_consumer_pause(struct kafka_consumer *consumer, struct error *err)
{
	return kafka_assignment_pause(&consumer->assignment, true, err);
}

int
kafka_consumer_resume(struct kafka_consumer *consumer, struct error *err)
{
	return kafka_assignment_pause(&consumer->assignment, false, err);
}

int
kafka_consumer_hold(struct kafka_consumer *consumer, const char *topic,
    int32_t partition, bool held, struct error *err)
{
	return kafka_assignment_hold(
	    &consumer->assignment, topic, partition, held, err);
}

bool
kafka_consumer_is_paused(const struct kafka_consumer *consumer)
{
	return consumer->assignment.paused;
}

bool
kafka_consumer_is_joined(const struct kafka_consumer *consumer)
{
	return consumer->assignment.joined;
}

/* Group and questions ---------------------------------------------------- */

struct kafka_group *
kafka_consumer_group(struct kafka_consumer *consumer, struct error *err)
{
	const struct kafka_assignment *assignment = &consumer->assignment;
	struct kafka_group *group = NULL;

	if (assignment->joined)
		group = kafka_group_take(consumer->handle, assignment->group);
	if (group != NULL && kafka_group_is_member(group) &&
	    kafka_group_equal(group, assignment->generation))
		return group;
	kafka_group_destroy(group);
	error_set(err, ERROR_ABORT,
	    "the membership under which the partitions were assigned is lost");
	return NULL;
}

int
kafka_consumer_committed(struct kafka_consumer *consumer, const char *topic,
    struct kafka_offset *places, size_t n, struct error *err)
{
	return kafka_assignment_committed(
	    &consumer->assignment, topic, places, n, err);
}

int
kafka_consumer_commit(struct kafka_consumer *consumer, const char *topic,
    struct kafka_offset place, struct error *err)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t code;

	if (!consumer->assignment.joined)
		return error_set(err, ERROR_ABORT,
		    "%s [%d] is not assigned any more", topic,
		    (int)place.partition);
	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, topic, place.partition)
	    ->offset = place.offset;
	code = rd_kafka_commit(consumer->handle, list, 1);
	rd_kafka_topic_partition_list_destroy(list);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	return fail_consumer(consumer, KAFKA_CALL_POLL, code, err, "commit");
}

int
kafka_consumer_range(struct kafka_consumer *consumer, struct kafka_partition of,
    struct kafka_range *range, int timeout_ms, struct error *err)
{
	return kafka_query_range(
	    &consumer->client, consumer->handle, of, range, timeout_ms, err);
}

int64_t
kafka_consumer_end(
    const struct kafka_consumer *consumer, const char *topic, int32_t partition)
{
	int64_t start, end;

	if (rd_kafka_get_watermark_offsets(consumer->handle, topic, partition,
		&start, &end) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return -1;
	return end >= 0 ? end : -1;
}

int
kafka_consumer_offset_at(struct kafka_consumer *consumer,
    struct kafka_partition of, int64_t time_ms, int64_t *offset, int timeout_ms,
    struct error *err)
{
	*offset = kafka_query_offset_at(
	    &consumer->client, consumer->handle, of, time_ms, timeout_ms, err);
	if (*offset == KAFKA_OFFSET_UNKNOWN)
		return -1;
	return kafka_assignment_resolve(
	    &consumer->assignment, of, offset, timeout_ms, err);
}

void
kafka_consumer_cluster_id(
    struct kafka_consumer *consumer, char *id, size_t size)
{
	char *known = rd_kafka_clusterid(consumer->handle, 0);

	snprintf(id, size, "%s", known != NULL ? known : "");
	if (known != NULL)
		rd_kafka_mem_free(consumer->handle, known);
}

int32_t
kafka_consumer_partitions(struct kafka_consumer *consumer, const char *topic,
    int timeout_ms, struct error *err)
{
	return kafka_query_partitions(
	    &consumer->client, consumer->handle, topic, timeout_ms, err);
}

int
kafka_consumer_members(struct kafka_consumer *consumer, const char *group,
    int timeout_ms, struct error *err)
{
	const struct rd_kafka_group_list *list;
	rd_kafka_resp_err_t code =
	    rd_kafka_list_groups(consumer->handle, group, &list, timeout_ms);
	int n;

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail_consumer(
		    consumer, KAFKA_CALL_QUERY, code, err, group);
	n = list->group_cnt == 1 ? list->groups[0].member_cnt : 0;
	rd_kafka_group_list_destroy(list);
	return n;
}
