#ifndef SCHEDRUN_PRODUCER_TRIGGER_METRICS_H
#define SCHEDRUN_PRODUCER_TRIGGER_METRICS_H

#include "common/base/metrics.h"

/* The rows of schedrun-trigger's metrics (docs/operation.md, section 4). */
enum trigger_metric {
	TRIGGER_FIRED,
	TRIGGER_LATENESS,
	TRIGGER_PENDING,
	TRIGGER_SCHEDULES,
	TRIGGER_REPLICAS,
	TRIGGER_LEFT,
	TRIGGER_STOOD,
	TRIGGER_EVENTS,
	TRIGGER_LAG,
	TRIGGER_DEPENDENCIES,
	TRIGGER_KAFKA_ERRORS,
	TRIGGER_METRICS,
};

/* By what: an instant, or the kind of an event. */
enum trigger_fired {
	FIRED_DUE,
	FIRED_MISSED,
	FIRED_DATASET_UPDATED,
	FIRED_NEW_LOGIC,
	FIRED_JOB_SUCCEEDED,
	FIRED_SCHEDULE_SUCCEEDED,
	FIRED_SCHEDULE_FAILED,
	TRIGGER_FIRED_KINDS,
};
enum trigger_event { EVENT_APPLIED, EVENT_REPEATED, EVENT_BURIED };
enum trigger_dependency {
	TRIGGER_NEEDS_KAFKA,
	TRIGGER_NEEDS_REDIS,
	TRIGGER_NEEDS_REGISTRY,
};

/* The program's metrics with all these rows; given back by metrics_destroy. */
struct metrics *trigger_metrics_create(void);

/* For kafka_health_on_error; `metrics` is what the former has given. */
void trigger_count_kafka_error(void *metrics, const char *code);

#endif
