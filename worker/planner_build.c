#include "worker/planner_internal.h"

#include <assert.h>
#include <string.h>

/*
 * P8 and P11: the order of the selected jobs, which of them run, and the build
 * they make.  A job's reason is decided in one pass, producers first; what it
 * says in full is mostly worked out when the build's jobs are written.
 */
static const char *const reason_causes[] = {
	[REASON_FORCED] = "forced",
	[REASON_NEVER_BUILT] = "neverBuilt",
	[REASON_NEW_LOGIC] = "newLogic",
	[REASON_INPUTS_CHANGED] = "inputsChanged",
	[REASON_UPSTREAM] = "upstream",
	[REASON_ALWAYS_STALE] = "alwaysStale",
};
#define UP_TO_DATE (-1)

const char *
reason_cause_text(enum reason_cause cause)
{
	return reason_causes[cause];
}

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
	plan->outcome.why.blocked = plan->n_selected - (int32_t)plan->order.n;
	return decide_error(plan, CAUSE_CYCLE, &filling);
}

/* The last build of an output on the build branch; NULL: none. */
static const struct built *
last_built(
    const struct plan *plan, const struct graph_job *job, uint32_t output)
{
	const struct graph_dataset *dataset =
	    graph_dataset(&plan->graph, job->outputs[output]);

	return dataset->place == 0 ? dataset->read->built : NULL;
}

static bool
is_never_built(
    const struct plan *plan, const struct graph_job *job, uint32_t output)
{
	if (job->spec->staleness == STALE_NEVER)
		return graph_dataset(&plan->graph, job->outputs[output])
			   ->read == NULL;
	return last_built(plan, job, output) == NULL;
}

static bool
has_new_logic(
    const struct plan *plan, const struct graph_job *job, uint32_t output)
{
	const struct built *built = last_built(plan, job, output);

	assert(built != NULL); /* lacks_build was asked first */
	return !text_equal(built->logic, job->spec->logic);
}

/* The first output of which `holds` is true; n_outputs if there is none. */
static uint32_t
find_output(const struct plan *plan, const struct graph_job *job,
    bool (*holds)(const struct plan *, const struct graph_job *, uint32_t))
{
	uint32_t i;

	for (i = 0; i < job->n_outputs; i++)
		if (holds(plan, job, i))
			break;
	return i;
}

