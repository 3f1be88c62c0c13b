#include "worker/plan/internal.h"

#include <assert.h>
#include <string.h>

/*
 * P11: why a job runs, if it does.  What the reason says in full is mostly
 * worked out when the build's jobs are written; only lists of changed inputs
 * are kept from when they were found.
 */
/*
 * The last build of an output on the build branch; NULL: none.  A build on a
 * fallback says nothing of this branch, which a run would make.
 */
static const struct built *
last_built(
    const struct plan *plan, const struct graph_job *job, uint32_t output)
{
	const struct graph_dataset *dataset =
	    graph_dataset(&plan->graph, job->outputs[output]);

	return dataset->place == 0 ? dataset->read->built : NULL;
}

/* The same where there is one: is_never_built was asked first. */
static const struct built *
known_build(
    const struct plan *plan, const struct graph_job *job, uint32_t output)
{
	const struct built *built = last_built(plan, job, output);

	assert(built != NULL);
	return built;
}

/*
 * What is never stale (a sync) is filled from outside: it was perhaps never
 * built by a run, and still has data.  Only where no branch of the chain is
 * there must it run, or its readers would have nothing to read.
 */
static bool
is_never_built(
    const struct plan *plan, const struct graph_job *job, uint32_t output)
{
	if (job->staleness == STALE_NEVER)
		return graph_dataset(&plan->graph, job->outputs[output])
			   ->read == NULL;
	return last_built(plan, job, output) == NULL;
}

static bool
has_new_logic(
    const struct plan *plan, const struct graph_job *job, uint32_t output)
{
	const struct built *built = known_build(plan, job, output);

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

/* By the order of keys as they would be written, without writing the key. */
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
 * else there may be, only listing the changes tells.  The order of keys and
 * that of inputs differ where a branch is pinned ("a@b" sorts behind "a-c", but
 * its dataset before), so false may still mean that nothing has changed.
 */
static bool
is_plainly_same(const struct plan *plan, const struct graph_job *job,
    const struct built *built)
{
	const struct spec_input *inputs = job->spec->inputs;
	uint32_t i;

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

/*
 * Transactions alone are compared, not branches: the same data under another
 * name is no change.
 */
static bool
input_differs(const struct plan *plan, const struct graph_job *job, uint32_t i,
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
		if (input_differs(plan, job, i, known_build(plan, job, k)))
			return true;
	return false;
}

/*
 * Whether a key is an input's.  Inputs are sorted by rid, then branch, unpinned
 * first; no rid has an "@", so a key's first one ends its rid.
 */
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
			    job_input_key(plan->arena, &job->spec->inputs[i]));
	for (i = 0; i < job->n_outputs; i++)
		pile_removed(job, known_build(plan, job, i), &removed);
	pile_list(&removed, changes);
}

/*
 * Keeps what has changed for the reason, while all of it is in the processor's
 * cache.  Most jobs of most plans end at the first loop.
 */
static bool
has_changed_inputs(struct plan *plan, struct graph_job *job)
{
	struct listing *more;
	struct lister changes;
	uint32_t i;

	for (i = 0; i < job->n_outputs; i++)
		if (!is_plainly_same(plan, job, known_build(plan, job, i)))
			break;
	if (i == job->n_outputs)
		return false;
	list_changes(plan, job, &changes);
	if (changes.count == 0)
		return false;
	/*
	 * One list for each job that has one, found by its number: a pointer in
	 * every graph_job would cost 8 bytes for each of 100,000 jobs that have
	 * none.
	 */
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
	plan->changes[plan->n_changes++] = lister_finish(&changes, plan->arena);
	return true;
}

/* The first reason that holds (docs/semantics.md, P11), or REASON_NONE. */
int
plan_decide_reason(struct plan *plan, struct graph_job *job)
{
	uint32_t n = job->n_outputs;

	if (plan->version->force_build)
		return REASON_FORCED;
	if (find_output(plan, job, is_never_built) < n)
		return REASON_NEVER_BUILT;
	/* Nor does it run because its producers do: it stops propagation. */
	if (job->staleness == STALE_NEVER)
		return REASON_NONE;
	/* From here on each output has a last build, as known_build wants. */
	if (find_output(plan, job, has_new_logic) < n)
		return REASON_NEW_LOGIC;
	if (has_changed_inputs(plan, job))
		return REASON_INPUTS_CHANGED;
	if (job->waits > 0)
		return REASON_UPSTREAM;
	if (job->staleness == STALE_ALWAYS)
		return REASON_ALWAYS_STALE;
	return REASON_NONE;
}

/* The keys of inputs that this build makes anew; only they are why it runs. */
static void
fill_upstream(struct plan *plan, const struct graph_job *from, struct job *job)
{
	struct lister keys;
	uint32_t i;

	keys.count = 0;
	for (i = 0; i < from->n_inputs; i++)
		if (plan_producer_runs(plan, from, i))
			lister_add(&keys,
			    job_input_key(plan->arena, &from->spec->inputs[i]));
	job->reason_inputs = lister_finish(&keys, plan->arena);
}

void
plan_fill_reason(
    struct plan *plan, const struct graph_job *from, struct job *job)
{
	uint32_t output;

	job->reason = (enum reason_cause)from->reason;
	switch (job->reason) {
	case REASON_NEVER_BUILT:
		output = find_output(plan, from, is_never_built);
		job->reason_output = &from->spec->outputs[output];
		break;
	case REASON_NEW_LOGIC:
		output = find_output(plan, from, has_new_logic);
		job->reason_output = &from->spec->outputs[output];
		job->reason_from = &known_build(plan, from, output)->logic;
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
