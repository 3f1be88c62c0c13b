#include "worker/pipeline.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "common/clock.h"
#include "common/kafka_admin.h"
#include "common/log.h"
#include "common/memory.h"
#include "schemas/registry.h"
#include "worker/batch_protocol.h"
#include "worker/committer.h"
#include "worker/intake.h"
#include "worker/repair.h"
#include "worker/store_check.h"
#include "worker/watchdog.h"

#define BATCHES 3 /* in work, being committed, on its way back */
#define POLL_MS 100
#define WAIT_MS 200
#define PAUSE_AFTER_MS 500 /* of waiting for stage B, then poll paused */
#define KAFKA_CALL_MS 5000
#define REVOKE_MS 5000
#define CHECK_MS 3000 /* between looks at Redis */
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000
#define REPORT_MS 1000
#define FRESH_MS 10000
#define BEAT_MS 30000
#define CLOSE_MS 3000
#define EX_CONFIG 78
#define EX_UNAVAILABLE 69

enum topic { TOPIC_REQUESTS, TOPIC_RESULTS, TOPIC_BUILDS, TOPIC_DLQ, TOPICS };

struct pipeline {
	const struct config *config;
	const char *topics[TOPICS];
	const char *group;
	char *transactional_id;
	struct kafka_settings kafka;
	struct redis *redis;
	struct registry *registry;
	struct telemetry *telemetry;
	struct committer *committer;
	struct repair *repair;
	struct intake intake;
	struct batch *batches[BATCHES];
	struct batch *spare[BATCHES];
	size_t n_spare;
	enum intake_phase phase;
	struct arena *arena; /* of what store_check finds */
	char *cluster_id;
	int64_t message_max;
	/* When what is due next, on clock_monotonic_ms. */
	int64_t check_ms, report_ms, backoff_ms, retry_ms;
	uint64_t evicted;
	struct health *health;
	struct health_check *kafka_check, *redis_check;
	struct health_beat *beat;
	atomic_bool stop;
	bool is_started;
	/* The wake-up from stage B. */
	pthread_mutex_t lock;
	pthread_cond_t woken;
	bool is_woken;
};

static void
wake(void *opaque)
{
	struct pipeline *p = opaque;

	pthread_mutex_lock(&p->lock);
	p->is_woken = true;
	pthread_cond_signal(&p->woken);
	pthread_mutex_unlock(&p->lock);
	if (p->intake.consumer != NULL)
		kafka_consumer_wake(p->intake.consumer);
}

/* Waits for stage B's news, `ms` at most. */
static void
wait_for_news(struct pipeline *p, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&p->lock);
	if (!p->is_woken)
		pthread_cond_timedwait(&p->woken, &p->lock, &until);
	p->is_woken = false;
	pthread_mutex_unlock(&p->lock);
}

static struct redis *
create_redis(const struct config *config, struct error *err)
{
	const struct redis_settings settings = {
		.url = config_text(config, "redis.url"),
		.username = config_text(config, "redis.username"),
		.password = config_text(config, "redis.password"),
		.connect_timeout_ms =
		    (int)config_number(config, "redis.timeout.connect"),
		.command_timeout_ms =
		    (int)config_number(config, "redis.timeout.command"),
		.client_name = "schedrun-worker",
	};
	struct redis *redis = redis_create(&settings, err);

	if (redis == NULL)
		err->exit_code = EX_CONFIG;
	return redis;
}

static int
create_intake(struct pipeline *p, struct metrics *metrics, struct error *err)
{
	const char *prefix = config_text(p->config, "redis.prefix");
	const struct claims_settings claims = {
		.redis = p->redis,
		.prefix = prefix,
		.topic = p->topics[TOPIC_REQUESTS],
		.ttl_ms = config_number(p->config, "dedup.ttl"),
	};
	const struct snapshot_settings snapshot = {
		.redis = p->redis,
		.prefix = prefix,
		.metrics = metrics,
	};
	struct intake *intake = &p->intake;

	p->registry = registry_create(p->config, err);
	if (p->registry == NULL)
		return -1;
	intake->topic = p->topics[TOPIC_REQUESTS];
	intake->redis = p->redis;
	intake->claims = claims_create(&claims);
	intake->decoder = decoder_create(p->registry);
	intake->snapshot = snapshot_create(&snapshot);
	intake->telemetry = p->telemetry;
	intake->marks = (struct marks){ .redis = p->redis,
		.prefix = text_from(prefix),
		.space = TEXT(""),
		.topic = text_from(intake->topic) };
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

	for (i = 0; i < BATCHES; i++) {
		p->batches[i] = batch_create((size_t)config_number(p->config,
						 "worker.batch.max.records"),
		    (size_t)config_number(p->config, "worker.batch.max.bytes"));
		p->spare[p->n_spare++] = p->batches[i];
	}
}

