#include "worker/plan/internal.h"

#include <assert.h>

/*
 * P6: which jobs the plan is about.  The walk goes breadth first, one level of
 * needs at a time: all datasets whose writer isn't known, all jobs whose scope
 * isn't known.  What waits is looked at again after a wait, the rest never, so
 * that all steps together stay linear.
 */
static bool
follows_inputs(const struct plan *plan)
{
	return plan->version->target_type != TARGET_MANUAL;
}

static bool
is_followed(const struct plan *plan, uint32_t input)
{
	const struct graph_dataset *dataset =
	    graph_dataset(&plan->graph, INPUT_DATASET(input));

	return follows_inputs(plan) && (input & INPUT_ON_BRANCH) != 0 &&
	    (dataset->flags & DATASET_IGNORED) == 0;
}

/*
 * Whether the scope may build all its outputs; false: unknown as yet.  One that
 * it may not build isn't enough, or what is damaged beside it would count only
 * if it came first.
 */
static bool
knows_scope(struct plan *plan, struct graph_job *job)
{
	bool known = true;
	uint32_t i;

	for (i = 0; i < job->n_outputs; i++) {
		uint32_t output = job->outputs[i];

		if (!plan_knows_buildable(plan, output)) {
			known = false;
			continue;
		}
		if ((graph_dataset(&plan->graph, output)->flags &
			DATASET_BUILDABLE) == 0)
			job->flags |= JOB_DENIED;
	}
	return known;
}

/* Whether the scope's answer is known; then the job is kept out or found. */
static bool
judge_job(struct plan *plan, uint32_t number)
{
	struct graph_job *job = graph_job(&plan->graph, number);

	if (!knows_scope(plan, job))
		return false;
	if ((job->flags & JOB_DENIED) != 0)
		plan->n_denied++;
	else
		list_push(&plan->graph, &plan->found, number);
	return true;
}

/* The job that writes a dataset, unless it is a source. */
static void
meet_writer(struct plan *plan, const struct graph_dataset *dataset)
{
	uint32_t number = dataset->job;
	struct graph_job *job;

	if (number == GRAPH_NONE)
		return;
	job = graph_job(&plan->graph, number);
	if ((job->flags & JOB_MET) != 0)
		return;
	job->flags |= JOB_MET;
	if (!judge_job(plan, number))
		list_push(&plan->graph, &plan->met, number);
}

/* Asks what the walk or the checks will want of an input. */
static void
ask_input(struct plan *plan, uint32_t input)
{
	uint32_t number = INPUT_DATASET(input);
	struct graph_dataset *dataset = graph_dataset(&plan->graph, number);
	bool followed = is_followed(plan, input);

	/* Of a connecting build only what is selected gets read. */
	if (followed || plan->version->target_type != TARGET_CONNECTING)
		graph_knows(&plan->graph, dataset);
	if (!followed || (dataset->flags & DATASET_FOLLOWED) != 0)
		return;
	dataset->flags |= DATASET_FOLLOWED;
	plan_resolves(plan, number);
	/* What is damaged counts only once the walk has really begun. */
	if (plan->looks_ahead || (dataset->flags & DATASET_RESOLVED) == 0)
		list_push(&plan->graph, &plan->asked, number);
	else
		meet_writer(plan, dataset);
}

/* A few inputs are done with before the next are looked up. */
static void
reach_inputs(struct plan *plan, uint32_t number)
{
	struct graph_job *job = graph_job(&plan->graph, number);
	uint32_t i, known = 0;

	assert((job->flags & JOB_REACHED) == 0);
	job->flags |= JOB_REACHED;
	plan->n_reached++;
	plan->n_inputs += (int64_t)job->n_inputs;
	for (i = 0; i < job->n_inputs; i++) {
		if (i == known)
			known += graph_add_inputs(&plan->graph, job, known);
		ask_input(plan, job->inputs[i]);
	}
}

/* From datasets whose writer has become known to their jobs. */
static bool
meet_jobs(struct plan *plan)
{
	struct list *asked = &plan->asked;
	uint32_t n = asked->n, i;

	asked->n = 0;
	for (i = 0; i < n; i++)
		if (plan_resolves(plan, asked->at[i]))
			meet_writer(
			    plan, graph_dataset(&plan->graph, asked->at[i]));
		else
			asked->at[asked->n++] = asked->at[i];
	return asked->n < n;
}

/* Jobs whose scope has become known. */
static bool
judge_jobs(struct plan *plan)
{
	struct list *met = &plan->met;
	uint32_t n = met->n, i;

	met->n = 0;
	for (i = 0; i < n; i++)
		if (!judge_job(plan, met->at[i]))
			met->at[met->n++] = met->at[i];
	return met->n < n;
}

