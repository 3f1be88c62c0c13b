#ifndef SCHEDRUN_PRODUCER_DASHBOARD_LETTERS_H
#define SCHEDRUN_PRODUCER_DASHBOARD_LETTERS_H

#include "producer/http/call.h"

/*
 * GET {base}/dashboard/letters: the newest dead letters that wait.  What one
 * holds is shown to who may view the schedule that is its key: anybody who may
 * send can write anything into one.  On a pool thread.
 */
void dashboard_letters_get(struct http_call *call, struct work_redis *redis);

#endif