struct pipeline *
pipeline_create(const struct pipeline_settings *settings, struct error *err)
{
	static const char *const keys[TOPICS] = { "topics.requests",
		"topics.results", "topics.builds", "topics.dlq" };
	struct pipeline *p = memory_zalloc(1, sizeof *p);
	struct buffer id = { 0 };
	size_t i;

	p->config = settings->config;
	p->health = settings->health;
	p->group = config_text(p->config, "worker.group");
	for (i = 0; i < TOPICS; i++)
		p->topics[i] = config_text(p->config, keys[i]);
	buffer_format(&id, "%s-%s", p->group, settings->worker_id);
	buffer_byte(&id, '\0');
	p->transactional_id = id.at;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->woken, NULL);
	p->arena = arena_create(0);
	p->telemetry = telemetry_create(settings->metrics);
	p->kafka = (struct kafka_settings){ .config = p->config,
		.health = kafka_health_create(),
		.client_id = settings->worker_id };
	kafka_health_on_error(
	    p->kafka.health, telemetry_kafka_error, p->telemetry);
	p->kafka_check = health_check(p->health, "kafka", FRESH_MS);
	p->redis_check = health_check(p->health, "redis", FRESH_MS);
	p->beat = health_beat_start(p->health, "intake", BEAT_MS);
	p->backoff_ms = BACKOFF_MIN_MS;
	p->redis = create_redis(p->config, err);
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
	for (i = 0; i < BATCHES; i++)
		batch_destroy(p->batches[i]);
	claims_destroy(p->intake.claims);
	decoder_destroy(p->intake.decoder);
	snapshot_destroy(p->intake.snapshot);
	free(p->intake.owned);
	registry_destroy(p->registry);
	redis_destroy(p->redis);
	kafka_health_destroy(p->kafka.health);
	telemetry_destroy(p->telemetry);
	arena_destroy(p->arena);
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
	wake(p);
}

static bool
is_stopping(struct pipeline *p)
{
	return atomic_load(&p->stop);
}

static void
turn(struct pipeline *p)
{
	health_turn(p->beat);
	watchdog_beat(WATCHDOG_INTAKE);
}

/* Says once per change why a dependency can't be used. */
static void
say_away(struct pipeline *p, struct health_check *check, const char *component,
    const struct error *err)
{
	health_bad(check, "%s", err->message);
	telemetry_dependency(p->telemetry,
	    check == p->redis_check ? DEPENDENCY_REDIS : DEPENDENCY_KAFKA,
	    false);
	log_event(LOG_WARN, component,
	    check == p->redis_check ? "redis_not_ready" : "kafka_not_ready",
	    err->message, LOG_END);
	sd_notifyf(0, "STATUS=waiting: %.200s", err->message);
}

static void
note_store_up(struct pipeline *p)
{
	health_ok(p->redis_check);
	telemetry_dependency(p->telemetry, DEPENDENCY_REDIS, true);
}

/* Which namespace claims have: it may change while the group is empty. */
static void
use_facts(struct pipeline *p, const struct store_facts *facts)
{
	const struct claims_space space = { facts->claims, facts->shards,
		facts->created_ms };

	claims_set_space(p->intake.claims, &space);
	p->intake.marks.space = facts->claims;
	if (facts->evicted > p->evicted && p->evicted != UINT64_MAX)
		log_event(LOG_ERROR, "redis", "keys_evicted",
		    "this Redis has evicted keys: claims may be lost; set "
		    "maxmemory-policy noeviction",
		    LOG_I("evicted", facts->evicted), LOG_END);
	p->evicted = facts->evicted;
}

