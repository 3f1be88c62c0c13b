#ifndef SCHEDRUN_WORKER_PLAN_INTERNAL_H
#define SCHEDRUN_WORKER_PLAN_INTERNAL_H

#include "worker/plan/graph.h"
#include "worker/plan/lists.h"
#include "worker/plan/order.h"
#include "worker/plan/planner.h"

/*
 * What the planner's files share: a plan's state between its steps, the phases,
 * and how one decides.  Phases are a table in planner.c; each can be entered
 * again after a wait and then finds what it has done.
 */
enum verdict { GO_ON, WAIT, DECIDED };

/* What can be wrong with a selected job's outputs and inputs, P7 to P10. */
enum issue {
	ISSUE_IGNORED_OUTPUT = 1 << 0,
	ISSUE_CONFLICTING_SPECS = 1 << 1,
	ISSUE_BRANCH_ANCESTRY = 1 << 2,
	ISSUE_BUILD_DENIED = 1 << 3,
	ISSUE_READ_DENIED = 1 << 4,
	ISSUE_OUTPUT_NOT_FOUND = 1 << 5,
	ISSUE_OUTPUT_TRASHED = 1 << 6,
	ISSUE_INPUT_NOT_FOUND = 1 << 7,
	ISSUE_INPUT_TRASHED = 1 << 8,
	ISSUE_INPUT_NO_BRANCH = 1 << 9,
};
#define OUTPUT_ISSUES                                                          \
	(ISSUE_IGNORED_OUTPUT | ISSUE_CONFLICTING_SPECS |                      \
	    ISSUE_BRANCH_ANCESTRY | ISSUE_BUILD_DENIED |                       \
	    ISSUE_OUTPUT_NOT_FOUND | ISSUE_OUTPUT_TRASHED)

struct plan {
	struct arena *arena;
	struct world *world;
	struct plan_input input;
	const struct schedule_version *version; /* input's */
	size_t at;                              /* in the table of phases */
	enum plan_gate gate;                    /* that it has come past */
	struct outcome outcome;

	bool named;                  /* the three below are filled */
	struct list targets, inputs; /* datasets; inputs of connecting only */
	struct graph graph;

	struct list asked; /* datasets whose writer the walk waits for */
	struct list met;   /* jobs whose scope the walk waits for */
	struct list found; /* jobs that it reaches, in this order */
	uint32_t n_walked; /* of those, which it has reached */
	bool started;      /* the target jobs are in the graph */
	int32_t n_reached, n_denied, n_selected;
	int64_t n_inputs; /* of the jobs reached */

	uint32_t issues;  /* that somebody has */
	bool is_surveyed; /* all that selected jobs write is marked */
	struct links links;
	struct list order; /* of selected jobs, producers first */
	/* Of the jobs that run; edges are those between them. */
	size_t built_inputs, built_edges;
	struct listing *changes; /* which inputs have, of the jobs whose have */
	uint32_t n_changes, changes_capacity;

	struct text damage; /* of something unreadable that matters; or none */
	bool looks_ahead;   /* asks for what may not matter: no damage counts */
	struct text role_project; /* the last one looked up for the owner */
	enum role role;
};

enum cause {
	CAUSE_SCHEDULE_NOT_FOUND,
	CAUSE_VERSION_NOT_FOUND,
	CAUSE_WRONG_SCHEDULE,
	CAUSE_WRONG_VERSION,
	CAUSE_SCHEDULE_DELETED,
	CAUSE_REQUESTER_UNKNOWN,
	CAUSE_REQUESTER_INACTIVE,
	CAUSE_OWNER_UNKNOWN,
	CAUSE_OWNER_INACTIVE,
	CAUSE_NO_TARGETS,
	CAUSE_NO_INPUTS,
	CAUSE_TOO_MANY_NAMED,
	CAUSE_TOO_MANY_BRANCHES,
	CAUSE_DUPLICATE_BRANCH,
	CAUSE_TARGET_IGNORED,
	CAUSE_DATASET_NOT_FOUND,
	CAUSE_DATASET_TRASHED,
	CAUSE_REQUESTER_ROLE,
	CAUSE_NO_JOB_SPEC,
	CAUSE_TOO_MANY_JOBS,
	CAUSE_TOO_MANY_INPUTS,
	CAUSE_NOT_CONNECTED,
	CAUSE_IGNORED_OUTPUT,
	CAUSE_CONFLICTING_SPECS,
	CAUSE_BRANCH_ANCESTRY,
	CAUSE_CYCLE,
	CAUSE_BUILD_DENIED_USER,
	CAUSE_BUILD_DENIED_PROJECT,
	CAUSE_READ_DENIED_USER,
	CAUSE_READ_DENIED_PROJECT,
	CAUSE_OUTPUT_NOT_FOUND,
	CAUSE_OUTPUT_TRASHED,
	CAUSE_INPUT_NOT_FOUND,
	CAUSE_INPUT_TRASHED,
	CAUSE_INPUT_NO_BRANCH,
};

