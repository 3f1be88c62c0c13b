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

/* What the parts of the process, below, are made of. */
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
end_by_error(const struct error *err)
{
	log_event(LOG_ERROR, "http", "ended_by_error", err->message, LOG_END);
	return err->exit_code != 0 ? err->exit_code : EX_SOFTWARE;
}

/* The parts: each one's create, stop and destroy ------------------------- */

static int
create_loop(struct adapter *a, struct error *err)
{
	a->app.loop = loop_create(err);
	return a->app.loop != NULL ? 0 : -1;
}

static int
create_metrics(struct adapter *a, struct error *err)
{
	(void)err;
	a->app.metrics = metrics_create(kafka_library_version());
	a->app.counters =
	    http_counters_create(a->app.metrics, http_routes_count());
	http_routes_register(&a->app);
	return 0;
}

static void
destroy_metrics(struct adapter *a)
{
	http_counters_destroy(a->app.counters);
	metrics_destroy(a->app.metrics);
}

static int
create_health(struct adapter *a, struct error *err)
{
	static const char *const names[] = { "kafka", "redis", "keys", "view" };
	size_t i;

	(void)err;
	a->app.health = health_create();
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		a->checks[i] = health_check(
		    a->app.health, names[i], i == CHECK_KEYS ? 0 : FRESH_MS);
	a->beat = health_beat_start(a->app.health, "loop", BEAT_MS);
	a->kafka = kafka_health_create();
	kafka_health_on_error(
	    a->kafka, http_counters_kafka_error, a->app.metrics);
	return 0;
}

static void
destroy_health(struct adapter *a)
{
	kafka_health_destroy(a->kafka);
	health_destroy(a->app.health);
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
create_settings(struct adapter *a, struct error *err)
{
	const struct config *config = a->app.config;

	(void)err;
	a->app.profile = config_text(config, "http.contract.profile");
	a->app.cors_origins = config_text(config, "http.cors.origins");
	if (a->app.cors_origins == NULL)
		a->app.cors_origins = "";
	a->app.keyspace = keyspace_create(config_text(config, "redis.prefix"));
	a->app.view_ttl_ms = config_number(config, "view.ttl");
	a->redis = redis_settings_of(config, "redis.url", "schedrun-http");
	a->view = redis_settings_of(config, "view.redis.url", "schedrun-http");
	set_base_path(a);
	return 0;
}

static void
destroy_settings(struct adapter *a)
{
	keyspace_destroy(a->app.keyspace);
	buffer_finish(&a->base_path);
}

static int
create_auth(struct adapter *a, struct error *err)
{
	a->app.auth = http_auth_create(
	    a->app.config, a->app.loop, a->checks[CHECK_KEYS], err);
	return a->app.auth != NULL ? 0 : -1;
}

static int
create_pool(struct adapter *a, struct error *err)
{
	const struct work_pool_settings pool = {
		.loop = a->app.loop,
		.config = a->app.config,
		.n_threads = POOL_THREADS,
		.queue_max = POOL_QUEUE,
		.schedules = a->redis,
		.runs = a->view,
		.keyspace = a->app.keyspace,
		.view_ttl_ms = a->app.view_ttl_ms,
		.metrics = a->app.metrics,
	};

	a->app.pool = work_pool_create(&pool, err);
	return a->app.pool != NULL ? 0 : -1;
}

/* Under which id the registry knows what is published. */
static int
find_schema(const struct config *config, const char *topic, uint32_t *id,
    struct error *err)
{
	struct registry *registry = registry_create(config, err);
	int rc;

	if (registry == NULL)
		return -1;
	rc = registry_id(registry, MESSAGE_RUN_REQUEST, topic, id, err);
	registry_destroy(registry);
	return rc;
}

static int
create_publisher(struct adapter *a, struct error *err)
{
	struct run_publisher_settings publisher = {
		.loop = a->app.loop,
		.config = a->app.config,
		.health = a->kafka,
		.topic = topic_name(a->app.config, TOPIC_REQUESTS),
	};

	if (find_schema(
		a->app.config, publisher.topic, &publisher.schema_id, err) != 0)
		return -1;
	a->runs.publisher = run_publisher_create(&publisher, err);
	return a->runs.publisher != NULL ? 0 : -1;
}

/* What is under way is told to be unknown: its calls are answered by that. */
static void
stop_publisher(struct adapter *a)
{
	run_publisher_destroy(a->runs.publisher);
	a->runs.publisher = NULL;
}

static int
create_runs(struct adapter *a, struct error *err)
{
	const struct config *config = a->app.config;
	int64_t rate = config_number(config, "http.rate");

	(void)err;
	a->runs.waiters = run_waiters_create(a->app.loop);
	a->runs.wait_max_s =
	    (int)(config_number(config, "http.wait.max") / 1000);
	a->runs.rate = rate > 0 ? rate_limit_create(rate) : NULL;
	a->runs.forward_trace =
	    strcmp(config_text(config, "trace.mode"), "forward") == 0;
	a->app.runs = &a->runs;
	return 0;
}

static void
destroy_runs(struct adapter *a)
{
	rate_limit_destroy(a->runs.rate);
	run_waiters_destroy(a->runs.waiters);
}

static int
create_events(struct adapter *a, struct error *err)
{
	(void)err;
	a->app.events = http_events_create(&a->app, a->kafka);
	return 0;
}

/* Redis turned out not to be ours: nothing may be served from it. */
static void
on_fatal(void *argument, const struct error *err)
{
	struct adapter *a = argument;

	a->code = end_by_error(err);
	loop_stop(a->app.loop);
}

static int
create_probe(struct adapter *a, struct error *err)
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

	a->probe = http_probe_start(&probe, err);
	return a->probe != NULL ? 0 : -1;
}

