#include "common/kafka/errors.h"

#include <librdkafka/rdkafka.h>
#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define CALL(call) (1u << KAFKA_CALL_##call)
#define TRANSACTION                                                            \
	(CALL(INIT) | CALL(PRODUCE) | CALL(OFFSETS) | CALL(COMMIT) |           \
	    CALL(ABORT))
#define ANY_CALL (~0u)
#define CODE(code) RD_KAFKA_RESP_ERR_##code

/*
 * What librdkafka says of the error itself.  A row of kind FATAL for an
 * authorisation comes before it: such an error is abortable too, but a rebuild
 * would not mend it.
 */
enum mark { MARK_NONE, MARK_RETRIABLE, MARK_ABORTABLE, MARK_FATAL };

/* The first row that fits decides. */
static const struct rule {
	unsigned calls;
	int code; /* of rows with MARK_NONE */
	enum mark mark;
	enum error_kind kind;
	int exit_code;
} rules[] = {
	/* A setting or right that no repetition brings. */
	{ CALL(INIT), CODE(INVALID_TRANSACTION_TIMEOUT), MARK_NONE, ERROR_FATAL,
	    78 },
	{ ANY_CALL, CODE(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), MARK_NONE,
	    ERROR_FATAL, 77 },
	{ ANY_CALL, CODE(CLUSTER_AUTHORIZATION_FAILED), MARK_NONE, ERROR_FATAL,
	    77 },
	{ ANY_CALL, CODE(TOPIC_AUTHORIZATION_FAILED), MARK_NONE, ERROR_FATAL,
	    77 },
	{ ANY_CALL, CODE(GROUP_AUTHORIZATION_FAILED), MARK_NONE, ERROR_FATAL,
	    77 },
	{ ANY_CALL, CODE(FENCED_INSTANCE_ID), MARK_NONE, ERROR_FATAL, 75 },

	/* The calls in a wrong order: a bug of ours. */
	{ CALL(POLL) | CALL(QUERY) | CALL(SEND), CODE(_INVALID_ARG), MARK_NONE,
	    ERROR_FATAL, 70 },

	/* Transactions: a fatal error ends the handle, not the process. */
	{ TRANSACTION, 0, MARK_FATAL, ERROR_ABORT, 0 },
	{ TRANSACTION, 0, MARK_ABORTABLE, ERROR_ABORT, 0 },
	{ CALL(PRODUCE), CODE(_QUEUE_FULL), MARK_NONE, ERROR_RETRY, 0 },
	{ CALL(INIT) | CALL(OFFSETS) | CALL(COMMIT) | CALL(ABORT), 0,
	    MARK_RETRIABLE, ERROR_RETRY, 0 },
	/*
	 * The calls in a wrong order, unless it is marked: a producer that lost
	 * its id says so too, while it asks for another.
	 */
	{ CALL(INIT) | CALL(OFFSETS) | CALL(COMMIT), CODE(_STATE), MARK_NONE,
	    ERROR_FATAL, 70 },
	/* The broker starts, or aborts the predecessor's transaction. */
	{ CALL(INIT), CODE(_TIMED_OUT), MARK_NONE, ERROR_RETRY, 0 },
	{ CALL(INIT), CODE(CONCURRENT_TRANSACTIONS), MARK_NONE, ERROR_RETRY,
	    0 },
	{ CALL(INIT), CODE(COORDINATOR_LOAD_IN_PROGRESS), MARK_NONE,
	    ERROR_RETRY, 0 },
	{ CALL(INIT), CODE(COORDINATOR_NOT_AVAILABLE), MARK_NONE, ERROR_RETRY,
	    0 },
	{ CALL(INIT), CODE(NOT_COORDINATOR), MARK_NONE, ERROR_RETRY, 0 },
	{ TRANSACTION, 0, MARK_NONE, ERROR_ABORT, 0 },

	/* The plain producer. */
	{ CALL(SEND) | CALL(DELIVERY), 0, MARK_FATAL, ERROR_FATAL, 70 },
	{ CALL(SEND) | CALL(DELIVERY), CODE(_FATAL), MARK_NONE, ERROR_FATAL,
	    70 },
	{ CALL(SEND) | CALL(DELIVERY), CODE(MSG_SIZE_TOO_LARGE), MARK_NONE,
	    ERROR_INPUT, 0 },
	{ CALL(DELIVERY), CODE(RECORD_LIST_TOO_LARGE), MARK_NONE, ERROR_INPUT,
	    0 },
	{ CALL(DELIVERY), CODE(INVALID_RECORD), MARK_NONE, ERROR_INPUT, 0 },
	{ CALL(DELIVERY), CODE(INVALID_TIMESTAMP), MARK_NONE, ERROR_INPUT, 0 },
	{ CALL(SEND) | CALL(DELIVERY) | CALL(QUERY), CODE(_UNKNOWN_TOPIC),
	    MARK_NONE, ERROR_INPUT, 0 },
	{ CALL(SEND) | CALL(DELIVERY) | CALL(QUERY), CODE(_UNKNOWN_PARTITION),
	    MARK_NONE, ERROR_INPUT, 0 },

	/* The consumer: fetching and membership go on by themselves. */
	{ CALL(POLL), CODE(_MAX_POLL_EXCEEDED), MARK_NONE, ERROR_ABORT, 0 },
	{ CALL(POLL), 0, MARK_FATAL, ERROR_FATAL, 70 },
	{ CALL(POLL), CODE(_FATAL), MARK_NONE, ERROR_FATAL, 70 },

	/* Questions whose answer is no. */
	{ CALL(QUERY), CODE(UNKNOWN_TOPIC_OR_PART), MARK_NONE, ERROR_INPUT, 0 },
	{ CALL(QUERY), CODE(TOPIC_EXCEPTION), MARK_NONE, ERROR_INPUT, 0 },
	{ CALL(QUERY), CODE(GROUP_ID_NOT_FOUND), MARK_NONE, ERROR_INPUT, 0 },
	{ CALL(QUERY), CODE(INVALID_PARTITIONS), MARK_NONE, ERROR_INPUT, 0 },
	{ CALL(QUERY), CODE(INVALID_REPLICATION_FACTOR), MARK_NONE, ERROR_INPUT,
	    0 },
	{ CALL(QUERY), CODE(INVALID_CONFIG), MARK_NONE, ERROR_INPUT, 0 },
	{ CALL(QUERY), CODE(INVALID_REQUEST), MARK_NONE, ERROR_INPUT, 0 },
	{ CALL(QUERY), CODE(POLICY_VIOLATION), MARK_NONE, ERROR_INPUT, 0 },
	{ CALL(QUERY), CODE(OFFSET_OUT_OF_RANGE), MARK_NONE, ERROR_INPUT, 0 },
};

static bool
fits(
    const struct rule *rule, enum kafka_call call, struct kafka_failure failure)
{
	if ((rule->calls & 1u << call) == 0)
		return false;
	switch (rule->mark) {
	case MARK_RETRIABLE:
		return failure.retriable;
	case MARK_ABORTABLE:
		return failure.abortable;
	case MARK_FATAL:
		return failure.fatal;
	case MARK_NONE:
		break;
	}
	return rule->code == 0 || rule->code == failure.code;
}

enum error_kind
kafka_classify(
    enum kafka_call call, struct kafka_failure failure, int *exit_code)
{
	size_t i;

	for (i = 0; i < COUNT(rules); i++) {
		if (!fits(&rules[i], call, failure))
			continue;
		*exit_code = rules[i].exit_code;
		return rules[i].kind;
	}
	*exit_code = 0;
	return ERROR_RETRY;
}
