#include "tests/unit/toy_judge.h"

#include <string.h>

#include "tests/unit/toy_rules.h"

void
names_add(struct names *names, struct text name)
{
	int at = names->n, i;

	for (i = 0; i < names->n; i++)
		if (text_equal(names->at[i], name))
			return;
	for (; at > 0 && text_compare(name, names->at[at - 1]) < 0; at--)
		names->at[at] = names->at[at - 1];
	names->at[at] = name;
	names->n++;
}

int
judge_spec(const struct toy *toy, int dataset)
{
	int i, spec;

	for (i = 0; i < toy->n_chain; i++) {
		spec = toy_spec_on(toy, dataset, toy->chain[i]);
		if (spec != TOY_NONE)
			return spec;
	}
	return TOY_NONE;
}

struct text
judge_key(const struct toy *toy, int spec)
{
	struct names outputs = { 0 };
	int o;

	for (o = 0; o < toy->specs[spec].n_outputs; o++)
		names_add(
		    &outputs, toy_dataset_name(toy->specs[spec].outputs[o]));
	return outputs.at[0];
}

bool
judge_has_branch(const struct toy *toy, int dataset, int branch)
{
	return toy->datasets[dataset].is_there &&
	    toy->datasets[dataset].branches[branch].is_there;
}

int
judge_read(const struct toy *toy, struct toy_input input)
{
	int i;

	if (input.branch != TOY_NONE)
		return judge_has_branch(toy, input.dataset, input.branch)
		    ? input.branch
		    : TOY_NONE;
	for (i = 0; i < toy->n_chain; i++)
		if (judge_has_branch(toy, input.dataset, toy->chain[i]))
			return toy->chain[i];
	return TOY_NONE;
}

bool
judge_on_branch(const struct toy *toy, struct toy_input input)
{
	return input.branch == TOY_NONE || input.branch == toy->chain[0];
}

int
judge_edge(const struct toy *toy, const struct verdict *verdict,
    struct toy_input input)
{
	int producer = judge_spec(toy, input.dataset);

	return judge_on_branch(toy, input) && producer != TOY_NONE &&
		verdict->selected[producer]
	    ? producer
	    : TOY_NONE;
}

static bool
may_build(const struct toy *toy, int dataset)
{
	int project = toy->datasets[dataset].project;

	if (!toy->datasets[dataset].is_there)
		return true;
	return toy->scope == SCOPE_PROJECT
	    ? toy->scope_projects[project]
	    : toy->users[toy->owner].roles[project] >= ROLE_EDITOR;
}

static bool
may_read(const struct toy *toy, int dataset)
{
	int project = toy->datasets[dataset].project, p;

	if (!toy->datasets[dataset].is_there)
		return true;
	if (toy->scope == SCOPE_USER)
		return toy->users[toy->owner].roles[project] >= ROLE_VIEWER;
	for (p = 0; p < TOY_PROJECTS; p++)
		if (toy->scope_projects[p] &&
		    (p == project || toy->references[p][dataset]))
			return true;
	return false;
}

bool
judge_may_build(const struct toy *toy, int spec)
{
	int o;

	for (o = 0; o < toy->specs[spec].n_outputs; o++)
		if (!may_build(toy, toy->specs[spec].outputs[o]))
			return false;
	return true;
}

static bool
decide(struct verdict *verdict, int phase, const char *cause)
{
	verdict->phase = phase;
	verdict->cause = cause;
	return true;
}

static bool
decide_if_any(struct verdict *verdict, int phase, const char *cause)
{
	return verdict->offenders.n > 0 && decide(verdict, phase, cause);
}

static bool
judge_people(const struct toy *toy, struct verdict *verdict)
{
	if (toy->paused && toy->requester == TOY_NONE)
		return decide(verdict, 1, "paused");
	if (toy->requester != TOY_NONE && !toy->users[toy->requester].is_there)
		return decide(verdict, 2, "requesterUnknown");
	if (toy->requester != TOY_NONE && !toy->users[toy->requester].active)
		return decide(verdict, 2, "requesterInactive");
	if (toy->scope == SCOPE_USER && !toy->users[toy->owner].is_there)
		return decide(verdict, 3, "ownerUnknown");
	if (toy->scope == SCOPE_USER && !toy->users[toy->owner].active)
		return decide(verdict, 3, "ownerInactive");
	return false;
}

