#ifndef SCHEDRUN_WORKER_PLAN_PLANNER_H
#define SCHEDRUN_WORKER_PLAN_PLANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/text.h"
#include "schemas/message/run_request.h"
#include "schemas/message/schedule_run.h"
#include "schemas/stored/schedule.h"
#include "schemas/stored/world.h"

/*
 * The planner: what one run request leads to (docs/semantics.md).  Pure: values
 * in, outcome out; no I/O, no clock, no randomness, no recursion, no
 * memory but the arena's.  A plan over a partial world stops where it needs to
 * know more and goes on where it stopped, so its cost follows what it touches.
 */
/* Of the job spec's input of the same number. */
struct job_input {
	const struct branch *read; /* NULL: what its producer makes */
	int32_t job; /* position of its producer in this build; -1: none */
};

enum reason_cause {
	REASON_FORCED,
	REASON_NEVER_BUILT,
	REASON_NEW_LOGIC,
	REASON_INPUTS_CHANGED,
	REASON_UPSTREAM,
	REASON_ALWAYS_STALE,
};
const char *reason_cause_text(enum reason_cause cause); /* "neverBuilt" */

/*
 * What the spec doesn't say already.  Its id is rid_job of the build's and its
 * key, the spec's first output.
 */
struct job {
	const struct job_spec *spec;
	/* Of each output, NULL for all: see job_new_branch. */
	const struct text *const *new_branches;
	const struct job_input *inputs;
	const int32_t *depends_on; /* ascending positions */
	uint32_t n_depends_on;
	enum reason_cause reason;
	const struct text *reason_output; /* NULL: the cause has none */
	const struct text *reason_from;   /* the logic that was; so here */
	struct listing reason_inputs;
};

/*
 * The parent of the branch that an output gets, no text for a root; NULL if it
 * has the build branch already.
 */
static inline const struct text *
job_new_branch(const struct job *job, size_t output)
{
	return job->new_branches != NULL ? job->new_branches[output] : NULL;
}

struct build {
	const struct schedule_version
	    *version;           /* branch, flags, scope, notify */
	int32_t retry_count;    /* capped by maxRetries */
	const struct job *jobs; /* in build order */
	size_t n_jobs;
};

struct outcome {
	/* What was asked, and its result, but for when it was finished. */
	struct schedule_run run;
	struct build build; /* of RUN_SUBMITTED */
};

struct plan_input {
	const struct run_request *request;
	const struct schedule_version *version; /* NULL: the store has none */
	bool paused, deleted;
};

struct plan;
enum plan_state { PLAN_NEEDS, PLAN_DONE };

/*
 * Begins a plan.  Input, world and arena must outlive it; the outcome's texts
 * are borrowed from all three.  Several plans may share a world and an arena
 * and be stepped in turn.
 */
struct plan *plan_start(
    struct arena *arena, struct world *world, const struct plan_input *input);

/*
 * Goes on as far as what the world knows allows.  PLAN_NEEDS: satisfy the
 * world's needs, then step again.  PLAN_DONE: plan_outcome has the answer.
 * The work of all steps together is O((jobs + inputs) log jobs).
 */
enum plan_state plan_step(struct plan *plan);
const struct outcome *plan_outcome(const struct plan *plan);

/*
 * The datasets that it has met, by number from 0 to below plan_datasets: their
 * branches, schedule and version, and the catalogue's generation are all of the
 * world that the outcome rests on.  No text: it has not looked at that one.
 */
size_t plan_datasets(const struct plan *plan);
struct text plan_dataset(const struct plan *plan, size_t number);

/* An outcome that the worker decides: error Internal with its own cause. */
const struct outcome *plan_internal(struct arena *arena,
    const struct run_request *request, struct text schedule_version_rid,
    const char *cause, struct text description);

/*
 * Appends the outcome document of docs/semantics.md, section 5, as canonical
 * JSON without a line break.  `created_time` is echoed as the request document
 * had it.
 */
void outcome_write_json(const struct outcome *outcome, struct text created_time,
    struct buffer *out);

#endif
