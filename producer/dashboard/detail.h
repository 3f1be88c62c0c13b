#ifndef SCHEDRUN_PRODUCER_DASHBOARD_DETAIL_H
#define SCHEDRUN_PRODUCER_DASHBOARD_DETAIL_H

#include "producer/http/call.h"

/*
 * One run with all that is known of it, and what a run would do now: outcome
 * documents (docs/semantics.md, section 5) with jobs and reasons.  Both are
 * seen by who may view the schedule; of a plan the first PLAN_JOBS_MAX jobs.
 * On a pool thread.
 */
#define PLAN_JOBS_MAX 5000

/* GET {base}/dashboard/runs/{runRid} */
void dashboard_run_get(struct http_call *call, struct work_redis *redis);
/*
 * POST {base}/dashboard/schedules/{scheduleRid}/plan: a dry run, as if the
 * caller asked now.
 */
void dashboard_plan(struct http_call *call, struct work_redis *redis);

#endif
