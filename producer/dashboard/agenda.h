#ifndef SCHEDRUN_PRODUCER_DASHBOARD_AGENDA_H
#define SCHEDRUN_PRODUCER_DASHBOARD_AGENDA_H

#include "producer/http/call.h"

/*
 * When all schedules are due by time, as schedrun-trigger has it (its book): of
 * each that was seen some 300 bytes, read when somebody looks and the edition
 * has moved, every five seconds at most.  Any thread, one after the other.
 */
struct agenda;
struct agenda *agenda_create(void);         /* empty; the caller's */
void agenda_destroy(struct agenda *agenda); /* NULL is fine */

/*
 * GET {base}/dashboard/due: what is due in the next 24 hours, soonest first, a
 * row for each schedule that one may view, the first 200; what is overdue; and
 * up to when a trigger has fired all.  On a pool thread.
 */
void dashboard_due_get(struct http_call *call, struct work_redis *redis);

#endif
