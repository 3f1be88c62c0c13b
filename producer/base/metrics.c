#include "producer/base/metrics.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define NAME "schedrun_http_requests_total"
#define HELP "Requests answered, by route, method and status code."

static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "DELETE",
	"OPTIONS", "other" };
#define N_METHODS (sizeof methods / sizeof methods[0])

static const int codes[] = { 200, 204, 400, 401, 403, 404, 405, 408, 413, 414,
	415, 417, 429, 431, 500, 501, 503, 505 };
#define N_CODES (sizeof codes / sizeof codes[0])

static const char *const reasons[] = { "MISSING", "MALFORMED", "TOO_LONG",
	"ALGORITHM", "UNKNOWN_KEY", "SIGNATURE", "CRIT", "NO_EXPIRY", "EXPIRED",
	"NOT_YET_VALID", "AUDIENCE", "ISSUER", "SUBJECT", "SCOPE" };
#define N_REASONS (sizeof reasons / sizeof reasons[0])

/* Of librdkafka's error events and failed calls; the last one is the rest. */
static const char *const kafka_codes[] = { "_TRANSPORT", "_TIMED_OUT",
	"_ALL_BROKERS_DOWN", "_RESOLVE", "_AUTHENTICATION", "_SSL",
	"_MSG_TIMED_OUT", "_QUEUE_FULL", "UNKNOWN_TOPIC_OR_PART",
	"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", "other" };
#define N_KAFKA_CODES (sizeof kafka_codes / sizeof kafka_codes[0])

struct route_counters {
	const char *pattern;
	struct metric *seconds;
	struct metric *answers[N_METHODS][N_CODES];
};

struct http_counters {
	struct metrics *metrics;
	struct metric *connections, *in_flight;
	struct metric *auth_failures[N_REASONS];
	struct metric *dependencies[N_DEPENDENCIES];
	struct metric *kafka_errors[N_KAFKA_CODES];
	struct redis_counters redis;
	size_t n_routes;
	struct route_counters routes[]; /* the last one: no route fits */
};

/* Literals live as long as the process; the metrics keep pointers to none. */
static struct metric *
answer_series(struct http_counters *counters,
    const struct route_counters *route, size_t method, size_t code)
{
	char labels[200];

	snprintf(labels, sizeof labels,
	    "route=\"%s\",method=\"%s\",code=\"%d\"", route->pattern,
	    methods[method], codes[code]);
	return metrics_series(
	    counters->metrics, METRIC_COUNTER, NAME, labels, HELP);
}

static size_t
method_index(struct text method)
{
	size_t i;

	for (i = 0; i < N_METHODS - 1; i++)
		if (text_equal(method, text_from(methods[i])))
			break;
	return i;
}

static size_t
code_index(int status)
{
	size_t i;

	for (i = 0; i < N_CODES - 1; i++)
		if (codes[i] == status)
			break;
	return i;
}

static void
expect(struct http_counters *counters, struct route_counters *route,
    size_t method, int status)
{
	size_t code = code_index(status);

	if (route->answers[method][code] == NULL)
		route->answers[method][code] =
		    answer_series(counters, route, method, code);
}

/*
 * A route's usual answers are there from the first scrape; the others come when
 * they are first given, or the series would be thousands.
 */
void
http_counters_route(struct http_counters *counters, size_t route,
    const char *pattern, const char *method)
{
	static const int usual[] = { 200, 400, 401, 403, 404, 500, 503 };
	struct route_counters *at = &counters->routes[route];
	char labels[120];
	size_t i;

	at->pattern = pattern;
	snprintf(labels, sizeof labels, "route=\"%s\"", pattern);
	at->seconds = metrics_histogram(counters->metrics,
	    "schedrun_http_request_duration_seconds", labels,
	    "From the complete request to its answer.", metrics_seconds,
	    metrics_seconds_n);
	for (i = 0; i < sizeof usual / sizeof usual[0]; i++)
		expect(counters, at, method_index(text_from(method)), usual[i]);
}

