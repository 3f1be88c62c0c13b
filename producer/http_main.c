#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/daemon.h"
#include "common/config/options.h"
#include "common/http/admin.h"
#include "common/kafka/client.h"
#include "common/trace/tracer.h"
#include "producer/api/events.h"
#include "producer/api/routes.h"
#include "producer/api/runs.h"
#include "producer/base/metrics.h"
#include "producer/dashboard/dashboard.h"
#include "producer/http/app.h"
#include "producer/http/limits.h"
#include "producer/http/probe.h"
#include "producer/runs/event_sender.h"
#include "producer/runs/feed.h"
#include "producer/runs/fold.h"
#include "producer/runs/publisher.h"
#include "producer/runs/waiters.h"
#include "schemas/avro/registry.h"
#include "schemas/topics.h"

#define SEND_MS 5000 /* that an event may take */
#define POOL_THREADS 4
#define POOL_QUEUE 10000
#define EX_CONFIG 78
#define FRESH_MS 10000
#define BEAT_MS 30000
#define TURN_MS 1000
#define DELIVERY_MS 10000     /* in-flight requests may take so long to drain */
#define OTHER_DESCRIPTORS 256 /* of Kafka, Redis, files, the admin port */

const char *argp_program_version = "schedrun-http " SCHEDRUN_VERSION;

static const char documentation[] =
    "Serve the HTTP API: publish run requests, show what became of them.\v"
    "Examples:\n"
    "  schedrun-http -b broker:9092 --redis redis://redis:6379/0 \\\n"
    "      -s http.auth=token-file -s http.token.file=tokens\n"
    "  schedrun-http -c /etc/schedrun/schedrun.conf --check\n";

enum check {
	CHECK_KAFKA,
	CHECK_REDIS,
	CHECK_KEYS,
	CHECK_VIEW,
	CHECK_RESULTS,
	CHECK_REGISTRY,
	N_CHECKS
};

/* What the parts of the process, below, are made of. */
struct adapter {
	struct http_app app;
	const struct options *options;
	struct http_runs runs;
	struct kafka_health *kafka;
	struct redis_settings redis, view;
	struct buffer base_path;
	/* By enum check; the registry's may be NULL. */
	struct health_check *checks[N_CHECKS];
	struct health_beat *beat;
	struct admin *admin;
	struct http_probe *probe;
	struct view_fold *fold;
	struct result_feed *feed;
	struct loop_timer *turn, *drain, *cut;
	unsigned signals;
	int code; /* what the process ends with */
};

/* The parts: each one's create, stop and destroy ------------------------- */

static int
create_loop(struct adapter *adapter, struct error *err)
{
	adapter->app.loop = loop_create(err);
	return adapter->app.loop != NULL ? 0 : -1;
}

static int
create_metrics(struct adapter *adapter, struct error *err)
{
	(void)err;
	adapter->app.metrics = metrics_create(kafka_library_version());
	adapter->app.counters =
	    http_counters_create(adapter->app.metrics, http_routes_count());
	http_routes_register(&adapter->app);
	return 0;
}

static void
destroy_metrics(struct adapter *adapter)
{
	http_counters_destroy(adapter->app.counters);
	metrics_destroy(adapter->app.metrics);
}

static int
create_tracer(struct adapter *adapter, struct error *err)
{
	const struct tracer_settings settings = {
		.config = adapter->app.config,
		.metrics = adapter->app.metrics,
		.service = "schedrun-http",
	};

	return kafka_settings_check(settings.config, err) == 0
	    ? tracer_start(&settings, err)
	    : -1;
}

static void
destroy_tracer(struct adapter *adapter)
{
	(void)adapter;
	tracer_stop();
}

static int
create_health(struct adapter *adapter, struct error *err)
{
	static const char *const names[] = { "kafka", "redis", "keys", "view",
		"results" };
	size_t i;

	(void)err;
	adapter->app.health = health_create();
	health_doing(adapter->app.health, "serving");
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		adapter->checks[i] = health_check(adapter->app.health, names[i],
		    i == CHECK_KEYS || i == CHECK_RESULTS ? 0 : FRESH_MS);
	if (config_text(adapter->app.config, "schema.registry.url") != NULL)
		adapter->checks[CHECK_REGISTRY] =
		    health_check(adapter->app.health, "registry", 0);
	else
		metrics_hide(adapter->app.metrics, HTTP_DEPENDENCIES,
		    DEPENDENCY_REGISTRY);
	adapter->beat = health_beat_start(adapter->app.health, "loop", BEAT_MS);
	adapter->kafka = kafka_health_create();
	kafka_health_on_error(
	    adapter->kafka, http_counters_kafka_error, adapter->app.metrics);
	return 0;
}