static bool
judge_shape(const struct toy *toy, struct verdict *verdict)
{
	int n_targets = 0, n_inputs = 0, d;

	for (d = 0; d < TOY_DATASETS; d++) {
		n_targets += toy->targets[d];
		n_inputs += toy->inputs[d];
	}
	if (n_targets == 0)
		return decide(verdict, 4, "noTargets");
	if (toy->type == TARGET_CONNECTING && n_inputs == 0)
		return decide(verdict, 4, "noInputs");
	for (d = 0; d < TOY_DATASETS; d++)
		if (toy->targets[d] && toy->ignored[d])
			names_add(&verdict->offenders, toy_dataset_name(d));
	return decide_if_any(verdict, 4, "targetIgnored");
}

static bool
judge_named(const struct toy *toy, struct verdict *verdict)
{
	struct names *offenders = &verdict->offenders;
	int d;

	for (d = 0; d < TOY_DATASETS; d++)
		if ((toy->targets[d] || toy->inputs[d]) &&
		    !toy->datasets[d].is_there)
			names_add(offenders, toy_dataset_name(d));
	if (decide_if_any(verdict, 5, "datasetNotFound"))
		return true;
	for (d = 0; d < TOY_DATASETS; d++)
		if ((toy->targets[d] || toy->inputs[d]) &&
		    toy->datasets[d].trashed)
			names_add(offenders, toy_dataset_name(d));
	if (decide_if_any(verdict, 5, "datasetTrashed"))
		return true;
	for (d = 0; d < TOY_DATASETS; d++)
		if (toy->targets[d] && toy->requester != TOY_NONE &&
		    toy->users[toy->requester].roles[toy->datasets[d].project] <
			ROLE_EDITOR)
			names_add(offenders, toy_dataset_name(d));
	if (decide_if_any(verdict, 5, "requesterRole"))
		return true;
	for (d = 0; d < TOY_DATASETS; d++)
		if (toy->targets[d] && judge_spec(toy, d) == TOY_NONE)
			names_add(offenders, toy_dataset_name(d));
	return decide_if_any(verdict, 5, "noJobSpec");
}

static bool
is_target_spec(const struct toy *toy, int spec)
{
	int d;

	for (d = 0; d < TOY_DATASETS; d++)
		if (toy->targets[d] && judge_spec(toy, d) == spec)
			return true;
	return false;
}

/* What the walk goes to from an input, TOY_NONE if nowhere. */
static int
next_of(const struct toy *toy, struct toy_input input)
{
	int producer = judge_spec(toy, input.dataset);

	if (toy->type == TARGET_MANUAL || !judge_on_branch(toy, input) ||
	    toy->ignored[input.dataset] || producer == TOY_NONE ||
	    !judge_may_build(toy, producer))
		return TOY_NONE;
	return producer;
}

static void
grow_reach(const struct toy *toy, bool *reached)
{
	bool grows = true;
	int s, i, next;

	while (grows) {
		grows = false;
		for (s = 0; s < toy->n_specs; s++)
			for (i = 0; reached[s] && i < toy->specs[s].n_inputs;
			     i++) {
				next = next_of(toy, toy->specs[s].inputs[i]);
				if (next == TOY_NONE || reached[next])
					continue;
				reached[next] = grows = true;
			}
	}
}

bool
judge_connects(const struct toy *toy, int spec, const bool *selected)
{
	int i, producer;

	for (i = 0; i < toy->specs[spec].n_inputs; i++) {
		struct toy_input input = toy->specs[spec].inputs[i];

		if (!judge_on_branch(toy, input))
			continue;
		producer = judge_spec(toy, input.dataset);
		if (toy->inputs[input.dataset] ||
		    (!toy->ignored[input.dataset] && producer != TOY_NONE &&
			selected[producer]))
			return true;
	}
	return false;
}

static void
select_specs(const struct toy *toy, const bool *reached, bool *selected)
{
	bool grows = true;
	int s;

	while (grows) {
		grows = false;
		for (s = 0; s < toy->n_specs; s++) {
			if (!reached[s] || selected[s])
				continue;
			if (toy->type == TARGET_CONNECTING &&
			    !judge_connects(toy, s, selected))
				continue;
			selected[s] = grows = true;
		}
	}
}

