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
	STAGE_COMMIT,
	STAGES
};

enum transaction_end { TXN_COMMITTED, TXN_ABORTED, TXN_FENCED, TXN_ENDS };
enum rebalance {
	REBALANCE_ASSIGN,
	REBALANCE_REVOKE,
	REBALANCE_LOST,
	REBALANCES
};
enum dependency {
	DEPENDENCY_KAFKA,
	DEPENDENCY_REDIS,
	DEPENDENCY_REGISTRY,
	DEPENDENCIES
};

struct telemetry;

struct telemetry *telemetry_create(struct metrics *metrics);
void telemetry_destroy(struct telemetry *telemetry); /* NULL is fine */

/* A committed batch: outcomes, dead letters, latencies, records. */
void telemetry_batch(struct telemetry *telemetry, const struct batch *batch,
    int64_t committed_ms);

void telemetry_stage(
    struct telemetry *telemetry, enum stage stage, double seconds);
void telemetry_transaction(
    struct telemetry *telemetry, enum transaction_end end);
void telemetry_rebuild(struct telemetry *telemetry);
void telemetry_repair(struct telemetry *telemetry);
void telemetry_overwritten(struct telemetry *telemetry, size_t n);
void telemetry_rebalance(struct telemetry *telemetry, enum rebalance type);
void telemetry_dependency(
    struct telemetry *telemetry, enum dependency dependency, bool up);
enum redis_op { REDIS_OP_CLAIMS, REDIS_OP_SNAPSHOT };
void telemetry_redis(
    struct telemetry *telemetry, enum redis_op op, double seconds);
void telemetry_redis_error(struct telemetry *telemetry);
void telemetry_kafka_error(void *telemetry, const char *code);

/* Gauges, told as they are now. */
void telemetry_assigned(struct telemetry *telemetry, size_t partitions);
void telemetry_generation(struct telemetry *telemetry, int64_t generation);
/* Of a request that came to its topic at `oldest_ms`; 0: none waits. */
void telemetry_age(
    struct telemetry *telemetry, int64_t oldest_ms, int64_t now_ms);
void telemetry_lag(struct telemetry *telemetry, const char *topic,
    int32_t partition, int64_t records);
void telemetry_lag_gone(struct telemetry *telemetry, int32_t partition);

/* Seconds of CLOCK_MONOTONIC, for durations. */
double telemetry_clock(void);

#endif
