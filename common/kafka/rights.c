#include "common/kafka/rights.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/kafka/admin_request.h"

#define NO_PARTITION (1 << 30) /* that no topic has */
#define ADD_PARTITIONS_TO_TXN 24
#define DESTROY_MS 5000
#define STEP_MS 5
#define SETTLE_MS 30 /* from an answer until librdkafka has read it */

static enum kafka_right
right_of(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		return KAFKA_RIGHT_NO_TOPIC;
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		return KAFKA_RIGHT_NO_GROUP;
	case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
		return KAFKA_RIGHT_NO_ID;
	default:
		return KAFKA_RIGHT_UNKNOWN;
	}
}

/* READ --------------------------------------------------------------------- */

/* The broker asks for the group's right, the topic's, and then whether there is
 * such a partition. */
static enum kafka_right
read_answer(struct kafka_admin *admin, const char *group,
    const rd_kafka_group_result_t *result, struct error *err)
{
	const rd_kafka_topic_partition_list_t *list =
	    rd_kafka_group_result_partitions(result);
	rd_kafka_resp_err_t code = list != NULL && list->cnt == 1
	    ? list->elems[0].err
	    : RD_KAFKA_RESP_ERR__BAD_MSG;

	if (rd_kafka_group_result_error(result) != NULL)
		code = rd_kafka_error_code(rd_kafka_group_result_error(result));
	if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		return KAFKA_RIGHT_HELD;
	kafka_admin_fail(admin, code, err, group, NULL);
	return right_of(code);
}

static enum kafka_right
try_read(
    struct kafka_admin *admin, struct kafka_group_topic of, struct error *err)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new(1);
	rd_kafka_AdminOptions_t *options = kafka_admin_options(
	    admin, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
	rd_kafka_AlterConsumerGroupOffsets_t *asked;
	enum kafka_right right = KAFKA_RIGHT_UNKNOWN;
	const rd_kafka_group_result_t **results;
	rd_kafka_event_t *event;
	size_t count;

	rd_kafka_topic_partition_list_add(list, of.topic, NO_PARTITION)
	    ->offset = 0;
	asked = rd_kafka_AlterConsumerGroupOffsets_new(of.group, list);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_AlterConsumerGroupOffsets(
	    admin->handle, &asked, 1, options, admin->answers);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_AlterConsumerGroupOffsets_destroy(asked);
	event = kafka_admin_answer(admin, of.group, err);
	if (event == NULL) /* who finds no coordinator may not see the group */
		return err->exit_code == 77 ? KAFKA_RIGHT_NO_GROUP
					    : KAFKA_RIGHT_UNKNOWN;
	results = rd_kafka_AlterConsumerGroupOffsets_result_groups(
	    rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count);
	if (count == 1)
		right = read_answer(admin, of.group, results[0], err);
	rd_kafka_event_destroy(event);
	return right;
}

enum kafka_right
kafka_right_read(
    struct kafka_admin *admin, struct kafka_group_topic of, struct error *err)
{
	int64_t until = clock_monotonic_ms() + admin->timeout_ms;
	enum kafka_right right;

	do
		right = try_read(admin, of, err);
	while (kafka_admin_again(
	    admin, right == KAFKA_RIGHT_UNKNOWN ? -1 : 0, until, err));
	return right;
}

/* WRITE -------------------------------------------------------------------- */

/*
 * A producer whose records linger: their partition joins the transaction at
 * once, which takes the right, and they are purged with the abort.
 */
struct attempt {
	struct kafka_client client; /* first: librdkafka's opaque */
	rd_kafka_t *handle;
	atomic_uint answers; /* to AddPartitionsToTxn; librdkafka's threads */
};

