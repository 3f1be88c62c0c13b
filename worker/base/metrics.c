#include "worker/base/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/memory.h"

#define PARTITIONS_MAX                                                         \
	1024 /* with a consumed counter and a lag of their own                 \
	      */

struct telemetry {
	struct metrics *metrics;
	struct metric *submitted, *ignored, *errors[RUN_ERRORS];
	struct metric *same_partition, *cross_partition;
	struct metric *planned_jobs, *key_mismatches, *overwritten, *repairs;
	struct metric *rebuilds;
	struct metric *dead[DEAD_REASONS];
	struct metric *transactions[TXN_ENDS];
	struct metric *latency, *batch_records, *stages[STAGES];
	struct metric *rebalances[REBALANCES], *dependencies[DEPENDENCIES];
	struct metric *assigned, *generation, *age, *last_commit;
	struct metric *redis_claims, *redis_snapshot, *redis_errors;
	struct metric *consumed[PARTITIONS_MAX], *lag[PARTITIONS_MAX];
};

static struct metric *
counter(
    struct telemetry *t, const char *name, const char *labels, const char *help)
{
	return metrics_series(t->metrics, METRIC_COUNTER, name, labels, help);
}

static struct metric *
gauge(
    struct telemetry *t, const char *name, const char *labels, const char *help)
{
	return metrics_series(t->metrics, METRIC_GAUGE, name, labels, help);
}

static struct metric *
seconds(
    struct telemetry *t, const char *name, const char *labels, const char *help)
{
	return metrics_histogram(
	    t->metrics, name, labels, help, metrics_seconds, metrics_seconds_n);
}

static void
register_runs(struct telemetry *t)
{
	static const char name[] = "schedrun_runs_total";
	static const char help[] = "Results committed, by outcome.";
	static const char duplicates[] = "schedrun_duplicates_total";
	static const char dropped[] = "Repeated requests dropped.";
	char labels[128];
	int error;

	t->submitted =
	    counter(t, name, "outcome=\"submitted\",error_name=\"\"", help);
	t->ignored =
	    counter(t, name, "outcome=\"ignored\",error_name=\"\"", help);
	for (error = 0; error < RUN_ERRORS; error++) {
		snprintf(labels, sizeof(labels),
		    "outcome=\"error\",error_name=\"%s\"",
		    run_error_name((enum run_error)error));
		t->errors[error] = counter(t, name, labels, help);
	}
	t->same_partition =
	    counter(t, duplicates, "place=\"same_partition\"", dropped);
	t->cross_partition =
	    counter(t, duplicates, "place=\"cross_partition\"", dropped);
}

static void
register_counters(struct telemetry *t)
{
	static const char *const ends[] = { "committed", "aborted", "fenced" };
	static const char *const types[] = { "assign", "revoke", "lost" };
	char labels[64];
	int i;

	t->planned_jobs = counter(
	    t, "schedrun_planned_jobs_total", "", "Jobs of submitted builds.");
	t->key_mismatches = counter(t, "schedrun_key_mismatches_total", "",
	    "Requests whose Kafka key is not their schedule.");
	t->overwritten = counter(t, "schedrun_claims_overwritten_total", "",
	    "Claims taken from a later record or a foreign writer.");
	t->repairs = counter(t, "schedrun_claim_repairs_total", "",
	    "Repairs of claims that Redis had lost.");
	t->rebuilds = counter(t, "schedrun_producer_rebuilds_total", "",
	    "Producers made anew after an unclean transaction.");
	for (i = 0; i < DEAD_REASONS; i++) {
		snprintf(labels, sizeof(labels), "reason=\"%s\"",
		    dead_reason_text((enum dead_reason)i));
		t->dead[i] = counter(t, "schedrun_dead_letters_total", labels,
		    "Records sent to the DLQ.");
	}
	for (i = 0; i < TXN_ENDS; i++) {
		snprintf(labels, sizeof(labels), "result=\"%s\"", ends[i]);
		t->transactions[i] = counter(t, "schedrun_transactions_total",
		    labels, "Kafka transactions ended.");
	}
	for (i = 0; i < REBALANCES; i++) {
		snprintf(labels, sizeof(labels), "type=\"%s\"", types[i]);
		t->rebalances[i] = counter(t, "schedrun_rebalances_total",
		    labels, "Changes of the assignment.");
	}
	t->redis_errors = counter(t, "schedrun_redis_errors_total",
	    "kind=\"unavailable\"", "Failed rounds of Redis.");
}

