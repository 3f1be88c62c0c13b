#include "common/kafka_consumer.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/kafka_places.h"
#include "common/log.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/*
 * How long one try to resolve an assignment or a lost place may hold up poll:
 * it is tried again at each poll, so that membership and signals are served.
 */
#define RESOLVE_TIMEOUT_MS 1000

struct kafka_consumer {
	struct kafka_client client; /* first: librdkafka's opaque */
	rd_kafka_t *handle;
	rd_kafka_queue_t *queue;
	struct kafka_consumer_events events;
	bool has_group, accept_loss, paused, joined;
	struct kafka_places places;
	/* An assignment whose places are not known yet; NULL: none. */
	rd_kafka_topic_partition_list_t *pending;
	struct error deferred; /* came after records: the next poll's */
	uint64_t repeated;
};

struct kafka_group {
	rd_kafka_consumer_group_metadata_t *metadata;
};

static int
fail(struct kafka_consumer *consumer, enum kafka_call call,
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

/* Assignments ------------------------------------------------------------ */

static rd_kafka_topic_partition_list_t *
list_places(const struct kafka_places *places)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new((int)places->n);

	for (size_t i = 0; i < places->n; i++)
		rd_kafka_topic_partition_list_add(
		    list, places->at[i].topic, places->at[i].partition);
	return list;
}

static int
apply_pause(struct kafka_consumer *consumer, struct error *err)
{
	rd_kafka_topic_partition_list_t *list = list_places(&consumer->places);
	rd_kafka_resp_err_t code = consumer->paused
	    ? rd_kafka_pause_partitions(consumer->handle, list)
	    : rd_kafka_resume_partitions(consumer->handle, list);

	rd_kafka_topic_partition_list_destroy(list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail(consumer, KAFKA_CALL_POLL, code, err,
		    consumer->paused ? "pause partitions"
				     : "resume partitions");
	return 0;
}

/* Hands the list to librdkafka and starts the bookkeeping of places. */
static int
take_assignment(struct kafka_consumer *consumer,
    const rd_kafka_topic_partition_list_t *list, struct error *err)
{
	rd_kafka_resp_err_t code = rd_kafka_assign(consumer->handle, list);

	kafka_places_clear(&consumer->places);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail(
		    consumer, KAFKA_CALL_POLL, code, err, "assign partitions");
	for (int i = 0; i < list->cnt; i++)
		kafka_places_add(&consumer->places, list->elems[i].topic,
		    list->elems[i].partition, list->elems[i].offset);
	return consumer->paused ? apply_pause(consumer, err) : 0;
}

static void
take_nothing(struct kafka_consumer *consumer)
{
	rd_kafka_topic_partition_list_t *none =
	    rd_kafka_topic_partition_list_new(0);

	rd_kafka_assign(consumer->handle, none);
	rd_kafka_topic_partition_list_destroy(none);
}

/*
 * Committed offsets.  OffsetFetch answers UNSTABLE while a transaction with
 * offsets is open; librdkafka 2.0 tries a few times and then returns success
 * with the error in the partition: taking that for "none committed" would read
 * everything again.
 */
static int
fetch_committed(struct kafka_consumer *consumer,
    rd_kafka_topic_partition_list_t *list, struct error *err)
{
	rd_kafka_resp_err_t code =
	    rd_kafka_committed(consumer->handle, list, RESOLVE_TIMEOUT_MS);

	for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt;
	     i++)
		code = list->elems[i].err;
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail(consumer, KAFKA_CALL_POLL, code, err,
		    "fetch committed offsets");
	kafka_client_answered(&consumer->client);
	return 0;
}

