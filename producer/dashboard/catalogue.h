#ifndef SCHEDRUN_PRODUCER_DASHBOARD_CATALOGUE_H
#define SCHEDRUN_PRODUCER_DASHBOARD_CATALOGUE_H

#include "producer/dashboard/lineage.h"
#include "producer/http/call.h"

/*
 * A caller's look at the catalogue: its lineage, and in which projects he may
 * view.  What stands in others he does not see, and nothing behind it.
 */
struct catalogue_look {
	struct http_call *call;
	const struct lineage *lineage;
	struct text_list projects; /* that he may view, ascending */
	struct text branch;
	bool *sees; /* by number of the project */
	bool sees_all;
};

/*
 * Opens it, to be closed by catalogue_look_close.  False: the call has its
 * refusal or error; nothing is to be closed.
 */
bool catalogue_look_open(struct http_call *call, struct work_redis *redis,
    struct catalogue_look *look);
/* Of one that was opened. */
void catalogue_look_close(struct catalogue_look *look);

/* All of its outputs; those that aren't there hide nothing. */
bool catalogue_sees_job(const struct catalogue_look *look, uint32_t job);

/*
 * The dataset that the path names and the branch that the query does, or the
 * one that most likely is meant; else the call is refused.
 */
bool catalogue_look_at(struct catalogue_look *look, uint32_t *dataset);

/* "branches", that job specs are of, the first 200. */
void catalogue_put_branches(const struct catalogue_look *look);

/* Jobs on the branch, from a dataset on. */
struct catalogue_walk {
	uint32_t *jobs;     /* nearest first, in the call's arena */
	uint32_t *distance; /* of each, from 1 */
	size_t n, max;
	bool is_part;    /* there are more than `max` */
	size_t n_hidden; /* met, and not his to see */
};
/* `down`: the jobs that read it; else those that make it. */
void catalogue_walk(const struct catalogue_look *look, uint32_t dataset,
    bool down, size_t max, struct catalogue_walk *walk);

/*
 * GET {base}/dashboard/datasets?text=T: the first 200 whose rid has the text,
 * by rid, and whether there are more.  On a pool thread, as what follows.
 */
void dashboard_datasets_get(struct http_call *call, struct work_redis *redis);
/*
 * GET {base}/dashboard/datasets/{datasetRid}?branch=B: its branches, who writes
 * it, and the jobs up and down, 500 each way.
 */
void dashboard_dataset_get(struct http_call *call, struct work_redis *redis);

#endif