static void
destroy_health(struct adapter *adapter)
{
	kafka_health_destroy(adapter->kafka);
	health_destroy(adapter->app.health);
}

/* "/" and "/x/" become "" and "/x". */
static void
set_base_path(struct adapter *adapter)
{
	buffer_append(&adapter->base_path,
	    text_from(config_text(adapter->app.config, "http.base.path")));
	while (adapter->base_path.size > 0 &&
	    adapter->base_path.at[adapter->base_path.size - 1] == '/')
		adapter->base_path.size--;
	/* What is left is read to its NUL, too. */
	buffer_byte(&adapter->base_path, '\0');
	adapter->base_path.size--;
	adapter->app.base_path = buffer_text(&adapter->base_path);
}

static int
create_settings(struct adapter *adapter, struct error *err)
{
	const struct config *config = adapter->app.config;

	if (config_check_apart(config, ADMIN_DEFAULT_HTTP, err) != 0)
		return -1;
	adapter->app.profile = config_text(config, "http.contract.profile");
	adapter->app.cors_origins = config_text(config, "http.cors.origins");
	if (adapter->app.cors_origins == NULL)
		adapter->app.cors_origins = "";
	adapter->app.keyspace =
	    keyspace_create(config_text(config, "redis.prefix"));
	adapter->app.view_ttl_ms = config_number(config, "view.ttl");
	adapter->redis =
	    redis_settings_of(config, "redis.url", "schedrun-http");
	adapter->view =
	    redis_settings_of(config, "view.redis.url", "schedrun-http");
	set_base_path(adapter);
	return 0;
}

static void
destroy_settings(struct adapter *adapter)
{
	keyspace_destroy(adapter->app.keyspace);
	buffer_finish(&adapter->base_path);
}

static int
create_auth(struct adapter *adapter, struct error *err)
{
	adapter->app.auth = http_auth_create(adapter->app.config,
	    adapter->app.loop, adapter->checks[CHECK_KEYS], err);
	return adapter->app.auth != NULL ? 0 : -1;
}

static int
create_pool(struct adapter *adapter, struct error *err)
{
	const struct work_pool_settings pool = {
		.loop = adapter->app.loop,
		.config = adapter->app.config,
		.n_threads = POOL_THREADS,
		.queue_max = POOL_QUEUE,
		.schedules = adapter->redis,
		.runs = adapter->view,
		.keyspace = adapter->app.keyspace,
		.view_ttl_ms = adapter->app.view_ttl_ms,
		.metrics = adapter->app.metrics,
	};

	adapter->app.pool = work_pool_create(&pool, err);
	return adapter->app.pool != NULL ? 0 : -1;
}

static int
create_publisher(struct adapter *adapter, struct error *err)
{
	struct run_publisher_settings publisher = {
		.loop = adapter->app.loop,
		.config = adapter->app.config,
		.health = adapter->kafka,
		.topic = topic_name(adapter->app.config, TOPIC_REQUESTS),
	};

	adapter->runs.publisher = run_publisher_create(&publisher, err);
	return adapter->runs.publisher != NULL ? 0 : -1;
}

/* What is under way is told to be unknown: its calls are answered by that. */
static void
stop_publisher(struct adapter *adapter)
{
	run_publisher_destroy(adapter->runs.publisher);
	adapter->runs.publisher = NULL;
}

static int
create_runs(struct adapter *adapter, struct error *err)
{
	const struct config *config = adapter->app.config;
	int64_t rate = config_number(config, "http.rate");

	(void)err;
	adapter->runs.waiters = run_waiters_create(adapter->app.loop);
	adapter->runs.wait_max_s =
	    (int)(config_number(config, "http.wait.max") / 1000);
	adapter->runs.rate = rate > 0 ? rate_limit_create(rate) : NULL;
	adapter->runs.forward_trace =
	    strcmp(config_text(config, "trace.mode"), "forward") == 0;
	adapter->app.runs = &adapter->runs;
	return 0;
}

static void
destroy_runs(struct adapter *adapter)
{
	rate_limit_destroy(adapter->runs.rate);
	run_waiters_destroy(adapter->runs.waiters);
}

static int
create_events(struct adapter *adapter, struct error *err)
{
	(void)err;
	adapter->app.events = http_events_create(&adapter->app, adapter->kafka);
	return 0;
}

