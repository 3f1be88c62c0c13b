#include "worker/pipeline/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/rights.h"
#include "schemas/avro/registry.h"
#include "worker/base/watchdog.h"

#define BEAT_MS 30000
#define SAY_MS 30000          /* until the same reason is logged again */
#define LIMIT_DEFAULT 1000000 /* of a topic whose own we may not read */
#define TOPIC_MS 500          /* for an answer about a topic */
#define MEMBERS_MS 5000       /* between looks at the group's members */
#define EX_UNAVAILABLE 69
#define EX_CONFIG 78

void
pipeline_wake(void *opaque)
{
	struct pipeline *pipeline = opaque;

	pthread_mutex_lock(&pipeline->bell.lock);
	pipeline->bell.is_rung = true;
	pthread_cond_signal(&pipeline->bell.rung);
	if (pipeline->bell.polls != NULL)
		kafka_consumer_wake(pipeline->bell.polls);
	pthread_mutex_unlock(&pipeline->bell.lock);
}

void
pipeline_set_sleeper(struct pipeline *pipeline, struct kafka_consumer *consumer)
{
	pthread_mutex_lock(&pipeline->bell.lock);
	pipeline->bell.polls = consumer;
	pthread_mutex_unlock(&pipeline->bell.lock);
}

/* Waits for stage B's news, `ms` at most. */
void
pipeline_wait(struct pipeline *pipeline, int64_t ms)
{
	struct timespec until = clock_after(ms);

	pthread_mutex_lock(&pipeline->bell.lock);
	if (!pipeline->bell.is_rung)
		pthread_cond_timedwait(
		    &pipeline->bell.rung, &pipeline->bell.lock, &until);
	pipeline->bell.is_rung = false;
	pthread_mutex_unlock(&pipeline->bell.lock);
}

static int
create_intake(
    struct pipeline *pipeline, struct metrics *metrics, struct error *err)
{
	const struct claims_settings claims = {
		.marks = &pipeline->intake.marks,
		.ttl_ms = config_number(pipeline->config, "dedup.ttl"),
	};
	const struct snapshot_settings snapshot = {
		.redis = pipeline->redis,
		.keyspace = pipeline->keyspace,
		.metrics = metrics,
	};
	struct intake *intake = &pipeline->intake;

	pipeline->registry = registry_create(pipeline->config, err);
	if (pipeline->registry == NULL)
		return -1;
	if (registry_is_remote(pipeline->registry))
		pipeline->ready.registry =
		    health_check(pipeline->ready.health, "registry", 0);
	else
		metrics_hide(pipeline->metrics, WORKER_DEPENDENCIES,
		    DEPENDENCY_REGISTRY);
	intake->topic = pipeline->topics[TOPIC_REQUESTS];
	intake->redis = pipeline->redis;
	intake->marks = (struct marks){
		.redis = pipeline->redis,
		.keyspace = pipeline->keyspace,
		.space = text_from(pipeline->store.meta.claims),
		.topic = text_from(intake->topic),
	};
	intake->claims = claims_create(&claims);
	intake->decoder = decoder_create(pipeline->registry);
	intake->snapshot = snapshot_create(&snapshot);
	intake->questions =
	    questions_create(intake->snapshot, pipeline->metrics);
	intake->metrics = pipeline->metrics;
	intake->publish.forward_trace =
	    strcmp(config_text(pipeline->config, "trace.mode"), "forward") == 0;
	intake->burial.offset = -1;
	return 0;
}

static void
create_batches(struct pipeline *pipeline)
{
	size_t i;

	for (i = 0; i < PIPELINE_BATCHES; i++) {
		pipeline->batches[i] =
		    batch_create((size_t)config_number(pipeline->config,
				     "worker.batch.max.records"),
			(size_t)config_number(
			    pipeline->config, "worker.batch.max.bytes"));
		pipeline->spare[pipeline->n_spare++] = pipeline->batches[i];
	}
}

