#include "producer/base/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/kafka/client.h"

#define ROUTES_MAX 64
#define REASONS_MAX 32
#define KAFKA_CODES_MAX 48

static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "DELETE",
	"OPTIONS", "other" };
#define N_METHODS (sizeof methods / sizeof methods[0])

/* Those of no token that jwt.c judges. */
static const char *const reasons[] = { "MISSING", "UNKNOWN_TOKEN", "SCOPE",
	NULL };
static const char *const dependencies[] = { "kafka", "redis", "registry",
	NULL };
static const char *const ops[] = { "call", "fold", NULL };
static const char *const kinds[] = { "unavailable", "refused", NULL };

static const struct metric_row rows[HTTP_METRICS] = {
	[HTTP_SECONDS] = { .type = METRIC_HISTOGRAM,
	    .name = "schedrun_http_request_duration_seconds",
	    .label = "route",
	    .max = ROUTES_MAX,
	    .help = "From the complete request to its answer." },
	[HTTP_CONNECTIONS] = { .type = METRIC_GAUGE,
	    .name = "schedrun_http_connections",
	    .help = "Open connections." },
	[HTTP_IN_FLIGHT] = { .type = METRIC_GAUGE,
	    .name = "schedrun_http_in_flight_requests",
	    .help = "Requests that have no answer yet." },
	[HTTP_AUTH_FAILURES] = { .type = METRIC_COUNTER,
	    .name = "schedrun_http_auth_failures_total",
	    .label = "reason",
	    .values = reasons,
	    .max = REASONS_MAX,
	    .help = "Requests refused for their token, by reason." },
	[HTTP_DEPENDENCIES] = { .type = METRIC_GAUGE,
	    .name = "schedrun_dependency_up",
	    .label = "dependency",
	    .values = dependencies,
	    .help = "Whether the dependency answers." },
	[HTTP_KAFKA_ERRORS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_kafka_errors_total",
	    .label = "code",
	    .values = kafka_error_codes,
	    .max = KAFKA_CODES_MAX,
	    .help = "Errors that librdkafka told of, by its code." },
	[HTTP_REDIS] = { .type = METRIC_HISTOGRAM,
	    .name = "schedrun_redis_round_trip_seconds",
	    .label = "op",
	    .values = ops,
	    .help = "Rounds of Redis." },
	[HTTP_REDIS_ERRORS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_redis_errors_total",
	    .label = "kind",
	    .values = kinds,
	    .help = "Failed rounds of Redis." },
	[HTTP_VIEW_LAG] = { .type = METRIC_GAUGE,
	    .name = "schedrun_run_view_lag_records",
	    .help = "Results and builds that are not in the run view yet." },
};

/* What a route was answered with, the series of each method and code. */
struct answer {
	struct answer *next;
	size_t method;
	int status;
	struct metric *series;
};

struct route {
	const char *pattern;
	struct answer *answers;
};

struct http_counters {
	struct metrics *metrics;
	size_t n_routes;
	struct route routes[]; /* the last one: no route fits */
};

static size_t
method_index(struct text method)
{
	size_t i;

	for (i = 0; i < N_METHODS - 1; i++)
		if (text_equal(method, text_from(methods[i])))
			break;
	return i;
}

/* Adds to the series, made when it is first asked for: each code has its own.
 */
static void
count_answers(struct http_counters *counters, struct route *route,
    size_t method, int status, uint64_t n)
{
	struct answer *answer = route->answers;
	char labels[200];

	while (answer != NULL &&
	    (answer->method != method || answer->status != status))
		answer = answer->next;
	if (answer == NULL) {
		snprintf(labels, sizeof labels,
		    "route=\"%s\",method=\"%s\",code=\"%d\"", route->pattern,
		    methods[method], status);
		answer = memory_zalloc(1, sizeof *answer);
		answer->method = method;
		answer->status = status;
		answer->series = metrics_series(counters->metrics,
		    METRIC_COUNTER, "schedrun_http_requests_total", labels,
		    "Requests answered, by route, method and status code.");
		answer->next = route->answers;
		route->answers = answer;
	}
	metric_add(answer->series, n);
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
	struct route *at = &counters->routes[route];
	char labels[120];
	size_t i;

	at->pattern = pattern;
	snprintf(labels, sizeof labels, "route=\"%s\"", pattern);
	metrics_label(counters->metrics, HTTP_SECONDS, route, labels);
	for (i = 0; i < sizeof usual / sizeof usual[0]; i++)
		count_answers(
		    counters, at, method_index(text_from(method)), usual[i], 0);
}

struct http_counters *
http_counters_create(struct metrics *metrics, size_t n_routes)
{
	struct http_counters *counters = memory_zalloc(
	    1, sizeof *counters + (n_routes + 1) * sizeof counters->routes[0]);

	counters->metrics = metrics;
	counters->n_routes = n_routes;
	metrics_use(metrics, rows, HTTP_METRICS);
	http_counters_route(counters, n_routes, "none", "other");
	return counters;
}

void
http_counters_destroy(struct http_counters *counters)
{
	struct answer *answer;
	size_t i;

	if (counters == NULL)
		return;
	for (i = 0; i <= counters->n_routes; i++)
		while ((answer = counters->routes[i].answers) != NULL) {
			counters->routes[i].answers = answer->next;
			free(answer);
		}
	free(counters);
}

void
http_counters_answer(struct http_counters *counters, size_t route,
    struct text method, int status, double seconds)
{
	size_t at = route < counters->n_routes ? route : counters->n_routes;

	count_answers(
	    counters, &counters->routes[at], method_index(method), status, 1);
	metrics_observe(counters->metrics, HTTP_SECONDS, at, seconds, 1);
}

void
http_counters_reason(struct http_counters *counters, const char *reason)
{
	metrics_index(counters->metrics, HTTP_AUTH_FAILURES, reason);
}

void
http_counters_auth_failure(struct http_counters *counters, const char *reason)
{
	metrics_add(counters->metrics, HTTP_AUTH_FAILURES,
	    metrics_index(counters->metrics, HTTP_AUTH_FAILURES, reason), 1);
}

void
http_counters_kafka_error(void *metrics, const char *code)
{
	metrics_add(metrics, HTTP_KAFKA_ERRORS,
	    metrics_index(metrics, HTTP_KAFKA_ERRORS, code), 1);
}