static bool
judge_selection(const struct toy *toy, struct verdict *verdict)
{
	bool reached[TOY_SPECS] = { false };
	int n_reached = 0, n_inputs = 0, s, d;

	for (s = 0; s < toy->n_specs; s++)
		reached[s] = is_target_spec(toy, s);
	grow_reach(toy, reached);
	for (s = 0; s < toy->n_specs; s++) {
		n_reached += reached[s];
		n_inputs += reached[s] ? toy->specs[s].n_inputs : 0;
	}
	if (toy->max_jobs != TOY_NONE && n_reached > toy->max_jobs)
		return decide(verdict, 6, "tooManyJobs");
	if (toy->max_inputs != TOY_NONE && n_inputs > toy->max_inputs)
		return decide(verdict, 6, "tooManyInputs");
	select_specs(toy, reached, verdict->selected);
	for (s = 0; s < toy->n_specs; s++)
		verdict->n_selected += verdict->selected[s];
	if (verdict->n_selected > 0)
		return false;
	for (d = 0; d < TOY_DATASETS; d++)
		if (toy->targets[d])
			names_add(&verdict->offenders, toy_dataset_name(d));
	return decide(verdict, 6, "notConnected");
}

static int
place_in_chain(const struct toy *toy, int branch)
{
	int i;

	for (i = 0; i < toy->n_chain; i++)
		if (toy->chain[i] == branch)
			return i;
	return TOY_NONE;
}

static bool
contradicts_ancestry(const struct toy *toy, int dataset)
{
	int branch = judge_read(toy, (struct toy_input){ dataset, TOY_NONE });
	int last = TOY_NONE, place;

	while (branch != TOY_NONE && judge_has_branch(toy, dataset, branch)) {
		place = place_in_chain(toy, branch);
		if (place != TOY_NONE && place < last)
			return true;
		if (place != TOY_NONE)
			last = place;
		branch = toy->datasets[dataset].branches[branch].parent;
	}
	return false;
}

static bool
is_ignored(const struct toy *toy, int spec, int output)
{
	(void)spec;
	return toy->ignored[output];
}

static bool
is_conflicting(const struct toy *toy, int spec, int output)
{
	return judge_spec(toy, output) != spec;
}

static bool
is_disordered(const struct toy *toy, int spec, int output)
{
	(void)spec;
	return contradicts_ancestry(toy, output);
}

static bool
is_denied(const struct toy *toy, int spec, int output)
{
	return is_target_spec(toy, spec) && !may_build(toy, output);
}

static bool
is_missing(const struct toy *toy, int spec, int output)
{
	(void)spec;
	return !toy->datasets[output].is_there;
}

static bool
is_trashed(const struct toy *toy, int spec, int output)
{
	(void)spec;
	return toy->datasets[output].trashed;
}

/* Offenders are the selected specs' outputs of which `offends` is true. */
static bool
judge_outputs(const struct toy *toy, struct verdict *verdict,
    bool (*offends)(const struct toy *, int, int), int phase, const char *cause)
{
	int s, o;

	for (s = 0; s < toy->n_specs; s++)
		for (o = 0; verdict->selected[s] && o < toy->specs[s].n_outputs;
		     o++)
			if (offends(toy, s, toy->specs[s].outputs[o]))
				names_add(&verdict->offenders,
				    toy_dataset_name(toy->specs[s].outputs[o]));
	return decide_if_any(verdict, phase, cause);
}

static bool
is_unmade(const struct toy *toy, const struct verdict *verdict,
    struct toy_input input)
{
	int producer = judge_edge(toy, verdict, input), o;

	if (judge_read(toy, input) != TOY_NONE)
		return false;
	if (producer == TOY_NONE)
		return true;
	if (toy->specs[producer].staleness != STALE_NEVER || toy->force ||
	    input.branch != toy->chain[0])
		return false;
	for (o = 0; o < toy->specs[producer].n_outputs; o++)
		if (judge_read(toy,
			(struct toy_input){ toy->specs[producer].outputs[o],
			    TOY_NONE }) == TOY_NONE)
			return false;
	return true;
}