static int
check_store(struct pipeline *p, struct error *err)
{
	const struct store_check check = {
		.redis = p->redis,
		.prefix = text_from(config_text(p->config, "redis.prefix")),
		.topic = text_from(p->topics[TOPIC_REQUESTS]),
		.group = text_from(p->group),
		.cluster_id = text_from(p->cluster_id),
	};
	struct store_facts facts = { 0 };

	arena_reset(p->arena, 65536);
	if (store_check_run(&check, p->arena, &facts, err) != 0)
		return -1;
	use_facts(p, &facts);
	p->check_ms = clock_monotonic_ms() + CHECK_MS;
	note_store_up(p);
	return 0;
}

/* A topic that is missing, or that can't hold what we write, is a fault. */
static int
check_topics(
    struct pipeline *p, const struct kafka_topic *topics, struct error *err)
{
	const struct kafka_topic *requests = &topics[TOPIC_REQUESTS];
	const struct kafka_topic *dlq = &topics[TOPIC_DLQ];
	size_t i;

	for (i = 0; i < TOPICS; i++)
		if (topics[i].partitions == 0)
			return error_fatal(err, EX_CONFIG,
			    "topic %s does not exist; run schedrun init",
			    topics[i].name);
	if (requests->max_message_bytes > 0 && dlq->max_message_bytes > 0 &&
	    dlq->max_message_bytes < requests->max_message_bytes + 65536)
		return error_fatal(err, EX_CONFIG,
		    "topic %s takes %lld bytes, less than %s's %lld and 64 "
		    "KiB of headers: a record that can't be buried blocks its "
		    "partition; raise max.message.bytes",
		    dlq->name, (long long)dlq->max_message_bytes,
		    requests->name, (long long)requests->max_message_bytes);
	p->message_max = 0;
	for (i = TOPIC_RESULTS; i < TOPICS; i++)
		if (topics[i].max_message_bytes > p->message_max)
			p->message_max = topics[i].max_message_bytes;
	p->intake.publish.result_max =
	    topics[TOPIC_RESULTS].max_message_bytes > 0
	    ? topics[TOPIC_RESULTS].max_message_bytes
	    : 1000000;
	p->intake.publish.build_max = topics[TOPIC_BUILDS].max_message_bytes > 0
	    ? topics[TOPIC_BUILDS].max_message_bytes
	    : 1000000;
	return 0;
}

/* Cluster id and topics, by a client of its own. */
static int
look_at_kafka(struct pipeline *p, struct error *err)
{
	struct kafka_topic topics[TOPICS] = { 0 };
	struct kafka_admin *admin = kafka_admin_create(&p->kafka, err);
	const char *id;
	int rc = -1;
	size_t i;

	if (admin == NULL)
		return -1;
	for (i = 0; i < TOPICS; i++)
		topics[i].name = p->topics[i];
	id = kafka_admin_cluster_id(admin, p->arena, KAFKA_CALL_MS, err);
	if (id != NULL &&
	    kafka_admin_describe_topics(
		admin, topics, TOPICS, true, KAFKA_CALL_MS, err) == 0) {
		free(p->cluster_id);
		p->cluster_id = memory_copy_string(id);
		rc = check_topics(p, topics, err);
	}
	kafka_admin_destroy(admin);
	return rc;
}

static int
find_schema_ids(struct pipeline *p, struct error *err)
{
	struct publish_settings *publish = &p->intake.publish;

	if (registry_id(p->registry, MESSAGE_SCHEDULE_RUN,
		p->topics[TOPIC_RESULTS], &publish->result_schema, err) != 0)
		return -1;
	return registry_id(p->registry, MESSAGE_BUILD_REQUESTED,
	    p->topics[TOPIC_BUILDS], &publish->build_schema, err);
}

/*
 * Repeats `look` until it succeeds, is fatal, the process stops, or
 * start.timeout is over.  0, 1 (stopping) or -1.
 */
