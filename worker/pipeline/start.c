#include "worker/pipeline/internal.h"

#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/admin.h"
#include "schemas/avro/registry.h"

#define CHECK_MS 3000         /* between looks at Redis */
#define SAY_MS 30000          /* until the same reason is logged again */
#define LIMIT_DEFAULT 1000000 /* of a topic whose own we may not read */
#define EX_UNAVAILABLE 69

void
pipeline_say_away(struct pipeline *p, struct health_check *check,
    const char *component, const struct error *err)
{
	int64_t now = clock_monotonic_ms();

	health_bad(check, "%s", err->message);
	metrics_set(p->metrics, WORKER_DEPENDENCIES,
	    check == p->redis_check ? DEPENDENCY_REDIS : DEPENDENCY_KAFKA,
	    false);
	if (strcmp(p->said.message, err->message) == 0 &&
	    now < p->said_ms + SAY_MS)
		return;
	p->said = *err;
	p->said_ms = now;
	log_event(LOG_WARN, component,
	    check == p->redis_check ? "redis_not_ready" : "kafka_not_ready",
	    err->message, LOG_END);
	sd_notifyf(0, "STATUS=waiting: %.200s", err->message);
}

void
pipeline_note_store_up(struct pipeline *p)
{
	p->said.message[0] = '\0';
	health_ok(p->redis_check);
	metrics_set(p->metrics, WORKER_DEPENDENCIES, DEPENDENCY_REDIS, true);
}

/* Which namespace claims have: it may change while the group is empty. */
static void
use_facts(struct pipeline *p, const struct store_facts *facts)
{
	const struct store_facts before = p->store;

	p->store = *facts;
	p->intake.marks.space = text_from(p->store.meta.claims);
	claims_set_space(
	    p->intake.claims, facts->meta.shards, facts->meta.created_ms);
	if (facts->meta.created_ms != before.meta.created_ms)
		snapshot_forget(p->intake.snapshot);
	if (facts->evicted > before.evicted) {
		p->is_distrusted = true;
		log_event(LOG_ERROR, "redis", "keys_evicted",
		    "this Redis has evicted keys: claims may be lost and are "
		    "taken again; keep maxmemory-policy at noeviction",
		    LOG_I("evicted", facts->evicted), LOG_END);
	}
}

int
pipeline_check_store(struct pipeline *p, struct error *err)
{
	const struct store_check check = {
		.redis = p->redis,
		.keyspace = p->keyspace,
		.topic = p->topics[TOPIC_REQUESTS],
		.group = p->group,
		.cluster_id = p->cluster_id,
	};
	struct store_facts facts = { 0 };

	if (store_check_run(&check, &facts, err) != 0)
		return -1;
	use_facts(p, &facts);
	p->check_ms = clock_monotonic_ms() + CHECK_MS;
	pipeline_note_store_up(p);
	return 0;
}

/* What may be written: single records, and whole batches of librdkafka's. */
static void
use_limits(struct pipeline *p, const struct kafka_topic *topics)
{
	int64_t limits[TOPICS], largest = 0, smallest = INT64_MAX;
	size_t i;

	for (i = TOPIC_RESULTS; i < TOPICS; i++) {
		limits[i] = topics[i].max_message_bytes > 0
		    ? topics[i].max_message_bytes
		    : LIMIT_DEFAULT;
		if (limits[i] > largest)
			largest = limits[i];
		if (limits[i] < smallest)
			smallest = limits[i];
	}
	p->intake.publish.build_max = limits[TOPIC_BUILDS];
	p->intake.publish.letter_max = limits[TOPIC_DLQ];
	p->message_max = largest;
	p->batch_max = smallest;
}

/* A topic that is missing, or that can't hold what we write, is a fault. */
static int
check_topics(
    struct pipeline *p, const struct kafka_topic *topics, struct error *err)
{
	const struct kafka_topic *dlq = &topics[TOPIC_DLQ];
	size_t i;

	for (i = 0; i < TOPICS; i++)
		if (topics[i].partitions == 0)
			return error_fatal(err, EX_CONFIG,
			    "topic %s does not exist; run schedrun init",
			    topics[i].name);
	if (dlq->max_message_bytes > 0 &&
	    dlq->max_message_bytes < TOPIC_DLQ_LEAST)
		return error_fatal(err, EX_CONFIG,
		    "topic %s takes %lld bytes, less than the %d of a dead "
		    "letter; raise max.message.bytes",
		    dlq->name, (long long)dlq->max_message_bytes,
		    TOPIC_DLQ_LEAST);
	use_limits(p, topics);
	return 0;
}

/* Cluster id and topics, by a client of its own. */
int
pipeline_look_at_kafka(struct pipeline *p, struct error *err)
{
	struct kafka_topic topics[TOPICS] = { 0 };
	struct kafka_admin *admin = kafka_admin_create(&p->kafka, err);
	struct arena *arena;
	const char *id;
	int rc = -1;
	size_t i;

	if (admin == NULL)
		return -1;
	for (i = 0; i < TOPICS; i++)
		topics[i].name = p->topics[i];
	arena = arena_create(0);
	id = kafka_admin_cluster_id(admin, arena, KAFKA_CALL_MS, err);
	if (id != NULL &&
	    kafka_admin_describe_topics(
		admin, topics, TOPICS, true, KAFKA_CALL_MS, err) == 0) {
		free(p->cluster_id);
		p->cluster_id = memory_copy_string(id);
		rc = check_topics(p, topics, err);
	}
	kafka_admin_destroy(admin);
	arena_destroy(arena);
	return rc;
}

int
pipeline_find_schema_ids(struct pipeline *p, struct error *err)
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

	while (!pipeline_is_stopping(p)) {
		pipeline_turn(p);
		if (look(p, err) == 0)
			return 0;
		if (err->kind != ERROR_RETRY)
			return -1;
		pipeline_say_away(p, check, component, err);
		if (timeout > 0 && clock_monotonic_ms() - begun > timeout) {
			error_prefix(err, "start.timeout is over");
			err->kind = ERROR_FATAL;
			err->exit_code = EX_UNAVAILABLE;
			return -1;
		}
		pipeline_wait(p, WAIT_MS);
	}
	return 1;
}

static int
start_consumer(struct pipeline *p, struct error *err)
{
	const struct kafka_consumer_options options = {
		.settings = p->kafka,
		.group = p->group,
		.accept_loss = config_switch(p->config, "worker.accept.loss"),
		.read_ahead = true,
		.events = { .assigned = pipeline_assigned,
		    .revoked = pipeline_revoked,
		    .moved = pipeline_moved,
		    .ended = pipeline_ended,
		    .opaque = p },
	};

	p->intake.consumer = kafka_consumer_create(&options, err);
	if (p->intake.consumer == NULL)
		return -1;
	pipeline_set_sleeper(p, p->intake.consumer);
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
			.batch_max_bytes = p->batch_max,
		},
		.requests_topic = p->topics[TOPIC_REQUESTS],
		.deadline_ms = config_number(p->config, "commit.deadline"),
		.metrics = p->metrics,
		.wake = pipeline_wake,
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

int
pipeline_start(struct pipeline *p, struct error *err)
{
	int rc =
	    insist(p, pipeline_look_at_kafka, p->kafka_check, "kafka", err);

	if (rc == 0)
		rc = insist(
		    p, pipeline_find_schema_ids, p->kafka_check, "kafka", err);
	if (rc == 0)
		rc = insist(
		    p, pipeline_check_store, p->redis_check, "redis", err);
	if (rc == 0)
		rc = start_stages(p, err);
	p->phase = INTAKE_FILLING;
	return rc;
}
