#include "worker/pipeline/pipeline.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "schemas/avro/registry.h"
#include "worker/base/watchdog.h"
#include "worker/pipeline/internal.h"

#define BEAT_MS 30000
#define ALIVE_MS 1000 /* between what systemd is told */

void
pipeline_wake(void *opaque)
{
	struct pipeline *p = opaque;

	pthread_mutex_lock(&p->lock);
	p->is_woken = true;
	pthread_cond_signal(&p->woken);
	if (p->sleeper != NULL)
		kafka_consumer_wake(p->sleeper);
	pthread_mutex_unlock(&p->lock);
}

void
pipeline_set_sleeper(struct pipeline *p, struct kafka_consumer *consumer)
{
	pthread_mutex_lock(&p->lock);
	p->sleeper = consumer;
	pthread_mutex_unlock(&p->lock);
}

/* Waits for stage B's news, `ms` at most. */
void
pipeline_wait(struct pipeline *p, int64_t ms)
{
	struct timespec until = clock_after(ms);

	pthread_mutex_lock(&p->lock);
	if (!p->is_woken)
		pthread_cond_timedwait(&p->woken, &p->lock, &until);
	p->is_woken = false;
	pthread_mutex_unlock(&p->lock);
}

static int
create_intake(struct pipeline *p, struct metrics *metrics, struct error *err)
{
	const struct claims_settings claims = {
		.marks = &p->intake.marks,
		.ttl_ms = config_number(p->config, "dedup.ttl"),
	};
	const struct snapshot_settings snapshot = {
		.redis = p->redis,
		.keyspace = p->keyspace,
		.metrics = metrics,
	};
	struct intake *intake = &p->intake;

	p->registry = registry_create(p->config, err);
	if (p->registry == NULL)
		return -1;
	intake->topic = p->topics[TOPIC_REQUESTS];
	intake->redis = p->redis;
	intake->marks = (struct marks){
		.redis = p->redis,
		.keyspace = p->keyspace,
		.space = text_from(p->store.meta.claims),
		.topic = text_from(intake->topic),
	};
	intake->claims = claims_create(&claims);
	intake->decoder = decoder_create(p->registry);
	intake->snapshot = snapshot_create(&snapshot);
	intake->questions = questions_create(intake->snapshot, p->metrics);
	intake->metrics = p->metrics;
	intake->publish.forward_trace =
	    strcmp(config_text(p->config, "trace.mode"), "forward") == 0;
	intake->owned =
	    memory_zalloc(INTAKE_PARTITIONS_MAX, sizeof *intake->owned);
	return 0;
}

static void
create_batches(struct pipeline *p)
{
	size_t i;

	for (i = 0; i < PIPELINE_BATCHES; i++) {
		p->batches[i] = batch_create((size_t)config_number(p->config,
						 "worker.batch.max.records"),
		    (size_t)config_number(p->config, "worker.batch.max.bytes"));
		p->spare[p->n_spare++] = p->batches[i];
	}
}

struct pipeline *
pipeline_create(const struct pipeline_settings *settings, struct error *err)
{
	struct pipeline *p = memory_zalloc(1, sizeof *p);
	struct redis_settings redis;
	struct buffer id = { 0 };
	size_t i;

	p->config = settings->config;
	p->health = settings->health;
	p->group = config_text(p->config, "worker.group");
	for (i = 0; i < TOPICS; i++)
		p->topics[i] = topic_name(p->config, (enum topic)i);
	buffer_format(&id, "%s-%s", p->group, settings->worker_id);
	buffer_byte(&id, '\0');
	p->transactional_id = id.at;
	pthread_mutex_init(&p->lock, NULL);
	clock_condition_init(&p->woken);
	p->keyspace = keyspace_create(config_text(p->config, "redis.prefix"));
	p->metrics = settings->metrics;
	worker_metrics_use(p->metrics);
	p->kafka = (struct kafka_settings){ .config = p->config,
		.health = kafka_health_create(),
		.client_id = settings->worker_id };
	kafka_health_on_error(
	    p->kafka.health, worker_metrics_kafka_error, p->metrics);
	p->kafka_check = health_check(p->health, "kafka", FRESH_MS);
	p->redis_check = health_check(p->health, "redis", FRESH_MS);
	p->beat = health_beat_start(p->health, "intake", BEAT_MS);
	p->backoff_ms = BACKOFF_MIN_MS;
	redis = redis_settings_of(p->config, "redis.url", "schedrun-worker");
	p->redis = redis_create(&redis, err);
	if (p->redis == NULL || create_intake(p, settings->metrics, err) != 0) {
		pipeline_destroy(p);
		return NULL;
	}
	create_batches(p);
	return p;
}

