#include "common/json/write.h"
#include "tests/unit/toy.h"

#define ORDER_MAX 32

/* What is written of a toy, and in which order. */
struct sheet {
	const struct toy *toy;
	struct dice dice;
	struct buffer *out;
};

static void
shuffle(struct sheet *sheet, int *order, int n)
{
	int i, k, swap;

	for (i = 0; i < n; i++)
		order[i] = i;
	for (i = n - 1; i > 0; i--) {
		k = dice_below(&sheet->dice, i + 1);
		swap = order[i];
		order[i] = order[k];
		order[k] = swap;
	}
}

/* Whether a member that has its default is written all the same. */
static bool
is_said(struct sheet *sheet)
{
	return dice_chance(&sheet->dice, 30);
}

static void
put_numbered(struct sheet *sheet, const char *prefix, int number)
{
	struct buffer name = { 0 };

	if (number == TOY_NONE) {
		json_put_null(sheet->out);
		return;
	}
	buffer_format(&name, "%s%d", prefix, number);
	json_put_text(sheet->out, buffer_text(&name));
	buffer_finish(&name);
}

static void
put_transaction(struct sheet *sheet, int transaction)
{
	put_numbered(sheet, "ri.foundry.main.transaction.t", transaction);
}

static void
put_project(struct sheet *sheet, int project)
{
	put_numbered(sheet, "ri.compass.main.folder.p", project);
}

static void
put_built(struct sheet *sheet, const struct toy_branch *branch)
{
	int order[TOY_INPUTS + 1], i;

	json_name(sheet->out, "built");
	json_open(sheet->out, '{');
	json_name(sheet->out, "logic");
	put_numbered(sheet, "v", branch->logic);
	json_name(sheet->out, "inputs");
	json_open(sheet->out, '{');
	shuffle(sheet, order, branch->n_records);
	for (i = 0; i < branch->n_records; i++) {
		json_name_text(
		    sheet->out, toy_input_key(branch->records[order[i]].input));
		put_transaction(sheet, branch->records[order[i]].transaction);
	}
	json_close(sheet->out, '}');
	json_close(sheet->out, '}');
}

static void
put_branch(struct sheet *sheet, const struct toy_branch *branch)
{
	json_open(sheet->out, '{');
	if (branch->parent != TOY_NONE || is_said(sheet)) {
		json_name(sheet->out, "parent");
		json_put_text(sheet->out, toy_branch_name(branch->parent));
	}
	if (branch->is_built)
		put_built(sheet, branch);
	if (branch->head != TOY_NONE || is_said(sheet)) {
		json_name(sheet->out, "head");
		put_transaction(sheet, branch->head);
	}
	json_close(sheet->out, '}');
}

static void
put_dataset(struct sheet *sheet, const struct toy_dataset *dataset)
{
	int order[TOY_BRANCHES], i;

	json_open(sheet->out, '{');
	json_name(sheet->out, "project");
	put_project(sheet, dataset->project);
	if (dataset->trashed || is_said(sheet)) {
		json_name(sheet->out, "trashed");
		json_put_bool(sheet->out, dataset->trashed);
	}
	json_name(sheet->out, "branches");
	json_open(sheet->out, '{');
	shuffle(sheet, order, TOY_BRANCHES);
	for (i = 0; i < TOY_BRANCHES; i++) {
		if (!dataset->branches[order[i]].is_there)
			continue;
		json_name_text(sheet->out, toy_branch_name(order[i]));
		put_branch(sheet, &dataset->branches[order[i]]);
	}
	json_close(sheet->out, '}');
	json_close(sheet->out, '}');
}

static void
put_datasets(struct sheet *sheet)
{
	int order[ORDER_MAX], i;

	json_name(sheet->out, "datasets");
	json_open(sheet->out, '{');
	shuffle(sheet, order, sheet->toy->n_datasets);
	for (i = 0; i < sheet->toy->n_datasets; i++) {
		const struct toy_dataset *dataset =
		    &sheet->toy->datasets[order[i]];

		if (!dataset->is_there)
			continue;
		json_name_text(sheet->out, toy_dataset_name(order[i]));
		put_dataset(sheet, dataset);
	}
	json_close(sheet->out, '}');
}

static void
put_input(struct sheet *sheet, struct toy_input input)
{
	if (input.branch == TOY_NONE) {
		json_put_text(sheet->out, toy_dataset_name(input.dataset));
		return;
	}
	json_open(sheet->out, '{');
	json_name(sheet->out, "rid");
	json_put_text(sheet->out, toy_dataset_name(input.dataset));
	json_name(sheet->out, "branch");
	json_put_text(sheet->out, toy_branch_name(input.branch));
	json_close(sheet->out, '}');
}