static int
insist(struct pipeline *p, int (*look)(struct pipeline *, struct error *),
    struct health_check *check, const char *component, struct error *err)
{
	int64_t timeout = config_number(p->config, "start.timeout");
	int64_t begun = clock_monotonic_ms();

	while (!is_stopping(p)) {
		turn(p);
		if (look(p, err) == 0)
			return 0;
		if (err->kind != ERROR_RETRY)
			return -1;
		say_away(p, check, component, err);
		if (timeout > 0 && clock_monotonic_ms() - begun > timeout) {
			error_prefix(err, "start.timeout is over");
			err->kind = ERROR_FATAL;
			err->exit_code = EX_UNAVAILABLE;
			return -1;
		}
		wait_for_news(p, WAIT_MS);
	}
	return 1;
}

/* Partitions came: what Redis's marks must prove begins at what is committed.
 */
static int
on_assigned(void *opaque, struct kafka_position *positions, size_t n)
{
	struct pipeline *p = opaque;
	size_t i;

	assert(n <= INTAKE_PARTITIONS_MAX);
	for (i = 0; i < n; i++)
		p->intake.owned[i] = (struct owned){ positions[i].partition,
			positions[i].committed };
	p->intake.n_owned = n;
	claims_reset(p->intake.claims);
	telemetry_rebalance(p->telemetry, REBALANCE_ASSIGN);
	telemetry_assigned(p->telemetry, n);
	log_event(LOG_INFO, "kafka", "partitions_assigned",
	    "partitions were assigned", LOG_I("partitions", n), LOG_END);
	return 0;
}

/* A batch that stage B is through with comes back; true if it was lost. */
static bool
collect(struct pipeline *p)
{
	bool lost = false;
	struct batch *batch = committer_take(p->committer, &lost);

	if (batch == NULL)
		return false;
	batch_reset(batch);
	p->spare[p->n_spare++] = batch;
	return lost;
}

static void
on_revoked(void *opaque, bool lost)
{
	struct pipeline *p = opaque;
	size_t i;

	watchdog_enter(WATCHDOG_INTAKE, "revoke", 2 * REVOKE_MS);
	if (!committer_revoke(p->committer, lost, REVOKE_MS))
		log_event(LOG_WARN, "kafka", "revoke_overdue",
		    "the transaction did not end in time: fencing decides",
		    LOG_END);
	watchdog_leave(WATCHDOG_INTAKE);
	collect(p);
	p->intake.revoked = true;
	for (i = 0; i < p->intake.n_owned; i++)
		telemetry_lag_gone(p->telemetry, p->intake.owned[i].partition);
	p->intake.n_owned = 0;
	telemetry_rebalance(
	    p->telemetry, lost ? REBALANCE_LOST : REBALANCE_REVOKE);
	telemetry_assigned(p->telemetry, 0);
	log_event(LOG_INFO, "kafka", "partitions_revoked",
	    "the partitions are gone", LOG_I("lost", lost), LOG_END);
}

static int
start_consumer(struct pipeline *p, struct error *err)
{
	const struct kafka_consumer_options options = {
		.settings = p->kafka,
		.group = p->group,
		.accept_loss = config_switch(p->config, "worker.accept.loss"),
		.read_ahead = true,
		.events = { .assigned = on_assigned,
		    .revoked = on_revoked,
		    .opaque = p },
	};

	p->intake.consumer = kafka_consumer_create(&options, err);
	if (p->intake.consumer == NULL)
		return -1;
	return kafka_consumer_subscribe(
	    p->intake.consumer, &p->topics[TOPIC_REQUESTS], 1, err);
}

static int
start_stages(struct pipeline *p, struct error *err)
{
	const struct committer_settings committer = {
		.transaction = {
			.settings = p->kafka,
			.transactional_id = p->transactional_id,
			.topics = &p->topics[TOPIC_RESULTS],
			.n_topics = TOPICS - TOPIC_RESULTS,
			.message_max_bytes = p->message_max,
		},
		.requests_topic = p->topics[TOPIC_REQUESTS],
		.deadline_ms = config_number(p->config, "commit.deadline"),
		.telemetry = p->telemetry,
		.wake = wake,
		.opaque = p,
	};
	const struct repair_settings repair = {
		.kafka = p->kafka,
		.ttl_ms = config_number(p->config, "dedup.ttl"),
	};

	p->repair = repair_create(&repair, err);
	if (p->repair == NULL)
		return -1;
	p->committer = committer_start(&committer, err);
	if (p->committer == NULL)
		return -1;
	p->is_started = true;
	return start_consumer(p, err);
}