void
pipeline_destroy(struct pipeline *p)
{
	size_t i;

	if (p == NULL)
		return;
	repair_destroy(p->repair);
	for (i = 0; i < PIPELINE_BATCHES; i++)
		batch_destroy(p->batches[i]);
	claims_destroy(p->intake.claims);
	decoder_destroy(p->intake.decoder);
	questions_destroy(p->intake.questions);
	snapshot_destroy(p->intake.snapshot);
	free(p->intake.owned);
	registry_destroy(p->registry);
	redis_destroy(p->redis);
	kafka_health_destroy(p->kafka.health);
	keyspace_destroy(p->keyspace);
	pthread_cond_destroy(&p->woken);
	pthread_mutex_destroy(&p->lock);
	free(p->transactional_id);
	free(p->cluster_id);
	free(p);
}

void
pipeline_stop(struct pipeline *p)
{
	atomic_store(&p->stop, true);
	pipeline_wake(p);
}

bool
pipeline_is_stopping(struct pipeline *p)
{
	return atomic_load(&p->stop);
}

void
pipeline_turn(struct pipeline *p)
{
	int64_t now = clock_monotonic_ms();

	health_turn(p->beat);
	watchdog_beat(WATCHDOG_INTAKE);
	if (now < p->alive_ms)
		return;
	p->alive_ms = now + ALIVE_MS;
	sd_notify(0, "WATCHDOG=1");
}

/* Something hangs: leaves it behind.  A crash, and crashes are safe. */
static _Noreturn void
leave(const struct error *fatal)
{
	log_event(LOG_WARN, "worker", "drain_overdue",
	    "something hangs: leaving it behind, the restart is safe", LOG_END);
	if (fatal == NULL)
		_Exit(0);
	log_event(
	    LOG_ERROR, "worker", "ended_by_error", fatal->message, LOG_END);
	_Exit(fatal->exit_code);
}

/*
 * Stops cutting, lets stage B end or has it abort, leaves the group.  `fatal`:
 * why the process ends; NULL: it was asked to.
 */
static void
finish(struct pipeline *p, const struct error *fatal)
{
	int64_t timeout = config_number(p->config, "worker.shutdown.timeout");
	int close_ms = (int)(timeout * 3 / 10);

	if (!p->is_started)
		return;
	if (p->intake.batch != NULL)
		intake_drop(&p->intake);
	/* Its records must be given back before the consumer closes. */
	if (!committer_revoke(p->committer, false, timeout / 2))
		leave(fatal);
	pipeline_collect(p);
	if (p->intake.consumer != NULL) {
		pipeline_set_sleeper(p, NULL);
		watchdog_enter(
		    WATCHDOG_INTAKE, "close", close_ms + INTAKE_GUARD_MS);
		if (kafka_consumer_close(p->intake.consumer, close_ms) != 0)
			log_event(LOG_WARN, "kafka", "consumer_hangs",
			    "the consumer does not close", LOG_END);
		watchdog_leave(WATCHDOG_INTAKE);
		p->intake.consumer = NULL;
	}
	if (committer_stop(p->committer, timeout / 10) != 0)
		leave(fatal);
}

int
pipeline_run(struct pipeline *p, struct error *err)
{
	int rc = pipeline_start(p, err);

	if (rc == 0)
		rc = pipeline_work(p, err);
	if (rc == 0 && !p->is_started)
		return 0;
	health_drain(p->health, "draining");
	sd_notify(0, "STOPPING=1\nSTATUS=draining");
	finish(p, rc < 0 ? err : NULL);
	return rc < 0 ? -1 : 0;
}

int
pipeline_check(struct pipeline *p, struct error *err)
{
	if (pipeline_look_at_kafka(p, err) != 0 ||
	    pipeline_find_schema_ids(p, err) != 0)
		return -1;
	return pipeline_check_store(p, err);
}
