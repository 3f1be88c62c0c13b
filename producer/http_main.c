#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/options.h"
#include "common/http/admin.h"
#include "common/kafka/client.h"
#include "producer/api/events.h"
#include "producer/api/routes.h"
#include "producer/api/runs.h"
#include "producer/base/metrics.h"
#include "producer/http/app.h"
#include "producer/http/limits.h"
#include "producer/http/probe.h"
#include "producer/runs/feed.h"
#include "producer/runs/fold.h"
#include "producer/runs/publisher.h"
#include "producer/runs/waiters.h"
#include "schemas/avro/registry.h"
#include "schemas/topics.h"

#define ADMIN_DEFAULT "127.0.0.1:9465"
#define POOL_THREADS 4
#define POOL_QUEUE 10000
#define FRESH_MS 10000
#define BEAT_MS 30000
#define TURN_MS 1000
#define DELIVERY_MS 10000     /* in-flight requests may take so long to drain */
#define OTHER_DESCRIPTORS 256 /* of Kafka, Redis, files, the admin port */
#define EX_SOFTWARE 70

const char *argp_program_version = "schedrun-http " SCHEDRUN_VERSION;

static const char documentation[] =
    "Serve the HTTP API: publish run requests, show what became of them.\v"
    "Examples:\n"
    "  schedrun-http -b broker:9092 --redis redis://redis:6379/0 \\\n"
    "      -s http.auth=token-file -s http.token.file=tokens\n"
    "  schedrun-http -c /etc/schedrun/schedrun.conf --check\n";

/* All parts of the process; made in this order, ended in the reverse. */
struct adapter {
	struct http_app app;
	const struct options *options;
	struct http_runs runs;
	struct kafka_health *kafka;
	struct redis_settings redis, view;
	struct buffer base_path;
	struct health_check *checks[4]; /* kafka, redis, keys, view */
	struct health_beat *beat;
	struct admin *admin;
	struct http_probe *probe;
	struct view_fold *fold;
	struct result_feed *feed;
	struct loop_timer *turn, *drain, *cut;
	unsigned signals;
	int code; /* what the process ends with */
};

enum check { CHECK_KAFKA, CHECK_REDIS, CHECK_KEYS, CHECK_VIEW };

static int
fail(const struct error *err)
{
	log_event(LOG_ERROR, "http", "ended_by_error", err->message, LOG_END);
	return err->exit_code != 0 ? err->exit_code : EX_SOFTWARE;
}

/* "/" and "/x/" become "" and "/x". */
static void
set_base_path(struct adapter *a)
{
	buffer_append(&a->base_path,
	    text_from(config_text(a->app.config, "http.base.path")));
	while (a->base_path.size > 0 &&
	    a->base_path.at[a->base_path.size - 1] == '/')
		a->base_path.size--;
	a->app.base_path = buffer_text(&a->base_path);
}

static int
create_parts(struct adapter *a, struct error *err)
{
	static const char *const names[] = { "kafka", "redis", "keys", "view" };
	const struct config *config = a->app.config;
	size_t i;

	a->app.loop = loop_create(err);
	if (a->app.loop == NULL)
		return -1;
	a->app.metrics = metrics_create(kafka_library_version());
	a->app.health = health_create();
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		a->checks[i] = health_check(
		    a->app.health, names[i], i == CHECK_KEYS ? 0 : FRESH_MS);
	a->beat = health_beat_start(a->app.health, "loop", BEAT_MS);
	a->app.counters =
	    http_counters_create(a->app.metrics, http_routes_count());
	http_routes_register(&a->app);
	a->app.profile = config_text(config, "http.contract.profile");
	a->app.cors_origins = config_text(config, "http.cors.origins");
	if (a->app.cors_origins == NULL)
		a->app.cors_origins = "";
	a->app.keyspace = keyspace_create(config_text(config, "redis.prefix"));
	a->app.view_ttl_ms = config_number(config, "view.ttl");
	a->redis = redis_settings_of(config, "redis.url", "schedrun-http");
	a->view = redis_settings_of(config, "view.redis.url", "schedrun-http");
	set_base_path(a);
	a->kafka = kafka_health_create();
	kafka_health_on_error(
	    a->kafka, http_counters_kafka_error, a->app.counters);
	a->app.auth =
	    http_auth_create(config, a->app.loop, a->checks[CHECK_KEYS], err);
	return a->app.auth != NULL ? 0 : -1;
}

