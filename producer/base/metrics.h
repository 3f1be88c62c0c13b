#ifndef SCHEDRUN_PRODUCER_BASE_METRICS_H
#define SCHEDRUN_PRODUCER_BASE_METRICS_H

#include <stdbool.h>

#include "common/base/metrics.h"
#include "common/base/text.h"
#include "common/http/server.h"

/*
 * The adapter's metrics (docs/operation.md, section 4).  Routes are patterns,
 * never what a request said; methods that we don't serve are "other".  On the
 * loop's thread.
 */
struct http_counters;

struct http_counters *http_counters_create(
    struct metrics *metrics, size_t n_routes);
void http_counters_destroy(struct http_counters *counters);

/* The name of route number `route`; before the first request. */
void http_counters_route(struct http_counters *counters, size_t route,
    const char *pattern, const char *method);

/* An answer, after so many seconds; `route` SIZE_MAX: no route fits. */
void http_counters_answer(struct http_counters *counters, size_t route,
    struct text method, int status, double seconds);

void http_counters_auth_failure(
    struct http_counters *counters, const char *reason);

/* The gauges that are looked at now and then. */
void http_counters_server(
    struct http_counters *counters, const struct http_server *server);
enum http_dependency { DEPENDENCY_KAFKA, DEPENDENCY_REDIS, N_DEPENDENCIES };
void http_counters_dependency(
    struct http_counters *counters, enum http_dependency dependency, bool up);

/* For kafka_health_on_error: `counters` and librdkafka's code; any thread. */
void http_counters_kafka_error(void *counters, const char *code);

/* Jobs with Redis; any thread. */
enum http_redis_op { REDIS_OP_CALL, REDIS_OP_FOLD, N_REDIS_OPS };
struct redis_counters {
	struct metric *seconds[N_REDIS_OPS], *errors;
};
const struct redis_counters *http_counters_redis(
    const struct http_counters *counters);

#endif