static int
start(struct pipeline *p, struct error *err)
{
	int rc = insist(p, look_at_kafka, p->kafka_check, "kafka", err);

	if (rc == 0)
		rc = insist(p, find_schema_ids, p->kafka_check, "kafka", err);
	if (rc == 0)
		rc = insist(p, check_store, p->redis_check, "redis", err);
	if (rc == 0)
		rc = start_stages(p, err);
	p->phase = INTAKE_FILLING;
	return rc;
}

/* Everything of Redis's is to be looked at again before work goes on. */
static void
drop_and_pause(struct pipeline *p, struct error *err)
{
	say_away(p, p->redis_check, "redis", err);
	telemetry_redis_error(p->telemetry);
	redis_disconnect(p->redis);
	intake_drop(&p->intake);
	p->retry_ms = clock_monotonic_ms() + p->backoff_ms;
	p->backoff_ms *= 2;
	if (p->backoff_ms > BACKOFF_MAX_MS)
		p->backoff_ms = BACKOFF_MAX_MS;
}

/* Records that were read and dropped must be read again. */
static int
reread(struct pipeline *p, struct error *err)
{
	size_t i;

	for (i = 0; i < p->intake.n_owned; i++) {
		const struct owned *owned = &p->intake.owned[i];
		struct kafka_offset place = { owned->partition,
			owned->expected };
		int64_t end;

		if (place.offset < 0 &&
		    kafka_consumer_range(p->intake.consumer, p->intake.topic,
			place.partition, &place.offset, &end, KAFKA_CALL_MS,
			err) != 0)
			return -1;
		if (kafka_consumer_seek(p->intake.consumer, p->intake.topic,
			place, KAFKA_CALL_MS, err) != 0)
			return -1;
	}
	return 0;
}

/* A record that came although nothing may be read is read again later. */
static int
put_back(struct pipeline *p, struct kafka_record *record, struct error *err)
{
	struct kafka_offset place = { record->partition, record->offset };

	kafka_records_release(record, 1);
	if (intake_owned(&p->intake, place.partition) == NULL)
		return 0;
	return kafka_consumer_seek(
	    p->intake.consumer, p->intake.topic, place, KAFKA_CALL_MS, err);
}

/*
 * Polls while nothing may be read: membership and assignments are served.
 * Returns -1 only for what ends the process.
 */
static int
poll_paused(struct pipeline *p, int timeout_ms, struct error *err)
{
	struct kafka_record record;
	int n;

	if (!kafka_consumer_is_paused(p->intake.consumer) &&
	    kafka_consumer_pause(p->intake.consumer, err) != 0)
		return err->kind == ERROR_FATAL ? -1 : 0;
	p->intake.revoked = false;
	n = kafka_consumer_poll(
	    p->intake.consumer, &record, 1, timeout_ms, err);
	if (n > 0 && put_back(p, &record, err) != 0)
		return err->kind == ERROR_FATAL ? -1 : 0;
	return n < 0 && err->kind == ERROR_FATAL ? -1 : 0;
}

static void
take_event(struct pipeline *p, enum intake_event event)
{
	enum intake_action action = intake_step(&p->phase, event);

	assert(action != INTAKE_REFUSE);
}