struct pipeline *
pipeline_create(const struct pipeline_settings *settings, struct error *err)
{
	struct pipeline *pipeline = memory_zalloc(1, sizeof *pipeline);
	struct redis_settings redis;
	struct buffer id = { 0 };
	size_t i;

	pipeline->config = settings->config;
	pipeline->ready.health = settings->health;
	pipeline->group = config_text(pipeline->config, "worker.group");
	for (i = 0; i < TOPICS_OF_WORKER; i++)
		pipeline->topics[i] =
		    topic_name(pipeline->config, (enum topic)i);
	buffer_format(&id, "%s-%s", pipeline->group, settings->worker_id);
	buffer_byte(&id, '\0');
	pipeline->transactional_id = id.at;
	pthread_mutex_init(&pipeline->bell.lock, NULL);
	clock_condition_init(&pipeline->bell.rung);
	pipeline->keyspace =
	    keyspace_create(config_text(pipeline->config, "redis.prefix"));
	pipeline->metrics = settings->metrics;
	worker_metrics_use(pipeline->metrics);
	pipeline->kafka = (struct kafka_settings){ .config = pipeline->config,
		.health = kafka_health_create(),
		.client_id = settings->worker_id };
	kafka_health_on_error(pipeline->kafka.health,
	    worker_metrics_kafka_error, pipeline->metrics);
	pipeline->ready.kafka =
	    health_check(pipeline->ready.health, "kafka", FRESH_MS);
	/* While Kafka is waited for it is hardly asked: that is no fault. */
	pipeline->ready.redis =
	    health_check(pipeline->ready.health, "redis", 0);
	pipeline->ready.beat =
	    health_beat_start(pipeline->ready.health, "intake", BEAT_MS);
	pipeline->due.backoff_ms = BACKOFF_MIN_MS;
	redis =
	    redis_settings_of(pipeline->config, "redis.url", "schedrun-worker");
	pipeline->redis = redis_create(&redis, err);
	if (pipeline->redis == NULL ||
	    create_intake(pipeline, settings->metrics, err) != 0) {
		pipeline_destroy(pipeline);
		return NULL;
	}
	create_batches(pipeline);
	return pipeline;
}

void
pipeline_destroy(struct pipeline *pipeline)
{
	size_t i;

	if (pipeline == NULL)
		return;
	repair_destroy(pipeline->repair);
	for (i = 0; i < PIPELINE_BATCHES; i++)
		batch_destroy(pipeline->batches[i]);
	claims_destroy(pipeline->intake.claims);
	decoder_destroy(pipeline->intake.decoder);
	questions_destroy(pipeline->intake.questions);
	snapshot_destroy(pipeline->intake.snapshot);
	free(pipeline->intake.owned);
	registry_destroy(pipeline->registry);
	redis_destroy(pipeline->redis);
	kafka_health_destroy(pipeline->kafka.health);
	keyspace_destroy(pipeline->keyspace);
	pthread_cond_destroy(&pipeline->bell.rung);
	pthread_mutex_destroy(&pipeline->bell.lock);
	free(pipeline->transactional_id);
	free(pipeline->cluster_id);
	free(pipeline);
}

void
pipeline_stop(struct pipeline *pipeline)
{
	atomic_store(&pipeline->stop, true);
	pipeline_wake(pipeline);
}

bool
pipeline_is_stopping(struct pipeline *pipeline)
{
	return atomic_load(&pipeline->stop);
}

void
pipeline_turn(struct pipeline *pipeline)
{
	health_turn(pipeline->ready.beat);
	watchdog_beat(WATCHDOG_INTAKE);
}

/* Whether it answers, though it lacks something; a Redis that isn't as it must
 * be is of no use at all. */
static bool
is_answering(struct pipeline *pipeline, enum dependency which)
{
	struct kafka_state state;
	struct error ignored;

	if (which == DEPENDENCY_REDIS)
		return false;
	if (which == DEPENDENCY_REGISTRY)
		return !registry_is_away(pipeline->registry) &&
		    registry_state(pipeline->registry, &ignored) !=
		    REGISTRY_AWAY;
	kafka_health_read(pipeline->kafka.health, FRESH_MS, &state);
	return state.up;
}

void
pipeline_say_away(
    struct pipeline *pipeline, enum dependency which, const struct error *err)
{
	const struct {
		struct health_check *check;
		const char *component;
	} of[] = {
		[DEPENDENCY_KAFKA] = { pipeline->ready.kafka, "kafka" },
		[DEPENDENCY_REDIS] = { pipeline->ready.redis, "redis" },
		[DEPENDENCY_REGISTRY] = { pipeline->ready.registry,
		    "registry" },
	};
	int64_t now = clock_monotonic_ms();

