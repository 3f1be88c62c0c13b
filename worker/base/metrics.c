#include "worker/base/metrics.h"

#include <stdio.h>
#include <time.h>

#include "common/kafka/client.h"

#define PARTITIONS_MAX                                                         \
	1024 /* with a consumed counter and a lag of their own                 \
	      */
#define KAFKA_CODES_MAX 48

/* Of WORKER_RUNS: the outcomes, then an error's for each name. */
enum { RUNS_SUBMITTED, RUNS_IGNORED, RUNS_ERRORS };
#define RUNS_MAX (RUNS_ERRORS + RUN_ERRORS)

static const char *const places[] = { "same_partition", "cross_partition",
	NULL };
static const char *const ends[] = { "committed", "aborted", "fenced", NULL };
static const char *const types[] = { "assign", "revoke", "lost", NULL };
static const char *const stages[] = { "poll", "decode", "redis", "plan",
	"encode", "produce", "commit", NULL };
static const char *const ops[] = { "claims", "snapshot", NULL };
static const char *const kinds[] = { "unavailable", "refused", NULL };
static const char *const dependencies[] = { "kafka", "redis", "registry",
	NULL };
static const double sizes[] = { 1, 3, 10, 30, 100, 300, 1000, 3000, 10000,
	30000 };

static const struct metric_row rows[WORKER_METRICS] = {
	[WORKER_RUNS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_runs_total",
	    .max = RUNS_MAX,
	    .help = "Results committed, by outcome." },
	[WORKER_DUPLICATES] = { .type = METRIC_COUNTER,
	    .name = "schedrun_duplicates_total",
	    .label = "place",
	    .values = places,
	    .help = "Repeated requests dropped." },
	[WORKER_PLANNED_JOBS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_planned_jobs_total",
	    .help = "Jobs of submitted builds." },
	[WORKER_KEY_MISMATCHES] = { .type = METRIC_COUNTER,
	    .name = "schedrun_key_mismatches_total",
	    .help = "Requests whose Kafka key is not their schedule." },
	[WORKER_OVERWRITTEN] = { .type = METRIC_COUNTER,
	    .name = "schedrun_claims_overwritten_total",
	    .help = "Claims taken from a later record or a foreign writer." },
	[WORKER_REPAIRS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_claim_repairs_total",
	    .help = "Repairs of claims that Redis had lost." },
	[WORKER_REBUILDS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_producer_rebuilds_total",
	    .help = "Producers made anew after an unclean transaction." },
	[WORKER_DEAD_LETTERS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_dead_letters_total",
	    .label = "reason",
	    .max = DEAD_REASONS + 1,
	    .help = "Records sent to the DLQ." },
	[WORKER_TRANSACTIONS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_transactions_total",
	    .label = "result",
	    .values = ends,
	    .help = "Kafka transactions ended." },
	[WORKER_REBALANCES] = { .type = METRIC_COUNTER,
	    .name = "schedrun_rebalances_total",
	    .label = "type",
	    .values = types,
	    .help = "Changes of the assignment." },
	[WORKER_REDIS_ERRORS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_redis_errors_total",
	    .label = "kind",
	    .values = kinds,
	    .help = "Failed rounds of Redis." },
	[WORKER_KAFKA_ERRORS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_kafka_errors_total",
	    .label = "code",
	    .values = kafka_error_codes,
	    .max = KAFKA_CODES_MAX,
	    .help = "Errors that librdkafka told of, by its code." },
	[WORKER_LATENCY] = { .type = METRIC_HISTOGRAM,
	    .name = "schedrun_request_latency_seconds",
	    .help = "From a request's createdTime to its committed result." },
	[WORKER_BATCH_RECORDS] = { .type = METRIC_HISTOGRAM,
	    .name = "schedrun_batch_records",
	    .bounds = sizes,
	    .n_bounds = sizeof sizes / sizeof sizes[0],
	    .help = "Records per committed batch." },
	[WORKER_STAGES] = { .type = METRIC_HISTOGRAM,
	    .name = "schedrun_stage_duration_seconds",
	    .label = "stage",
	    .values = stages,
	    .help = "What a batch's stages took." },
	[WORKER_REDIS] = { .type = METRIC_HISTOGRAM,
	    .name = "schedrun_redis_round_trip_seconds",
	    .label = "op",
	    .values = ops,
	    .help = "Rounds of Redis." },
	[WORKER_DEPENDENCIES] = { .type = METRIC_GAUGE,
	    .name = "schedrun_dependency_up",
	    .label = "dependency",
	    .values = dependencies,
	    .help = "Whether the dependency answers." },
	[WORKER_ASSIGNED] = { .type = METRIC_GAUGE,
	    .name = "schedrun_assigned_partitions",
	    .help = "Partitions that this worker consumes." },
	[WORKER_STOPPED] = { .type = METRIC_GAUGE,
	    .name = "schedrun_stopped_partitions",
	    .help = "Partitions that wait since the DLQ refuses a letter." },
	[WORKER_GENERATION] = { .type = METRIC_GAUGE,
	    .name = "schedrun_catalogue_generation",
	    .help = "The catalogue's generation of the last batch." },
	[WORKER_AGE] = { .type = METRIC_GAUGE,
	    .name = "schedrun_oldest_request_age_seconds",
	    .help = "How long the oldest request has been in its topic: of the "
		    "last batch, or of what waits." },
	[WORKER_LAST_COMMIT] = { .type = METRIC_GAUGE,
	    .name = "schedrun_last_commit_timestamp_seconds",
	    .help = "When a batch was last committed." },
	[WORKER_CONSUMED] = { .type = METRIC_COUNTER,
	    .name = "schedrun_requests_consumed_total",
	    .max = PARTITIONS_MAX,
	    .help = "Records of committed batches." },
	[WORKER_LAG] = { .type = METRIC_GAUGE,
	    .name = "schedrun_consumer_lag_records",
	    .max = PARTITIONS_MAX,
	    .help = "From where this worker stands to the end of the log." },
};