static bool
has_too_many_jobs(const struct plan *plan)
{
	return plan->n_reached > world_limits(plan->world).max_jobs;
}

/* From jobs that are found to their inputs, whose jobs are found in turn. */
static void
reach_jobs(struct plan *plan)
{
	struct list *found = &plan->found;

	for (; plan->n_walked < found->n && !has_too_many_jobs(plan);
	     plan->n_walked++) {
		graph_look_ahead(&plan->graph, found, plan->n_walked);
		reach_inputs(plan, found->at[plan->n_walked]);
	}
}

void
plan_start_walk(struct plan *plan)
{
	uint32_t i;
	size_t k;

	if (plan->started)
		return;
	plan->started = true;
	for (i = 0; i < plan->targets.n; i++) {
		uint32_t number =
		    graph_dataset(&plan->graph, plan->targets.at[i])->job;
		struct graph_job *job = graph_job(&plan->graph, number);

		if ((job->flags & JOB_TARGET) != 0)
			continue; /* many targets may be of one job */
		job->flags |= JOB_TARGET | JOB_MET;
		for (k = 0; k < job->n_outputs; k++)
			graph_knows(&plan->graph,
			    graph_dataset(&plan->graph, job->outputs[k]));
		list_push(&plan->graph, &plan->found, number);
	}
	reach_jobs(plan);
}

enum verdict
phase_walk(struct plan *plan)
{
	struct filling filling = { 0 };
	bool moved;

	plan_start_walk(plan);
	do {
		moved = meet_jobs(plan);
		if (judge_jobs(plan))
			moved = true;
		reach_jobs(plan);
	} while (moved && !has_too_many_jobs(plan));
	if (has_too_many_jobs(plan)) {
		/* What the walk met on the way here doesn't matter any more. */
		plan->damage = TEXT_NONE;
		filling.max = world_limits(plan->world).max_jobs;
		return decide_error(plan, CAUSE_TOO_MANY_JOBS, &filling);
	}
	if (plan->asked.n > 0 || plan->met.n > 0)
		return WAIT;
	if (plan->n_inputs > world_limits(plan->world).max_inputs) {
		filling.max = world_limits(plan->world).max_inputs;
		return decide_error(plan, CAUSE_TOO_MANY_INPUTS, &filling);
	}
	return GO_ON;
}

static void
select_job(struct plan *plan, uint32_t number, struct list *selected)
{
	struct graph_job *job = graph_job(&plan->graph, number);

	if ((job->flags & JOB_SELECTED) != 0)
		return;
	job->flags |= JOB_SELECTED;
	plan->n_selected++;
	if (selected != NULL)
		list_push(&plan->graph, selected, number);
}

static bool
reads_a_named_input(const struct plan *plan, const struct graph_job *job)
{
	uint32_t i;

	for (i = 0; i < job->n_inputs; i++)
		if ((job->inputs[i] & INPUT_ON_BRANCH) != 0 &&
		    (graph_dataset(&plan->graph, INPUT_DATASET(job->inputs[i]))
			    ->flags &
			DATASET_IS_INPUT) != 0)
			return true;
	return false;
}

/* The least set: what reads a named input, and what reads from the set. */
static void
select_connected(struct plan *plan)
{
	struct list selected = { 0 };
	struct links links;
	uint32_t j, done, i;

	order_link(&plan->graph, JOB_REACHED, order_edge_reached, &links);
	for (j = 0; j < plan->graph.jobs.n; j++) {
		const struct graph_job *job = graph_job(&plan->graph, j);

		if ((job->flags & JOB_REACHED) != 0 &&
		    reads_a_named_input(plan, job))
			select_job(plan, j, &selected);
	}
	for (done = 0; done < selected.n; done++) {
		j = selected.at[done];
		for (i = links.from[j]; i < links.from[j + 1]; i++)
			select_job(plan, links.readers[i], &selected);
	}
}

enum verdict
phase_select(struct plan *plan)
{
	struct lister targets;
	uint32_t i;

	if (plan->version->target_type == TARGET_CONNECTING)
		select_connected(plan);
	else
		for (i = 0; i < plan->graph.jobs.n; i++)
			if ((graph_job(&plan->graph, i)->flags & JOB_REACHED) !=
			    0)
				select_job(plan, i, NULL);
	if (plan->n_selected > 0)
		return GO_ON;
	targets.count = 0;
	for (i = 0; i < plan->targets.n; i++)
		lister_add(&targets,
		    graph_dataset(&plan->graph, plan->targets.at[i])
			->world->rid);
	return decide_listed(plan, CAUSE_NOT_CONNECTED, &targets);
}
