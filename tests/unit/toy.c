#include "tests/unit/toy.h"

#include <string.h>

static const char *const dataset_names[TOY_DATASETS] = { "m", "b", "c10", "c9",
	"Z", "a-1", "a.1", "a_1", "a", "z", "y", "x1", "x10", "x2", "B", "0",
	"k", "l", "c", "n", "-", "p", "q", "r", "gone", "Gone" };
static const char *const branch_names[TOY_BRANCHES] = { "master", "develop",
	"feature/1", "a@b", "\xc3\x9c \"x\\" };
static const char *const user_names[TOY_USERS] = { "ann", "{list}", "b\"o\\b" };

#define DATASET_PREFIX "ri.foundry.main.dataset."

int
dice_below(struct dice *dice, int n)
{
	uint64_t z = dice->state += 0x9e3779b97f4a7c15u; /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (int)((z ^ (z >> 31)) % (uint64_t)n);
}

bool
dice_chance(struct dice *dice, int percent)
{
	return dice_below(dice, 100) < percent;
}

struct text
toy_dataset_name(int dataset)
{
	static char names[TOY_DATASETS][40];
	char *name = names[dataset];

	if (name[0] == '\0') {
		memcpy(name, DATASET_PREFIX, sizeof DATASET_PREFIX - 1);
		memcpy(name + sizeof DATASET_PREFIX - 1, dataset_names[dataset],
		    strlen(dataset_names[dataset]) + 1);
	}
	return text_from(name);
}

struct text
toy_branch_name(int branch)
{
	return branch == TOY_NONE ? TEXT_NONE : text_from(branch_names[branch]);
}

struct text
toy_user_name(int user)
{
	return user == TOY_NONE ? TEXT_NONE : text_from(user_names[user]);
}

struct text
toy_input_key(struct toy_input input)
{
	static char keys[TOY_DATASETS][TOY_BRANCHES][64];
	struct text rid = toy_dataset_name(input.dataset), branch;
	char *key;

	if (input.branch == TOY_NONE)
		return rid;
	key = keys[input.dataset][input.branch];
	branch = toy_branch_name(input.branch);
	memcpy(key, rid.at, rid.size);
	key[rid.size] = '@';
	memcpy(key + rid.size + 1, branch.at, branch.size + 1);
	return text_from(key);
}

int
toy_dataset_number(struct text rid)
{
	int d;

	for (d = 0; d < TOY_DATASETS; d++)
		if (text_equal(rid, toy_dataset_name(d)))
			return d;
	return TOY_NONE;
}

int
toy_spec_on(const struct toy *toy, int dataset, int branch)
{
	int s, o;

	for (s = 0; s < toy->n_specs; s++)
		for (o = 0; o < toy->specs[s].n_outputs; o++)
			if (toy->specs[s].branch == branch &&
			    toy->specs[s].outputs[o] == dataset)
				return s;
	return TOY_NONE;
}

/* How often each kind of trouble comes up in one toy, in percent. */
struct mood {
	int missing, trashed, gap, pin, cycle, many_outputs, elsewhere, stale,
	    denied, ignored, parent, never, always;
};

static int
pick_rate(struct dice *dice)
{
	static const int rates[] = { 0, 0, 0, 0, 5, 15, 50 };

	return rates[dice_below(dice, 7)];
}

static struct mood
pick_mood(struct dice *dice)
{
	struct mood mood = { 0 };

	mood.pin = pick_rate(dice);
	mood.many_outputs = pick_rate(dice);
	mood.elsewhere = pick_rate(dice);
	mood.stale = pick_rate(dice);
	mood.ignored = pick_rate(dice) / 2;
	mood.parent = pick_rate(dice);
	mood.never = pick_rate(dice);
	mood.always = pick_rate(dice) / 2;
	if (dice_chance(dice, 60))
		return mood;
	mood.missing = pick_rate(dice) / 5;
	mood.trashed = pick_rate(dice) / 5;
	mood.gap = pick_rate(dice);
	mood.cycle = pick_rate(dice);
	mood.denied = pick_rate(dice) / 2;
	return mood;
}

static void
shuffle_branches(int *order, struct dice *dice)
{
	int i, k, swap;

	for (i = 0; i < TOY_BRANCHES; i++)
		order[i] = i;
	for (i = TOY_BRANCHES - 1; i > 0; i--) {
		k = dice_below(dice, i + 1);
		swap = order[i];
		order[i] = order[k];
		order[k] = swap;
	}
}

