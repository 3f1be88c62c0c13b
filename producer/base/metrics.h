#ifndef SCHEDRUN_PRODUCER_BASE_METRICS_H
#define SCHEDRUN_PRODUCER_BASE_METRICS_H

#include <stddef.h>

#include "common/base/metrics.h"
#include "common/base/text.h"

/*
 * The adapter's metrics (docs/operation.md, section 4).  Routes are patterns,
 * never what a request said; methods that we don't serve are "other".  On the
 * loop's thread.
 */
enum http_dependency {
	DEPENDENCY_KAFKA,
	DEPENDENCY_REDIS,
	DEPENDENCY_REGISTRY
};
enum http_redis_op { REDIS_OP_CALL, REDIS_OP_FOLD };

/* The rows of the table, each with the number of its label's value, or 0. */
enum http_metric {
	HTTP_SECONDS,
	HTTP_CONNECTIONS,
	HTTP_IN_FLIGHT,
	HTTP_AUTH_FAILURES,
	HTTP_DEPENDENCIES,
	HTTP_KAFKA_ERRORS,
	HTTP_REDIS,
	HTTP_REDIS_ERRORS,
	HTTP_VIEW_LAG,
	HTTP_METRICS
};

/* What is counted by route. */
struct http_counters;

/* Takes the table for `metrics`; before the first thread. */
struct http_counters *http_counters_create(
    struct metrics *metrics, size_t n_routes);
void http_counters_destroy(struct http_counters *counters);

/* The name of route number `route`; before the first request. */
void http_counters_route(struct http_counters *counters, size_t route,
    const char *pattern, const char *method);

/* An answer, after so many seconds; `route` SIZE_MAX: no route fits. */
void http_counters_answer(struct http_counters *counters, size_t route,
    struct text method, int status, double seconds);

/* A token was refused for this reason; the first one makes a series of it. */
void http_counters_auth_failure(
    struct http_counters *counters, const char *reason);
/* The same reason, before the first scrape: it is there with 0. */
void http_counters_reason(struct http_counters *counters, const char *reason);

/* For kafka_health_on_error: `metrics`, and librdkafka's code; any thread. */
void http_counters_kafka_error(void *metrics, const char *code);

#endif
