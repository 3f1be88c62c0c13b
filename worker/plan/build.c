#include "worker/plan/internal.h"

/*
 * P8 and P11: the order of the selected jobs, which of them run, and the build
 * they make.
 */
enum verdict
phase_cycles(struct plan *plan)
{
	struct list cycle = { 0 };
	struct lister lister = { 0 };
	struct listing list;
	struct filling filling = { .list = &list };
	uint32_t i;

	order_link(
	    &plan->graph, JOB_SELECTED, order_edge_selected, &plan->links);
	list_reserve(&plan->graph, &plan->order, (uint32_t)plan->n_selected);
	order_jobs(&plan->graph, &plan->links, &plan->order);
	if (plan->order.n == (uint32_t)plan->n_selected)
		return GO_ON;
	order_cycle(&plan->graph, &cycle);
	for (i = 0; i < cycle.n && i < LISTING_FIRST; i++)
		lister.first[i] = graph_job(&plan->graph, cycle.at[i])->key;
	lister.count = (int32_t)cycle.n;
	list = lister_finish(&lister, plan->arena);
	filling.n = cycle.n;
	plan->outcome.run.why.blocked =
	    plan->n_selected - (int32_t)plan->order.n;
	return decide_error(plan, CAUSE_CYCLE, &filling);
}

/* Where the build's jobs take their arrays from: exactly as much as they need.
 */
struct stock {
	struct job_input *inputs;
	int32_t *depends_on;
};

/* Off which branch an output's new one comes; NULL: it gets none. */
static const struct text *
find_new_branch(const struct plan *plan, uint32_t output)
{
	static const struct text none;
	uint32_t place = graph_dataset(&plan->graph, output)->place;

	if (place == 0)
		return NULL;
	return place < plan->graph.n_chain ? &plan->graph.chain[place] : &none;
}

static const struct text *const *
find_new_branches(const struct plan *plan, const struct graph_job *from)
{
	const struct text **found = NULL, *parent;
	uint32_t i;

	for (i = 0; i < from->n_outputs; i++) {
		parent = find_new_branch(plan, from->outputs[i]);
		if (parent == NULL)
			continue;
		if (found == NULL)
			found = arena_zalloc(
			    plan->arena, from->n_outputs, sizeof *found);
		found[i] = parent;
	}
	return found;
}

static void
fill_inputs(struct plan *plan, const struct graph_job *from,
    struct stock *stock, struct job *job)
{
	int32_t *depends = stock->depends_on;
	size_t n = 0;
	uint32_t i;

	job->inputs = stock->inputs;
	for (i = 0; i < from->n_inputs; i++) {
		struct job_input *input = stock->inputs++;

		if (plan_producer_runs(plan, from, i)) {
			input->read = NULL;
			input->job = graph_job(&plan->graph, from->producers[i])
					 ->position;
			depends[n++] = input->job;
		} else {
			input->read = graph_read(&plan->graph, from, i);
			input->job = -1;
		}
	}
	job->depends_on = depends;
	job->n_depends_on = (uint32_t)sort_positions(plan->arena, depends, n);
	stock->depends_on += job->n_depends_on;
}

static void
make_build(struct plan *plan)
{
	struct outcome *outcome = &plan->outcome;
	struct build *build = &outcome->build;
	int32_t retries = world_limits(plan->world).max_retries;
	struct list order = { 0 };
	struct stock stock;
	struct job *jobs;
	uint32_t i;

	outcome->run.build_id = rid_build(&outcome->run.id);
	order_build(&plan->graph, &plan->links, &order);
	stock.inputs =
	    arena_alloc(plan->arena, plan->built_inputs * sizeof *stock.inputs);
	stock.depends_on = arena_alloc(
	    plan->arena, plan->built_edges * sizeof *stock.depends_on);
	jobs = arena_alloc(plan->arena, order.n * sizeof *jobs);
	for (i = 0; i < order.n; i++) {
		const struct graph_job *from =
		    graph_job(&plan->graph, order.at[i]);

		graph_look_ahead(&plan->graph, &order, i);
		jobs[i] = (struct job){ .spec = from->spec,
			.new_branches = find_new_branches(plan, from) };
		fill_inputs(plan, from, &stock, &jobs[i]);
		plan_fill_reason(plan, from, &jobs[i]);
	}
	build->version = plan->version;
	build->retry_count = plan->version->retry_count < retries
	    ? plan->version->retry_count
	    : retries;
	build->jobs = jobs;
	build->n_jobs = order.n;
}

/* Targets by what became of their job: dropped, or up to date. */
static struct listing
list_targets(const struct plan *plan, uint32_t mask, uint32_t flags)
{
	struct lister lister;
	uint32_t i;

	lister.count = 0;
	for (i = 0; i < plan->targets.n; i++) {
		const struct graph_dataset *target =
		    graph_dataset(&plan->graph, plan->targets.at[i]);

		if ((graph_job(&plan->graph, target->job)->flags & mask) ==
		    flags)
			lister_add(&lister, target->world->rid);
	}
	return lister_finish(&lister, plan->arena);
}

