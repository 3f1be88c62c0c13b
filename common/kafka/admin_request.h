#ifndef SCHEDRUN_COMMON_KAFKA_ADMIN_REQUEST_H
#define SCHEDRUN_COMMON_KAFKA_ADMIN_REQUEST_H

#include "common/kafka/admin.h"
#include "common/kafka/query.h"

/*
 * One question of the admin client and its one answer.  Part of kafka_admin.
 */
struct rd_kafka_AdminOptions_s;
struct rd_kafka_op_s; /* an event */
struct rd_kafka_queue_s;

struct kafka_admin {
	struct kafka_client client; /* first: librdkafka's opaque */
	struct kafka_settings settings;
	struct rd_kafka_s *handle;
	struct rd_kafka_queue_s *answers;
	int timeout_ms; /* of each call */
};

/* `operation` is a rd_kafka_admin_op_t; the caller destroys the options. */
struct rd_kafka_AdminOptions_s *kafka_admin_options(
    struct kafka_admin *admin, int operation);

/* The answer, to be destroyed by the caller; NULL with `err` set. */
struct rd_kafka_op_s *kafka_admin_answer(
    struct kafka_admin *admin, const char *what, struct error *err);

/*
 * The log's range of one partition.  Asks again until `until` (monotonic ms)
 * while there is no answer: a partition whose leader is only just named, or
 * moves, has none.
 */
int kafka_admin_range(struct kafka_admin *admin, struct kafka_partition of,
    struct kafka_range *range, int64_t until, struct error *err);

/*
 * A short rest between two questions, in which refused credentials are told;
 * false: `until` has passed.
 */
bool kafka_admin_rest(struct kafka_admin *admin, int64_t until);

/*
 * Whether to ask once more: the call came to `rc` and ERROR_RETRY, and `until`
 * has not passed.  A new cluster has no coordinator before one is asked for.
 */
bool kafka_admin_again(
    struct kafka_admin *admin, int rc, int64_t until, const struct error *err);

/* Sets `err` by the table; returns -1. */
int kafka_admin_fail(struct kafka_admin *admin, int code, struct error *err,
    const char *what, const char *detail);

#endif