/* What a failed step of the intake means. */
static int
handle(struct pipeline *p, enum intake_result result, struct error *err)
{
	switch (result) {
	case INTAKE_FINE:
		return 0;
	case INTAKE_STORE_AWAY:
		take_event(p, INTAKE_STORE_DOWN);
		drop_and_pause(p, err);
		return 0;
	case INTAKE_BEHIND_HERE:
		/* An empty Redis has lost the catalogue too: look first. */
		if (check_store(p, err) != 0) {
			if (err->kind != ERROR_RETRY &&
			    err->exit_code != EX_CONFIG)
				return -1;
			take_event(p, INTAKE_STORE_DOWN);
			drop_and_pause(p, err);
			return 0;
		}
		take_event(p, INTAKE_BEHIND);
		intake_drop(&p->intake);
		if (repair_start(p->repair, &p->intake,
			p->intake.behind_partition, p->intake.behind_mark,
			err) == 0)
			return 0;
		if (err->kind == ERROR_FATAL)
			return -1;
		take_event(p, INTAKE_STORE_DOWN);
		drop_and_pause(p, err);
		return 0;
	case INTAKE_BROKEN:
		break;
	}
	if (err->kind == ERROR_FATAL)
		return -1;
	log_event(LOG_WARN, "kafka", "membership_lost", err->message, LOG_END);
	take_event(p, INTAKE_LOST);
	intake_drop(&p->intake);
	return 0;
}

/*
 * Revoked during a poll: what was read or prepared is the next owner's.  The
 * same poll may have brought a new assignment and its first records, which
 * were let go with the rest: reading begins anew where it is expected to.
 */
static void
drop_revoked(struct pipeline *p)
{
	struct error err = { 0 };

	if (!p->intake.revoked)
		return;
	p->intake.revoked = false;
	take_event(p, INTAKE_REVOKED);
	intake_drop(&p->intake);
	if (reread(p, &err) != 0) {
		log_event(
		    LOG_WARN, "kafka", "seek_failed", err.message, LOG_END);
		take_event(p, INTAKE_LOST);
	}
}

static int
step_paused(struct pipeline *p, struct error *err)
{
	if (poll_paused(p, WAIT_MS, err) != 0)
		return -1;
	drop_revoked(p);
	if (clock_monotonic_ms() < p->retry_ms)
		return 0;
	if (check_store(p, err) != 0) {
		if (err->kind == ERROR_FATAL && err->exit_code != EX_CONFIG)
			return -1;
		drop_and_pause(p, err);
		return 0;
	}
	if (reread(p, err) != 0)
		return err->kind == ERROR_FATAL ? -1 : 0;
	if (kafka_consumer_resume(p->intake.consumer, err) != 0)
		return err->kind == ERROR_FATAL ? -1 : 0;
	p->backoff_ms = BACKOFF_MIN_MS;
	take_event(p, INTAKE_STORE_UP);
	log_event(LOG_INFO, "redis", "redis_ready", "Redis is there again",
	    LOG_S("address", redis_address(p->redis)), LOG_END);
	return 0;
}

static struct batch *
next_batch(struct pipeline *p)
{
	assert(p->n_spare > 0);
	return p->spare[--p->n_spare];
}

/* Looks at Redis while there is nothing to do: readiness must not go stale. */
static int
look_at_store(struct pipeline *p, struct error *err)
{
	if (clock_monotonic_ms() < p->check_ms || p->intake.sent_n > 0)
		return 0;
	if (check_store(p, err) == 0)
		return 0;
	if (err->kind == ERROR_FATAL && err->exit_code != EX_CONFIG)
		return -1;
	return handle(p, INTAKE_STORE_AWAY, err);
}

static int
step_filling(struct pipeline *p, struct error *err)
{
	enum committer_state state;
	enum intake_result result;

	if (p->intake.batch == NULL)
		p->intake.batch = next_batch(p);
	result =
	    intake_fill(&p->intake, p->intake.batch->n > 0 ? 1 : POLL_MS, err);
	if (result != INTAKE_FINE)
		return handle(p, result, err);
	drop_revoked(p);
	if (p->phase != INTAKE_FILLING)
		return 0;
	state = committer_state(p->committer);
	if (p->intake.batch->n == 0)
		return look_at_store(p, err);
	if (batch_is_full(p->intake.batch) || state == COMMITTER_READY)
		take_event(p, INTAKE_CUT);
	return 0;
}

static int
step_claiming(struct pipeline *p, struct error *err)
{
	enum intake_result result = intake_claim(&p->intake, err);

	if (result != INTAKE_FINE)
		return handle(p, result, err);
	note_store_up(p);
	take_event(p, INTAKE_CLAIMED);
	return 0;
}

