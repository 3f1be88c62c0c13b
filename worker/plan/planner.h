#ifndef SCHEDRUN_WORKER_PLAN_PLANNER_H
#define SCHEDRUN_WORKER_PLAN_PLANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/text.h"
#include "schemas/message/build_requested.h"
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
struct outcome {
	/* What was asked, and its result, but for when it was finished. */
	struct schedule_run run;
	struct build build; /* of RUN_SUBMITTED */
};

struct plan_input {
	const struct run_request *request;
	const struct schedule_version *version; /* NULL: the store has none */
	bool paused, deleted;
	/*
	 * The outcome is to be that of anybody who asks and may: whether this
	 * requester may is plan_gate's.
	 */
	bool for_anybody;
};

struct plan;
enum plan_state { PLAN_NEEDS, PLAN_DONE };

/*
 * What a requester must pass to get the outcome that anybody gets; who doesn't
 * has another, by a plan of his own (docs/semantics.md, P2 and P5).
 */
enum plan_gate {
	GATE_OPEN,  /* decided before it matters who asks */
	GATE_USER,  /* he must be known, and active */
	GATE_ROLES, /* and an editor of each target's project */
};

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

/*
 * Of a plan that is done: what a requester must pass, and the projects of the
 * targets, each as often as it has one; `i` is below plan_targets.
 */
enum plan_gate plan_gate(const struct plan *plan);
size_t plan_targets(const struct plan *plan);
struct text plan_target_project(const struct plan *plan, size_t i);

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
/* Appends a job's `reason` as it stands there. */
void outcome_write_reason(const struct job *job, struct buffer *out);

#endif