static void
put_spec_lists(struct sheet *sheet, const struct toy_spec *spec)
{
	int order[TOY_INPUTS], i;

	json_name(sheet->out, "outputs");
	json_open(sheet->out, '[');
	shuffle(sheet, order, spec->n_outputs);
	for (i = 0; i < spec->n_outputs; i++)
		json_put_text(
		    sheet->out, toy_dataset_name(spec->outputs[order[i]]));
	json_close(sheet->out, ']');
	json_name(sheet->out, "inputs");
	json_open(sheet->out, '[');
	shuffle(sheet, order, spec->n_inputs);
	for (i = 0; i < spec->n_inputs; i++) {
		put_input(sheet, spec->inputs[order[i]]);
		if (is_said(sheet)) /* repeats count once */
			put_input(sheet, spec->inputs[order[i]]);
	}
	json_close(sheet->out, ']');
}

static void
put_specs(struct sheet *sheet)
{
	static const char *const staleness[] = { "inputs", "always", "never" };
	int order[ORDER_MAX], i;

	json_name(sheet->out, "jobSpecs");
	json_open(sheet->out, '[');
	shuffle(sheet, order, sheet->toy->n_specs);
	for (i = 0; i < sheet->toy->n_specs; i++) {
		const struct toy_spec *spec = &sheet->toy->specs[order[i]];

		json_open(sheet->out, '{');
		json_name(sheet->out, "rid");
		put_numbered(sheet, "ri.foundry.main.jobspec.", order[i]);
		json_name(sheet->out, "branch");
		json_put_text(sheet->out, toy_branch_name(spec->branch));
		json_name(sheet->out, "logic");
		put_numbered(sheet, "v", spec->logic);
		if (spec->staleness != STALE_BY_INPUTS || is_said(sheet)) {
			json_name(sheet->out, "staleness");
			json_put_string(sheet->out, staleness[spec->staleness]);
		}
		put_spec_lists(sheet, spec);
		json_close(sheet->out, '}');
	}
	json_close(sheet->out, ']');
}

static void
put_user(struct sheet *sheet, const struct toy_user *user)
{
	static const char *const roles[] = { NULL, "viewer", "editor",
		"owner" };
	int order[TOY_PROJECTS], i;

	json_open(sheet->out, '{');
	if (!user->active || is_said(sheet)) {
		json_name(sheet->out, "active");
		json_put_bool(sheet->out, user->active);
	}
	json_name(sheet->out, "roles");
	json_open(sheet->out, '{');
	shuffle(sheet, order, TOY_PROJECTS);
	for (i = 0; i < TOY_PROJECTS; i++) {
		struct buffer project = { 0 };

		if (user->roles[order[i]] == ROLE_NONE)
			continue;
		buffer_format(&project, "ri.compass.main.folder.p%d", order[i]);
		json_name_text(sheet->out, buffer_text(&project));
		json_put_string(sheet->out, roles[user->roles[order[i]]]);
		buffer_finish(&project);
	}
	json_close(sheet->out, '}');
	json_close(sheet->out, '}');
}

static void
put_users(struct sheet *sheet)
{
	int order[TOY_USERS], i;

	json_name(sheet->out, "users");
	json_open(sheet->out, '{');
	shuffle(sheet, order, TOY_USERS);
	for (i = 0; i < TOY_USERS; i++) {
		if (!sheet->toy->users[order[i]].is_there)
			continue;
		json_name_text(sheet->out, toy_user_name(order[i]));
		put_user(sheet, &sheet->toy->users[order[i]]);
	}
	json_close(sheet->out, '}');
}

/* The datasets of which `chosen` is true. */
static void
put_rids(struct sheet *sheet, const char *name, const bool *chosen)
{
	int order[TOY_DATASETS], i;

	json_name(sheet->out, name);
	json_open(sheet->out, '[');
	shuffle(sheet, order, TOY_DATASETS);
	for (i = 0; i < TOY_DATASETS; i++) {
		if (!chosen[order[i]])
			continue;
		json_put_text(sheet->out, toy_dataset_name(order[i]));
		if (is_said(sheet)) /* repeats are harmless */
			json_put_text(sheet->out, toy_dataset_name(order[i]));
	}
	json_close(sheet->out, ']');
}

static void
put_projects(struct sheet *sheet)
{
	int order[TOY_PROJECTS], i;

	json_name(sheet->out, "projects");
	json_open(sheet->out, '{');
	shuffle(sheet, order, TOY_PROJECTS);
	for (i = 0; i < TOY_PROJECTS; i++) {
		struct buffer project = { 0 };

		buffer_format(&project, "ri.compass.main.folder.p%d", order[i]);
		json_name_text(sheet->out, buffer_text(&project));
		json_open(sheet->out, '{');
		put_rids(sheet, "references", sheet->toy->references[order[i]]);
		json_close(sheet->out, '}');
		buffer_finish(&project);
	}
	json_close(sheet->out, '}');
}