static int
create_fold(struct adapter *a, struct error *err)
{
	const struct view_fold_settings fold = {
		.config = a->app.config,
		.kafka = a->kafka,
		.redis = a->view,
		.keyspace = a->app.keyspace,
		.check = a->checks[CHECK_VIEW],
		.metrics = a->app.metrics,
	};

	a->fold = view_fold_start(&fold, err);
	return a->fold != NULL ? 0 : -1;
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

static int
create_feed(struct adapter *a, struct error *err)
{
	const struct result_feed_settings feed = {
		.config = a->app.config,
		.kafka = a->kafka,
		.redis = a->view,
		.keyspace = a->app.keyspace,
		.loop = a->app.loop,
		.news = on_news,
		.argument = a,
	};

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
create_server(struct adapter *a, struct error *err)
{
	const struct config *config = a->app.config;
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
	return a->app.server != NULL ? 0 : -1;
}

static int
create_admin(struct adapter *a, struct error *err)
{
	const struct config *config = a->app.config;
	const char *address = config_text(config, "admin.listen");
	const struct admin_settings admin = {
		.address = address != NULL ? address : ADMIN_DEFAULT,
		.port_file = config_text(config, "admin.port.file"),
		.metrics = a->app.metrics,
		.health = a->app.health,
		.component = "http",
	};

	a->admin = admin_start(&admin, err);
	if (a->admin == NULL)
		return -1;
	log_event(LOG_INFO, "http", "http_listening", "the API is served",
	    LOG_S("address", config_text(config, "http.listen")),
	    LOG_I("port", http_server_port(a->app.server)), LOG_END);
	return 0;
}

/*
 * How parts end: by what their modules have for it.  Stopping is for those with
 * a thread, or who post to the loop.
 */
#define ENDS(name, end, part)                                                  \
	static void name(struct adapter *a)                                    \
	{                                                                      \
		end(a->part);                                                  \
	}
ENDS(destroy_loop, loop_destroy, app.loop)
ENDS(stop_auth, http_auth_stop, app.auth)
ENDS(destroy_auth, http_auth_destroy, app.auth)
ENDS(stop_pool, work_pool_stop, app.pool)
ENDS(destroy_pool, work_pool_destroy, app.pool)
ENDS(stop_events, http_events_stop, app.events)
ENDS(destroy_events, http_events_destroy, app.events)
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

/* Before the first request can come: it must not be cut off unanswered. */
static int
watch_signals(struct adapter *a, struct error *err)
{
	(void)err;
	loop_on_signal(a->app.loop, SIGTERM, on_stop, a);
	loop_on_signal(a->app.loop, SIGINT, on_stop, a);
	loop_on_signal(a->app.loop, SIGHUP, on_hangup, a);
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
	int (*create)(struct adapter *a, struct error *err);
	void (*stop)(struct adapter *a);    /* or NULL */
	void (*destroy)(struct adapter *a); /* or NULL */
} parts[] = {
	{ create_loop, NULL, destroy_loop },
	{ create_metrics, NULL, destroy_metrics },
	{ create_health, NULL, destroy_health },
	{ create_settings, NULL, destroy_settings },
	{ create_auth, stop_auth, destroy_auth },
	{ create_pool, stop_pool, destroy_pool },
	{ create_publisher, stop_publisher, NULL },
	{ create_runs, NULL, destroy_runs },
	{ create_events, stop_events, destroy_events },
#define N_CHECKED 9 /* parts that --check makes */
	{ watch_signals, NULL, NULL },
	{ create_probe, stop_probe, NULL },
	{ create_fold, stop_fold, NULL },
	{ create_feed, stop_feed, destroy_feed }, /* it follows the fold */
	{ create_server, NULL, destroy_server },
	{ create_admin, stop_admin, NULL },
};
#define N_PARTS (sizeof parts / sizeof parts[0])

/* Ends the first `n`, that were made. */
static void
end_parts(struct adapter *a, size_t n)
{
	size_t i;

	for (i = n; i-- > 0;)
		if (parts[i].stop != NULL)
			parts[i].stop(a);
	if (n > 0)
		loop_flush(a->app.loop);
	for (i = n; i-- > 0;)
		if (parts[i].destroy != NULL)
			parts[i].destroy(a);
}

static void
on_turn(void *argument)
{
	struct adapter *a = argument;
	struct metrics *metrics = a->app.metrics;

	health_turn(a->beat);
	metrics_set(metrics, HTTP_CONNECTIONS, 0,
	    (double)http_server_connections(a->app.server));
	metrics_set(metrics, HTTP_IN_FLIGHT, 0,
	    (double)http_server_requests(a->app.server));
	metrics_set(metrics, HTTP_DEPENDENCIES, DEPENDENCY_KAFKA,
	    health_check_is_ok(a->checks[CHECK_KAFKA]));
	metrics_set(metrics, HTTP_DEPENDENCIES, DEPENDENCY_REDIS,
	    health_check_is_ok(a->checks[CHECK_REDIS]));
	sd_notify(0, "WATCHDOG=1");
}

static int
serve(struct adapter *a)
{
	a->turn = loop_timer_start(a->app.loop, 0, TURN_MS, on_turn, a);
	sd_notify(0, "READY=1\nSTATUS=serving");
	loop_run(a->app.loop);
	loop_timer_stop(a->turn);
	loop_timer_stop(a->drain);
	loop_timer_stop(a->cut);
	log_event(LOG_INFO, "http", "drained", "drained", LOG_END);
	return a->code;
}

static int
check_once(struct adapter *a)
{
	struct error err;

	if (run_publisher_probe(a->runs.publisher, FRESH_MS, &err) != 0)
		return end_by_error(&err);
	printf("schedrun-http: the configuration is fine, Kafka answers\n");
	return 0;
}

static int
run_adapter(struct adapter *a, bool check)
{
	size_t wanted = check ? N_CHECKED : N_PARTS, n = 0;
	struct error err = { 0 };
	int code;

	while (n < wanted && parts[n].create(a, &err) == 0)
		n++;
	if (n < wanted)
		code = end_by_error(&err);
	else
		code = check ? check_once(a) : serve(a);
	end_parts(a, n);
	return code;
}

int
main(int argc, char **argv)
{
	struct options options;
	struct config *config =
	    options_daemon(argc, argv, documentation, &options);
	struct adapter *a = memory_zalloc(1, sizeof *a);
	int code;

	signal(SIGPIPE, SIG_IGN);
	/* Tokens pass through here: no core, no look by others of this user. */
	prctl(PR_SET_DUMPABLE, 0);
	a->app.config = config;
	a->options = &options;
	code = run_adapter(a, options.check);
	free(a);
	config_destroy(config);
	options_finish(&options);
	return code;
}
