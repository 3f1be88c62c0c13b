#ifndef SCHEDRUN_WORKER_PLANNER_H
#define SCHEDRUN_WORKER_PLANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/rid.h"
#include "common/text.h"
#include "schemas/run_request.h"
#include "schemas/schedule.h"
#include "schemas/world.h"

/*
 * The planner: what one run request leads to (the semantics paper).  Pure:
 * values in, outcome out; no I/O, no clock, no randomness, no recursion, no
 * memory but the arena's.  A plan over a partial world stops where it needs to
 * know more and goes on where it stopped, so its cost follows what it touches.
 */
enum outcome_type { OUTCOME_IGNORED, OUTCOME_SUBMITTED, OUTCOME_ERROR };

enum error_name { /* in the order of RunErrorName's symbols */
	TARGET_RESOLUTION_FAILURE,
	CYCLIC_DEPENDENCY,
	INCOMPATIBLE_TARGETS,
	PERMISSION_DENIED,
	JOB_SPEC_NOT_FOUND,
	SCHEDULE_OWNER_NOT_FOUND,
	INTERNAL,
};
const char *error_name_text(enum error_name name); /* "CyclicDependency" */

#define LISTING_FIRST 20
struct listing { /* ascending (cycles: in their order) */
	int32_t count;
	const struct text *first; /* min(count, LISTING_FIRST) of them */
};

struct why {
	int32_t phase;
	const char *cause; /* a literal */
	int32_t selected, running, up_to_date;
	int32_t blocked;
	bool has_offenders;
	struct listing offenders;
	struct listing up_to_date_targets, dropped_targets, out_of_scope;
};

struct job_output {
	struct text rid;
	bool new_branch;
	struct text parent; /* of the new branch; none: a root */
};

struct job_input {
	struct text rid;
	bool pinned;
	int32_t job; /* position of its producer in this build; -1: none */
	struct text branch, transaction; /* what is read if job is -1 */
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

struct job {
	struct uuid id; /* of the jobRid */
	const struct job_spec *spec;
	const struct job_output *outputs; /* spec->n_outputs, ascending */
	const struct job_input
	    *inputs;               /* spec->n_inputs, in the spec's order */
	const int32_t *depends_on; /* ascending positions */
	size_t n_depends_on;
	enum reason_cause reason;
	struct text reason_output, reason_from,
	    reason_to; /* as the cause has them */
	struct listing reason_inputs;
};

struct build {
	const struct schedule_version
	    *version;           /* branch, flags, scope, notify */
	int32_t retry_count;    /* capped by maxRetries */
	const struct job *jobs; /* in build order */
	size_t n_jobs;
};

struct outcome {
	struct uuid run_id, build_id;     /* build_id only if submitted */
	struct text schedule_version_rid; /* may be none */
	enum outcome_type type;
	enum error_name error_name; /* of OUTCOME_ERROR, with description */
	struct text description;
	struct why why;
	struct build build; /* of OUTCOME_SUBMITTED */
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
 * The outcome document of semantics, section 5, as canonical JSON without a
 * line break.  `created_time` is echoed as the request document had it.
 */
void outcome_write_json(const struct outcome *outcome,
    const struct run_request *request, struct text created_time,
    struct buffer *out);

#endif