static void
put_limit(struct sheet *sheet, const char *name, int limit)
{
	if (limit == TOY_NONE)
		return;
	json_name(sheet->out, name);
	json_put_integer(sheet->out, limit);
}

static void
put_world(struct sheet *sheet)
{
	void (*const parts[])(struct sheet *) = { put_datasets, put_specs,
		put_users, put_projects };
	int order[4], i;

	json_name(sheet->out, "world");
	json_open(sheet->out, '{');
	shuffle(sheet, order, 4);
	for (i = 0; i < 4; i++)
		parts[order[i]](sheet);
	json_name(sheet->out, "limits");
	json_open(sheet->out, '{');
	put_limit(sheet, "maxInputs", sheet->toy->max_inputs);
	put_limit(sheet, "maxJobs", sheet->toy->max_jobs);
	json_close(sheet->out, '}');
	json_close(sheet->out, '}');
}

static void
put_scope(struct sheet *sheet)
{
	int order[TOY_PROJECTS], i;

	json_name(sheet->out, "scopeMode");
	json_open(sheet->out, '{');
	json_name(sheet->out, "type");
	json_put_string(
	    sheet->out, sheet->toy->scope == SCOPE_USER ? "user" : "project");
	if (sheet->toy->scope == SCOPE_PROJECT) {
		json_name(sheet->out, "projectRids");
		json_open(sheet->out, '[');
		shuffle(sheet, order, TOY_PROJECTS);
		for (i = 0; i < TOY_PROJECTS; i++)
			if (sheet->toy->scope_projects[order[i]])
				put_project(sheet, order[i]);
		json_close(sheet->out, ']');
	}
	json_close(sheet->out, '}');
}

static void
put_target(struct sheet *sheet)
{
	static const char *const types[] = { "manual", "upstream",
		"connecting" };
	const struct toy *toy = sheet->toy;

	json_name(sheet->out, "target");
	json_open(sheet->out, '{');
	json_name(sheet->out, "type");
	json_put_string(sheet->out, types[toy->type]);
	put_rids(sheet, "targetRids", toy->targets);
	if (toy->type == TARGET_CONNECTING)
		put_rids(sheet, "inputRids", toy->inputs);
	if (toy->type != TARGET_MANUAL)
		put_rids(sheet, "ignoredRids", toy->ignored);
	json_close(sheet->out, '}');
}

static void
put_version(struct sheet *sheet)
{
	const struct toy *toy = sheet->toy;
	int i;

	json_name(sheet->out, "version");
	json_open(sheet->out, '{');
	json_name(sheet->out, "rid");
	json_put_string(sheet->out, "ri.scheduler.main.schedule-version.1");
	json_name(sheet->out, "scheduleRid");
	json_put_string(sheet->out, "ri.scheduler.main.schedule.1");
	json_name(sheet->out, "createdBy");
	json_put_text(sheet->out, toy_user_name(toy->owner));
	if (toy->paused || is_said(sheet)) {
		json_name(sheet->out, "paused");
		json_put_bool(sheet->out, toy->paused);
	}
	put_scope(sheet);
	json_name(sheet->out, "action");
	json_open(sheet->out, '{');
	put_target(sheet);
	json_name(sheet->out, "branchName");
	json_put_text(sheet->out, toy_branch_name(toy->chain[0]));
	json_name(sheet->out, "fallbackBranches");
	json_open(sheet->out, '[');
	for (i = 1; i < toy->n_chain; i++)
		json_put_text(sheet->out, toy_branch_name(toy->chain[i]));
	json_close(sheet->out, ']');
	if (toy->force || is_said(sheet)) {
		json_name(sheet->out, "forceBuild");
		json_put_bool(sheet->out, toy->force);
	}
	json_close(sheet->out, '}');
	json_close(sheet->out, '}');
}

void
toy_write(const struct toy *toy, uint64_t seed, struct buffer *out)
{
	struct sheet sheet = { toy, { seed }, out };

	json_open(out, '{');
	put_world(&sheet);
	put_version(&sheet);
	json_name(out, "request");
	json_open(out, '{');
	json_name(out, "requestId");
	json_put_string(out, "r-1");
	json_name(out, "scheduleRid");
	json_put_string(out, "ri.scheduler.main.schedule.1");
	json_name(out, "createdTime");
	json_put_string(out, "2024-09-25T17:29:35.974Z");
	if (toy->requester != TOY_NONE || is_said(&sheet)) {
		json_name(out, "createdBy");
		json_put_text(out, toy_user_name(toy->requester));
	}
	json_close(out, '}');
	json_close(out, '}');
}