static int
create_runs(struct adapter *a, struct error *err)
{
	const struct config *config = a->app.config;
	const struct work_pool_settings pool = {
		.loop = a->app.loop,
		.config = config,
		.n_threads = POOL_THREADS,
		.queue_max = POOL_QUEUE,
		.schedules = a->redis,
		.runs = a->view,
		.keyspace = a->app.keyspace,
		.view_ttl_ms = a->app.view_ttl_ms,
		.counters = http_counters_redis(a->app.counters),
	};
	struct run_publisher_settings publisher = {
		.loop = a->app.loop,
		.config = config,
		.health = a->kafka,
		.topic = topic_name(config, TOPIC_REQUESTS),
	};
	struct registry *registry = registry_create(config, err);
	int rc;

	if (registry == NULL)
		return -1;
	rc = registry_id(registry, MESSAGE_RUN_REQUEST, publisher.topic,
	    &publisher.schema_id, err);
	registry_destroy(registry);
	if (rc != 0)
		return -1;
	a->app.pool = work_pool_create(&pool, err);
	if (a->app.pool == NULL)
		return -1;
	a->runs.publisher = run_publisher_create(&publisher, err);
	if (a->runs.publisher == NULL)
		return -1;
	a->runs.waiters = run_waiters_create(a->app.loop);
	a->runs.wait_max_s =
	    (int)(config_number(config, "http.wait.max") / 1000);
	if (config_number(config, "http.rate") > 0)
		a->runs.rate =
		    rate_limit_create(config_number(config, "http.rate"));
	a->runs.forward_trace =
	    strcmp(config_text(config, "trace.mode"), "forward") == 0;
	a->app.runs = &a->runs;
	a->app.events = http_events_create(&a->app, a->kafka);
	return 0;
}

static void
on_news(void *argument, const struct feed_news *news)
{
	struct adapter *a = argument;
	const struct result_event *event;

	for (event = news->events; event != NULL; event = event->next)
		run_waiters_tell(
		    a->runs.waiters, &event->record, news->in_view);
	http_events_news(a->app.events, news);
}

/* Redis turned out not to be ours: nothing may be served from it. */
static void
on_fatal(void *argument, const struct error *err)
{
	struct adapter *a = argument;

	a->code = fail(err);
	loop_stop(a->app.loop);
}

static int
start_threads(struct adapter *a, struct error *err)
{
	const struct http_probe_settings probe = {
		.publisher = a->runs.publisher,
		.kafka = a->kafka,
		.redis = a->redis,
		.keyspace = a->app.keyspace,
		.pool = a->app.pool,
		.loop = a->app.loop,
		.fatal = on_fatal,
		.argument = a,
		.kafka_check = a->checks[CHECK_KAFKA],
		.redis_check = a->checks[CHECK_REDIS],
	};
	const struct view_fold_settings fold = {
		.config = a->app.config,
		.kafka = a->kafka,
		.redis = a->view,
		.keyspace = a->app.keyspace,
		.check = a->checks[CHECK_VIEW],
		.counters = http_counters_redis(a->app.counters),
		.lag = metrics_series(a->app.metrics, METRIC_GAUGE,
		    "schedrun_run_view_lag_records", "",
		    "Results and builds that are not in the run view yet."),
	};
	const struct result_feed_settings feed = {
		.config = a->app.config,
		.kafka = a->kafka,
		.redis = a->view,
		.keyspace = a->app.keyspace,
		.loop = a->app.loop,
		.news = on_news,
		.argument = a,
	};

	a->probe = http_probe_start(&probe, err);
	if (a->probe == NULL)
		return -1;
	a->fold = view_fold_start(&fold, err);
	if (a->fold == NULL)
		return -1;
	a->feed = result_feed_start(&feed, err);
	return a->feed != NULL ? 0 : -1;
}

