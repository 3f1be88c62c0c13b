#ifndef SCHEDRUN_PRODUCER_HTTP_APP_H
#define SCHEDRUN_PRODUCER_HTTP_APP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/metrics.h"
#include "common/base/text.h"
#include "common/config/config.h"
#include "common/http/health.h"
#include "common/http/loop.h"
#include "common/http/server.h"
#include "producer/auth/auth.h"
#include "producer/http/work_pool.h"
#include "schemas/keyspace.h"

/*
 * What the adapter's handlers share: its parts, each with its own contract, and
 * the settings they look at.  Made by http_main, read-only after that but for
 * `draining`.
 */
struct http_counters;
struct http_runs;
struct http_events;
struct dashboard;
struct event_sender;

struct http_app {
	const struct config *config;
	struct loop *loop;
	struct metrics *metrics;
	struct health *health;
	struct http_counters *counters;
	struct http_auth *auth;
	struct work_pool *pool;
	struct http_server *server;
	struct http_runs *runs;      /* publishing and waiting */
	struct http_events *events;  /* subscribers */
	struct event_sender *sender; /* of what happened, to Kafka */
	struct dashboard *dashboard; /* NULL: http.page=off */
	struct text base_path;       /* "" or "/x" */
	const char *profile;         /* http.contract.profile */
	const char *cors_origins;    /* "" = none */
	struct keyspace *keyspace;
	int64_t view_ttl_ms;
	bool draining;
};

#endif
