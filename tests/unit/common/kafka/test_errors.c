#include "common/kafka/errors.h"

#include "tests/unit/check.h"

/*
 * Codes by number, as the protocol and librdkafka's public header define them:
 * the tests stand outside the room that may include it.
 */
enum {
	LOCAL_MSG_TIMED_OUT = -192,
	LOCAL_TRANSPORT = -195,
	LOCAL_INVALID_ARG = -186,
	LOCAL_TIMED_OUT = -185,
	LOCAL_QUEUE_FULL = -184,
	LOCAL_STATE = -172,
	LOCAL_FATAL = -150,
	LOCAL_MAX_POLL_EXCEEDED = -147,
	LOCAL_UNKNOWN_TOPIC = -188,
	LOCAL_UNKNOWN_PARTITION = -190,
	LOCAL_FENCED = -144,
	LOCAL_CONFLICT = -173,
	UNKNOWN_TOPIC_OR_PART = 3,
	MSG_SIZE_TOO_LARGE = 10,
	ILLEGAL_GENERATION = 22,
	UNKNOWN_MEMBER_ID = 25,
	TOPIC_AUTHORIZATION_FAILED = 29,
	GROUP_AUTHORIZATION_FAILED = 30,
	CLUSTER_AUTHORIZATION_FAILED = 31,
	INVALID_TXN_STATE = 48,
	INVALID_TRANSACTION_TIMEOUT = 50,
	CONCURRENT_TRANSACTIONS = 51,
	TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53,
	FENCED_INSTANCE_ID = 82,
};

#define NONE 0, 0, 0

