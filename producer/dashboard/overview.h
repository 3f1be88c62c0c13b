#ifndef SCHEDRUN_PRODUCER_DASHBOARD_OVERVIEW_H
#define SCHEDRUN_PRODUCER_DASHBOARD_OVERVIEW_H

#include "producer/http/call.h"

/* What is the same for all who may read: no name of anybody's is in it. */

/*
 * GET {base}/dashboard/overview: who calls, whether the page may change things,
 * the adapter's checks, and what the sampler saw last.
 */
void dashboard_overview_get(struct http_call *call);
/* GET {base}/dashboard/history: the last hour, by minutes and by looks. */
void dashboard_history_get(struct http_call *call);

#endif
