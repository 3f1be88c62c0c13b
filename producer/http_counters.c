#include "producer/http_counters.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

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

struct route_counters {
	const char *pattern;
	struct metric *seconds;
	struct metric *answers[N_METHODS][N_CODES];
};

struct http_counters {
	struct metrics *metrics;
	struct metric *connections, *in_flight;
	struct metric *auth_failures[N_REASONS];
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

void
http_counters_route(
    struct http_counters *counters, size_t route, const char *pattern)
{
	struct route_counters *at = &counters->routes[route];
	char labels[120];

	at->pattern = pattern;
	snprintf(labels, sizeof labels, "route=\"%s\"", pattern);
	at->seconds = metrics_histogram(counters->metrics,
	    "schedrun_http_request_duration_seconds", labels,
	    "From the complete request to its answer.", metrics_seconds,
	    metrics_seconds_n);
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
	http_counters_route(counters, n_routes, "none");
	return counters;
}

void
http_counters_destroy(struct http_counters *counters)
{
	free(counters);
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

void
http_counters_answer(struct http_counters *counters, size_t route,
    struct text method, int status, double seconds)
{
	size_t at = route < counters->n_routes ? route : counters->n_routes;
	struct route_counters *row = &counters->routes[at];
	size_t m = method_index(method), code;

	for (code = 0; code < N_CODES - 1; code++)
		if (codes[code] == status)
			break;
	if (row->answers[m][code] == NULL)
		row->answers[m][code] = answer_series(counters, row, m, code);
	metric_add(row->answers[m][code], 1);
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