static void
make_chain(struct toy *toy, struct dice *dice)
{
	toy->n_chain = 1 + dice_below(dice, 4);
	shuffle_branches(toy->chain, dice);
}

/* Parents lead down one line of all branches, so that they never loop. */
static void
make_branches(
    struct toy *toy, int d, const struct mood *mood, struct dice *dice)
{
	int line[TOY_BRANCHES], i;

	shuffle_branches(line, dice);
	for (i = 0; i < TOY_BRANCHES; i++) {
		struct toy_branch *branch = &toy->datasets[d].branches[line[i]];

		branch->is_there =
		    dice_chance(dice, line[i] == toy->chain[0] ? 90 : 50) &&
		    !dice_chance(dice, mood->gap);
		branch->head =
		    dice_chance(dice, 90) ? toy->n_transactions++ : TOY_NONE;
		branch->parent = TOY_NONE;
		if (i + 1 < TOY_BRANCHES && dice_chance(dice, mood->parent))
			branch->parent = line[i + 1 +
			    dice_below(dice, TOY_BRANCHES - 1 - i)];
	}
}

static void
make_datasets(struct toy *toy, const struct mood *mood, struct dice *dice)
{
	int d;

	toy->n_datasets = 1 + dice_below(dice, TOY_DATASETS - TOY_UNKNOWN);
	for (d = 0; d < toy->n_datasets; d++) {
		struct toy_dataset *dataset = &toy->datasets[d];

		dataset->is_there = !dice_chance(dice, mood->missing);
		dataset->trashed = dice_chance(dice, mood->trashed);
		dataset->project =
		    dice_chance(dice, mood->denied) ? TOY_PROJECTS - 1 : 0;
		if (dice_chance(dice, 20))
			dataset->project = dice_below(dice, TOY_PROJECTS);
		make_branches(toy, d, mood, dice);
	}
}

static bool
has_input(const struct toy_spec *spec, struct toy_input input)
{
	int i;

	for (i = 0; i < spec->n_inputs; i++)
		if (spec->inputs[i].dataset == input.dataset &&
		    spec->inputs[i].branch == input.branch)
			return true;
	return false;
}

/* Datasets before `first` but where a cycle is wanted. */
static void
make_inputs(struct toy *toy, struct toy_spec *spec, int first,
    const struct mood *mood, struct dice *dice)
{
	int n = dice_below(dice, TOY_INPUTS + 1) * dice_below(dice, 3) / 2, i;

	for (i = 0; i < n && spec->n_inputs < TOY_INPUTS; i++) {
		int among =
		    dice_chance(dice, mood->cycle) ? toy->n_datasets : first;
		struct toy_input input = { 0, TOY_NONE };

		if (among == 0)
			continue;
		input.dataset = dice_below(dice, among);
		if (dice_chance(dice, mood->missing))
			input.dataset = TOY_DATASETS - 1 - dice_below(dice, 2);
		if (dice_chance(dice, mood->pin))
			input.branch = dice_chance(dice, 50)
			    ? toy->chain[0]
			    : dice_below(dice, TOY_BRANCHES);
		if (!has_input(spec, input))
			spec->inputs[spec->n_inputs++] = input;
	}
}

static void
add_output(struct toy *toy, struct toy_spec *spec, int dataset)
{
	int o;

	for (o = 0; o < spec->n_outputs; o++)
		if (spec->outputs[o] == dataset)
			return;
	if (toy_spec_on(toy, dataset, spec->branch) == TOY_NONE)
		spec->outputs[spec->n_outputs++] = dataset;
}

static void
make_spec(struct toy *toy, int first, int n_outputs, const struct mood *mood,
    struct dice *dice)
{
	struct toy_spec *spec = &toy->specs[toy->n_specs];
	int i;

	*spec = (struct toy_spec){ .logic = dice_below(dice, 2) };
	spec->branch = toy->chain[dice_below(dice, toy->n_chain)];
	if (dice_chance(dice, mood->elsewhere))
		spec->branch = dice_below(dice, TOY_BRANCHES);
	for (i = 0; i < n_outputs; i++)
		add_output(toy, spec, first + i);
	if (dice_chance(dice, mood->elsewhere) && spec->n_outputs < TOY_OUTPUTS)
		add_output(toy, spec, dice_below(dice, toy->n_datasets));
	if (spec->n_outputs == 0)
		return;
	if (dice_chance(dice, mood->never))
		spec->staleness = STALE_NEVER;
	else if (dice_chance(dice, mood->always))
		spec->staleness = STALE_ALWAYS;
	make_inputs(toy, spec, first, mood, dice);
	toy->n_specs++;
}

