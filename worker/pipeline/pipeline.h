#ifndef SCHEDRUN_WORKER_PIPELINE_PIPELINE_H
#define SCHEDRUN_WORKER_PIPELINE_PIPELINE_H

#include <stdbool.h>

#include "common/base/error.h"
#include "common/base/metrics.h"
#include "common/config/config.h"
#include "common/http/health.h"

/*
 * The worker's two stages and the slot between them: this thread is stage A
 * (poll, claim, plan, encode), worker/commit/committer is stage B (one
 * transaction).  What to do next is said by the tables of
 * worker/base/batch_protocol.  Source: docs/delivery.md, sections 4 to 9.
 */
struct pipeline;

struct pipeline_settings {
	const struct config *config;
	struct metrics *metrics;
	struct health *health;
	const char *worker_id; /* for the transactional.id */
};

/* NULL with ERROR_FATAL: the configuration makes no sense. */
struct pipeline *pipeline_create(
    const struct pipeline_settings *settings, struct error *err);
void pipeline_destroy(struct pipeline *pipeline); /* NULL is fine */

/*
 * Waits for Kafka and Redis, joins the group, works until pipeline_stop.  0:
 * drained; -1 with ERROR_FATAL and the exit code.
 */
int pipeline_run(struct pipeline *pipeline, struct error *err);

/* `--check`: connects once, says what is wrong.  0 or -1 as above. */
int pipeline_check(struct pipeline *pipeline, struct error *err);

/* Ends pipeline_run.  Any thread. */
void pipeline_stop(struct pipeline *pipeline);

#endif