static void
register_durations(struct telemetry *t)
{
	static const char *const stages[] = { "poll", "decode", "redis", "plan",
		"encode", "produce", "commit" };
	static const double sizes[] = { 1, 3, 10, 30, 100, 300, 1000, 3000,
		10000, 30000 };
	char labels[64];
	int i;

	t->latency = seconds(t, "schedrun_request_latency_seconds", "",
	    "From a request's createdTime to its committed result.");
	t->batch_records = metrics_histogram(t->metrics,
	    "schedrun_batch_records", "", "Records per committed batch.", sizes,
	    sizeof(sizes) / sizeof(sizes[0]));
	for (i = 0; i < STAGES; i++) {
		snprintf(labels, sizeof(labels), "stage=\"%s\"", stages[i]);
		t->stages[i] = seconds(t, "schedrun_stage_duration_seconds",
		    labels, "What a batch's stages took.");
	}
	t->redis_claims = seconds(t, "schedrun_redis_round_trip_seconds",
	    "op=\"claims\"", "Rounds of Redis.");
	t->redis_snapshot = seconds(t, "schedrun_redis_round_trip_seconds",
	    "op=\"snapshot\"", "Rounds of Redis.");
}

static void
register_gauges(struct telemetry *t)
{
	static const char *const names[] = { "kafka", "redis", "registry" };
	char labels[64];
	int i;

	for (i = 0; i < DEPENDENCIES; i++) {
		snprintf(labels, sizeof(labels), "dependency=\"%s\"", names[i]);
		t->dependencies[i] = gauge(t, "schedrun_dependency_up", labels,
		    "Whether the dependency answers.");
	}
	t->assigned = gauge(t, "schedrun_assigned_partitions", "",
	    "Partitions that this worker consumes.");
	t->generation = gauge(t, "schedrun_catalogue_generation", "",
	    "The catalogue's generation of the last batch.");
	t->age = gauge(t, "schedrun_oldest_request_age_seconds", "",
	    "How long the oldest request has been in its topic: of the last "
	    "batch, or of what waits.");
	t->last_commit = gauge(t, "schedrun_last_commit_timestamp_seconds", "",
	    "When a batch was last committed.");
}

struct telemetry *
telemetry_create(struct metrics *metrics)
{
	struct telemetry *t = memory_zalloc(1, sizeof(*t));

	t->metrics = metrics;
	register_runs(t);
	register_counters(t);
	register_durations(t);
	register_gauges(t);
	return t;
}

void
telemetry_destroy(struct telemetry *telemetry)
{
	free(telemetry);
}

/* A partition's series, made when it is first seen; NULL beyond the cap. */
static struct metric *
of_partition(struct telemetry *t, struct metric **series, const char *name,
    const char *labels, int32_t partition)
{
	if (partition < 0 || partition >= PARTITIONS_MAX)
		return NULL;
	if (series[partition] == NULL)
		series[partition] = series == t->lag
		    ? gauge(t, name, labels,
			  "Records behind the committed offset.")
		    : counter(t, name, labels, "Records of committed batches.");
	return series[partition];
}

static void
count_consumed(struct telemetry *t, const struct batch *batch)
{
	struct metric *metric;
	char labels[32];
	size_t i;

	for (i = 0; i < batch->n_spans; i++) {
		snprintf(labels, sizeof(labels), "partition=\"%" PRId32 "\"",
		    batch->spans[i].partition);
		metric = of_partition(t, t->consumed,
		    "schedrun_requests_consumed_total", labels,
		    batch->spans[i].partition);
		if (metric != NULL)
			metric_add(metric, batch->spans[i].n_records);
	}
}

/* Latencies differ little in a batch: equal milliseconds are told together. */
static void
observe_latencies(
    struct telemetry *t, const struct batch *batch, int64_t committed_ms)
{
	int64_t last = -1, ms;
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < batch->n; i++) {
		if (batch->records[i].fate != FATE_PLAN)
			continue;
		ms = committed_ms - batch->records[i].request.created_time_ms;
		if (ms < 0)
			ms = 0;
		if (ms != last && n > 0) {
			metric_observe(t->latency, (double)last / 1000, n);
			n = 0;
		}
		last = ms;
		n++;
	}
	if (n > 0)
		metric_observe(t->latency, (double)last / 1000, n);
}