static const struct built_input *
find_built_input(const struct built *built, const struct spec_input *input)
{
	size_t low = 0, high = built->n_inputs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = input_key_compare(built->inputs[middle].key, input);

		if (order == 0)
			return &built->inputs[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * The usual case, in one pass: same keys in the same order, same data.  What
 * else there may be, only listing the changes tells.
 */
static bool
is_plainly_same(const struct plan *plan, const struct graph_job *job,
    const struct built *built)
{
	const struct spec_input *inputs = job->spec->inputs;
	uint32_t i;

	assert(built != NULL);
	if (built->n_inputs != job->n_inputs)
		return false;
	for (i = 0; i < job->n_inputs; i++) {
		const struct branch *branch = graph_read(&plan->graph, job, i);

		if (branch == NULL ||
		    !text_equal(built->inputs[i].transaction, branch->head) ||
		    input_key_compare(built->inputs[i].key, &inputs[i]) != 0)
			return false;
	}
	return true;
}

static bool
differs(const struct plan *plan, const struct graph_job *job, uint32_t i,
    const struct built *built)
{
	const struct branch *branch = graph_read(&plan->graph, job, i);
	const struct built_input *was;

	if (branch == NULL)
		return false; /* nothing to read yet: not compared */
	was = find_built_input(built, &job->spec->inputs[i]);
	return was == NULL || !text_equal(was->transaction, branch->head);
}

static bool
differs_for_an_output(
    const struct plan *plan, const struct graph_job *job, uint32_t i)
{
	uint32_t k;

	for (k = 0; k < job->n_outputs; k++)
		if (differs(plan, job, i, last_built(plan, job, k)))
			return true;
	return false;
}

/* The order of an input against a key, for inputs sorted by rid, branch. */
static bool
is_input(const struct job_spec *spec, struct text key)
{
	const char *at = memchr(key.at, '@', key.size);
	size_t size = at != NULL ? (size_t)(at - key.at) : key.size;
	struct text rid = { key.at, size }, branch = TEXT_NONE;
	size_t low = 0, high = spec->n_inputs;

	if (at != NULL)
		branch = (struct text){ at + 1, key.size - size - 1 };
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct spec_input *input = &spec->inputs[middle];
		int order = text_compare(input->rid, rid);

		if (order == 0 && (input->branch.at == NULL) != (at == NULL))
			order = input->branch.at == NULL ? -1 : 1;
		else if (order == 0 && at != NULL)
			order = text_compare(input->branch, branch);
		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static void
pile_removed(const struct graph_job *job, const struct built *built,
    struct text_pile *removed)
{
	size_t i;

	assert(built != NULL);
	for (i = 0; i < built->n_inputs; i++)
		if (!is_input(job->spec, built->inputs[i].key))
			pile_add(removed, built->inputs[i].key);
}

/* Keys that differ, union over the outputs: changed or added, and removed. */
static void
list_changes(
    struct plan *plan, const struct graph_job *job, struct lister *changes)
{
	struct text_pile removed = { .arena = plan->arena };
	uint32_t i;

	changes->count = 0;
	for (i = 0; i < job->n_inputs; i++)
		if (differs_for_an_output(plan, job, i))
			lister_add(changes,
			    input_key(plan->arena, &job->spec->inputs[i]));
	for (i = 0; i < job->n_outputs; i++)
		pile_removed(job, last_built(plan, job, i), &removed);
	pile_list(&removed, changes);
}

static void
keep_changes(
    struct plan *plan, struct graph_job *job, const struct lister *changes)
{
	struct listing *more;

	if (plan->n_changes == plan->changes_capacity) {
		plan->changes_capacity = 2 * plan->n_changes + 4;
		more = arena_alloc(
		    plan->arena, plan->changes_capacity * sizeof *more);
		if (plan->n_changes > 0)
			memcpy(more, plan->changes,
			    plan->n_changes * sizeof *more);
		plan->changes = more;
	}
	job->changes = plan->n_changes;
	plan->changes[plan->n_changes++] = lister_finish(changes, plan->arena);
}

/* Keeps what has changed for the reason, while all of it is in the cache. */
static bool
has_changed_inputs(struct plan *plan, struct graph_job *job)
{
	struct lister changes;
	uint32_t i;

	for (i = 0; i < job->n_outputs; i++)
		if (!is_plainly_same(plan, job, last_built(plan, job, i)))
			break;
	if (i == job->n_outputs)
		return false;
	list_changes(plan, job, &changes);
	if (changes.count == 0)
		return false;
	keep_changes(plan, job, &changes);
	return true;
}

static bool
producer_runs(const struct plan *plan, uint32_t input)
{
	uint32_t producer = order_edge_selected(&plan->graph, input);

	return producer != GRAPH_NONE &&
	    (graph_job(&plan->graph, producer)->flags & JOB_RUNS) != 0;
}

static bool
has_running_producer(const struct plan *plan, const struct graph_job *job)
{
	uint32_t i;

	for (i = 0; i < job->n_inputs; i++)
		if (producer_runs(plan, job->inputs[i]))
			return true;
	return false;
}

/* The first reason that holds (semantics, P11), or UP_TO_DATE. */
static int
decide_reason(struct plan *plan, struct graph_job *job)
{
	uint32_t n = job->n_outputs;

	if (plan->version->force_build)
		return REASON_FORCED;
	if (find_output(plan, job, is_never_built) < n)
		return REASON_NEVER_BUILT;
	if (job->spec->staleness == STALE_NEVER)
		return UP_TO_DATE;
	if (find_output(plan, job, has_new_logic) < n)
		return REASON_NEW_LOGIC;
	if (has_changed_inputs(plan, job))
		return REASON_INPUTS_CHANGED;
	if (has_running_producer(plan, job))
		return REASON_UPSTREAM;
	if (job->spec->staleness == STALE_ALWAYS)
		return REASON_ALWAYS_STALE;
	return UP_TO_DATE;
}

static void
fill_upstream(struct plan *plan, const struct graph_job *from, struct job *job)
{
	struct lister keys;
	uint32_t i;

	keys.count = 0;
	for (i = 0; i < from->n_inputs; i++)
		if (producer_runs(plan, from->inputs[i]))
			lister_add(&keys,
			    input_key(plan->arena, &from->spec->inputs[i]));
	job->reason_inputs = lister_finish(&keys, plan->arena);
}

static void
fill_reason(struct plan *plan, const struct graph_job *from, struct job *job)
{
	uint32_t output;

	job->reason = (enum reason_cause)from->reason;
	switch (job->reason) {
	case REASON_NEVER_BUILT:
		output = find_output(plan, from, is_never_built);
		job->reason_output = from->spec->outputs[output];
		break;
	case REASON_NEW_LOGIC:
		output = find_output(plan, from, has_new_logic);
		job->reason_output = from->spec->outputs[output];
		job->reason_from = last_built(plan, from, output)->logic;
		job->reason_to = from->spec->logic;
		break;
	case REASON_INPUTS_CHANGED:
		job->reason_inputs = plan->changes[from->changes];
		break;
	case REASON_UPSTREAM:
		fill_upstream(plan, from, job);
		break;
	case REASON_FORCED:
	case REASON_ALWAYS_STALE:
		break;
	}
}

/* Where the build's jobs take their arrays from: exactly as much as they need.
 */
struct stock {
	struct job_output *outputs;
	struct job_input *inputs;
	int32_t *depends_on;
};

static void
fill_outputs(struct plan *plan, const struct graph_job *from,
    struct stock *stock, struct job *job)
{
	uint32_t i;
	uint32_t place;

	job->outputs = stock->outputs;
	for (i = 0; i < from->n_outputs; i++) {
		struct job_output *output = stock->outputs++;

		place = graph_dataset(&plan->graph, from->outputs[i])->place;
		*output = (struct job_output){
			.rid = i == 0 ? from->key : from->spec->outputs[i],
			.new_branch = place > 0,
		};
		if (place > 0 && place < plan->graph.n_chain)
			output->parent = plan->graph.chain[place];
	}
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
		const struct branch *branch;
		uint32_t number = INPUT_DATASET(from->inputs[i]);

		*input = (struct job_input){
			.rid = graph_dataset(&plan->graph, number)->world->rid,
			.pinned = (from->inputs[i] & INPUT_PINNED) != 0,
			.job = -1
		};
		if (producer_runs(plan, from->inputs[i])) {
			input->job = graph_job(&plan->graph,
			    order_edge_selected(&plan->graph, from->inputs[i]))
					 ->position;
			depends[n++] = input->job;
			continue;
		}
		branch = graph_read(&plan->graph, from, i);
		input->branch = branch->name;
		input->transaction = branch->head;
	}
	job->depends_on = depends;
	job->n_depends_on = sort_positions(plan->arena, depends, n);
	stock->depends_on += job->n_depends_on;
}

/* Exactly the outputs and inputs of the jobs, and an upper bound of edges. */
static struct stock
make_stock(struct plan *plan, const struct list *order)
{
	size_t outputs = 0, inputs = 0, edges = 0;
	uint32_t i;
	struct stock stock;
	uint32_t k;

	for (k = 0; k < order->n; k++) {
		const struct graph_job *job =
		    graph_job(&plan->graph, order->at[k]);

		outputs += job->n_outputs;
		inputs += job->n_inputs;
		for (i = 0; i < job->n_inputs; i++)
			edges += producer_runs(plan, job->inputs[i]);
	}
	stock.outputs =
	    arena_alloc(plan->arena, outputs * sizeof *stock.outputs);
	stock.inputs = arena_alloc(plan->arena, inputs * sizeof *stock.inputs);
	stock.depends_on =
	    arena_alloc(plan->arena, edges * sizeof *stock.depends_on);
	return stock;
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

	outcome->build_id = rid_build(&outcome->run_id);
	order_build(&plan->graph, &plan->links, &order);
	stock = make_stock(plan, &order);
	jobs = arena_alloc(plan->arena, order.n * sizeof *jobs);
	for (i = 0; i < order.n; i++) {
		const struct graph_job *from =
		    graph_job(&plan->graph, order.at[i]);

		jobs[i] = (struct job){
			.id = rid_job(&outcome->build_id, from->key),
			.spec = from->spec,
		};
		fill_outputs(plan, from, &stock, &jobs[i]);
		fill_inputs(plan, from, &stock, &jobs[i]);
		fill_reason(plan, from, &jobs[i]);
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
		return (struct listing){ 0, NULL };
	for (i = 0; i < plan->order.n; i++)
		pile_kept_out(
		    plan, graph_job(&plan->graph, plan->order.at[i]), &pile);
	pile_list(&pile, &lister);
	return lister_finish(&lister, plan->arena);
}

static void
explain(struct plan *plan, int32_t running)
{
	struct why *why = &plan->outcome.why;

	why->phase = 11;
	why->cause = running > 0 ? "stale" : "upToDate";
	why->selected = plan->n_selected;
	why->running = running;
	why->up_to_date = plan->n_selected - running;
	if (why->up_to_date > 0)
		why->up_to_date_targets =
		    list_targets(plan, JOB_SELECTED | JOB_RUNS, JOB_SELECTED);
	if (plan->version->target_type == TARGET_CONNECTING)
		why->dropped_targets = list_targets(plan, JOB_SELECTED, 0);
	why->out_of_scope = list_out_of_scope(plan);
}

enum verdict
phase_staleness(struct plan *plan)
{
	int32_t running = 0;
	uint32_t i;

	for (i = 0; i < plan->order.n; i++) {
		struct graph_job *job =
		    graph_job(&plan->graph, plan->order.at[i]);

		job->reason = (int8_t)decide_reason(plan, job);
		if (job->reason == UP_TO_DATE)
			continue;
		job->flags |= JOB_RUNS;
		running++;
	}
	if (running > 0)
		make_build(plan);
	plan->outcome.type = running > 0 ? OUTCOME_SUBMITTED : OUTCOME_IGNORED;
	explain(plan, running);
	return DECIDED;
}
