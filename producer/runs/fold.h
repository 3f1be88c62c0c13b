#ifndef SCHEDRUN_PRODUCER_RUNS_FOLD_H
#define SCHEDRUN_PRODUCER_RUNS_FOLD_H

#include "common/base/error.h"
#include "common/base/metrics.h"
#include "common/config/config.h"
#include "common/http/health.h"
#include "common/kafka/client.h"
#include "common/redis/pipeline.h"
#include "producer/base/metrics.h"
#include "schemas/keyspace.h"

/*
 * A thread that folds results and builds into the run view.  Replicas share the
 * partitions by a group, but the position is Redis's `f`, not the group's
 * offset: repeating is harmless (docs/keyspace.md, section 5).
 */
struct view_fold;

struct view_fold_settings {
	const struct config *config;
	struct kafka_health *kafka;
	struct redis_settings redis;         /* of the view */
	const struct keyspace *keyspace;     /* borrowed */
	struct health_check *registry_check; /* NULL: none is configured */
	struct health_check *check;          /* "view": caught up, or why not */
	struct metrics *metrics;
};

/*
 * Starts the thread, which joins the group once both topics are there.  The
 * settings are copied, what they point to is not.  NULL: ERROR_FATAL.
 */
struct view_fold *view_fold_start(
    const struct view_fold_settings *settings, struct error *err);
/* Ends the thread, waits for it and leaves the group.  NULL is fine. */
void view_fold_stop(struct view_fold *fold);

#endif