/* What a description's braces may stand for beside request and version. */
struct filling {
	struct text user;
	int64_t n, max;
	const struct listing *list; /* also the offenders */
};

/* Ends the plan with the error of `cause`.  Always DECIDED. */
enum verdict decide_error(
    struct plan *plan, enum cause cause, const struct filling *filling);
/* The same, if there are offenders; else GO_ON. */
enum verdict decide_listed(
    struct plan *plan, enum cause cause, const struct lister *offenders);

/* For people: `output`'s own entry leads to another job spec than `spec`. */
struct text describe_contradiction(
    struct plan *plan, const struct job_spec *spec, struct text output);

/*
 * The plan ends as Internal after this phase, unless it only looks ahead.  Of
 * several messages the smallest is kept.
 */
void plan_note_damage(struct plan *plan, struct text message);

/* Whether the dataset is known; notes damage, as do the two below. */
bool plan_knows(struct plan *plan, uint32_t dataset);
/* Whether spec(dataset) is known; then it is in the graph's entry. */
bool plan_resolves(struct plan *plan, uint32_t dataset);
/* Whether the user's role on the project is known. */
bool plan_knows_role(
    struct plan *plan, struct text user, struct text project, enum role *role);

/* Whether the scope's answer is known; then it is in the dataset's flags. */
bool plan_knows_buildable(struct plan *plan, uint32_t dataset);

/* Puts the target jobs into the graph and asks for what they need. */
void plan_start_walk(struct plan *plan);

#define REASON_NONE (-1) /* it is up to date */
/*
 * The first reason for which a selected job runs, an enum reason_cause or
 * REASON_NONE, given for how many producers that run it waits.  Keeps the list
 * of changed inputs for plan_fill_reason.
 */
int plan_decide_reason(struct plan *plan, struct graph_job *job);
/* Writes the reason of a job that runs in full. */
void plan_fill_reason(
    struct plan *plan, const struct graph_job *from, struct job *job);
/* Whether an input of a job that is linked comes from a job of this build. */
static inline bool
plan_producer_runs(
    const struct plan *plan, const struct graph_job *job, uint32_t input)
{
	uint32_t producer = job->producers[input];

	return producer != GRAPH_NONE &&
	    (graph_job(&plan->graph, producer)->flags & JOB_RUNS) != 0;
}

/* P6: reaches the jobs and counts them against the limits. */
enum verdict phase_walk(struct plan *plan);
/* P6: selects those that the plan is about; nothing connected is an error. */
enum verdict phase_select(struct plan *plan);
/* Asks for all that P7 to P11 need to know; the later phases never wait. */
enum verdict phase_survey(struct plan *plan);
/* P7: ignored outputs, conflicting specs, the chain against ancestry. */
enum verdict phase_compatibility(struct plan *plan);
/* P8: puts producers first, or names the cycle. */
enum verdict phase_cycles(struct plan *plan);
/* P9: what the scope may not build or read. */
enum verdict phase_permissions(struct plan *plan);
/* P10: what is missing, trashed, or has no branch to read. */
enum verdict phase_datasets(struct plan *plan);
/* P11: which jobs run, and why; always DECIDED. */
enum verdict phase_staleness(struct plan *plan);

#endif