static void
make_specs(struct toy *toy, const struct mood *mood, struct dice *dice)
{
	int first = dice_below(dice, 3), n;

	for (; first < toy->n_datasets; first += n) {
		n = dice_chance(dice, mood->many_outputs)
		    ? 1 + dice_below(dice, TOY_OUTPUTS)
		    : 1;
		if (n > toy->n_datasets - first)
			n = toy->n_datasets - first;
		if (toy->n_specs < TOY_SPECS && !dice_chance(dice, 15))
			make_spec(toy, first, n, mood, dice);
		if (toy->n_specs < TOY_SPECS &&
		    dice_chance(dice, mood->elsewhere))
			make_spec(toy, first, n, mood, dice);
	}
}

/* What an input reads, TOY_NONE if nothing or an empty branch. */
static int
transaction_read(const struct toy *toy, struct toy_input input)
{
	const struct toy_branch *branches =
	    toy->datasets[input.dataset].branches;
	int i;

	if (input.branch != TOY_NONE)
		return branches[input.branch].is_there
		    ? branches[input.branch].head
		    : TOY_NONE;
	for (i = 0; i < toy->n_chain; i++)
		if (branches[toy->chain[i]].is_there)
			return branches[toy->chain[i]].head;
	return TOY_NONE;
}

static void
make_record(struct toy *toy, const struct toy_spec *spec, int output,
    const struct mood *mood, struct dice *dice)
{
	struct toy_branch *branch =
	    &toy->datasets[output].branches[toy->chain[0]];
	const struct toy_input removed = { TOY_DATASETS - 1, TOY_NONE };
	int i;

	branch->is_built = !dice_chance(dice, mood->stale / 3);
	branch->logic =
	    dice_chance(dice, mood->stale / 3) ? 1 - spec->logic : spec->logic;
	branch->n_records = 0;
	for (i = 0; i < spec->n_inputs; i++) {
		struct toy_record record = { spec->inputs[i],
			transaction_read(toy, spec->inputs[i]) };

		if (dice_chance(dice, mood->stale / 5))
			continue;
		if (dice_chance(dice, mood->stale / 3))
			record.transaction =
			    dice_below(dice, toy->n_transactions + 1) - 1;
		branch->records[branch->n_records++] = record;
	}
	if (!has_input(spec, removed) && dice_chance(dice, mood->stale / 5))
		branch->records[branch->n_records++] =
		    (struct toy_record){ removed, 0 };
}

static void
make_records(struct toy *toy, const struct mood *mood, struct dice *dice)
{
	int s, o;

	for (s = 0; s < toy->n_specs; s++)
		for (o = 0; o < toy->specs[s].n_outputs; o++)
			make_record(toy, &toy->specs[s],
			    toy->specs[s].outputs[o], mood, dice);
}

static void
make_rights(struct toy *toy, const struct mood *mood, struct dice *dice)
{
	int u, p, d;

	for (u = 0; u < TOY_USERS; u++) {
		toy->users[u].is_there = !dice_chance(dice, 3);
		toy->users[u].active = !dice_chance(dice, 3);
		for (p = 0; p < TOY_PROJECTS; p++)
			toy->users[u].roles[p] = dice_chance(dice, mood->denied)
			    ? (enum role)dice_below(dice, 3)
			    : (enum role)(ROLE_EDITOR + dice_below(dice, 2));
	}
	for (p = 0; p < TOY_PROJECTS; p++)
		for (d = 0; d < TOY_DATASETS; d++)
			toy->references[p][d] = dice_chance(dice, 70);
}

static void
make_action(struct toy *toy, const struct mood *mood, struct dice *dice)
{
	int d;

	toy->type = (enum target_type)dice_below(dice, 3);
	for (d = 0; d < toy->n_datasets; d++) {
		toy->targets[d] =
		    dice_chance(dice, 15) && d > toy->n_datasets / 3;
		toy->inputs[d] = toy->type == TARGET_CONNECTING &&
		    dice_chance(dice, 20) && d < toy->n_datasets / 2;
		toy->ignored[d] = toy->type != TARGET_MANUAL &&
		    dice_chance(dice, mood->ignored) &&
		    (!toy->targets[d] || dice_chance(dice, 2));
	}
	toy->targets[dice_below(dice, toy->n_datasets)] |=
	    dice_chance(dice, 90);
	toy->targets[TOY_DATASETS - 1] = dice_chance(dice, mood->missing);
	toy->force = dice_chance(dice, 15);
}

