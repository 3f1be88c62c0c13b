#ifndef SCHEDRUN_PRODUCER_DASHBOARD_SCHEDULES_H
#define SCHEDRUN_PRODUCER_DASHBOARD_SCHEDULES_H

#include "producer/http/call.h"

/*
 * Schedules as the page lists them, and of one what the API lacks.  Who may
 * view a schedule sees it, deleted ones nobody.  On a pool thread.
 */

/*
 * GET {base}/dashboard/schedules?text=T: the first 1,000 whose rid or name has
 * the text, by rid, and whether there are more.
 */
void dashboard_schedules_get(struct http_call *call, struct work_redis *redis);
/*
 * GET {base}/dashboard/schedules/{scheduleRid}: its versions, newest first, and
 * when it is due next by time.
 */
void dashboard_schedule_get(struct http_call *call, struct work_redis *redis);

#endif
