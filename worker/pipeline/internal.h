#ifndef SCHEDRUN_WORKER_PIPELINE_INTERNAL_H
#define SCHEDRUN_WORKER_PIPELINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "schemas/topics.h"
#include "worker/base/batch_protocol.h"
#include "worker/commit/committer.h"
#include "worker/pipeline/intake.h"
#include "worker/pipeline/pipeline.h"
#include "worker/pipeline/repair.h"
#include "worker/pipeline/store_check.h"

/*
 * What the pipeline's rooms share: pipeline.c makes and ends it, start.c waits
 * for what it depends on, assignment.c follows the partitions, loop.c works.
 * Nothing else includes this.
 */
#define PIPELINE_BATCHES 3 /* in work, being committed, on its way back */
#define WAIT_MS 200
#define KAFKA_CALL_MS 5000
#define REVOKE_MS 5000
#define BACKOFF_MIN_MS 50
#define FRESH_MS 10000
#define EX_CONFIG 78

struct pipeline {
	const struct config *config;
	const char *topics[TOPICS];
	const char *group;
	char *transactional_id;
	struct kafka_settings kafka;
	struct redis *redis;
	struct keyspace *keyspace;
	struct registry *registry;
	struct metrics *metrics;
	struct committer *committer;
	struct repair *repair;
	struct intake intake;
	struct batch *batches[PIPELINE_BATCHES];
	struct batch *spare[PIPELINE_BATCHES];
	size_t n_spare;
	enum intake_phase phase;
	int64_t phase_ms; /* when it began */
	bool is_astray;   /* the consumer stands elsewhere than it is to read */
	char *cluster_id;
	int64_t message_max, batch_max; /* bytes */
	/* When what is due next, on clock_monotonic_ms. */
	int64_t check_ms, report_ms, backoff_ms, retry_ms, limits_ms, alive_ms;
	int64_t unread_ms; /* since when records wait unread, as seen; or 0 */
	size_t looked_at;  /* partition whose end was asked for last */
	struct store_facts store; /* as of the last look at Redis */
	bool is_distrusted; /* keys were evicted: no mark proves anything */
	struct error said;  /* why a dependency is away, as logged last */
	int64_t said_ms;
	struct health *health;
	struct health_check *kafka_check, *redis_check;
	struct health_beat *beat;
	atomic_bool stop;
	bool is_started;
	/* The wake-up from stage B. */
	pthread_mutex_t lock;
	pthread_cond_t woken;
	bool is_woken;
	struct kafka_consumer
	    *sleeper; /* woken too; NULL: none, or it closes */
};
/* The wake-up from stage B: any thread; the wait ends with it, or after `ms`.
 */
void pipeline_wake(void *pipeline);
void pipeline_set_sleeper(
    struct pipeline *pipeline, struct kafka_consumer *consumer);
void pipeline_wait(struct pipeline *pipeline, int64_t ms);

bool pipeline_is_stopping(struct pipeline *pipeline);

/* The loop goes on: for liveness, our watchdog and systemd's. */
void pipeline_turn(struct pipeline *pipeline);

/*
 * Waits for Kafka, schema ids and Redis, then starts both stages.  0, 1 (it is
 * to stop) or -1 with ERROR_FATAL.
 */
int pipeline_start(struct pipeline *pipeline, struct error *err);

/* One look each: ERROR_RETRY if it is away, ERROR_FATAL if it won't do. */
int pipeline_look_at_kafka(struct pipeline *pipeline, struct error *err);
int pipeline_find_schema_ids(struct pipeline *pipeline, struct error *err);
int pipeline_check_store(struct pipeline *pipeline, struct error *err);

/* Says why a dependency can't be used; the same reason now and then only. */
void pipeline_say_away(struct pipeline *pipeline, struct health_check *check,
    const char *component, const struct error *err);
void pipeline_note_store_up(struct pipeline *pipeline);

/* The consumer's calls when partitions come and go. */
int pipeline_assigned(
    void *pipeline, struct kafka_position *positions, size_t n);
void pipeline_revoked(void *pipeline, bool lost);
void pipeline_moved(
    void *pipeline, const char *topic, int32_t partition, int64_t offset);
void pipeline_ended(
    void *pipeline, const char *topic, int32_t partition, int64_t offset);

/*
 * Sets marks back that can't be true: those of partitions that came or were
 * made anew and end below them, all where Redis has evicted keys.  Between
 * batches.  -1: Redis failed.
 */
int pipeline_check_marks(struct pipeline *pipeline, struct error *err);

/* A batch that stage B is through with comes back; true if it was lost. */
bool pipeline_collect(struct pipeline *pipeline);

/* Records that were read and dropped must be read again. */
int pipeline_reread(struct pipeline *pipeline, struct error *err);

/* Reading goes on, at the right place if the consumer was astray. */
int pipeline_resume(struct pipeline *pipeline, struct error *err);

/*
 * Polls while nothing may be read: membership and assignments are served.
 * INTAKE_NOTHING, INTAKE_REVOKED, or INTAKE_FATAL with `err`.
 */
enum intake_event pipeline_poll_paused(
    struct pipeline *pipeline, int timeout_ms, struct error *err);

/* Works until it is to stop; -1 with ERROR_FATAL. */
int pipeline_work(struct pipeline *pipeline, struct error *err);

#endif