static void
create_failures(struct http_counters *counters)
{
	char labels[60];
	size_t i;

	for (i = 0; i < N_REASONS; i++) {
		snprintf(labels, sizeof labels, "reason=\"%s\"", reasons[i]);
		counters->auth_failures[i] = metrics_series(counters->metrics,
		    METRIC_COUNTER, "schedrun_http_auth_failures_total", labels,
		    "Requests refused for their token, by reason.");
	}
}

static void
create_dependencies(struct http_counters *counters)
{
	static const char *const names[] = { "kafka", "redis" };
	static const char *const ops[] = { "call", "fold" };
	struct metrics *metrics = counters->metrics;
	char labels[60];
	size_t i;

	for (i = 0; i < N_DEPENDENCIES; i++) {
		snprintf(labels, sizeof labels, "dependency=\"%s\"", names[i]);
		counters->dependencies[i] = metrics_series(metrics,
		    METRIC_GAUGE, "schedrun_dependency_up", labels,
		    "Whether the dependency answers.");
	}
	for (i = 0; i < N_KAFKA_CODES; i++) {
		snprintf(labels, sizeof labels, "code=\"%s\"", kafka_codes[i]);
		counters->kafka_errors[i] = metrics_series(metrics,
		    METRIC_COUNTER, "schedrun_kafka_errors_total", labels,
		    "Errors that librdkafka told of, by its code.");
	}
	for (i = 0; i < N_REDIS_OPS; i++) {
		snprintf(labels, sizeof labels, "op=\"%s\"", ops[i]);
		counters->redis.seconds[i] = metrics_histogram(metrics,
		    "schedrun_redis_round_trip_seconds", labels,
		    "Rounds of Redis.", metrics_seconds, metrics_seconds_n);
	}
	counters->redis.errors = metrics_series(metrics, METRIC_COUNTER,
	    "schedrun_redis_errors_total", "kind=\"unavailable\"",
	    "Failed rounds of Redis.");
}

struct http_counters *
http_counters_create(struct metrics *metrics, size_t n_routes)
{
	struct http_counters *counters = memory_zalloc(
	    1, sizeof *counters + (n_routes + 1) * sizeof counters->routes[0]);

	counters->metrics = metrics;
	counters->n_routes = n_routes;
	counters->connections = metrics_series(metrics, METRIC_GAUGE,
	    "schedrun_http_connections", "", "Open connections.");
	counters->in_flight = metrics_series(metrics, METRIC_GAUGE,
	    "schedrun_http_in_flight_requests", "",
	    "Requests that have no answer yet.");
	create_failures(counters);
	create_dependencies(counters);
	http_counters_route(counters, n_routes, "none", "other");
	return counters;
}

void
http_counters_destroy(struct http_counters *counters)
{
	free(counters);
}

void
http_counters_answer(struct http_counters *counters, size_t route,
    struct text method, int status, double seconds)
{
	size_t at = route < counters->n_routes ? route : counters->n_routes;
	struct route_counters *row = &counters->routes[at];
	size_t m = method_index(method);

	expect(counters, row, m, status);
	metric_add(row->answers[m][code_index(status)], 1);
	metric_observe(row->seconds, seconds, 1);
}

void
http_counters_auth_failure(struct http_counters *counters, const char *reason)
{
	size_t i;

	for (i = 0; i < N_REASONS; i++)
		if (strcmp(reasons[i], reason) == 0)
			metric_add(counters->auth_failures[i], 1);
}

void
http_counters_server(
    struct http_counters *counters, const struct http_server *server)
{
	metric_set(
	    counters->connections, (double)http_server_connections(server));
	metric_set(counters->in_flight, (double)http_server_requests(server));
}

void
http_counters_dependency(
    struct http_counters *counters, enum http_dependency dependency, bool up)
{
	metric_set(counters->dependencies[dependency], up ? 1 : 0);
}

void
http_counters_kafka_error(void *argument, const char *code)
{
	struct http_counters *counters = argument;
	size_t i;

	for (i = 0; i < N_KAFKA_CODES - 1; i++)
		if (strcmp(kafka_codes[i], code) == 0)
			break;
	metric_add(counters->kafka_errors[i], 1);
}

const struct redis_counters *
http_counters_redis(const struct http_counters *counters)
{
	return &counters->redis;
}