static int
step_planning(struct pipeline *p, struct error *err)
{
	enum intake_result result = intake_plan(&p->intake, err);

	if (result != INTAKE_FINE)
		return handle(p, result, err);
	take_event(p, INTAKE_PLANNED);
	return 0;
}

/* Waits for stage B; polls meanwhile if that takes long. */
static int
step_prepared(struct pipeline *p, struct error *err)
{
	int64_t begun = clock_monotonic_ms();

	while (committer_state(p->committer) != COMMITTER_READY) {
		if (committer_state(p->committer) == COMMITTER_FAILED)
			return 0; /* the loop sees it */
		if (clock_monotonic_ms() - begun < PAUSE_AFTER_MS) {
			wait_for_news(p, WAIT_MS);
		} else if (poll_paused(p, WAIT_MS, err) != 0) {
			return -1;
		}
		turn(p);
		if (p->intake.revoked) {
			drop_revoked(p);
			break;
		}
		if (collect(p)) {
			take_event(p, INTAKE_LOST);
			intake_drop(&p->intake);
			break;
		}
		if (is_stopping(p))
			return 0;
	}
	if (p->phase == INTAKE_PREPARED && collect(p)) {
		take_event(p, INTAKE_LOST);
		intake_drop(&p->intake);
	}
	if (p->phase == INTAKE_PREPARED) {
		intake_advance(&p->intake);
		committer_give(p->committer, p->intake.batch);
		p->intake.batch = NULL;
		take_event(p, INTAKE_TAKEN);
	}
	if (p->phase == INTAKE_FILLING &&
	    kafka_consumer_is_paused(p->intake.consumer) &&
	    kafka_consumer_resume(p->intake.consumer, err) != 0)
		return err->kind == ERROR_FATAL ? -1 : 0;
	return 0;
}

static int
step_repairing(struct pipeline *p, struct error *err)
{
	int rc;

	if (poll_paused(p, 0, err) != 0)
		return -1;
	if (p->intake.revoked) {
		drop_revoked(p);
		return kafka_consumer_resume(p->intake.consumer, err) != 0 &&
			err->kind == ERROR_FATAL
		    ? -1
		    : 0;
	}
	rc = repair_step(p->repair, &p->intake, err);
	if (rc < 0) {
		if (err->kind == ERROR_FATAL)
			return -1;
		take_event(p, INTAKE_STORE_DOWN);
		drop_and_pause(p, err);
		return 0;
	}
	if (rc == 0)
		return 0;
	if (reread(p, err) != 0 ||
	    kafka_consumer_resume(p->intake.consumer, err) != 0)
		return err->kind == ERROR_FATAL ? -1 : 0;
	take_event(p, INTAKE_REPAIRED);
	return 0;
}

/* Back to what is committed, once stage B has nothing under way. */
static int
step_rewinding(struct pipeline *p, struct error *err)
{
	enum committer_state state = committer_state(p->committer);

	if (poll_paused(p, POLL_MS, err) != 0)
		return -1;
	drop_revoked(p);
	collect(p);
	if (state == COMMITTER_BUSY || state == COMMITTER_OPENING)
		return 0;
	if (intake_rewind(&p->intake, err) != 0 ||
	    kafka_consumer_resume(p->intake.consumer, err) != 0)
		return err->kind == ERROR_FATAL ? -1 : 0;
	take_event(p, INTAKE_REWOUND);
	return 0;
}

static int
step(struct pipeline *p, struct error *err)
{
	switch (p->phase) {
	case INTAKE_PAUSED:
		return step_paused(p, err);
	case INTAKE_FILLING:
		return step_filling(p, err);
	case INTAKE_CLAIMING:
		return step_claiming(p, err);
	case INTAKE_PLANNING:
		return step_planning(p, err);
	case INTAKE_PREPARED:
		return step_prepared(p, err);
	case INTAKE_REPAIRING:
		return step_repairing(p, err);
	case INTAKE_REWINDING:
	case INTAKE_PHASES:
		break;
	}
	return step_rewinding(p, err);
}

