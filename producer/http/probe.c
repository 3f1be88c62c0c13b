#include "producer/http/probe.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "producer/base/metrics.h"
#include "schemas/avro/registry.h"
#include "schemas/keyspace.h"
#include "schemas/topics.h"

#define EVERY_MS 2000
#define SOON_MS 250 /* while something is wrong */
#define CALL_MS 3000
#define FRESH_MS 10000
#define EX_CONFIG 78

struct http_probe {
	struct http_probe_settings settings;
	struct redis *redis;
	struct keyspace_meta meta; /* as last read; no cluster: none */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop;
	struct registry *registry; /* until the schema's id is known */
	bool has_said;             /* that it isn't */
};

/* Both: whether all is well. */
static bool
look_at_kafka(struct http_probe *probe)
{
	struct health_check *check = probe->settings.kafka_check;
	struct kafka_state state;
	struct error err;
	int rc = run_publisher_probe(probe->settings.publisher, CALL_MS, &err);

	kafka_health_read(probe->settings.kafka, FRESH_MS, &state);
	/* That there is no such topic is an answer, too. */
	metrics_set(probe->settings.metrics, HTTP_DEPENDENCIES,
	    DEPENDENCY_KAFKA, state.up && (rc == 0 || err.kind != ERROR_RETRY));
	if (rc == 0 && state.up)
		health_ok(check);
	else
		health_bad(check, "%s", rc != 0 ? err.message : state.reason);
	return rc == 0 && state.up;
}

/*
 * Under which id requests are published: asked for until it is known.  A
 * registry that has another schema there is FATAL.
 */
static bool
look_at_registry(struct http_probe *probe, struct error *fatal)
{
	struct health_check *check = probe->settings.registry_check;
	struct error err;
	uint32_t id;

	if (probe->registry == NULL)
		return true;
	if (registry_id(probe->registry, MESSAGE_RUN_REQUEST,
		topic_name(probe->settings.config, TOPIC_REQUESTS), &id,
		&err) != 0) {
		if (err.kind == ERROR_FATAL)
			*fatal = err;
		if (!probe->has_said) {
			probe->has_said = true;
			log_event(LOG_WARN, "registry", "registry_not_ready",
			    err.message, LOG_END);
		}
		health_bad(check, "%s", err.message);
		return false;
	}
	run_publisher_set_schema(probe->settings.publisher, id);
	if (check != NULL)
		health_ok(check);
	registry_destroy(probe->registry);
	probe->registry = NULL;
	return true;
}

/* Another format is FATAL; nothing of ours, or no answer, may change. */
static int
check_meta(struct http_probe *probe, struct error *err)
{
	struct keyspace_meta *meta = &probe->meta;

	if (keyspace_check_ours(
		probe->redis, probe->settings.keyspace, "", meta, err) == 0)
		return 0;
	meta->cluster[0] = '\0';
	return -1;
}

static bool
look_at_redis(struct http_probe *probe, struct error *fatal)
{
	struct health_check *check = probe->settings.redis_check;
	struct error err = { 0 };
	int64_t evicted;
	bool good;

	/* One that was restarted since the last look is not away. */
	redis_drop_closed(probe->redis);
	good = redis_connect(probe->redis, &err) == 0;
	if (!good && err.exit_code == EX_CONFIG)
		*fatal = err;
	good =
	    good && keyspace_check_eviction(probe->redis, &evicted, &err) == 0;
	if (good && check_meta(probe, &err) != 0) {
		good = false;
		if (err.kind == ERROR_FATAL && err.exit_code == EX_CONFIG)
			*fatal = err;
	}
	if (good)
		health_ok(check);
	else
		health_bad(check, "%s", err.message);
	/* One that evicts is no good, but it answers. */
	work_pool_tell(probe->settings.pool, redis_is_connected(probe->redis));
	metrics_set(
	    probe->settings.metrics, HTTP_DEPENDENCIES, DEPENDENCY_REDIS, good);
	return good;
}

static void
compare_clusters(struct http_probe *probe, struct error *fatal)
{
	char found[KEYSPACE_NAME_MAX];

	run_publisher_cluster(probe->settings.publisher, found, sizeof found);
	keyspace_check_cluster(probe->redis, &probe->meta, found, fatal);
}

/* On its way to the loop. */
struct end {
	struct http_probe_settings settings;
	struct error err;
};

static void
tell_end(void *argument)
{
	struct end *end = argument;

	end->settings.fatal(end->settings.argument, &end->err);
	free(end);
}

static void
post_end(struct http_probe *probe, const struct error *fatal)
{
	struct end *end = memory_zalloc(1, sizeof *end);

	end->settings = probe->settings;
	end->err = *fatal;
	loop_post(probe->settings.loop, tell_end, end);
}

/* Waits for the next look; true: to stop. */
static bool
rest_between(struct http_probe *probe, int64_t ms)
{
	struct timespec until = clock_after(ms);
	bool stop;

	pthread_mutex_lock(&probe->lock);
	if (!probe->stop)
		pthread_cond_timedwait(&probe->changed, &probe->lock, &until);
	stop = probe->stop;
	pthread_mutex_unlock(&probe->lock);
	return stop;
}

static void *
run_probe(void *argument)
{
	struct http_probe *probe = argument;

	struct error fatal = { 0 };
	bool redis, kafka, registry;

	do {
		registry = look_at_registry(probe, &fatal);
		redis = look_at_redis(probe, &fatal);
		kafka = look_at_kafka(probe);
		compare_clusters(probe, &fatal);
		if (fatal.kind == ERROR_FATAL) {
			post_end(probe, &fatal);
			break;
		}
	} while (!rest_between(
	    probe, redis && kafka && registry ? EVERY_MS : SOON_MS));
	return NULL;
}

struct http_probe *
http_probe_start(const struct http_probe_settings *settings, struct error *err)
{
	struct redis *redis = redis_create(&settings->redis, err);
	struct registry *registry = registry_create(settings->config, err);
	struct error none = { 0 };
	struct http_probe *probe;

	if (redis == NULL || registry == NULL) {
		registry_destroy(registry);
		redis_destroy(redis);
		return NULL;
	}
	probe = memory_zalloc(1, sizeof *probe);
	probe->settings = *settings;
	probe->redis = redis;
	probe->registry = registry;
	pthread_mutex_init(&probe->lock, NULL);
	clock_condition_init(&probe->changed);
	if (!registry_is_remote(registry))
		look_at_registry(probe, &none); /* the shipped id, at once */
	if (pthread_create(&probe->thread, NULL, run_probe, probe) != 0)
		memory_exhausted();
	return probe;
}

void
http_probe_stop(struct http_probe *probe)
{
	if (probe == NULL)
		return;
	pthread_mutex_lock(&probe->lock);
	probe->stop = true;
	pthread_cond_signal(&probe->changed);
	pthread_mutex_unlock(&probe->lock);
	pthread_join(probe->thread, NULL);
	registry_destroy(probe->registry);
	redis_destroy(probe->redis);
	free(probe);
}