static bool
is_unreadable(const struct toy *toy, const struct verdict *verdict,
    struct toy_input input)
{
	(void)verdict;
	return !may_read(toy, input.dataset);
}

static bool
is_unknown(const struct toy *toy, const struct verdict *verdict,
    struct toy_input input)
{
	(void)verdict;
	return !toy->datasets[input.dataset].is_there;
}

static bool
is_in_trash(const struct toy *toy, const struct verdict *verdict,
    struct toy_input input)
{
	(void)verdict;
	return toy->datasets[input.dataset].trashed;
}

struct input_rule {
	bool (*offends)(
	    const struct toy *, const struct verdict *, struct toy_input);
	int phase;
	const char *cause;
	bool by_key; /* offenders are input keys, not RIDs */
};

static bool
judge_inputs(const struct toy *toy, struct verdict *verdict,
    const struct input_rule *rule)
{
	int s, i;

	for (s = 0; s < toy->n_specs; s++)
		for (i = 0; verdict->selected[s] && i < toy->specs[s].n_inputs;
		     i++) {
			struct toy_input input = toy->specs[s].inputs[i];

			if (!rule->offends(toy, verdict, input))
				continue;
			if (!rule->by_key)
				input.branch = TOY_NONE;
			names_add(&verdict->offenders, toy_input_key(input));
		}
	return decide_if_any(verdict, rule->phase, rule->cause);
}

/* Takes away what waits for nobody until only what is blocked is left. */
static bool
judge_cycles(const struct toy *toy, struct verdict *verdict)
{
	bool shrinks = true;
	int s, i, producer;

	memcpy(verdict->blocked, verdict->selected, sizeof verdict->blocked);
	verdict->n_blocked = verdict->n_selected;
	while (shrinks) {
		shrinks = false;
		for (s = 0; s < toy->n_specs; s++) {
			bool waits = false;

			for (i = 0; i < toy->specs[s].n_inputs; i++) {
				producer = judge_edge(
				    toy, verdict, toy->specs[s].inputs[i]);
				waits |= producer != TOY_NONE &&
				    verdict->blocked[producer];
			}
			if (waits || !verdict->blocked[s])
				continue;
			verdict->blocked[s] = false;
			verdict->n_blocked--;
			shrinks = true;
		}
	}
	return verdict->n_blocked > 0 && decide(verdict, 8, "cycle");
}

static bool
judge_rights(const struct toy *toy, struct verdict *verdict)
{
	bool is_user = toy->scope == SCOPE_USER;
	const struct input_rule read = { is_unreadable, 9,
		is_user ? "readDeniedUser" : "readDeniedProject", false };

	return judge_outputs(toy, verdict, is_denied, 9,
		   is_user ? "buildDeniedUser" : "buildDeniedProject") ||
	    judge_inputs(toy, verdict, &read);
}

static bool
judge_datasets(const struct toy *toy, struct verdict *verdict)
{
	static const struct input_rule rules[] = {
		{ is_unknown, 10, "inputNotFound", false },
		{ is_in_trash, 10, "inputTrashed", false },
		{ is_unmade, 10, "inputNoBranch", true },
	};
	int i;

	if (judge_outputs(toy, verdict, is_missing, 10, "outputNotFound") ||
	    judge_outputs(toy, verdict, is_trashed, 10, "outputTrashed"))
		return true;
	for (i = 0; i < 3; i++)
		if (judge_inputs(toy, verdict, &rules[i]))
			return true;
	return false;
}

void
toy_judge(const struct toy *toy, struct verdict *verdict)
{
	*verdict = (struct verdict){ 0 };
	if (judge_people(toy, verdict) || judge_shape(toy, verdict) ||
	    judge_named(toy, verdict) || judge_selection(toy, verdict) ||
	    judge_outputs(toy, verdict, is_ignored, 7, "ignoredOutput") ||
	    judge_outputs(
		toy, verdict, is_conflicting, 7, "conflictingSpecs") ||
	    judge_outputs(toy, verdict, is_disordered, 7, "branchAncestry") ||
	    judge_cycles(toy, verdict) || judge_rights(toy, verdict) ||
	    judge_datasets(toy, verdict))
		return;
	judge_staleness(toy, verdict);
}