	health_bad(of[which].check, "%s", err->message);
	metrics_set(pipeline->metrics, WORKER_DEPENDENCIES, which,
	    is_answering(pipeline, which));
	if (strcmp(pipeline->ready.said[which].why.message, err->message) ==
		0 &&
	    now < pipeline->ready.said[which].ms + SAY_MS)
		return;
	pipeline->ready.said[which].why = *err;
	pipeline->ready.said[which].ms = now;
	log_event(LOG_WARN, of[which].component,
	    which == DEPENDENCY_KAFKA       ? "kafka_not_ready"
		: which == DEPENDENCY_REDIS ? "redis_not_ready"
					    : "registry_not_ready",
	    err->message, LOG_END);
}

void
pipeline_note_store_up(struct pipeline *pipeline)
{
	pipeline->ready.said[DEPENDENCY_REDIS].why.message[0] = '\0';
	health_ok(pipeline->ready.redis);
	metrics_set(
	    pipeline->metrics, WORKER_DEPENDENCIES, DEPENDENCY_REDIS, true);
}

/* Which namespace claims have: it may change while the group is empty. */
static void
use_facts(struct pipeline *pipeline, const struct store_facts *facts)
{
	const struct store_facts before = pipeline->store;

	pipeline->store = *facts;
	pipeline->intake.marks.space = text_from(pipeline->store.meta.claims);
	claims_set_space(pipeline->intake.claims, facts->meta.shards,
	    facts->meta.created_ms);
	if (facts->meta.created_ms != before.meta.created_ms)
		snapshot_forget(pipeline->intake.snapshot);
	if (facts->evicted > before.evicted) {
		pipeline->is_distrusted = true;
		log_event(LOG_ERROR, "redis", "keys_evicted",
		    "this Redis has evicted keys: claims may be lost and are "
		    "taken again; keep maxmemory-policy at noeviction",
		    LOG_I("evicted", facts->evicted), LOG_END);
	}
}

int
pipeline_check_store(struct pipeline *pipeline, struct error *err)
{
	const struct store_check check = {
		.redis = pipeline->redis,
		.keyspace = pipeline->keyspace,
		.topic = pipeline->topics[TOPIC_REQUESTS],
		.group = pipeline->group,
		.cluster_id = pipeline->cluster_id,
	};
	struct store_facts facts = { 0 };

	if (store_check_run(&check, &facts, err) != 0)
		return -1;
	use_facts(pipeline, &facts);
	pipeline->due.check_ms = clock_monotonic_ms() + CHECK_MS;
	pipeline_note_store_up(pipeline);
	return 0;
}

/* What may be written: single records, and whole batches of librdkafka's. */
static void
use_limits(struct pipeline *pipeline, const struct kafka_topic *topics)
{
	int64_t limits[TOPICS_OF_WORKER], largest = 0, smallest = INT64_MAX;
	size_t i;

	for (i = TOPIC_RESULTS; i < TOPICS_OF_WORKER; i++) {
		limits[i] = topics[i].max_message_bytes > 0
		    ? topics[i].max_message_bytes
		    : LIMIT_DEFAULT;
		if (limits[i] > largest)
			largest = limits[i];
		if (limits[i] < smallest)
			smallest = limits[i];
	}
	pipeline->intake.publish.build_max = limits[TOPIC_BUILDS];
	/* What was refused for its size may go whole now. */
	if (pipeline->intake.publish.letter_max != limits[TOPIC_DLQ])
		pipeline->intake.burial.offset = -1;
	pipeline->intake.publish.letter_max = limits[TOPIC_DLQ];
	pipeline->message_max = largest;
	pipeline->batch_max = smallest;
}

/* A topic that is missing may be made yet.  A DLQ that can't hold what we write
 * is a fault of its letters alone, now as later. */
static int
check_topics(struct pipeline *pipeline, const struct kafka_topic *topics,
    struct error *err)
{
	size_t i;