void
worker_metrics_use(struct metrics *metrics)
{
	char labels[128];
	int i;

	metrics_use(metrics, rows, WORKER_METRICS);
	metrics_label(metrics, WORKER_RUNS, RUNS_SUBMITTED,
	    "outcome=\"submitted\",error_name=\"\"");
	metrics_label(metrics, WORKER_RUNS, RUNS_IGNORED,
	    "outcome=\"ignored\",error_name=\"\"");
	for (i = 0; i < RUN_ERRORS; i++) {
		snprintf(labels, sizeof labels,
		    "outcome=\"error\",error_name=\"%s\"",
		    run_error_name((enum run_error)i));
		metrics_label(
		    metrics, WORKER_RUNS, RUNS_ERRORS + (size_t)i, labels);
	}
	for (i = 0; i < DEAD_REASONS; i++)
		metrics_index(metrics, WORKER_DEAD_LETTERS,
		    dead_reason_text((enum dead_reason)i));
}

static void
count_consumed(struct metrics *metrics, const struct batch *batch)
{
	char labels[32];
	size_t i;

	for (i = 0; i < batch->n_spans; i++) {
		size_t partition = (size_t)batch->spans[i].partition;

		snprintf(labels, sizeof labels, "partition=\"%zu\"", partition);
		metrics_label(metrics, WORKER_CONSUMED, partition, labels);
		metrics_add(metrics, WORKER_CONSUMED, partition,
		    batch->spans[i].n_records);
	}
}

/* Latencies differ little in a batch: equal milliseconds are told together. */
static void
observe_latencies(
    struct metrics *metrics, const struct batch *batch, int64_t committed_ms)
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
			metrics_observe(
			    metrics, WORKER_LATENCY, 0, (double)last / 1000, n);
			n = 0;
		}
		last = ms;
		n++;
	}
	if (n > 0)
		metrics_observe(
		    metrics, WORKER_LATENCY, 0, (double)last / 1000, n);
}

void
worker_metrics_batch(
    struct metrics *metrics, const struct batch *batch, int64_t committed_ms)
{
	const struct batch_counts *counts = &batch->counts;
	size_t i;

	count_consumed(metrics, batch);
	metrics_add(metrics, WORKER_RUNS, RUNS_SUBMITTED, counts->submitted);
	metrics_add(metrics, WORKER_RUNS, RUNS_IGNORED, counts->ignored);
	for (i = 0; i < RUN_ERRORS; i++)
		metrics_add(
		    metrics, WORKER_RUNS, RUNS_ERRORS + i, counts->errors[i]);
	metrics_add(metrics, WORKER_PLANNED_JOBS, 0, counts->planned_jobs);
	metrics_add(metrics, WORKER_DUPLICATES, 0, counts->same_partition);
	metrics_add(metrics, WORKER_DUPLICATES, 1, counts->cross_partition);
	metrics_add(metrics, WORKER_KEY_MISMATCHES, 0, counts->key_mismatches);
	for (i = 0; i < DEAD_REASONS; i++)
		metrics_add(metrics, WORKER_DEAD_LETTERS, i, counts->dead[i]);
	observe_latencies(metrics, batch, committed_ms);
	if (batch->n > 0)
		metrics_observe(
		    metrics, WORKER_BATCH_RECORDS, 0, (double)batch->n, 1);
	worker_metrics_age(metrics, batch->oldest_ms, committed_ms);
	metrics_set(
	    metrics, WORKER_LAST_COMMIT, 0, (double)committed_ms / 1000);
}

void
worker_metrics_kafka_error(void *metrics, const char *code)
{
	metrics_add(metrics, WORKER_KAFKA_ERRORS,
	    metrics_index(metrics, WORKER_KAFKA_ERRORS, code), 1);
}

void
worker_metrics_age(struct metrics *metrics, int64_t oldest_ms, int64_t now_ms)
{
	metrics_set(metrics, WORKER_AGE, 0,
	    oldest_ms > 0 && oldest_ms < now_ms
		? (double)(now_ms - oldest_ms) / 1000
		: 0);
}

void
worker_metrics_lag(struct metrics *metrics, const char *topic,
    int32_t partition, int64_t records)
{
	char labels[320];

	snprintf(labels, sizeof labels, "topic=\"%s\",partition=\"%ld\"", topic,
	    (long)partition);
	metrics_label(metrics, WORKER_LAG, (size_t)partition, labels);
	metrics_set(metrics, WORKER_LAG, (size_t)partition, (double)records);
}

double
worker_metrics_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