static int
create_sender(struct adapter *adapter, struct error *err)
{
	const struct kafka_settings settings = {
		.config = adapter->app.config,
		.health = adapter->kafka,
		.client_id = "schedrun-http",
	};

	(void)err;
	adapter->app.sender = event_sender_create(&settings, SEND_MS);
	return 0;
}

static void
destroy_sender(struct adapter *adapter)
{
	event_sender_destroy(adapter->app.sender);
}

static int
create_dashboard(struct adapter *adapter, struct error *err)
{
	const struct config *config = adapter->app.config;

	if (strcmp(config_text(config, "http.page"), "off") == 0)
		return 0;
	adapter->app.dashboard = dashboard_create(config, err);
	return adapter->app.dashboard != NULL ? 0 : -1;
}

/* Redis turned out not to be ours: nothing may be served from it. */
static void
on_fatal(void *argument, const struct error *err)
{
	struct adapter *adapter = argument;

	adapter->code = daemon_end_by_error("http", err);
	loop_stop(adapter->app.loop);
}

static int
create_probe(struct adapter *adapter, struct error *err)
{
	const struct http_probe_settings probe = {
		.publisher = adapter->runs.publisher,
		.kafka = adapter->kafka,
		.redis = adapter->redis,
		.keyspace = adapter->app.keyspace,
		.pool = adapter->app.pool,
		.loop = adapter->app.loop,
		.fatal = on_fatal,
		.argument = adapter,
		.kafka_check = adapter->checks[CHECK_KAFKA],
		.redis_check = adapter->checks[CHECK_REDIS],
		.registry_check = adapter->checks[CHECK_REGISTRY],
		.metrics = adapter->app.metrics,
		.config = adapter->app.config,
	};

	adapter->probe = http_probe_start(&probe, err);
	return adapter->probe != NULL ? 0 : -1;
}

static int
create_fold(struct adapter *adapter, struct error *err)
{
	const struct view_fold_settings fold = {
		.config = adapter->app.config,
		.kafka = adapter->kafka,
		.redis = adapter->view,
		.keyspace = adapter->app.keyspace,
		.check = adapter->checks[CHECK_VIEW],
		.registry_check = adapter->checks[CHECK_REGISTRY],
		.metrics = adapter->app.metrics,
	};

	adapter->fold = view_fold_start(&fold, err);
	return adapter->fold != NULL ? 0 : -1;
}

static void
on_news(void *argument, const struct feed_news *news)
{
	struct adapter *adapter = argument;
	const struct result_event *event;

	for (event = news->events; event != NULL; event = event->next) {
		run_waiters_tell(
		    adapter->runs.waiters, &event->record, news->in_view);
		dashboard_note(adapter->app.dashboard, &event->record);
	}
	http_events_news(adapter->app.events, news);
}

