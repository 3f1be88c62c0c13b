#include "worker/planner_internal.h"

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

/* Adds its inputs and asks what the walk or the checks will want of them. */
static void
reach(struct plan *plan, uint32_t number)
{
	struct graph_job *job = graph_job(&plan->graph, number);
	uint32_t i;

	if ((job->flags & JOB_REACHED) != 0)
		return;
	job->flags |= JOB_REACHED;
	plan->n_reached++;
	plan->n_inputs += (int64_t)job->n_inputs;
	graph_add_inputs(&plan->graph, job);
	for (i = 0; i < job->n_inputs; i++) {
		uint32_t input = job->inputs[i];
		uint32_t at = INPUT_DATASET(input);
		bool followed = is_followed(plan, input);
		struct graph_dataset *dataset = graph_dataset(&plan->graph, at);

		/* Of a connecting build only what is selected gets read. */
		if (followed || plan->version->target_type != TARGET_CONNECTING)
			graph_knows(&plan->graph, dataset);
		if (!followed || (dataset->flags & DATASET_FOLLOWED) != 0)
			continue;
		dataset->flags |= DATASET_FOLLOWED;
		plan_resolves(plan, at);
		if ((dataset->flags & DATASET_RESOLVED) == 0 ||
		    dataset->job != GRAPH_NONE)
			list_push(&plan->graph, &plan->asked, at);
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
		reach(plan, number);
	}
}

/* Whether the scope may build all its outputs; false: unknown as yet. */
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
	return known || (job->flags & JOB_DENIED) != 0;
}

static bool
has_too_many_jobs(const struct plan *plan)
{
	return plan->n_reached > world_limits(plan->world).max_jobs;
}

/* From datasets whose writer has become known to their jobs. */
static bool
meet_jobs(struct plan *plan)
{
	struct list *asked = &plan->asked;
	uint32_t n = asked->n, i;

	asked->n = 0;
	for (i = 0; i < n; i++) {
		const struct graph_dataset *dataset =
		    graph_dataset(&plan->graph, asked->at[i]);
		struct graph_job *job;

		if (!plan_resolves(plan, asked->at[i])) {
			asked->at[asked->n++] = asked->at[i];
			continue;
		}
		if (dataset->job == GRAPH_NONE)
			continue;
		job = graph_job(&plan->graph, dataset->job);
		if ((job->flags & JOB_MET) != 0)
			continue;
		job->flags |= JOB_MET;
		list_push(&plan->graph, &plan->met, dataset->job);
	}
	return asked->n < n;
}

/* From jobs whose scope has become known to their inputs. */
static bool
reach_jobs(struct plan *plan)
{
	struct list *met = &plan->met;
	uint32_t n = met->n, i;

	met->n = 0;
	for (i = 0; i < n && !has_too_many_jobs(plan); i++) {
		struct graph_job *job = graph_job(&plan->graph, met->at[i]);

		if (!knows_scope(plan, job))
			met->at[met->n++] = met->at[i];
		else if ((job->flags & JOB_DENIED) != 0)
			plan->n_denied++;
		else
			reach(plan, met->at[i]);
	}
	return met->n < n;
}

enum verdict
phase_walk(struct plan *plan)
{
	struct filling filling = { 0 };
	bool moved = true;

	plan_start_walk(plan);
	while (moved && !has_too_many_jobs(plan)) {
		moved = plan->asked.n > 0 && meet_jobs(plan);
		if (plan->met.n > 0 && reach_jobs(plan))
			moved = true;
	}
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