/* How many connections the limit on descriptors leaves room for. */
static size_t
connections_max(const struct config *config)
{
	rlim_t wanted = (rlim_t)config_number(config, "http.max.connections");
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return (size_t)wanted;
	if (limit.rlim_cur < wanted + OTHER_DESCRIPTORS) {
		limit.rlim_cur = wanted + OTHER_DESCRIPTORS < limit.rlim_max
		    ? wanted + OTHER_DESCRIPTORS
		    : limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur >= wanted + OTHER_DESCRIPTORS)
		return (size_t)wanted;
	wanted = limit.rlim_cur > 2 * OTHER_DESCRIPTORS
	    ? limit.rlim_cur - OTHER_DESCRIPTORS
	    : limit.rlim_cur / 2;
	log_event(LOG_WARN, "http", "connections_limited",
	    "the limit on open files leaves room for fewer connections than "
	    "http.max.connections; raise it (ulimit -n, LimitNOFILE)",
	    LOG_I("connections", wanted), LOG_I("open_files", limit.rlim_cur),
	    LOG_END);
	return (size_t)wanted;
}

static int
start_listeners(struct adapter *a, struct error *err)
{
	const struct config *config = a->app.config;
	const char *admin = config_text(config, "admin.listen");
	const struct admin_settings admin_settings = {
		.address = admin != NULL ? admin : ADMIN_DEFAULT,
		.port_file = config_text(config, "admin.port.file"),
		.metrics = a->app.metrics,
		.health = a->app.health,
		.component = "http",
	};
	const struct http_server_settings server = {
		.loop = a->app.loop,
		.address = config_text(config, "http.listen"),
		.connections_max = connections_max(config),
		.handle = http_routes_handle,
		.body_limit = http_routes_body_limit,
		.refused = http_refused,
		.context = &a->app,
	};

	a->app.server = http_server_create(&server, err);
	if (a->app.server == NULL)
		return -1;
	a->admin = admin_start(&admin_settings, err);
	if (a->admin == NULL)
		return -1;
	log_event(LOG_INFO, "http", "http_listening", "the API is served",
	    LOG_S("address", config_text(config, "http.listen")),
	    LOG_I("port", http_server_port(a->app.server)), LOG_END);
	return 0;
}

static void
stop_loop(void *argument)
{
	struct adapter *a = argument;

	loop_stop(a->app.loop);
}

static void
close_server(void *argument)
{
	struct adapter *a = argument;

	run_waiters_release(a->runs.waiters);
	http_events_drain(a->app.events);
	http_server_close(a->app.server, stop_loop, a);
	/* Whoever doesn't end by then is cut. */
	a->cut = loop_timer_start(a->app.loop, DELIVERY_MS, 0, stop_loop, a);
}

/* Not ready at once; no new connections after http.drain. */
static void
on_stop(void *argument)
{
	struct adapter *a = argument;

	if (a->signals++ > 0)
		_exit(128 + SIGTERM);
	log_event(LOG_INFO, "http", "draining",
	    "answering what is under way, then ending", LOG_END);
	sd_notify(0, "STOPPING=1\nSTATUS=draining");
	a->app.draining = true;
	health_drain(a->app.health, "draining");
	http_server_drain(a->app.server);
	a->drain = loop_timer_start(a->app.loop,
	    config_number(a->app.config, "http.drain"), 0, close_server, a);
}

static void
on_hangup(void *argument)
{
	struct adapter *a = argument;

	options_reload(a->options, a->app.config);
	http_auth_reload(a->app.auth);
}