static void
report_kafka(struct pipeline *p)
{
	struct kafka_state state;
	char reason[256];

	kafka_health_read(p->kafka.health, FRESH_MS, &state);
	telemetry_dependency(p->telemetry, DEPENDENCY_KAFKA, state.up);
	committer_reason(p->committer, reason, sizeof reason);
	if (!state.up)
		health_bad(p->kafka_check, "%s", state.reason);
	else if (reason[0] != '\0')
		health_bad(p->kafka_check, "%s", reason);
	else if (!kafka_consumer_is_joined(p->intake.consumer))
		health_bad(p->kafka_check, "joining the group %s", p->group);
	else
		health_ok(p->kafka_check);
}

/* Lag and health, each second. */
static void
report(struct pipeline *p)
{
	int64_t now = clock_monotonic_ms(), lag = 0;
	size_t i;

	if (now < p->report_ms)
		return;
	p->report_ms = now + REPORT_MS;
	report_kafka(p);
	for (i = 0; i < p->intake.n_owned; i++) {
		const struct owned *owned = &p->intake.owned[i];
		int64_t end = kafka_consumer_end(
		    p->intake.consumer, p->intake.topic, owned->partition);
		int64_t behind = end > owned->expected && owned->expected >= 0
		    ? end - owned->expected
		    : 0;

		telemetry_lag(
		    p->telemetry, p->intake.topic, owned->partition, behind);
		lag += behind;
	}
	sd_notifyf(0, "WATCHDOG=1\nSTATUS=%s: %zu partitions, lag %lld",
	    intake_phase_name(p->phase), p->intake.n_owned, (long long)lag);
}

static int
work(struct pipeline *p, struct error *err)
{
	while (!is_stopping(p)) {
		turn(p);
		report(p);
		if (committer_state(p->committer) == COMMITTER_FAILED) {
			committer_error(p->committer, err);
			return -1;
		}
		if (p->phase != INTAKE_PREPARED && collect(p)) {
			take_event(p, INTAKE_LOST);
			intake_drop(&p->intake);
		}
		if (step(p, err) != 0)
			return -1;
	}
	return 0;
}

/*
 * Stops cutting, lets stage B end, leaves the group.  Whatever hangs is left
 * behind: the process ends, and a restart continues.
 */
static void
finish(struct pipeline *p)
{
	int64_t timeout = config_number(p->config, "worker.shutdown.timeout");
	int64_t until = clock_monotonic_ms() + timeout / 2;

	if (!p->is_started)
		return;
	if (p->intake.batch != NULL)
		intake_drop(&p->intake);
	/* Its records must be given back before the consumer closes. */
	while (committer_state(p->committer) == COMMITTER_BUSY &&
	    clock_monotonic_ms() < until) {
		wait_for_news(p, WAIT_MS);
		turn(p);
	}
	if (committer_state(p->committer) == COMMITTER_BUSY)
		_Exit(0); /* what is under way is aborted: a crash, and safe */
	collect(p);
	if (p->intake.consumer != NULL) {
		watchdog_enter(WATCHDOG_INTAKE, "close", CLOSE_MS + REVOKE_MS);
		if (kafka_consumer_close(p->intake.consumer, CLOSE_MS) != 0)
			log_event(LOG_WARN, "kafka", "consumer_hangs",
			    "the consumer does not close", LOG_END);
		watchdog_leave(WATCHDOG_INTAKE);
		p->intake.consumer = NULL;
	}
	if (committer_stop(p->committer, timeout / 2) != 0)
		_Exit(0);
}

int
pipeline_run(struct pipeline *p, struct error *err)
{
	int rc = start(p, err);

	if (rc == 0)
		rc = work(p, err);
	if (rc == 0 && !p->is_started)
		return 0;
	health_drain(p->health, "draining");
	sd_notify(0, "STOPPING=1\nSTATUS=draining");
	finish(p);
	return rc < 0 ? -1 : 0;
}

int
pipeline_check(struct pipeline *p, struct error *err)
{
	if (look_at_kafka(p, err) != 0 || find_schema_ids(p, err) != 0)
		return -1;
	return check_store(p, err);
}
