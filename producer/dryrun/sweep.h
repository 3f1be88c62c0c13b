#ifndef SCHEDRUN_PRODUCER_DRYRUN_SWEEP_H
#define SCHEDRUN_PRODUCER_DRYRUN_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "schemas/stored/schedule.h"

struct live_plan;

/*
 * What of many datasets is stale, and why: by the worker's planner, as if a
 * schedule had them as targets, with all that they are built from.  Where such
 * a plan ends in an error it is planned again in halves, so that one fault does
 * not hide the rest.
 */
struct sweep_question {
	struct text branch;
	struct text_list projects; /* in which it may build and read */
	struct text_list targets;  /* each has a job spec on the branch */
	/*
	 * A dataset that is supposed to have new data on the branch: only what
	 * lies between it and the targets is looked at.  None: nothing is
	 * supposed.
	 */
	struct text changed;
	int64_t until_ms; /* monotonic: no further plan is begun then */
};

#define SWEEP_CHANGED_MAX 20
struct sweep_input {
	struct text dataset, branch, head; /* as it would be read now */
};

struct sweep_job {
	struct text key;    /* its smallest output */
	struct text reason; /* JSON, as of an outcome document */
	/* Of a job whose inputs have changed: the first of these. */
	const struct sweep_input *changed;
	size_t n_changed;
};

#define SWEEP_FAULTS_MAX 100
struct sweep_fault {
	struct text target, error, description;
};

/* All in the arena. */
struct sweep {
	struct sweep_job *jobs; /* that would run; producers first in a plan */
	size_t n_jobs;
	struct sweep_fault faults[SWEEP_FAULTS_MAX];
	size_t n_faults; /* all of them */
	size_t n_judged; /* targets that were planned, or found faulty */
};

/*
 * Blocks for as long as the plans take, each some round trips and 10 µs a job.
 * Errors as of live_plan_run.
 */
int sweep_run(struct live_plan *planner, const struct sweep_question *question,
    struct arena *arena, struct sweep *sweep, struct error *err);

#endif