static int
create_feed(struct adapter *adapter, struct error *err)
{
	const struct result_feed_settings feed = {
		.config = adapter->app.config,
		.kafka = adapter->kafka,
		.redis = adapter->view,
		.keyspace = adapter->app.keyspace,
		.loop = adapter->app.loop,
		.check = adapter->checks[CHECK_RESULTS],
		.news = on_news,
		.argument = adapter,
	};

	adapter->feed = result_feed_start(&feed, err);
	return adapter->feed != NULL ? 0 : -1;
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
create_server(struct adapter *adapter, struct error *err)
{
	const struct config *config = adapter->app.config;
	const struct http_server_settings server = {
		.loop = adapter->app.loop,
		.address = config_text(config, "http.listen"),
		.connections_max = connections_max(config),
		.idle_ms = config_number(config, "http.idle.timeout"),
		.handle = http_routes_handle,
		.body_limit = http_routes_body_limit,
		.refused = http_refused,
		.context = &adapter->app,
	};

	adapter->app.server = http_server_create(&server, err);
	return adapter->app.server != NULL ? 0 : -1;
}

static int
create_admin(struct adapter *adapter, struct error *err)
{
	const struct config *config = adapter->app.config;
	const char *address = config_text(config, "admin.listen");
	const struct admin_settings admin = {
		.address = address != NULL ? address : ADMIN_DEFAULT_HTTP,
		.port_file = config_text(config, "admin.port.file"),
		.metrics = adapter->app.metrics,
		.health = adapter->app.health,
		.component = "http",
	};

	adapter->admin = admin_start(&admin, err);
	if (adapter->admin == NULL)
		return -1;
	log_event(LOG_INFO, "http", "http_listening", "the API is served",
	    LOG_S("address", config_text(config, "http.listen")),
	    LOG_I("port", http_server_port(adapter->app.server)), LOG_END);
	return 0;
}

/*
 * How parts end: by what their modules have for it.  Stopping is for those with
 * a thread, or who post to the loop.
 */
#define ENDS(name, end, part)                                                  \
	static void name(struct adapter *adapter)                              \
	{                                                                      \
		end(adapter->part);                                            \
	}
ENDS(destroy_loop, loop_destroy, app.loop)
ENDS(stop_auth, http_auth_stop, app.auth)
ENDS(destroy_auth, http_auth_destroy, app.auth)
ENDS(stop_pool, work_pool_stop, app.pool)
ENDS(destroy_pool, work_pool_destroy, app.pool)
ENDS(stop_events, http_events_stop, app.events)
ENDS(destroy_events, http_events_destroy, app.events)
ENDS(stop_dashboard, dashboard_stop, app.dashboard)
ENDS(destroy_dashboard, dashboard_destroy, app.dashboard)
ENDS(stop_probe, http_probe_stop, probe)
ENDS(stop_fold, view_fold_stop, fold)
ENDS(stop_feed, result_feed_stop, feed)
ENDS(destroy_feed, result_feed_destroy, feed)
ENDS(destroy_server, http_server_destroy, app.server)
ENDS(stop_admin, admin_stop, admin)

/* Signals and the drain --------------------------------------------------- */

static void
stop_loop(void *argument)
{
	struct adapter *adapter = argument;

	loop_stop(adapter->app.loop);
}

static void
close_server(void *argument)
{
	struct adapter *adapter = argument;

	run_waiters_release(adapter->runs.waiters);
	http_events_drain(adapter->app.events);
	http_server_close(adapter->app.server, stop_loop, adapter);
	/* Whoever doesn't end by then is cut. */
	adapter->cut = loop_timer_start(
	    adapter->app.loop, DELIVERY_MS, 0, stop_loop, adapter);
}

/* Not ready at once; no new connections after http.drain. */
static void
on_stop(void *argument)
{
	struct adapter *adapter = argument;

	if (adapter->signals++ > 0)
		_exit(128 + SIGTERM);
	log_event(LOG_INFO, "http", "draining",
	    "answering what is under way, then ending", LOG_END);
	adapter->app.draining = true;
	health_drain(adapter->app.health);
	http_server_drain(adapter->app.server);
	adapter->drain = loop_timer_start(adapter->app.loop,
	    config_number(adapter->app.config, "http.drain"), 0, close_server,
	    adapter);
}

static void
on_hangup(void *argument)
{
	struct adapter *adapter = argument;

	options_reload(adapter->options, adapter->app.config);
	http_auth_reload(adapter->app.auth);
}

/* Before the first request can come: it must not be cut off unanswered. */
static int
watch_signals(struct adapter *adapter, struct error *err)
{
	(void)err;
	loop_on_signal(adapter->app.loop, SIGTERM, on_stop, adapter);
	loop_on_signal(adapter->app.loop, SIGINT, on_stop, adapter);
	loop_on_signal(adapter->app.loop, SIGHUP, on_hangup, adapter);
	return 0;
}

/* From the first part to the last, and back ------------------------------- */

/*
 * Made forward, each of what stands before it.  Ended backward, twice: first
 * all stop, that is whoever has a thread or posts to the loop ends it; then
 * what they have posted is run, while all that it speaks of is still there;
 * then all are destroyed.
 */
static const struct part {
	int (*create)(struct adapter *adapter, struct error *err);
	void (*stop)(struct adapter *adapter);    /* or NULL */
	void (*destroy)(struct adapter *adapter); /* or NULL */
} parts[] = {
	{ create_loop, NULL, destroy_loop },
	{ create_metrics, NULL, destroy_metrics },
	{ create_tracer, NULL, destroy_tracer },
	{ create_health, NULL, destroy_health },
	{ create_settings, NULL, destroy_settings },
	{ create_auth, stop_auth, destroy_auth },
	{ create_sender, NULL, destroy_sender },
	{ create_pool, stop_pool, destroy_pool },
	{ create_publisher, stop_publisher, NULL },
	{ create_runs, NULL, destroy_runs },
	{ create_events, stop_events, destroy_events },
#define N_CHECKED 10 /* parts that --check makes */
	{ watch_signals, NULL, NULL },
	{ create_dashboard, stop_dashboard, destroy_dashboard },
	{ create_probe, stop_probe, NULL },
	{ create_fold, stop_fold, NULL },
	{ create_feed, stop_feed, destroy_feed }, /* it follows the fold */
	{ create_server, NULL, destroy_server },
	{ create_admin, stop_admin, NULL },
};
#define N_PARTS (sizeof parts / sizeof parts[0])

/* Ends the first `n`, that were made. */
static void
end_parts(struct adapter *adapter, size_t n)
{
	size_t i;

	for (i = n; i-- > 0;)
		if (parts[i].stop != NULL)
			parts[i].stop(adapter);
	if (n > 0)
		loop_flush(adapter->app.loop);
	for (i = n; i-- > 0;)
		if (parts[i].destroy != NULL)
			parts[i].destroy(adapter);
}

static void
on_turn(void *argument)
{
	struct adapter *adapter = argument;
	struct metrics *metrics = adapter->app.metrics;

	health_turn(adapter->beat);
	metrics_set(metrics, HTTP_CONNECTIONS, 0,
	    (double)http_server_connections(adapter->app.server));
	metrics_set(metrics, HTTP_IN_FLIGHT, 0,
	    (double)http_server_requests(adapter->app.server));
	if (adapter->checks[CHECK_REGISTRY] != NULL)
		metrics_set(metrics, HTTP_DEPENDENCIES, DEPENDENCY_REGISTRY,
		    health_check_is_ok(adapter->checks[CHECK_REGISTRY]));
}

static int
serve_calls(struct adapter *adapter)
{
	adapter->turn =
	    loop_timer_start(adapter->app.loop, 0, TURN_MS, on_turn, adapter);
	loop_run(adapter->app.loop);
	loop_timer_stop(adapter->turn);
	loop_timer_stop(adapter->drain);
	loop_timer_stop(adapter->cut);
	log_event(LOG_INFO, "http", "drained", "drained", LOG_END);
	return adapter->code;
}

/* Under which id the registry knows what is published. */
static int
find_schema(const struct config *config, struct error *err)
{
	struct registry *registry = registry_create(config, err);
	uint32_t id;
	int rc;

	if (registry == NULL)
		return -1;
	rc = registry_id(registry, MESSAGE_RUN_REQUEST,
	    topic_name(config, TOPIC_REQUESTS), &id, err);
	registry_destroy(registry);
	return rc;
}

static int
ask_redis(const struct redis_settings *settings, struct error *err)
{
	struct redis *redis = redis_create(settings, err);
	int64_t evicted;
	int rc = -1;

	if (redis != NULL && redis_connect(redis, err) == 0)
		rc = keyspace_check_eviction(redis, &evicted, err);
	redis_destroy(redis);
	return rc;
}

static int
check_once(struct adapter *adapter)
{
	struct run_publisher *publisher = adapter->runs.publisher;
	struct error err;
	int rc = -1;

	if (http_auth_check_settings(adapter->app.config, &err) == 0 &&
	    find_schema(adapter->app.config, &err) == 0)
		rc = run_publisher_probe(publisher, FRESH_MS, &err);
	if (rc != 0 && err.kind == ERROR_INPUT)
		err.exit_code = EX_CONFIG; /* the topic isn't there */
	if (rc != 0 || ask_redis(&adapter->redis, &err) != 0 ||
	    ask_redis(&adapter->view, &err) != 0)
		return daemon_end_by_error("http", &err);
	printf("schedrun-http: the configuration is fine, Kafka and Redis "
	       "answer\n");
	return 0;
}

static int
run_adapter(struct adapter *adapter, bool check)
{
	size_t wanted = check ? N_CHECKED : N_PARTS, n = 0;
	struct error err = { 0 };
	int code;

	while (n < wanted && parts[n].create(adapter, &err) == 0)
		n++;
	if (n < wanted)
		code = daemon_end_by_error("http", &err);
	else
		code = check ? check_once(adapter) : serve_calls(adapter);
	end_parts(adapter, n);
	return code;
}

int
main(int argc, char **argv)
{
	struct options options;
	struct config *config =
	    options_daemon(argc, argv, documentation, &options);
	struct adapter *adapter = memory_zalloc(1, sizeof *adapter);
	int code;

	signal(SIGPIPE, SIG_IGN);
	adapter->app.config = config;
	adapter->options = &options;
	code = run_adapter(adapter, options.check);
	free(adapter);
	config_destroy(config);
	options_finish(&options);
	return code;
}
