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
 * What the pipeline's two files share: pipeline.c makes it, looks at what it
 * depends on and waits for it; loop.c follows the partitions and works.
 */
#define PIPELINE_BATCHES 3 /* in work, being committed, on its way back */
#define WAIT_MS 200
#define KAFKA_CALL_MS 5000
#define CHECK_MS 3000 /* between looks at Redis */
#define BACKOFF_MIN_MS 50
#define FRESH_MS 10000

/* The wake-up from stage B, which waits or polls. */
struct bell {
	pthread_mutex_t lock;
	pthread_cond_t rung;
	bool is_rung;
	struct kafka_consumer *polls; /* woken too; NULL: none, or it closes */
};

/* What is said of the dependencies, to whom. */
struct readiness {
	struct health *health;
	struct health_check *kafka, *redis;
	struct health_check *registry; /* NULL: none is configured */
	struct health_beat *beat;
	struct { /* of each: why it is away, as logged last */
		struct error why;
		int64_t ms;
	} said[DEPENDENCIES];
	bool is_registry_away;
};

/* When what is due next, on clock_monotonic_ms; and how long to back off. */
struct due {
	int64_t check_ms, members_ms, report_ms, retry_ms, limits_ms, range_ms;
	int64_t backoff_ms;
	int64_t seen_ms[DEPENDENCIES]; /* while starting: when each dependency
					  was there */
};

struct pipeline {
	const struct config *config;
	const char *topics[TOPICS_OF_WORKER];
	const char *group;
	char *transactional_id;
	struct kafka_settings kafka;
	char *cluster_id;
	bool may_write; /* the topics: tried before the first transaction */
	int64_t message_max, batch_max; /* bytes that the topics take */
	struct redis *redis;
	struct keyspace *keyspace;
	struct registry *registry;
	struct metrics *metrics;
	struct readiness ready;
	struct bell bell;
	struct due due;
	atomic_bool stop;
	/* Both stages; there once it is started. */
	bool is_started;
	struct committer *committer;
	struct repair *repair;
	struct intake intake;
	struct batch *batches[PIPELINE_BATCHES];
	struct batch *spare[PIPELINE_BATCHES];
	size_t n_spare;
	enum intake_phase phase;
	int64_t phase_ms; /* when it began */
	bool is_astray;   /* the consumer stands elsewhere than it is to read */
	struct store_facts store; /* as of the last look at Redis */
	bool is_kafkas_fault;     /* that a repair failed, not Redis's */
	bool is_distrusted; /* keys were evicted: no mark proves anything */
	int n_members; /* of the group, when none of its partitions is ours */
	size_t looked_at;    /* partition whose end was asked for last */
	unsigned unanswered; /* looks at Kafka in a row without an answer */
};

/* Rings the bell: ends a wait or a poll, or the next one.  Any thread. */
void pipeline_wake(void *pipeline);
/* Whose poll the bell ends; NULL before it closes. */
void pipeline_set_sleeper(
    struct pipeline *pipeline, struct kafka_consumer *consumer);
/* Waits until it rings, `ms` at most. */
void pipeline_wait(struct pipeline *pipeline, int64_t ms);

/* Whether pipeline_stop was called.  Any thread. */
bool pipeline_is_stopping(struct pipeline *pipeline);

/* The loop goes on: for liveness, our watchdog and systemd's. */
void pipeline_turn(struct pipeline *pipeline);

/*
 * Waits for Kafka, Redis and schema ids.  0, 1 (it is to stop) or -1 with
 * ERROR_FATAL.
 */
int pipeline_await(struct pipeline *pipeline, struct error *err);

/*
 * One look each, which blocks: ERROR_RETRY if it is away, ERROR_FATAL if it
 * won't do.  What is found is taken over: the topics' limits; where claims are
 * and whether marks can be believed.
 */
int pipeline_look_at_kafka(struct pipeline *pipeline, struct error *err);
int pipeline_check_store(struct pipeline *pipeline, struct error *err);

/*
 * What is wrong with the topics as they are now, for the loop's readiness; ""
 * if nothing is.  False: nobody answers.  Blocks for half a second at most.
 */
bool pipeline_look_at_topics(
    struct pipeline *pipeline, char *reason, size_t size);

/* Says why a dependency can't be used; the same reason now and then only. */
void pipeline_say_away(
    struct pipeline *pipeline, enum dependency which, const struct error *err);
/* Redis has answered what it was asked. */
void pipeline_note_store_up(struct pipeline *pipeline);

#endif
