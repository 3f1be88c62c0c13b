#include "tests/unit/toy_rules.h"

static bool
is_same_input(struct toy_input a, struct toy_input b)
{
	return a.dataset == b.dataset && a.branch == b.branch;
}

/* Whether a record says of an input what would be read now. */
static bool
is_recorded(const struct toy_branch *last, struct toy_input input, int now)
{
	int i;

	for (i = 0; i < last->n_records; i++)
		if (is_same_input(last->records[i].input, input))
			return last->records[i].transaction == now;
	return false;
}

static bool
has_input(const struct toy_spec *spec, struct toy_input input)
{
	int i;

	for (i = 0; i < spec->n_inputs; i++)
		if (is_same_input(spec->inputs[i], input))
			return true;
	return false;
}

static bool
inputs_changed(const struct toy *toy, const struct toy_spec *spec,
    const struct toy_branch *last)
{
	int i, branch;

	for (i = 0; i < spec->n_inputs; i++) {
		branch = judge_read(toy, spec->inputs[i]);
		if (branch != TOY_NONE &&
		    !is_recorded(last, spec->inputs[i],
			toy->datasets[spec->inputs[i].dataset]
			    .branches[branch]
			    .head))
			return true;
	}
	for (i = 0; i < last->n_records; i++)
		if (!has_input(spec, last->records[i].input))
			return true;
	return false;
}

static bool
is_never_built(const struct toy *toy, const struct toy_spec *spec, int output)
{
	struct toy_input read = { output, TOY_NONE };

	if (spec->staleness == STALE_NEVER)
		return judge_read(toy, read) == TOY_NONE;
	return !judge_has_branch(toy, output, toy->chain[0]) ||
	    !toy->datasets[output].branches[toy->chain[0]].is_built;
}

/* The first reason that needs no look at producers; TOY_NONE: none. */
static int
own_reason(const struct toy *toy, const struct toy_spec *spec)
{
	const struct toy_branch *last;
	bool logic = false, inputs = false;
	int o;

	if (toy->force)
		return REASON_FORCED;
	for (o = 0; o < spec->n_outputs; o++)
		if (is_never_built(toy, spec, spec->outputs[o]))
			return REASON_NEVER_BUILT;
	if (spec->staleness == STALE_NEVER)
		return TOY_NONE;
	for (o = 0; o < spec->n_outputs; o++) {
		last = &toy->datasets[spec->outputs[o]].branches[toy->chain[0]];
		logic |= last->logic != spec->logic;
		inputs |= inputs_changed(toy, spec, last);
	}
	if (logic)
		return REASON_NEW_LOGIC;
	if (inputs)
		return REASON_INPUTS_CHANGED;
	return spec->staleness == STALE_ALWAYS ? REASON_ALWAYS_STALE : TOY_NONE;
}

static bool
reads_what_runs(const struct toy *toy, const struct verdict *verdict, int spec)
{
	int i, producer;

	for (i = 0; i < toy->specs[spec].n_inputs; i++) {
		producer = judge_edge(toy, verdict, toy->specs[spec].inputs[i]);
		if (producer != TOY_NONE && verdict->runs[producer])
			return true;
	}
	return false;
}

static void
find_what_runs(const struct toy *toy, struct verdict *verdict)
{
	bool grows = true;
	int s, reason;

	while (grows) {
		grows = false;
		for (s = 0; s < toy->n_specs; s++) {
			if (!verdict->selected[s] || verdict->runs[s])
				continue;
			if (own_reason(toy, &toy->specs[s]) == TOY_NONE &&
			    (toy->specs[s].staleness == STALE_NEVER ||
				!reads_what_runs(toy, verdict, s)))
				continue;
			verdict->runs[s] = grows = true;
			verdict->n_runs++;
		}
	}
	for (s = 0; s < toy->n_specs; s++) {
		reason = own_reason(toy, &toy->specs[s]);
		if (reason == TOY_NONE ||
		    (reason == REASON_ALWAYS_STALE &&
			reads_what_runs(toy, verdict, s)))
			reason = REASON_UPSTREAM;
		verdict->reasons[s] = (enum reason_cause)reason;
	}
}

static void
list_targets(const struct toy *toy, struct verdict *verdict)
{
	int d, spec;

	for (d = 0; d < TOY_DATASETS; d++) {
		if (!toy->targets[d])
			continue;
		spec = judge_spec(toy, d);
		if (!verdict->selected[spec])
			names_add(
			    &verdict->dropped_targets, toy_dataset_name(d));
		else if (!verdict->runs[spec])
			names_add(
			    &verdict->up_to_date_targets, toy_dataset_name(d));
	}
}

static void
list_out_of_scope(const struct toy *toy, struct verdict *verdict)
{
	int s, i, producer;

	for (s = 0; s < toy->n_specs; s++)
		for (i = 0; verdict->selected[s] && i < toy->specs[s].n_inputs;
		     i++) {
			struct toy_input input = toy->specs[s].inputs[i];

			producer = judge_spec(toy, input.dataset);
			if (toy->type == TARGET_MANUAL ||
			    !judge_on_branch(toy, input) ||
			    toy->ignored[input.dataset] ||
			    producer == TOY_NONE ||
			    verdict->selected[producer] ||
			    judge_may_build(toy, producer))
				continue;
			if (toy->type == TARGET_UPSTREAM ||
			    judge_connects(toy, producer, verdict->selected))
				names_add(&verdict->out_of_scope,
				    judge_key(toy, producer));
		}
}

void
judge_staleness(const struct toy *toy, struct verdict *verdict)
{
	find_what_runs(toy, verdict);
	verdict->phase = 11;
	verdict->cause = verdict->n_runs > 0 ? "stale" : "upToDate";
	list_targets(toy, verdict);
	list_out_of_scope(toy, verdict);
}