static rd_kafka_resp_err_t
/* NOLINTNEXTLINE(readability-function-size): the form is librdkafka's */
on_answer(rd_kafka_t *handle, int socket, const char *broker, int32_t id,
    int16_t key, int16_t version, int32_t correlation, size_t size,
    int64_t duration, rd_kafka_resp_err_t code, void *opaque)
{
	struct attempt *attempt = opaque;

	(void)handle;
	(void)socket;
	(void)broker;
	(void)id;
	(void)version;
	(void)correlation;
	(void)size;
	(void)duration;
	if (key == ADD_PARTITIONS_TO_TXN && code == RD_KAFKA_RESP_ERR_NO_ERROR)
		attempt->answers++;
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t
on_new(rd_kafka_t *handle, const rd_kafka_conf_t *conf, void *opaque,
    char *text, size_t size)
{
	(void)conf;
	(void)text;
	(void)size;
	return rd_kafka_interceptor_add_on_response_received(
	    handle, "schedrun", on_answer, opaque);
}

static int
open_attempt(struct attempt *attempt, const struct kafka_settings *settings,
    const char *transactional_id, struct error *err)
{
	const struct kafka_preset presets[] = {
		{ "transactional.id", transactional_id, true },
		{ "transaction.timeout.ms", "10000", true },
		{ "message.timeout.ms", "10000", true },
		{ "linger.ms", "9000", true },
	};
	rd_kafka_conf_t *conf = kafka_client_conf(&attempt->client, settings,
	    CONFIG_PRODUCER, presets, sizeof presets / sizeof presets[0], err);

	if (conf == NULL)
		return -1;
	/* What is refused is the answer: no error to be logged. */
	rd_kafka_conf_set_log_cb(conf, NULL);
	rd_kafka_conf_interceptor_add_on_new(conf, "schedrun", on_new, attempt);
	attempt->handle =
	    kafka_client_open(conf, RD_KAFKA_PRODUCER, "producer", err);
	return attempt->handle != NULL ? 0 : -1;
}

static enum kafka_right
note_refusal(struct attempt *attempt, rd_kafka_error_t *cause,
    struct error *err, const char *what)
{
	enum kafka_right right = right_of(rd_kafka_error_code(cause));

	kafka_client_fail_error(
	    &attempt->client, KAFKA_CALL_QUERY, cause, err, what);
	return right;
}

/*
 * Asked for another transaction, librdkafka says _STATE, as one is open, or why
 * that one is lost.
 */
static enum kafka_right
ask_state(struct attempt *attempt, const char *topic, struct error *err)
{
	rd_kafka_error_t *cause = rd_kafka_begin_transaction(attempt->handle);
	bool is_open = cause != NULL &&
	    rd_kafka_error_code(cause) == RD_KAFKA_RESP_ERR__STATE;

	if (cause != NULL && !is_open)
		return note_refusal(attempt, cause, err, topic);
	if (cause != NULL)
		rd_kafka_error_destroy(cause);
	return KAFKA_RIGHT_HELD;
}

/* The answer's code is told to nobody: the transaction's state is. */
static enum kafka_right
await_answer(struct attempt *attempt, const char *topic, int64_t until,
    struct error *err)
{
	enum kafka_right right = KAFKA_RIGHT_HELD;
	int64_t now, settled = 0;

	while (right == KAFKA_RIGHT_HELD) {
		rd_kafka_poll(attempt->handle, STEP_MS);
		now = clock_monotonic_ms();
		if (attempt->answers > 0 && settled == 0)
			settled = now + SETTLE_MS;
		right = ask_state(attempt, topic, err);
		if (settled != 0 && now >= settled)
			break;
		if (settled == 0 && now >= until) {
			kafka_client_fail_code(&attempt->client,
			    KAFKA_CALL_QUERY, RD_KAFKA_RESP_ERR__TIMED_OUT, err,
			    topic);
			return KAFKA_RIGHT_UNKNOWN;
		}
	}
	return right;
}

static enum kafka_right
add_partition(struct attempt *attempt, const char *topic, int64_t until,
    struct error *err)
{
	const rd_kafka_vu_t record[] = {
		{ .vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic },
		{ .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0 },
	};
	rd_kafka_error_t *cause;
	int64_t left = until - clock_monotonic_ms();

	/* Or the record waits a second for the topic to be known. */
	if (kafka_query_partitions(&attempt->client, attempt->handle, topic,
		left > 1 ? (int)left : 1, err) < 0)
		return err->exit_code == 77 ? KAFKA_RIGHT_NO_TOPIC
					    : KAFKA_RIGHT_UNKNOWN;
	cause = rd_kafka_begin_transaction(attempt->handle);
	if (cause != NULL)
		return note_refusal(attempt, cause, err, topic);
	cause = rd_kafka_produceva(
	    attempt->handle, record, sizeof record / sizeof record[0]);
	if (cause == NULL)
		return await_answer(attempt, topic, until, err);
	note_refusal(attempt, cause, err, topic);
	return KAFKA_RIGHT_UNKNOWN;
}

static enum kafka_right
try_write(struct attempt *attempt, const char *transactional_id,
    const char *topic, int timeout_ms, struct error *err)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	rd_kafka_error_t *cause =
	    rd_kafka_init_transactions(attempt->handle, timeout_ms);
	enum kafka_right right;

	if (cause != NULL)
		return note_refusal(attempt, cause, err, transactional_id);
	right = add_partition(attempt, topic, until, err);
	if (right == KAFKA_RIGHT_NO_TOPIC) /* then it holds nothing */
		return right;
	cause = rd_kafka_abort_transaction(attempt->handle, timeout_ms);
	if (cause != NULL) /* what is still open ends by its time-out */
		rd_kafka_error_destroy(cause);
	return right;
}

enum kafka_right
kafka_right_write(struct kafka_admin *admin, const char *transactional_id,
    const char *topic, struct error *err)
{
	struct attempt *attempt = memory_zalloc(1, sizeof *attempt);
	enum kafka_right right = KAFKA_RIGHT_UNKNOWN;
	bool is_left = false; /* its threads may still look at it */

	if (open_attempt(attempt, &admin->settings, transactional_id, err) ==
	    0) {
		right = try_write(
		    attempt, transactional_id, topic, admin->timeout_ms, err);
		is_left = kafka_client_destroy_handle(
			      attempt->handle, DESTROY_MS) != 0;
	}
	if (!is_left)
		free(attempt);
	return right;
}
