#ifndef SCHEDRUN_PRODUCER_API_CHANGES_H
#define SCHEDRUN_PRODUCER_API_CHANGES_H

#include "producer/http/call.h"

/*
 * Changing schedules (docs/http.md, section 3).  Each change is one
 * compare-and-set, tried again when another came between, and one log event
 * schedule_changed.  All run on a pool thread, by http_call_do.
 */
call_work_function http_schedules_create;  /* POST schedules */
call_work_function http_schedules_replace; /* PUT schedules/{rid} */
call_work_function http_schedules_delete;  /* DELETE schedules/{rid} */
call_work_function http_schedules_pause;   /* POST schedules/{rid}/pause */
call_work_function http_schedules_unpause; /* POST schedules/{rid}/unpause */

#endif