void
toy_make(struct toy *toy, uint64_t seed)
{
	struct dice dice = { seed };
	struct mood mood = pick_mood(&dice);
	int p;

	*toy = (struct toy){ .max_jobs = TOY_NONE, .max_inputs = TOY_NONE };
	make_chain(toy, &dice);
	make_datasets(toy, &mood, &dice);
	make_specs(toy, &mood, &dice);
	make_records(toy, &mood, &dice);
	make_rights(toy, &mood, &dice);
	make_action(toy, &mood, &dice);
	toy->scope = (enum scope_type)dice_below(&dice, 2);
	for (p = 0; p < TOY_PROJECTS; p++)
		toy->scope_projects[p] =
		    !dice_chance(&dice, p == 0 ? mood.denied : 40);
	toy->owner = dice_below(&dice, TOY_USERS);
	toy->requester =
	    dice_chance(&dice, 30) ? dice_below(&dice, TOY_USERS) : TOY_NONE;
	toy->paused = dice_chance(&dice, 3);
	if (dice_chance(&dice, 5))
		toy->max_jobs = dice_below(&dice, TOY_SPECS / 2);
	if (dice_chance(&dice, 5))
		toy->max_inputs = dice_below(&dice, TOY_SPECS);
}

static void
record_input(const struct toy *toy, const struct job *job, size_t i,
    struct toy_record *record)
{
	const struct spec_input *input = &job->spec->inputs[i];
	const struct branch *read = job->inputs[i].read;
	int b;

	*record =
	    (struct toy_record){ { toy_dataset_number(input->rid), TOY_NONE },
		    TOY_NONE };
	for (b = 0; input->branch.at != NULL && b < TOY_BRANCHES; b++)
		if (text_equal(toy_branch_name(b), input->branch))
			record->input.branch = b;
	if (read == NULL || read->head.at != NULL)
		record->transaction = transaction_read(toy, record->input);
}

/* A new branch comes off the first fallback, unless that would make a loop. */
static int
parent_of_new(const struct toy *toy, int dataset)
{
	const struct toy_branch *branches = toy->datasets[dataset].branches;
	int first = TOY_NONE, b, i;

	for (i = toy->n_chain - 1; i > 0; i--)
		if (branches[toy->chain[i]].is_there)
			first = toy->chain[i];
	for (b = first; b != TOY_NONE; b = branches[b].parent)
		if (b == toy->chain[0])
			return TOY_NONE;
	return first;
}

static void
build_output(struct toy *toy, const struct job *job, int dataset)
{
	struct toy_branch *branch =
	    &toy->datasets[dataset].branches[toy->chain[0]];
	size_t i;

	if (!branch->is_there)
		branch->parent = parent_of_new(toy, dataset);
	branch->is_there = branch->is_built = true;
	branch->head = toy->n_transactions++;
	branch->logic = text_equal(job->spec->logic, TEXT("v1"));
	branch->n_records = 0;
	for (i = 0; i < job->spec->n_inputs; i++)
		record_input(
		    toy, job, i, &branch->records[branch->n_records++]);
}

void
toy_build(struct toy *toy, const struct build *build)
{
	size_t j, o;

	for (j = 0; j < build->n_jobs; j++)
		for (o = 0; o < build->jobs[j].spec->n_outputs; o++)
			build_output(toy, &build->jobs[j],
			    toy_dataset_number(
				build->jobs[j].spec->outputs[o]));
}

bool
toy_add_bystander(struct toy *toy, struct dice *dice)
{
	struct toy_spec *spec = &toy->specs[toy->n_specs];
	struct mood mood = { .pin = 20, .cycle = 100 };

	if (toy->n_specs == TOY_SPECS ||
	    toy->n_datasets == TOY_DATASETS - TOY_UNKNOWN)
		return false;
	*spec = (struct toy_spec){ .branch = toy->chain[0], .n_outputs = 1 };
	spec->outputs[0] = toy->n_datasets;
	make_inputs(toy, spec, toy->n_datasets, &mood, dice);
	toy->datasets[toy->n_datasets].is_there = dice_chance(dice, 80);
	toy->n_datasets++;
	toy->n_specs++;
	return true;
}