static void
on_turn(void *argument)
{
	struct adapter *a = argument;

	health_turn(a->beat);
	http_counters_server(a->app.counters, a->app.server);
	http_counters_dependency(a->app.counters, DEPENDENCY_KAFKA,
	    health_check_is_ok(a->checks[CHECK_KAFKA]));
	http_counters_dependency(a->app.counters, DEPENDENCY_REDIS,
	    health_check_is_ok(a->checks[CHECK_REDIS]));
	sd_notify(0, "WATCHDOG=1");
}

/* Before the first request can come: it must not be cut off unanswered. */
static void
watch_signals(struct adapter *a)
{
	loop_on_signal(a->app.loop, SIGTERM, on_stop, a);
	loop_on_signal(a->app.loop, SIGINT, on_stop, a);
	loop_on_signal(a->app.loop, SIGHUP, on_hangup, a);
}

static void
serve(struct adapter *a)
{
	a->turn = loop_timer_start(a->app.loop, 0, TURN_MS, on_turn, a);
	sd_notify(0, "READY=1\nSTATUS=serving");
	loop_run(a->app.loop);
	loop_timer_stop(a->turn);
	loop_timer_stop(a->drain);
	loop_timer_stop(a->cut);
	log_event(LOG_INFO, "http", "drained", "drained", LOG_END);
}

/* First who posts to the loop, then what was posted, then the parts of it. */
static void
destroy(struct adapter *a)
{
	admin_stop(a->admin);
	result_feed_stop(a->feed); /* it follows the fold */
	view_fold_stop(a->fold);
	http_events_stop(a->app.events);
	http_probe_stop(a->probe);
	work_pool_stop(a->app.pool);
	if (a->app.loop != NULL)
		loop_flush(a->app.loop);
	result_feed_destroy(a->feed);
	run_publisher_destroy(a->runs.publisher);
	http_server_destroy(a->app.server);
	http_auth_stop(a->app.auth);
	http_events_destroy(a->app.events);
	work_pool_destroy(a->app.pool);
	rate_limit_destroy(a->runs.rate);
	run_waiters_destroy(a->runs.waiters);
	loop_destroy(a->app.loop);
	http_auth_destroy(a->app.auth);
	keyspace_destroy(a->app.keyspace);
	if (a->app.counters != NULL)
		http_counters_destroy(a->app.counters);
	if (a->app.health != NULL)
		health_destroy(a->app.health);
	metrics_destroy(a->app.metrics);
	kafka_health_destroy(a->kafka);
	buffer_finish(&a->base_path);
}

static int
check_once(struct adapter *a, struct error *err)
{
	if (run_publisher_probe(a->runs.publisher, FRESH_MS, err) != 0)
		return -1;
	printf("schedrun-http: the configuration is fine, Kafka answers\n");
	return 0;
}

static int
run(struct adapter *a, bool check)
{
	struct error err = { 0 };

	signal(SIGPIPE, SIG_IGN);
	/* Tokens pass through here: no core, no look by others of this user. */
	prctl(PR_SET_DUMPABLE, 0);
	if (create_parts(a, &err) != 0 || create_runs(a, &err) != 0)
		return fail(&err);
	if (check)
		return check_once(a, &err) == 0 ? 0 : fail(&err);
	watch_signals(a);
	if (start_threads(a, &err) != 0 || start_listeners(a, &err) != 0)
		return fail(&err);
	serve(a);
	return a->code;
}

int
main(int argc, char **argv)
{
	struct options options;
	struct config *config =
	    options_daemon(argc, argv, documentation, &options);
	struct adapter *a = memory_zalloc(1, sizeof *a);
	int code;

	a->app.config = config;
	a->options = &options;
	code = run(a, options.check);
	destroy(a);
	free(a);
	config_destroy(config);
	options_finish(&options);
	return code;
}
