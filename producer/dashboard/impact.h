#ifndef SCHEDRUN_PRODUCER_DASHBOARD_IMPACT_H
#define SCHEDRUN_PRODUCER_DASHBOARD_IMPACT_H

#include "producer/http/call.h"

/*
 * GET {base}/dashboard/datasets/{datasetRid}/impact?branch=B: what a commit to
 * the branch would lead to, before it is made: the jobs that would run, and of
 * them those that would anyway; the schedules that it would fire, those that
 * these would, and those that build some of the jobs when they run next.  On a
 * pool thread, for as long as stale.h says.
 */
void dashboard_impact_get(struct http_call *call, struct work_redis *redis);

#endif
