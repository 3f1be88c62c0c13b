#ifndef SCHEDRUN_PRODUCER_DASHBOARD_STALE_H
#define SCHEDRUN_PRODUCER_DASHBOARD_STALE_H

#include "producer/dashboard/catalogue.h"
#include "producer/dryrun/sweep.h"

/*
 * What is stale, by the worker's planner (producer/dryrun/sweep.h): seconds of
 * a pool thread, so the page may have one such question at a time, and no new
 * plan is begun after STALE_MS.
 */
#define STALE_MS 2500
#define STALE_TARGETS_MAX 50000
#define STALE_LISTED_MAX 1000

/* False: another one is under way, and the call is refused. */
bool stale_begin(struct http_call *call);
/* Of one that has begun. */
void stale_end(struct http_call *call);

/* Smallest outputs of the jobs, ascending, those that he sees. */
struct text_list stale_targets(
    const struct catalogue_look *look, const uint32_t *jobs, size_t n);

/* Of a sweep: "judged", "targets", "faults", "faultCount". */
void stale_put_faults(struct buffer *out, const struct sweep_question *question,
    const struct sweep *sweep);
struct stale_list {
	const struct catalogue_look *look;
	const struct sweep *sweep;
	const int64_t *since; /* of the first jobs, 0: not known; or NULL */
};
/*
 * The members of a job: "key", "reason", and "since" if it is known when the
 * oldest of the changed inputs came.
 */
void stale_put_job(struct buffer *out, const struct stale_list *list, size_t i);

/* GET {base}/dashboard/stale?branch=B&text=T: all that is stale on a branch. */
void dashboard_stale_get(struct http_call *call, struct work_redis *redis);
/*
 * GET {base}/dashboard/datasets/{datasetRid}/state?branch=B: what is stale of
 * the jobs up and down of it.
 */
void dashboard_state_get(struct http_call *call, struct work_redis *redis);

#endif
