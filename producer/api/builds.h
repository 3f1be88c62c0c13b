#ifndef SCHEDRUN_PRODUCER_API_BUILDS_H
#define SCHEDRUN_PRODUCER_API_BUILDS_H

#include "producer/http/call.h"

/*
 * Builds, from the view: the event that requested each and what was reported of
 * it since (docs/http.md, section 4).  A build is visible with its schedule.
 * On a pool thread, by http_call_do.
 */
call_work_function http_builds_get;       /* GET builds/{rid} */
call_work_function http_builds_get_batch; /* POST builds/getBatch */
call_work_function http_builds_cancel;    /* POST builds/{rid}/cancel */

#endif
