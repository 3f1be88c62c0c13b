#include "producer/builder/metrics.h"

#include "common/kafka/client.h"

#define KAFKA_CODES_MAX 48

static const char *const states[] = { "succeeded", "failed", "over",
	"unreadable", NULL };
static const char *const ends[] = { "succeeded", "up_to_date", "failed",
	"aborted", "retried", "lost", NULL };
static const char *const dependencies[] = { "kafka", "redis", "registry",
	NULL };
static const double seconds[] = { 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000,
	10000 };

static const struct metric_row rows[BUILDER_METRICS] = {
	[BUILDER_BUILDS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_builds_total",
	    .label = "state",
	    .values = states,
	    .help = "Builds ended." },
	[BUILDER_JOBS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_jobs_total",
	    .label = "end",
	    .values = ends,
	    .help = "Jobs ended, or tried in vain." },
	[BUILDER_JOB_SECONDS] = { .type = METRIC_HISTOGRAM,
	    .name = "schedrun_job_duration_seconds",
	    .bounds = seconds,
	    .n_bounds = sizeof seconds / sizeof seconds[0],
	    .help = "From a job's start to its end." },
	[BUILDER_RUNNING] = { .type = METRIC_GAUGE,
	    .name = "schedrun_running_jobs",
	    .help = "Jobs that run now." },
	[BUILDER_OPEN] = { .type = METRIC_GAUGE,
	    .name = "schedrun_open_builds",
	    .help = "Builds that were taken up and have not ended." },
	[BUILDER_LAG] = { .type = METRIC_GAUGE,
	    .name = "schedrun_builder_lag_records",
	    .help = "From the first build that has not ended to the topic's "
		    "end, of assigned partitions." },
	[BUILDER_DEPENDENCIES] = { .type = METRIC_GAUGE,
	    .name = "schedrun_dependency_up",
	    .label = "dependency",
	    .values = dependencies,
	    .help = "Whether the dependency answers." },
	[BUILDER_KAFKA_ERRORS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_kafka_errors_total",
	    .label = "code",
	    .values = kafka_error_codes,
	    .max = KAFKA_CODES_MAX,
	    .help = "Errors that librdkafka told of, by its code." },
};

void
builder_metrics_use(struct metrics *metrics)
{
	metrics_use(metrics, rows, BUILDER_METRICS);
}

void
builder_metrics_kafka_error(void *metrics, const char *code)
{
	metrics_add(metrics, BUILDER_KAFKA_ERRORS,
	    metrics_index(metrics, BUILDER_KAFKA_ERRORS, code), 1);
}