void
telemetry_batch(struct telemetry *telemetry, const struct batch *batch,
    int64_t committed_ms)
{
	const struct batch_counts *counts = &batch->counts;
	int i;

	count_consumed(telemetry, batch);
	metric_add(telemetry->submitted, counts->submitted);
	metric_add(telemetry->ignored, counts->ignored);
	for (i = 0; i < RUN_ERRORS; i++)
		metric_add(telemetry->errors[i], counts->errors[i]);
	metric_add(telemetry->planned_jobs, counts->planned_jobs);
	metric_add(telemetry->same_partition, counts->same_partition);
	metric_add(telemetry->cross_partition, counts->cross_partition);
	metric_add(telemetry->key_mismatches, counts->key_mismatches);
	for (i = 0; i < DEAD_REASONS; i++)
		metric_add(telemetry->dead[i], counts->dead[i]);
	observe_latencies(telemetry, batch, committed_ms);
	metric_observe(telemetry->batch_records, (double)batch->n, 1);
	telemetry_age(telemetry, batch->oldest_ms, committed_ms);
	metric_set(telemetry->last_commit, (double)committed_ms / 1000);
}

void
telemetry_stage(struct telemetry *telemetry, enum stage stage, double duration)
{
	metric_observe(telemetry->stages[stage], duration, 1);
}

void
telemetry_transaction(struct telemetry *telemetry, enum transaction_end end)
{
	metric_add(telemetry->transactions[end], 1);
}

void
telemetry_rebuild(struct telemetry *telemetry)
{
	metric_add(telemetry->rebuilds, 1);
}

void
telemetry_repair(struct telemetry *telemetry)
{
	metric_add(telemetry->repairs, 1);
}

void
telemetry_overwritten(struct telemetry *telemetry, size_t n)
{
	metric_add(telemetry->overwritten, n);
}

void
telemetry_rebalance(struct telemetry *telemetry, enum rebalance type)
{
	metric_add(telemetry->rebalances[type], 1);
}

void
telemetry_dependency(
    struct telemetry *telemetry, enum dependency dependency, bool up)
{
	metric_set(telemetry->dependencies[dependency], up ? 1 : 0);
}

void
telemetry_redis(struct telemetry *telemetry, enum redis_op op, double duration)
{
	metric_observe(op == REDIS_OP_CLAIMS ? telemetry->redis_claims
					     : telemetry->redis_snapshot,
	    duration, 1);
}

void
telemetry_redis_error(struct telemetry *telemetry)
{
	metric_add(telemetry->redis_errors, 1);
}

void
telemetry_kafka_error(void *telemetry, const char *code)
{
	struct telemetry *t = telemetry;
	char labels[96];

	snprintf(labels, sizeof(labels), "code=\"%s\"", code);
	metric_add(metrics_series(t->metrics, METRIC_COUNTER,
		       "schedrun_kafka_errors_total", labels,
		       "Errors of Kafka by code."),
	    1);
}

void
telemetry_assigned(struct telemetry *telemetry, size_t partitions)
{
	metric_set(telemetry->assigned, (double)partitions);
}

void
telemetry_generation(struct telemetry *telemetry, int64_t generation)
{
	metric_set(telemetry->generation, (double)generation);
}

void
telemetry_age(struct telemetry *telemetry, int64_t oldest_ms, int64_t now_ms)
{
	metric_set(telemetry->age,
	    oldest_ms > 0 && oldest_ms < now_ms
		? (double)(now_ms - oldest_ms) / 1000
		: 0);
}

void
telemetry_lag(struct telemetry *telemetry, const char *topic, int32_t partition,
    int64_t records)
{
	char labels[320];
	struct metric *metric;

	snprintf(labels, sizeof(labels),
	    "topic=\"%s\",partition=\"%" PRId32 "\"", topic, partition);
	metric = of_partition(telemetry, telemetry->lag,
	    "schedrun_consumer_lag_records", labels, partition);
	if (metric != NULL)
		metric_set(metric, (double)records);
}

void
telemetry_lag_gone(struct telemetry *telemetry, int32_t partition)
{
	if (partition >= 0 && partition < PARTITIONS_MAX &&
	    telemetry->lag[partition] != NULL)
		metric_hide(telemetry->lag[partition]);
}

double
telemetry_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
