#ifndef SCHEDRUN_PRODUCER_API_RUN_LIST_H
#define SCHEDRUN_PRODUCER_API_RUN_LIST_H

#include "producer/http/call.h"

/*
 * GET schedules/{rid}/runs: newest first, in pages whose tokens name a place,
 * so that runs that arrive meanwhile shift nothing (docs/http.md, section 8).
 * On a pool thread, by http_call_do.
 */
call_work_function http_run_list;

#endif