/* Whether a job that was kept out lies between inputs and the build. */
static bool
reads_on_the_path(struct plan *plan, const struct job_spec *spec)
{
	size_t i;

	for (i = 0; i < spec->n_inputs; i++) {
		const struct spec_input *input = &spec->inputs[i];
		uint32_t number, flags;

		if (input->branch.at != NULL &&
		    !text_equal(input->branch, plan->graph.chain[0]))
			continue;
		number = graph_find_dataset(&plan->graph, input->rid);
		if (number == GRAPH_NONE)
			continue;
		flags = graph_dataset(&plan->graph, number)->flags;
		if ((flags & DATASET_IS_INPUT) != 0 ||
		    (flags & (DATASET_WRITTEN | DATASET_IGNORED)) ==
			DATASET_WRITTEN)
			return true;
	}
	return false;
}

/* Adds the producers of a selected job's inputs that the scope kept out. */
static void
pile_kept_out(
    struct plan *plan, const struct graph_job *job, struct text_pile *pile)
{
	uint32_t i;

	for (i = 0; i < job->n_inputs; i++) {
		const struct graph_dataset *dataset =
		    graph_dataset(&plan->graph, INPUT_DATASET(job->inputs[i]));
		struct graph_job *producer;

		if ((job->inputs[i] & INPUT_ON_BRANCH) == 0 ||
		    (dataset->flags & DATASET_IGNORED) != 0 ||
		    dataset->job == GRAPH_NONE)
			continue;
		producer = graph_job(&plan->graph, dataset->job);
		if ((producer->flags & (JOB_DENIED | JOB_LISTED)) != JOB_DENIED)
			continue;
		producer->flags |= JOB_LISTED;
		if (plan->version->target_type == TARGET_CONNECTING &&
		    !reads_on_the_path(plan, producer->spec))
			continue;
		pile_add(pile, producer->key);
	}
}

static struct listing
list_out_of_scope(struct plan *plan)
{
	struct text_pile pile = { .arena = plan->arena };
	struct lister lister;
	uint32_t i;

	lister.count = 0;
	if (plan->n_denied == 0)
		return (struct listing){ 0 };
	for (i = 0; i < plan->order.n; i++)
		pile_kept_out(
		    plan, graph_job(&plan->graph, plan->order.at[i]), &pile);
	pile_list(&pile, &lister);
	return lister_finish(&lister, plan->arena);
}

static uint32_t
count_running_producers(const struct plan *plan, const struct graph_job *job)
{
	uint32_t n = 0, i;

	for (i = 0; i < job->n_inputs; i++)
		n += plan_producer_runs(plan, job, i);
	return n;
}

/* Fetches the last builds of jobs that come soon, too; inline as that is. */
static inline __attribute__((always_inline)) void
look_ahead(const struct plan *plan, uint32_t place)
{
	const struct list *order = &plan->order;
	const struct graph_job *job;
	const struct branch *branch;

	graph_look_ahead(&plan->graph, order, place);
	if (place + 3 * LOOK_AHEAD < order->n) {
		job =
		    graph_job(&plan->graph, order->at[place + 3 * LOOK_AHEAD]);
		branch = graph_dataset(&plan->graph, job->outputs[0])->read;
		if (branch != NULL)
			__builtin_prefetch(&branch->built);
	}
	if (place + 2 * LOOK_AHEAD < order->n) {
		job =
		    graph_job(&plan->graph, order->at[place + 2 * LOOK_AHEAD]);
		branch = graph_dataset(&plan->graph, job->outputs[0])->read;
		if (branch != NULL)
			__builtin_prefetch(branch->built);
	}
	if (place + LOOK_AHEAD < order->n) {
		job = graph_job(&plan->graph, order->at[place + LOOK_AHEAD]);
		branch = graph_dataset(&plan->graph, job->outputs[0])->read;
		if (branch != NULL && branch->built != NULL)
			__builtin_prefetch(branch->built->inputs);
	}
}

enum verdict
phase_staleness(struct plan *plan)
{
	int32_t running = 0;
	struct run_why *why = &plan->outcome.run.why;
	uint32_t i;

	for (i = 0; i < plan->order.n; i++) {
		look_ahead(plan, i);
		struct graph_job *job =
		    graph_job(&plan->graph, plan->order.at[i]);

		job->waits = count_running_producers(plan, job);
		job->reason = (int8_t)plan_decide_reason(plan, job);
		if (job->reason == REASON_NONE)
			continue;
		job->flags |= JOB_RUNS;
		plan->built_inputs += job->n_inputs;
		plan->built_edges += job->waits;
		running++;
	}
	if (running > 0)
		make_build(plan);
	plan->outcome.run.state = running > 0 ? RUN_SUBMITTED : RUN_IGNORED;
	why->phase = 11;
	why->cause = running > 0 ? TEXT("stale") : TEXT("upToDate");
	why->selected = plan->n_selected;
	why->running = running;
	why->up_to_date = plan->n_selected - running;
	if (why->up_to_date > 0)
		why->lists[LIST_UP_TO_DATE_TARGETS] =
		    list_targets(plan, JOB_SELECTED | JOB_RUNS, JOB_SELECTED);
	if (plan->version->target_type == TARGET_CONNECTING)
		why->lists[LIST_DROPPED_TARGETS] =
		    list_targets(plan, JOB_SELECTED, 0);
	why->lists[LIST_OUT_OF_SCOPE] = list_out_of_scope(plan);
	return DECIDED;
}
