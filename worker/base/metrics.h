#ifndef SCHEDRUN_WORKER_BASE_METRICS_H
#define SCHEDRUN_WORKER_BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/metrics.h"
#include "worker/base/batch.h"

/*
 * The worker's series (docs/operation.md, section 4): all registered at start
 * with 0, counted per batch and not per record.  Any thread.
 */
enum stage {
	STAGE_POLL,
	STAGE_DECODE,
	STAGE_REDIS,
	STAGE_PLAN,
	STAGE_ENCODE,
	STAGE_PRODUCE,
	STAGE_COMMIT
};

enum transaction_end { TXN_COMMITTED, TXN_ABORTED, TXN_FENCED };
enum rebalance { REBALANCE_ASSIGN, REBALANCE_REVOKE, REBALANCE_LOST };
enum dependency {
	DEPENDENCY_KAFKA,
	DEPENDENCY_REDIS,
	DEPENDENCY_REGISTRY,
	DEPENDENCIES
};

enum redis_op { REDIS_OP_CLAIMS, REDIS_OP_SNAPSHOT };

/*
 * The rows of the table, each with the number of its label's value: an enum of
 * those above, or 0.
 */
enum worker_metric {
	WORKER_RUNS,
	WORKER_DUPLICATES,
	WORKER_PLANNED_JOBS,
	WORKER_KEY_MISMATCHES,
	WORKER_OVERWRITTEN,
	WORKER_REPAIRS,
	WORKER_REBUILDS,
	WORKER_DEAD_LETTERS,
	WORKER_TRANSACTIONS,
	WORKER_REBALANCES,
	WORKER_REDIS_ERRORS,
	WORKER_KAFKA_ERRORS,
	WORKER_LATENCY,
	WORKER_BATCH_RECORDS,
	WORKER_STAGES,
	WORKER_REDIS,
	WORKER_DEPENDENCIES,
	WORKER_ASSIGNED,
	WORKER_STOPPED,
	WORKER_GENERATION,
	WORKER_AGE,
	WORKER_LAST_COMMIT,
	WORKER_CONSUMED,
	WORKER_LAG,
	WORKER_METRICS
};

/* Takes the table for `metrics`; before the first thread. */
void worker_metrics_use(struct metrics *metrics);

/* A committed batch: outcomes, dead letters, latencies, records. */
void worker_metrics_batch(
    struct metrics *metrics, const struct batch *batch, int64_t committed_ms);

/* For kafka_health_on_error: `metrics`, and librdkafka's code. */
void worker_metrics_kafka_error(void *metrics, const char *code);

/* The age of a request that came to its topic at `oldest_ms`; 0: none waits. */
void worker_metrics_age(
    struct metrics *metrics, int64_t oldest_ms, int64_t now_ms);
void worker_metrics_lag(struct metrics *metrics, const char *topic,
    int32_t partition, int64_t records);

/* Seconds of CLOCK_MONOTONIC, for durations. */
double worker_metrics_clock(void);

#endif
