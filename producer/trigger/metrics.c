#include "producer/trigger/metrics.h"

#include "common/kafka/client.h"

#define KAFKA_CODES_MAX 48

static const char *const fired[] = { "due", "missed", "datasetUpdated",
	"newLogic", "jobSucceeded", "scheduleSucceeded", "scheduleFailed",
	NULL };
static const char *const events[] = { "applied", "repeated", "buried", NULL };
static const char *const dependencies[] = { "kafka", "redis", "registry",
	NULL };

static const struct metric_row rows[TRIGGER_METRICS] = {
	[TRIGGER_FIRED] = { .type = METRIC_COUNTER,
	    .name = "schedrun_trigger_fired_total",
	    .label = "kind",
	    .values = fired,
	    .help = "Requests that the brokers have, by what fired; missed: "
		    "over a minute late." },
	[TRIGGER_LATENESS] = { .type = METRIC_HISTOGRAM,
	    .name = "schedrun_trigger_lateness_seconds",
	    .help = "From an instant or event to the brokers' word, up to a "
		    "minute." },
	[TRIGGER_PENDING] = { .type = METRIC_GAUGE,
	    .name = "schedrun_trigger_pending_requests",
	    .help = "Requests that the brokers have not acknowledged yet." },
	[TRIGGER_SCHEDULES] = { .type = METRIC_GAUGE,
	    .name = "schedrun_trigger_schedules",
	    .help = "Schedules that are due by time some day." },
	[TRIGGER_REPLICAS] = { .type = METRIC_GAUGE,
	    .name = "schedrun_trigger_replicas",
	    .help = "Triggers that fire, as this one sees them, itself too; "
		    "0: it doesn't, or trigger.grace is 0." },
	[TRIGGER_LEFT] = { .type = METRIC_COUNTER,
	    .name = "schedrun_trigger_left_total",
	    .help = "Instants that were left to another trigger, and that it "
		    "has asked for." },
	[TRIGGER_STOOD] = { .type = METRIC_GAUGE,
	    .name = "schedrun_trigger_stood_timestamp_seconds",
	    .help = "Up to when all that was due is acknowledged." },
	[TRIGGER_EVENTS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_trigger_events_total",
	    .label = "outcome",
	    .values = events,
	    .help = "Events that were written to Redis, were there already, "
		    "or went to the dead letters." },
	[TRIGGER_LAG] = { .type = METRIC_GAUGE,
	    .name = "schedrun_trigger_lag_records",
	    .help = "Events and results from the first that is not done to "
		    "their topics' ends, of assigned partitions." },
	[TRIGGER_DEPENDENCIES] = { .type = METRIC_GAUGE,
	    .name = "schedrun_dependency_up",
	    .label = "dependency",
	    .values = dependencies,
	    .help = "Whether the dependency answers." },
	[TRIGGER_KAFKA_ERRORS] = { .type = METRIC_COUNTER,
	    .name = "schedrun_kafka_errors_total",
	    .label = "code",
	    .values = kafka_error_codes,
	    .max = KAFKA_CODES_MAX,
	    .help = "Errors that librdkafka told of, by its code." },
};

struct metrics *
trigger_metrics_create(void)
{
	struct metrics *metrics = metrics_create(kafka_library_version());

	metrics_use(metrics, rows, TRIGGER_METRICS);
	return metrics;
}

void
trigger_count_kafka_error(void *metrics, const char *code)
{
	metrics_add(metrics, TRIGGER_KAFKA_ERRORS,
	    metrics_index(metrics, TRIGGER_KAFKA_ERRORS, code), 1);
}
