#ifndef SCHEDRUN_PRODUCER_API_SCHEDULES_H
#define SCHEDRUN_PRODUCER_API_SCHEDULES_H

#include <stdbool.h>

#include "producer/http/call.h"

/*
 * Reading schedules and their versions (docs/http.md, section 3).  All run on a
 * pool thread, by http_call_do.
 */

/*
 * The schedule that the path names, if the caller may view it; else false: the
 * call has failed, or has been refused as if it did not exist.
 */
bool http_schedules_find(struct http_call *call, struct work_redis *redis,
    bool want_version, struct schedule_access *schedule);

call_work_function http_schedules_get;       /* GET schedules/{rid} */
call_work_function http_schedules_get_batch; /* POST schedules/getBatch */
/* POST schedules/{rid}/getAffectedResources */
call_work_function http_schedules_affected;
call_work_function http_versions_get; /* GET scheduleVersions/{rid} */
/* GET scheduleVersions/{rid}/schedule */
call_work_function http_versions_schedule;

#endif
