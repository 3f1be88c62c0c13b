#ifndef SCHEDRUN_PRODUCER_API_RUNS_H
#define SCHEDRUN_PRODUCER_API_RUNS_H

#include <stdbool.h>
#include <stddef.h>

#include "producer/http/rate_limit.h"
#include "producer/runs/publisher.h"
#include "producer/runs/waiters.h"
#include "schemas/message/schedule_run.h"

/*
 * Runs: asking for one, reading one, waiting for its result (docs/http.md,
 * section 7).
 *
 *   POST  ─> pool: head, rights, pin, store pending ─> publish ─> broker has it
 *                                                       │            │ wait?
 *                                              503 <────┘   result <─┴─> 200
 */
struct http_call;

struct http_runs {
	struct run_publisher *publisher;
	struct run_waiters *waiters;
	int wait_max_s;
	bool forward_trace;      /* trace.mode */
	struct rate_limit *rate; /* NULL: no limit */
};

#define WAITING_MAX 10000 /* requests; over it 503 */

/* POST …/schedules/{scheduleRid}/run */
void http_runs_post(struct http_call *call);

/* GET …/schedules/{scheduleRid}/runs/{runRid} */
void http_runs_get(struct http_call *call);

#endif