	for (i = 0; i < TOPICS_OF_WORKER; i++)
		if (topics[i].partitions == 0) {
			error_set(err, ERROR_RETRY,
			    "topic %s does not exist; run schedrun init",
			    topics[i].name);
			err->exit_code = EX_CONFIG; /* of --check */
			return -1;
		}
	use_limits(pipeline, topics);
	if (pipeline->intake.publish.letter_max < TOPIC_DLQ_LEAST)
		log_event(LOG_WARN, "kafka", "letters_cut",
		    "the DLQ takes less than a dead letter: those are cut, or "
		    "stop their partitions; raise its max.message.bytes",
		    LOG_S("topic", topics[TOPIC_DLQ].name),
		    LOG_I("max_message_bytes",
			pipeline->intake.publish.letter_max),
		    LOG_I("wanted", TOPIC_DLQ_LEAST), LOG_END);
	return 0;
}

/* Cluster id and topics, by a client of its own. */
int
pipeline_look_at_kafka(struct pipeline *pipeline, struct error *err)
{
	struct kafka_topic topics[TOPICS_OF_WORKER] = { 0 };
	struct kafka_admin *admin =
	    kafka_admin_create(&pipeline->kafka, KAFKA_CALL_MS, err);
	struct arena *arena;
	const char *id;
	int rc = -1;
	size_t i;

	if (admin == NULL)
		return -1;
	for (i = 0; i < TOPICS_OF_WORKER; i++)
		topics[i].name = pipeline->topics[i];
	arena = arena_create(0);
	id = kafka_admin_cluster_id(admin, arena, err);
	if (id != NULL &&
	    kafka_admin_describe_topics(
		admin, topics, TOPICS_OF_WORKER, true, err) == 0) {
		free(pipeline->cluster_id);
		pipeline->cluster_id = memory_copy_string(id);
		rc = check_topics(pipeline, topics, err);
	}
	/* Else it shows with the first build, or letter, which may be late. */
	if (rc == 0 && !pipeline->may_write) {
		rc = kafka_rights_to_write(&pipeline->kafka,
		    pipeline->topics + TOPIC_RESULTS,
		    TOPICS_OF_WORKER - TOPIC_RESULTS, KAFKA_CALL_MS, err);
		pipeline->may_write = rc == 0;
	}
	kafka_admin_destroy(admin);
	arena_destroy(arena);
	return rc;
}

/* Nothing of the requests is ours: so it is with more members than partitions,
 * and else until the group has heard of them. */
static bool
is_left_out(struct pipeline *pipeline, int32_t partitions)
{
	int64_t now = clock_monotonic_ms();
	struct error ignored;

	if (pipeline->intake.n_owned > 0 ||
	    !kafka_consumer_is_joined(pipeline->intake.consumer))
		return false;
	if (now >= pipeline->due.members_ms) {
		pipeline->n_members =
		    kafka_consumer_members(repair_reader(pipeline->repair),
			pipeline->group, TOPIC_MS, &ignored);
		pipeline->due.members_ms = now + MEMBERS_MS;
	}
	return pipeline->n_members >= 0 && partitions > pipeline->n_members;
}

bool
pipeline_look_at_topics(struct pipeline *pipeline, char *reason, size_t size)
{
	struct kafka_consumer *reader = repair_reader(pipeline->repair);
	int32_t partitions[TOPICS_OF_WORKER];
	struct error ignored;
	size_t i;

	reason[0] = '\0';
	for (i = 0; i < TOPICS_OF_WORKER; i++) {
		partitions[i] = kafka_consumer_partitions(
		    reader, pipeline->topics[i], TOPIC_MS, &ignored);
		if (partitions[i] < 0)
			return false; /* a right's lack is told as such */
		if (partitions[i] == 0) {
			snprintf(reason, size,
			    "topic %s does not exist; run schedrun init",
			    pipeline->topics[i]);
			return true;
		}
	}
	if (is_left_out(pipeline, partitions[TOPIC_REQUESTS]))
		snprintf(reason, size,
		    "no partition of topic %s is assigned, of %d with %d "
		    "members in the group %s",
		    pipeline->topics[TOPIC_REQUESTS],
		    (int)partitions[TOPIC_REQUESTS], pipeline->n_members,
		    pipeline->group);
	return true;
}

/*
 * Asks for the schema that requests are usually written by: so an outage that
 * begins before the first of them holds only what has another one.  It need not
 * be registered.
 */