int
kafka_consumer_committed(struct kafka_consumer *consumer, const char *topic,
    struct kafka_offset *places, size_t n, struct error *err)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new((int)n);
	int rc;

	for (size_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(
		    list, topic, places[i].partition);
	rc = fetch_committed(consumer, list, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		places[i].offset = list->elems[i].offset >= 0
		    ? list->elems[i].offset
		    : -1;
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

/* Logical offsets become numbers, so that the place is known for sure. */
static int
resolve_offset(struct kafka_consumer *consumer, const char *topic,
    int32_t partition, int64_t *offset, int timeout_ms, struct error *err)
{
	int64_t start, end;

	if (*offset >= 0)
		return 0;
	if (kafka_consumer_range(
		consumer, topic, partition, &start, &end, timeout_ms, err) != 0)
		return -1;
	*offset = *offset == KAFKA_OFFSET_END ? end : start;
	return 0;
}

/* Asks the user for each place; the answers go into `list`. */
static int
ask_user(struct kafka_consumer *consumer, struct kafka_position *positions,
    rd_kafka_topic_partition_list_t *list, struct error *err)
{
	const struct kafka_consumer_events *events = &consumer->events;
	size_t n = (size_t)list->cnt;

	if (events->assigned != NULL &&
	    events->assigned(events->opaque, positions, n) != 0)
		return error_set(err, ERROR_RETRY,
		    "the assignment waits until it is known where to read");
	for (size_t i = 0; i < n; i++) {
		if (resolve_offset(consumer, positions[i].topic,
			positions[i].partition, &positions[i].offset,
			RESOLVE_TIMEOUT_MS, err) != 0)
			return -1;
		list->elems[i].offset = positions[i].offset;
	}
	return 0;
}

static int
choose_places(struct kafka_consumer *consumer,
    rd_kafka_topic_partition_list_t *list, struct error *err)
{
	size_t n = (size_t)list->cnt;
	struct kafka_position *positions = calloc(n + 1, sizeof *positions);
	int rc = 0;

	if (positions == NULL)
		return error_fatal(err, 71, "no memory for an assignment");
	for (size_t i = 0; rc == 0 && i < n; i++) {
		int64_t committed = list->elems[i].offset;
		positions[i].topic = list->elems[i].topic;
		positions[i].partition = list->elems[i].partition;
		positions[i].committed = committed >= 0 ? committed : -1;
		positions[i].offset =
		    committed >= 0 ? committed : KAFKA_OFFSET_BEGINNING;
		rc = resolve_offset(consumer, positions[i].topic,
		    positions[i].partition, &positions[i].offset,
		    RESOLVE_TIMEOUT_MS, err);
	}
	if (rc == 0)
		rc = ask_user(consumer, positions, list, err);
	free(positions);
	return rc;
}

/* Tries to bring the pending assignment into force. */
static int
settle_assignment(struct kafka_consumer *consumer, struct error *err)
{
	rd_kafka_topic_partition_list_t *list = consumer->pending;

	if (list == NULL)
		return 0;
	if (fetch_committed(consumer, list, err) != 0 ||
	    choose_places(consumer, list, err) != 0 ||
	    take_assignment(consumer, list, err) != 0)
		return -1;
	rd_kafka_topic_partition_list_destroy(list);
	consumer->pending = NULL;
	consumer->joined = true;
	return 0;
}

static void
forget_pending(struct kafka_consumer *consumer)
{
	if (consumer->pending != NULL)
		rd_kafka_topic_partition_list_destroy(consumer->pending);
	consumer->pending = NULL;
}

static void
on_assigned(struct kafka_consumer *consumer,
    const rd_kafka_topic_partition_list_t *list)
{
	struct error err = { 0 };

	forget_pending(consumer);
	consumer->pending = rd_kafka_topic_partition_list_copy(list);
	if (settle_assignment(consumer, &err) == 0)
		return;
	/* The group must hear that we have taken note; reading starts when
	 * the places are known. */
	take_nothing(consumer);
	log_event(LOG_WARN, "kafka", "assignment_waits", err.message, LOG_END);
}

static void
on_revoked(struct kafka_consumer *consumer)
{
	bool lost = rd_kafka_assignment_lost(consumer->handle);

	forget_pending(consumer);
	if (consumer->joined && consumer->events.revoked != NULL)
		consumer->events.revoked(consumer->events.opaque, lost);
	consumer->joined = false;
	kafka_places_clear(&consumer->places);
	rd_kafka_assign(consumer->handle, NULL);
}

static void
on_rebalance(rd_kafka_t *handle, rd_kafka_resp_err_t code,
    rd_kafka_topic_partition_list_t *list, void *opaque)
{
	struct kafka_consumer *consumer = opaque;

	(void)handle;
	if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		on_assigned(consumer, list);
	else
		on_revoked(consumer);
}

/* Create, close ---------------------------------------------------------- */

static const struct kafka_preset presets[] = {
	{ "enable.auto.commit", "false", true },
	{ "enable.auto.offset.store", "false", true },
	{ "enable.partition.eof", "false", true },
	{ "auto.offset.reset", "error", true },
	{ "isolation.level", "read_committed", true },
	{ "partition.assignment.strategy", "range", true },
	{ "session.timeout.ms", "10000", false },
	{ "heartbeat.interval.ms", "3000", false },
	{ "max.poll.interval.ms", "60000", false },
	/* Once the queue is full 2.0 waits 1 s before it fetches again: let
	 * only the bytes limit it (library findings). */
	{ "queued.min.messages", "1000000", false },
};

static rd_kafka_conf_t *
configure(struct kafka_consumer *consumer,
    const struct kafka_consumer_options *options, struct error *err)
{
	struct kafka_preset all[COUNT(presets) + 2];
	rd_kafka_conf_t *conf;

	memcpy(all, presets, sizeof presets);
	all[COUNT(presets)] =
	    (struct kafka_preset){ "queued.max.messages.kbytes",
		    options->read_ahead ? "32768" : "8192", false };
	/* librdkafka wants a name even if nobody joins. */
	all[COUNT(presets) + 1] = (struct kafka_preset){ "group.id",
		options->group != NULL ? options->group : "schedrun-reader",
		options->group != NULL };
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
	struct kafka_consumer *consumer = calloc(1, sizeof *consumer);
	rd_kafka_conf_t *conf;
	char text[256];

	if (consumer == NULL) {
		error_fatal(err, 71, "no memory for a consumer");
		return NULL;
	}
	consumer->events = options->events;
	consumer->has_group = options->group != NULL;
	consumer->accept_loss = options->accept_loss;
	conf = configure(consumer, options, err);
	if (conf == NULL)
		goto fail;
	consumer->handle =
	    rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
	if (consumer->handle == NULL) {
		rd_kafka_conf_destroy(conf);
		error_fatal(err, 78, "kafka consumer: %s", text);
		goto fail;
	}
	rd_kafka_poll_set_consumer(consumer->handle);
	consumer->queue = rd_kafka_queue_get_consumer(consumer->handle);
	return consumer;
fail:
	free(consumer);
	return NULL;
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
	forget_pending(consumer);
	kafka_places_finish(&consumer->places);
	free(consumer);
	return 0;
}

int
kafka_consumer_subscribe(struct kafka_consumer *consumer,
    const char *const *topics, size_t n, struct error *err)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new((int)n);
	rd_kafka_resp_err_t code;

	for (size_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(
		    list, topics[i], RD_KAFKA_PARTITION_UA);
	code = rd_kafka_subscribe(consumer->handle, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail(consumer, KAFKA_CALL_POLL, code, err, "subscribe");
	return 0;
}

/* Explicit places -------------------------------------------------------- */

static int
resolve_starts(struct kafka_consumer *consumer,
    const struct kafka_start *starts, rd_kafka_topic_partition_list_t *list,
    int64_t until, struct error *err)
{
	for (int i = 0; i < list->cnt; i++) {
		rd_kafka_topic_partition_t *at = &list->elems[i];
		int64_t left = until - clock_monotonic_ms();
		int wait_ms = left > 1 ? (int)left : 1;
		int rc = 0;
		switch (starts[i].from) {
		case KAFKA_FROM_OFFSET:
			at->offset = starts[i].at;
			break;
		case KAFKA_FROM_BEGINNING:
			at->offset = KAFKA_OFFSET_BEGINNING;
			break;
		case KAFKA_FROM_END:
			at->offset = KAFKA_OFFSET_END;
			break;
		case KAFKA_FROM_TIME:
			rc = kafka_consumer_offset_at(consumer, at->topic,
			    at->partition, starts[i].at, &at->offset, wait_ms,
			    err);
			break;
		}
		if (rc != 0 ||
		    resolve_offset(consumer, at->topic, at->partition,
			&at->offset, wait_ms, err) != 0)
			return -1;
	}
	return 0;
}

int
kafka_consumer_assign(struct kafka_consumer *consumer,
    const struct kafka_start *starts, size_t n, int timeout_ms,
    struct error *err)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new((int)n);
	int rc = -1;

	for (size_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(
		    list, starts[i].topic, starts[i].partition);
	if (resolve_starts(consumer, starts, list,
		clock_monotonic_ms() + timeout_ms, err) == 0)
		rc = take_assignment(consumer, list, err);
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

int
kafka_consumer_seek(struct kafka_consumer *consumer, const char *topic,
    struct kafka_offset to, int timeout_ms, struct error *err)
{
	struct kafka_place *place =
	    kafka_places_find(&consumer->places, NULL, topic, to.partition);
	int64_t until = clock_monotonic_ms() + timeout_ms;
	rd_kafka_resp_err_t code;
	rd_kafka_topic_t *handle;

	if (place == NULL)
		return error_set(err, ERROR_ABORT,
		    "seek: partition %s %d is not assigned any more", topic,
		    (int)to.partition);
	handle = rd_kafka_topic_new(consumer->handle, topic, NULL);
	do { /* _STATE: a fresh assignment is still being started */
		int64_t left = until - clock_monotonic_ms();
		code = rd_kafka_seek(handle, to.partition, to.offset,
		    left > 10 ? (int)left : 10);
		if (code == RD_KAFKA_RESP_ERR__STATE ||
		    code == RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS)
			nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
		else
			break;
	} while (clock_monotonic_ms() < until);
	rd_kafka_topic_destroy(handle);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail(consumer, KAFKA_CALL_POLL, code, err, "seek");
	place->next = to.offset;
	place->stuck = false;
	return 0;
}

/* Poll ------------------------------------------------------------------- */

static void
tell_moved(struct kafka_consumer *consumer, const struct kafka_place *place,
    const char *event, int64_t from, int64_t to)
{
	log_event(LOG_WARN, "kafka", event,
	    to > from ? "records were removed before they were read"
		      : "the topic is shorter than it was: made anew",
	    LOG_S("topic", place->topic), LOG_I("partition", place->partition),
	    LOG_I("from", from), LOG_I("offset", to), LOG_END);
	if (consumer->events.moved != NULL)
		consumer->events.moved(consumer->events.opaque, place->topic,
		    place->partition, to);
}

/* What was to be read next is out of the log's range: find out why. */
static int
unstick(struct kafka_consumer *consumer, struct kafka_place *place,
    struct error *err)
{
	struct kafka_offset to = { place->partition, place->next };
	int64_t from = place->next, start, end;

	if (kafka_consumer_range(consumer, place->topic, place->partition,
		&start, &end, RESOLVE_TIMEOUT_MS, err) != 0)
		return -1;
	if (from < start && !consumer->accept_loss)
		return error_fatal(err, 65,
		    "%s partition %d: offsets %lld..%lld are gone: %lld "
		    "requests lost; to go on: -s worker.accept.loss=on",
		    place->topic, (int)place->partition, (long long)from,
		    (long long)start - 1, (long long)(start - from));
	if (from < start || from > end)
		to.offset = start;
	if (kafka_consumer_seek(
		consumer, place->topic, to, RESOLVE_TIMEOUT_MS, err) != 0)
		return -1;
	if (to.offset != from)
		tell_moved(consumer, place,
		    to.offset > from ? "records_lost" : "topic_made_anew", from,
		    to.offset);
	return 0;
}

static int
unstick_all(struct kafka_consumer *consumer, struct error *err)
{
	for (size_t i = 0; i < consumer->places.n; i++)
		if (consumer->places.at[i].stuck &&
		    unstick(consumer, &consumer->places.at[i], err) != 0)
			return -1;
	return 0;
}

/* 0: handled; -1: for the caller. */
static int
handle_error(struct kafka_consumer *consumer, const rd_kafka_message_t *message,
    struct error *err)
{
	const char *topic =
	    message->rkt != NULL ? rd_kafka_topic_name(message->rkt) : "";
	struct kafka_place *place;

	if (message->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED &&
	    !consumer->has_group)
		return 0; /* the name stands for nothing */
	if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
		place = kafka_places_find(
		    &consumer->places, message->rkt, topic, message->partition);
		if (place == NULL)
			return 0;
		place->stuck = true;
		return unstick(consumer, place, err);
	}
	fail(consumer, KAFKA_CALL_POLL, message->err, err, "consume");
	error_prefix(err, "%s [%d]", topic, (int)message->partition);
	return -1;
}

static struct text
bytes(const void *at, size_t size)
{
	return (struct text){ at, size };
}

/* Whether the message became a record; else it is given back. */
static bool
take_message(struct kafka_consumer *consumer, rd_kafka_message_t *message,
    struct kafka_record *record)
{
	const char *topic = rd_kafka_topic_name(message->rkt);
	struct kafka_place *place = kafka_places_find(
	    &consumer->places, message->rkt, topic, message->partition);
	rd_kafka_timestamp_type_t type;

	if (place == NULL || !kafka_place_accept(place, message->offset)) {
		consumer->repeated++;
		rd_kafka_message_destroy(message);
		return false;
	}
	*record = (struct kafka_record){
		.topic = topic,
		.partition = message->partition,
		.offset = message->offset,
		.timestamp_ms = rd_kafka_message_timestamp(message, &type),
		.key = bytes(message->key, message->key_len),
		.value = bytes(message->payload, message->len),
		.handle = message,
	};
	return true;
}

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
	if (settle_assignment(consumer, &trouble) != 0 ||
	    unstick_all(consumer, &trouble) != 0)
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
kafka_consumer_notify(struct kafka_consumer *consumer, int fd)
{
	static const uint64_t one = 1;

	rd_kafka_queue_io_event_enable(consumer->queue, fd, &one, sizeof one);
}

void
kafka_records_release(struct kafka_record *records, size_t n)
{
	for (size_t i = 0; i < n; i++) {
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
	*header = (struct kafka_header){ text_from(name), bytes(value, size) };
	return true;
}

static int
set_paused(struct kafka_consumer *consumer, bool paused, struct error *err)
{
	if (consumer->paused == paused)
		return 0;
	consumer->paused = paused;
	if (apply_pause(consumer, err) == 0)
		return 0;
	consumer->paused = !paused;
	return -1;
}

int
kafka_consumer_pause(struct kafka_consumer *consumer, struct error *err)
{
	return set_paused(consumer, true, err);
}

int
kafka_consumer_resume(struct kafka_consumer *consumer, struct error *err)
{
	return set_paused(consumer, false, err);
}

bool
kafka_consumer_is_paused(const struct kafka_consumer *consumer)
{
	return consumer->paused;
}

bool
kafka_consumer_is_joined(const struct kafka_consumer *consumer)
{
	return consumer->joined;
}

uint64_t
kafka_consumer_repeated(const struct kafka_consumer *consumer)
{
	return consumer->repeated;
}

/* Group and questions ---------------------------------------------------- */

struct kafka_group *
kafka_consumer_group(struct kafka_consumer *consumer, struct error *err)
{
	struct kafka_group *group = calloc(1, sizeof *group);

	if (group == NULL) {
		error_fatal(err, 71, "no memory for a group's generation");
		return NULL;
	}
	if (consumer->joined)
		group->metadata =
		    rd_kafka_consumer_group_metadata(consumer->handle);
	if (group->metadata == NULL) {
		free(group);
		error_set(err, ERROR_ABORT,
		    "the consumer is not a member of its group now");
		return NULL;
	}
	return group;
}

void
kafka_group_destroy(struct kafka_group *group)
{
	if (group == NULL)
		return;
	rd_kafka_consumer_group_metadata_destroy(group->metadata);
	free(group);
}

const struct rd_kafka_consumer_group_metadata_s *
kafka_group_metadata(const struct kafka_group *group)
{
	return group->metadata;
}

int
kafka_consumer_range(struct kafka_consumer *consumer, const char *topic,
    int32_t partition, int64_t *start, int64_t *end, int timeout_ms,
    struct error *err)
{
	rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
	    consumer->handle, topic, partition, start, end, timeout_ms);

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		fail(consumer, KAFKA_CALL_QUERY, code, err,
		    "ask for the log's range");
		error_prefix(err, "%s [%d]", topic, (int)partition);
		return -1;
	}
	kafka_client_answered(&consumer->client);
	return 0;
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
kafka_consumer_offset_at(struct kafka_consumer *consumer, const char *topic,
    int32_t partition, int64_t time_ms, int64_t *offset, int timeout_ms,
    struct error *err)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t code;

	rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
	    time_ms;
	code = rd_kafka_offsets_for_times(consumer->handle, list, timeout_ms);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		code = list->elems[0].err;
	*offset = list->elems[0].offset;
	rd_kafka_topic_partition_list_destroy(list);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail(consumer, KAFKA_CALL_QUERY, code, err,
		    "ask for the offset at a time");
	if (*offset < 0)
		*offset = KAFKA_OFFSET_END;
	return resolve_offset(
	    consumer, topic, partition, offset, timeout_ms, err);
}

int32_t
kafka_consumer_partitions(struct kafka_consumer *consumer, const char *topic,
    int timeout_ms, struct error *err)
{
	return kafka_client_partitions(
	    &consumer->client, consumer->handle, topic, timeout_ms, err);
}

int
kafka_consumer_probe(
    struct kafka_consumer *consumer, int timeout_ms, struct error *err)
{
	return kafka_client_partitions(&consumer->client, consumer->handle,
		   NULL, timeout_ms, err) < 0
	    ? -1
	    : 0;
}
