#ifndef SCHEDRUN_PRODUCER_VIEW_FOLD_H
#define SCHEDRUN_PRODUCER_VIEW_FOLD_H

#include "common/config.h"
#include "common/error.h"
#include "common/health.h"
#include "common/kafka_client.h"
#include "common/loop.h"
#include "common/redis_pipeline.h"
#include "producer/run_record.h"

/*
 * Two threads that read the topics for the adapter (keyspace, section 5):
 *
 *   fold      results and builds, shared with the other replicas by a group,
 *             into the run view; the position is Redis's `f`, not the group's
 *             offset, so repeating is harmless and a flushed view is refolded
 *   fan-out   all results from now on, for those who wait in this process
 */
struct view_fold;

struct view_fold_settings {
	const struct config *config;
	struct kafka_health *kafka;
	struct redis_settings redis; /* of the view */
	struct loop *loop;
	struct health_check *check;  /* "view": caught up, or why not */
	/* On the loop's thread; the record is valid during the call. */
	void (*result)(void *argument, const struct run_record *record);
	void *argument;
};

/* Starts both threads.  NULL: ERROR_FATAL. */
struct view_fold *view_fold_start(
    const struct view_fold_settings *settings, struct error *err);
void view_fold_stop(struct view_fold *fold); /* NULL is fine */

#endif