static const struct {
	const char *name;
	enum kafka_call call;
	struct kafka_failure failure;
	enum error_kind kind;
	int exit_code;
} rows[] = {
	{ "init: broker starts", KAFKA_CALL_INIT,
	    { LOCAL_TIMED_OUT, true, false, false }, ERROR_RETRY, 0 },
	{ "init: predecessor is aborted", KAFKA_CALL_INIT,
	    { CONCURRENT_TRANSACTIONS, NONE }, ERROR_RETRY, 0 },
	{ "init: no right to the id", KAFKA_CALL_INIT,
	    { TRANSACTIONAL_ID_AUTHORIZATION_FAILED, false, false, true },
	    ERROR_FATAL, 77 },
	{ "init: no right to the cluster", KAFKA_CALL_INIT,
	    { CLUSTER_AUTHORIZATION_FAILED, NONE }, ERROR_FATAL, 77 },
	{ "init: over the broker's limit", KAFKA_CALL_INIT,
	    { INVALID_TRANSACTION_TIMEOUT, NONE }, ERROR_FATAL, 78 },
	{ "init: fenced", KAFKA_CALL_INIT, { LOCAL_FENCED, false, false, true },
	    ERROR_ABORT, 0 },
	{ "produce: queue full", KAFKA_CALL_PRODUCE, { LOCAL_QUEUE_FULL, NONE },
	    ERROR_RETRY, 0 },
	{ "produce: too large", KAFKA_CALL_PRODUCE,
	    { MSG_SIZE_TOO_LARGE, NONE }, ERROR_ABORT, 0 },
	{ "produce: topic is missing", KAFKA_CALL_PRODUCE,
	    { LOCAL_UNKNOWN_TOPIC, NONE }, ERROR_ABORT, 0 },
	{ "offsets: not a member", KAFKA_CALL_OFFSETS,
	    { UNKNOWN_MEMBER_ID, false, true, false }, ERROR_ABORT, 0 },
	{ "offsets: old generation", KAFKA_CALL_OFFSETS,
	    { ILLEGAL_GENERATION, false, true, false }, ERROR_ABORT, 0 },
	{ "offsets: coordinator moved", KAFKA_CALL_OFFSETS,
	    { LOCAL_TIMED_OUT, true, false, false }, ERROR_RETRY, 0 },
	{ "offsets: no right to the group", KAFKA_CALL_OFFSETS,
	    { GROUP_AUTHORIZATION_FAILED, false, true, false }, ERROR_FATAL,
	    77 },
	{ "offsets: calls in a wrong order", KAFKA_CALL_OFFSETS,
	    { LOCAL_STATE, NONE }, ERROR_FATAL, 70 },
	{ "offsets: a producer id is asked for", KAFKA_CALL_OFFSETS,
	    { LOCAL_STATE, true, false, false }, ERROR_RETRY, 0 },
	{ "commit: outcome unknown", KAFKA_CALL_COMMIT,
	    { LOCAL_TIMED_OUT, true, false, false }, ERROR_RETRY, 0 },
	{ "commit: a message failed", KAFKA_CALL_COMMIT,
	    { LOCAL_MSG_TIMED_OUT, false, true, false }, ERROR_ABORT, 0 },
	{ "commit: fenced", KAFKA_CALL_COMMIT,
	    { LOCAL_FENCED, false, false, true }, ERROR_ABORT, 0 },
	{ "commit: late EndTxn", KAFKA_CALL_COMMIT,
	    { INVALID_TXN_STATE, false, false, true }, ERROR_ABORT, 0 },
	{ "commit: no right to a topic", KAFKA_CALL_COMMIT,
	    { TOPIC_AUTHORIZATION_FAILED, false, true, false }, ERROR_FATAL,
	    77 },
	{ "abort: after a commit without answer", KAFKA_CALL_ABORT,
	    { LOCAL_CONFLICT, NONE }, ERROR_ABORT, 0 },
	{ "abort: late", KAFKA_CALL_ABORT,
	    { LOCAL_TIMED_OUT, true, false, false }, ERROR_RETRY, 0 },
	{ "send: queue full", KAFKA_CALL_SEND, { LOCAL_QUEUE_FULL, NONE },
	    ERROR_RETRY, 0 },
	{ "send: too large", KAFKA_CALL_SEND, { MSG_SIZE_TOO_LARGE, NONE },
	    ERROR_INPUT, 0 },
	{ "send: no topic", KAFKA_CALL_SEND, { LOCAL_UNKNOWN_TOPIC, NONE },
	    ERROR_INPUT, 0 },
	{ "delivery: late", KAFKA_CALL_DELIVERY, { LOCAL_MSG_TIMED_OUT, NONE },
	    ERROR_RETRY, 0 },
	{ "delivery: too large", KAFKA_CALL_DELIVERY,
	    { MSG_SIZE_TOO_LARGE, NONE }, ERROR_INPUT, 0 },
	{ "delivery: no right", KAFKA_CALL_DELIVERY,
	    { TOPIC_AUTHORIZATION_FAILED, NONE }, ERROR_FATAL, 77 },
	{ "delivery: broken producer", KAFKA_CALL_DELIVERY,
	    { LOCAL_FATAL, NONE }, ERROR_FATAL, 70 },
	{ "poll: too late", KAFKA_CALL_POLL, { LOCAL_MAX_POLL_EXCEEDED, NONE },
	    ERROR_ABORT, 0 },
	{ "poll: network", KAFKA_CALL_POLL, { LOCAL_TRANSPORT, NONE },
	    ERROR_RETRY, 0 },
	{ "poll: no right to the group", KAFKA_CALL_POLL,
	    { GROUP_AUTHORIZATION_FAILED, NONE }, ERROR_FATAL, 77 },
	{ "poll: a twin", KAFKA_CALL_POLL,
	    { FENCED_INSTANCE_ID, false, false, true }, ERROR_FATAL, 75 },
	{ "poll: topic not there yet", KAFKA_CALL_POLL,
	    { UNKNOWN_TOPIC_OR_PART, NONE }, ERROR_RETRY, 0 },
	{ "poll: fatal", KAFKA_CALL_POLL, { LOCAL_FATAL, NONE }, ERROR_FATAL,
	    70 },
	{ "query: no topic", KAFKA_CALL_QUERY, { UNKNOWN_TOPIC_OR_PART, NONE },
	    ERROR_INPUT, 0 },
	{ "query: no partition", KAFKA_CALL_QUERY,
	    { LOCAL_UNKNOWN_PARTITION, NONE }, ERROR_INPUT, 0 },
	{ "query: no answer", KAFKA_CALL_QUERY, { LOCAL_TIMED_OUT, NONE },
	    ERROR_RETRY, 0 },
	{ "query: a bug", KAFKA_CALL_QUERY, { LOCAL_INVALID_ARG, NONE },
	    ERROR_FATAL, 70 },
};

static void
follows_the_protocols_table(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int exit_code = -1;
		enum error_kind kind =
		    kafka_classify(rows[i].call, rows[i].failure, &exit_code);
		CHECK_ROW(rows[i].name, kind == rows[i].kind);
		CHECK_ROW(rows[i].name, exit_code == rows[i].exit_code);
	}
}

CU_TestInfo kafka_errors_tests[] = {
	{ "follows the protocol's table", follows_the_protocols_table },
	CU_TEST_INFO_NULL,
};
