#ifndef SCHEDRUN_PRODUCER_HTTP_RUNS_H
#define SCHEDRUN_PRODUCER_HTTP_RUNS_H

struct http_call;

/* POST …/schedules/{scheduleRid}/run: HTTP contract, section 7. */
void http_runs_post(struct http_call *call);

/* GET …/schedules/{scheduleRid}/runs/{runRid} */
void http_runs_get(struct http_call *call);

#endif
