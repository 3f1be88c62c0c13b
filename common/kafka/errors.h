#ifndef SCHEDRUN_COMMON_KAFKA_ERRORS_H
#define SCHEDRUN_COMMON_KAFKA_ERRORS_H

#include <stdbool.h>

#include "common/base/error.h"

/*
 * librdkafka's errors -> what the caller must do: one table (docs/delivery.md,
 * section 5).  Pure; any thread.
 */

/* What was under way when the error came. */
enum kafka_call {
	KAFKA_CALL_INIT,     /* init_transactions */
	KAFKA_CALL_PRODUCE,  /* in a transaction */
	KAFKA_CALL_OFFSETS,  /* send_offsets_to_transaction */
	KAFKA_CALL_COMMIT,   /* of a transaction */
	KAFKA_CALL_ABORT,    /* of a transaction */
	KAFKA_CALL_SEND,     /* produce without a transaction */
	KAFKA_CALL_DELIVERY, /* the report of such a message */
	KAFKA_CALL_POLL,     /* the consumer's */
	KAFKA_CALL_QUERY,    /* metadata, offsets, admin */
};

struct kafka_failure {
	int code; /* rd_kafka_resp_err_t */
	bool retriable, abortable, fatal;
};

/* `exit_code` is set for ERROR_FATAL, else 0. */
enum error_kind kafka_classify(
    enum kafka_call call, struct kafka_failure failure, int *exit_code);

#endif
