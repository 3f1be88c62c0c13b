#ifndef SCHEDRUN_PRODUCER_DASHBOARD_REDRIVE_H
#define SCHEDRUN_PRODUCER_DASHBOARD_REDRIVE_H

#include "producer/http/call.h"

/*
 * POST {base}/dashboard/letters/redrive, {"letters":["12:34",...],"dryRun":B}:
 * asks again for up to 200 dead letters, or says what would become of each, by
 * the rules of `schedrun dlq redrive` (producer/letters/dealing.h).  Only of
 * schedules that the caller may run, whose RID is the letter's key.  Fences
 * whoever else redrives.  On a pool thread, for as long as Kafka takes, one
 * after the other; only with http.page=write.
 */
void dashboard_redrive(struct http_call *call, struct work_redis *redis);

#endif
