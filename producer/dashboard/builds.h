#ifndef SCHEDRUN_PRODUCER_DASHBOARD_BUILDS_H
#define SCHEDRUN_PRODUCER_DASHBOARD_BUILDS_H

#include <pthread.h>

#include "common/crypto/rid.h"
#include "producer/http/call.h"
#include "schemas/message/schedule_run.h"

/*
 * The newest builds that were asked for, by the results that this replica has
 * heard: Redis has no list of all.  Written on the loop, read by pool threads.
 */
#define RECENT_BUILDS 1000

struct recent_builds {
	pthread_mutex_t lock;
	struct recent_build {
		struct uuid build_id, run_id;
		int64_t finished_ms; /* when it was planned */
		uint16_t size;
		char schedule[RID_SIZE_MAX];
	} at[RECENT_BUILDS];
	size_t n; /* ever noted */
};

/* Of zeroed memory. */
void recent_builds_init(struct recent_builds *builds);
void recent_builds_finish(struct recent_builds *builds); /* what init took */
/* Notes a result, if it is a build. */
void recent_builds_note(
    struct recent_builds *builds, const struct schedule_run *run);

/*
 * GET {base}/dashboard/builds: of the newest 500 of schedules that one may
 * view, how many are in which state, and up to 100 that run, have failed or
 * ended, in this order, with their jobs as far as a builder has said something
 * of them and 16 MiB of events tell; and the runs of all that have failed or
 * were canceled.  With the query's `jobs=no` no job is told.  On a pool thread.
 */
void dashboard_builds_get(struct http_call *call, struct work_redis *redis);

#endif
