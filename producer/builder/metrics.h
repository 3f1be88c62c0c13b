#ifndef SCHEDRUN_PRODUCER_BUILDER_METRICS_H
#define SCHEDRUN_PRODUCER_BUILDER_METRICS_H

#include "common/base/metrics.h"

/* The builder's metrics (docs/operation.md, section 4). */
enum builder_metric {
	BUILDER_BUILDS,
	BUILDER_JOBS,
	BUILDER_JOB_SECONDS,
	BUILDER_RUNNING,
	BUILDER_OPEN,
	BUILDER_LAG,
	BUILDER_DEPENDENCIES,
	BUILDER_KAFKA_ERRORS,
	BUILDER_METRICS
};

/* The numbers of the label's values. */
enum builder_build { BUILT_SUCCEEDED, BUILT_FAILED, BUILT_OVER, BUILT_NONE };
enum builder_job {
	DID_SUCCEED,
	WAS_UP_TO_DATE,
	DID_FAIL,
	WAS_ABORTED,
	IS_RETRIED,
	WAS_LOST
};
enum builder_dependency { BUILDER_KAFKA, BUILDER_REDIS, BUILDER_REGISTRY };

/* Takes the table; before the first thread. */
void builder_metrics_use(struct metrics *metrics);

/* For kafka_health_on_error: `metrics`, and librdkafka's code; any thread. */
void builder_metrics_kafka_error(void *metrics, const char *code);

#endif