static int
know_usual_writer(struct pipeline *pipeline, struct error *err)
{
	struct registry *registry = pipeline->registry;
	struct text schema;
	uint32_t id;

	if (!registry_is_remote(registry) ||
	    (registry_id(registry, MESSAGE_RUN_REQUEST,
		 pipeline->topics[TOPIC_REQUESTS], &id, err) == 0 &&
		registry_schema(registry, id, &schema, err) == 0))
		return 0;
	return registry_is_away(registry) ? -1 : 0;
}

static int
find_schema_ids(struct pipeline *pipeline, struct error *err)
{
	struct publish_settings *publish = &pipeline->intake.publish;

	if (registry_id(pipeline->registry, MESSAGE_SCHEDULE_RUN,
		pipeline->topics[TOPIC_RESULTS], &publish->result_schema,
		err) != 0 ||
	    registry_id(pipeline->registry, MESSAGE_BUILD_REQUESTED,
		pipeline->topics[TOPIC_BUILDS], &publish->build_schema,
		err) != 0 ||
	    know_usual_writer(pipeline, err) != 0)
		return -1;
	if (pipeline->ready.registry != NULL) {
		health_ok(pipeline->ready.registry);
		metrics_set(pipeline->metrics, WORKER_DEPENDENCIES,
		    DEPENDENCY_REGISTRY, true);
	}
	return 0;
}

static int
find_kafka(struct pipeline *pipeline, struct error *err)
{
	bool was_known = pipeline->cluster_id != NULL;
	int rc = pipeline_look_at_kafka(pipeline, err);

	/* Only now is it known whether this Redis is of this Kafka. */
	if (!was_known && pipeline->cluster_id != NULL)
		pipeline->due.seen_ms[DEPENDENCY_REDIS] = 0;
	if (rc != 0)
		return -1;
	health_ok(pipeline->ready.kafka);
	metrics_set(
	    pipeline->metrics, WORKER_DEPENDENCIES, DEPENDENCY_KAFKA, true);
	return 0;
}

/*
 * Looks at each, unless it was there a moment ago, and says of each that isn't:
 * none is blamed, or left unblamed, for another's sake.  `err`: of the first.
 */
static int
look_at_all(struct pipeline *pipeline, struct error *err)
{
	static const struct {
		enum dependency which;
		int (*look)(struct pipeline *, struct error *);
	} looks[] = {
		{ DEPENDENCY_KAFKA, find_kafka },
		{ DEPENDENCY_REDIS, pipeline_check_store },
		{ DEPENDENCY_REGISTRY, find_schema_ids },
	};
	int64_t *seen_ms = pipeline->due.seen_ms;
	struct error why;
	int rc = 0;
	size_t i;

	for (i = 0; i < sizeof looks / sizeof looks[0]; i++) {
		if (seen_ms[i] != 0 &&
		    clock_monotonic_ms() - seen_ms[i] < CHECK_MS)
			continue;
		if (looks[i].look(pipeline, &why) == 0) {
			seen_ms[i] = clock_monotonic_ms();
			continue;
		}
		if (rc == 0 || why.kind != ERROR_RETRY)
			*err = why;
		rc = -1;
		if (why.kind != ERROR_RETRY)
			break;
		pipeline_say_away(pipeline, looks[i].which, &why);
	}
	return rc;
}

/*
 * Until all are there, one won't do, the process stops, or start.timeout is
 * over.
 */
int
pipeline_await(struct pipeline *pipeline, struct error *err)
{
	int64_t timeout = config_number(pipeline->config, "start.timeout");
	int64_t begun = clock_monotonic_ms();

	while (!pipeline_is_stopping(pipeline)) {
		pipeline_turn(pipeline);
		if (look_at_all(pipeline, err) == 0) {
			registry_start(pipeline->registry);
			return 0;
		}
		if (err->kind != ERROR_RETRY)
			return -1;
		if (timeout > 0 && clock_monotonic_ms() - begun > timeout) {
			error_prefix(err, "start.timeout is over");
			err->kind = ERROR_FATAL;
			err->exit_code = EX_UNAVAILABLE;
			return -1;
		}
		pipeline_wait(pipeline, WAIT_MS);
	}
	return 1;
}

int
pipeline_check(struct pipeline *pipeline, struct error *err)
{
	if (pipeline_look_at_kafka(pipeline, err) != 0 ||
	    find_schema_ids(pipeline, err) != 0)
		return -1;
	return pipeline_check_store(pipeline, err);
}
