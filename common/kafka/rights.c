#include "common/kafka/rights.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/kafka/admin_request.h"

#define NO_PARTITION (1 << 30) /* that no topic has */
#define DESTROY_MS 5000
#define STEP_MS 5

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
 * A broker asks for the topic's right first, and then what acks a record wants:
 * of one that wants two, which no Kafka gives, it keeps nothing.
 */
struct attempt {
	struct kafka_client client; /* first: librdkafka's opaque */
	rd_kafka_t *handle;
	bool is_told;
	rd_kafka_resp_err_t told; /* of the record */
};

static void
on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
	struct attempt *attempt = opaque;

	(void)handle;
	attempt->told = message->err;
	attempt->is_told = true;
}

static int
open_attempt(struct attempt *attempt, const struct kafka_settings *settings,
    const char *transactional_id, struct error *err)
{
	const struct kafka_preset of_id[] = {
		{ "transactional.id", transactional_id, true },
		{ "transaction.timeout.ms", "10000", true },
		{ "message.timeout.ms", "10000", true },
	};
	const struct kafka_preset of_topic[] = {
		{ "enable.idempotence", "false", true },
		{ "acks", "2", true },
		{ "linger.ms", "0", true },
		{ "message.timeout.ms", "10000", true },
	};
	rd_kafka_conf_t *conf = kafka_client_conf(&attempt->client, settings,
	    CONFIG_PRODUCER, transactional_id != NULL ? of_id : of_topic,
	    transactional_id != NULL ? sizeof of_id / sizeof of_id[0]
				     : sizeof of_topic / sizeof of_topic[0],
	    err);

	if (conf == NULL)
		return -1;
	/* What is refused is the answer: no error to be logged. */
	rd_kafka_conf_set_log_cb(conf, NULL);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	attempt->handle =
	    kafka_client_open(conf, RD_KAFKA_PRODUCER, "producer", err);
	return attempt->handle != NULL ? 0 : -1;
}

/* An id of its own state, and nothing of a topic. */
static enum kafka_right
try_id(struct attempt *attempt, const char *transactional_id, int timeout_ms,
    struct error *err)
{
	rd_kafka_error_t *cause =
	    rd_kafka_init_transactions(attempt->handle, timeout_ms);
	enum kafka_right right;

	if (cause == NULL)
		return KAFKA_RIGHT_HELD;
	right = right_of(rd_kafka_error_code(cause));
	kafka_client_fail_error(
	    &attempt->client, KAFKA_CALL_QUERY, cause, err, transactional_id);
	return right;
}

static rd_kafka_resp_err_t
send_record(struct attempt *attempt, const char *topic)
{
	const rd_kafka_vu_t record[] = {
		{ .vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic },
		{ .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0 },
	};
	rd_kafka_error_t *cause = rd_kafka_produceva(
	    attempt->handle, record, sizeof record / sizeof record[0]);
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (cause != NULL) {
		code = rd_kafka_error_code(cause);
		rd_kafka_error_destroy(cause);
	}
	return code;
}

static enum kafka_right
try_topic(struct attempt *attempt, const char *topic, int timeout_ms,
    struct error *err)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	rd_kafka_resp_err_t code;

	/* Or the record waits a second for the topic to be known. */
	if (kafka_query_partitions(
		&attempt->client, attempt->handle, topic, timeout_ms, err) < 0)
		return err->exit_code == 77 ? KAFKA_RIGHT_NO_TOPIC
					    : KAFKA_RIGHT_UNKNOWN;
	code = send_record(attempt, topic);
	while (code == RD_KAFKA_RESP_ERR_NO_ERROR && !attempt->is_told &&
	    clock_monotonic_ms() < until)
		rd_kafka_poll(attempt->handle, STEP_MS);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		code = attempt->is_told ? attempt->told
					: RD_KAFKA_RESP_ERR__TIMED_OUT;
	if (code == RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS)
		return KAFKA_RIGHT_HELD;
	kafka_client_fail_code(
	    &attempt->client, KAFKA_CALL_QUERY, code, err, topic);
	return right_of(code);
}

/* Of the id, or if that is NULL of the topic. */
static enum kafka_right
try_write(struct kafka_admin *admin, const char *transactional_id,
    const char *topic, struct error *err)
{
	struct attempt *attempt = memory_zalloc(1, sizeof *attempt);
	enum kafka_right right = KAFKA_RIGHT_UNKNOWN;
	bool is_left = false; /* its threads may still look at it */

	if (open_attempt(attempt, &admin->settings, transactional_id, err) ==
	    0) {
		right = transactional_id != NULL
		    ? try_id(attempt, transactional_id, admin->timeout_ms, err)
		    : try_topic(attempt, topic, admin->timeout_ms, err);
		is_left = kafka_client_destroy_handle(
			      attempt->handle, DESTROY_MS) != 0;
	}
	if (!is_left)
		free(attempt);
	return right;
}

enum kafka_right
kafka_right_write(struct kafka_admin *admin, const char *transactional_id,
    const char *topic, struct error *err)
{
	enum kafka_right right = KAFKA_RIGHT_HELD;

	if (transactional_id != NULL)
		right = try_write(admin, transactional_id, topic, err);
	return right == KAFKA_RIGHT_HELD ? try_write(admin, NULL, topic, err)
					 : right;
}

int
kafka_rights_to_write(const struct kafka_settings *settings,
    const char *const *topics, size_t n, int timeout_ms, struct error *err)
{
	/* What it finds is no failure of the program's own clients. */
	const struct kafka_settings quiet = { .config = settings->config,
		.client_id = settings->client_id };
	struct kafka_admin *admin = kafka_admin_create(&quiet, timeout_ms, err);
	enum kafka_right right = KAFKA_RIGHT_HELD;
	size_t i;

	for (i = 0; admin != NULL && right != KAFKA_RIGHT_NO_TOPIC && i < n;
	     i++)
		right = kafka_right_write(admin, NULL, topics[i], err);
	kafka_admin_destroy(admin);
	if (right != KAFKA_RIGHT_NO_TOPIC)
		return 0;
	error_prefix(err,
	    "no right to write (schedrun check has the line that grants it)");
	err->kind = ERROR_FATAL;
	err->exit_code = 77;
	return -1;
}
