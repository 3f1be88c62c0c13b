#include "worker/plan/internal.h"

/*
 * P7 to P10 but for cycles: what can be wrong with the selected jobs' outputs
 * and inputs.  One survey asks for all of it and notes which issues there are;
 * a phase then lists the offenders of the first that it is about, if any.
 */

/*
 * The smallest message, not the first: which entry is met first depends on what
 * was cached, and the same request must get the same description anywhere.
 */
void
plan_note_damage(struct plan *plan, struct text message)
{
	if (!plan->looks_ahead &&
	    (plan->damage.at == NULL ||
		text_compare(message, plan->damage) < 0))
		plan->damage = message;
}

bool
plan_knows(struct plan *plan, uint32_t number)
{
	struct graph_dataset *dataset = graph_dataset(&plan->graph, number);

	if ((dataset->flags & DATASET_KNOWN) != 0)
		return true;
	if (!graph_knows(&plan->graph, dataset))
		return false;
	if (dataset->world->damaged)
		plan_note_damage(
		    plan, world_damage(plan->world, dataset->world));
	return true;
}

bool
plan_resolves(struct plan *plan, uint32_t number)
{
	const struct world_spec *damaged = NULL;

	if (!graph_resolves(&plan->graph, number, &damaged))
		return false;
	if (damaged != NULL)
		plan_note_damage(plan, world_damage(plan->world, damaged));
	return true;
}

bool
plan_knows_role(
    struct plan *plan, struct text user, struct text project, enum role *role)
{
	if (!world_knows_role(plan->world, user, project, role))
		return false;
	if (*role == ROLE_UNREADABLE)
		plan_note_damage(
		    plan, world_role_damage(plan->world, user, project));
	return true;
}

static bool
is_absent(const struct graph_dataset *dataset)
{
	return (dataset->flags & DATASET_PRESENT) == 0;
}

/*
 * The owner's role; most plans stay within one project.  An unreadable one is
 * not remembered: it was perhaps met while looking ahead, where damage doesn't
 * count, and must be noted again where it does.
 */
static bool
knows_owner_role(struct plan *plan, struct text project, enum role *role)
{
	if (text_equal(plan->role_project, project)) {
		*role = plan->role;
		return true;
	}
	if (!plan_knows_role(plan, plan->version->created_by, project, role))
		return false;
	if (*role != ROLE_UNREADABLE) {
		plan->role_project = project;
		plan->role = *role;
	}
	return true;
}

bool
plan_knows_buildable(struct plan *plan, uint32_t number)
{
	struct graph_dataset *dataset = graph_dataset(&plan->graph, number);
	struct text project;
	bool buildable;
	enum role role;

	if ((dataset->flags & DATASET_BUILDABLE) != 0)
		return true;
	if (!plan_knows(plan, number))
		return false;
	project = dataset->world->project;
	if (dataset->world->damaged) {
		buildable = false; /* nothing may be walked to through it */
	} else if (is_absent(dataset)) {
		buildable = true; /* P10 says so, and P9 comes before it */
	} else if (plan->version->scope == SCOPE_PROJECT) {
		buildable =
		    text_list_has(&plan->version->project_rids, project);
	} else {
		if (!knows_owner_role(plan, project, &role))
			return false;
		buildable = role >= ROLE_EDITOR;
	}
	/* What lets a scope build lets it read. */
	if (buildable)
		dataset->flags |= DATASET_BUILDABLE | DATASET_READABLE;
	return true;
}

static bool
knows_readable(struct plan *plan, uint32_t number)
{
	struct graph_dataset *dataset = graph_dataset(&plan->graph, number);
	struct text project;
	bool readable;
	enum role role;

	if ((dataset->flags & DATASET_READABLE) != 0)
		return true;
	if (!plan_knows(plan, number))
		return false;
	project = dataset->world->project;
	if (is_absent(dataset)) {
		readable = true; /* P10's, as above */
	} else if (plan->version->scope == SCOPE_PROJECT) {
		readable = text_list_has(&plan->version->project_rids, project);
		/* Asked only where it decides: it may be a need per project. */
		if (!readable &&
		    !world_knows_reference(plan->world,
			&plan->version->project_rids, dataset->world,
			&readable))
			return false;
	} else {
		if (!knows_owner_role(plan, project, &role))
			return false;
		readable = role >= ROLE_VIEWER;
	}
	if (readable)
		dataset->flags |= DATASET_READABLE;
	return true;
}

static uint32_t
chain_place(const struct graph *graph, struct text branch)
{
	uint32_t i;

	for (i = 0; i < graph->n_chain; i++)
		if (text_equal(graph->chain[i], branch))
			return i;
	return graph->n_chain;
}

/*
 * From the first branch of the chain that the output has up its parents: the
 * chain's members met must come in the chain's order.  A stored loop of
 * parents, which nobody should have let in, ends after each branch once.
 */
static bool
contradicts_ancestry(
    const struct graph *graph, const struct graph_dataset *dataset)
{
	const struct branch *branch = dataset->read;
	uint32_t last = dataset->place, place;
	const struct branch_list *branches;
	size_t steps;

	if ((dataset->flags & DATASET_HAS_PARENT) == 0)
		return false;
	branches = &dataset->world->branches;
	for (steps = 0; steps < branches->n; steps++) {
		if (branch->parent.at == NULL)
			return false;
		branch = branch_list_find(branches, branch->parent);
		if (branch == NULL)
			return false;
		place = chain_place(graph, branch->name);
		if (place == graph->n_chain)
			continue;
		if (place < last)
			return true;
		last = place;
	}
	return false;
}

/*
 * Of an output all of whose needs are met.  What isn't there has no ancestry,
 * project or trash.  Rights matter to target jobs alone: the walk has kept any
 * other job out that the scope may not build.
 */
static uint32_t
output_issues(const struct plan *plan, uint32_t number, uint32_t output)
{
	const struct graph_job *job = graph_job(&plan->graph, number);
	const struct graph_dataset *dataset =
	    graph_dataset(&plan->graph, output);
	uint32_t issues = 0;

	if ((dataset->flags & DATASET_IGNORED) != 0)
		issues |= ISSUE_IGNORED_OUTPUT;
	if (dataset->job != number)
		issues |= ISSUE_CONFLICTING_SPECS;
	if (is_absent(dataset))
		return issues | ISSUE_OUTPUT_NOT_FOUND;
	if (contradicts_ancestry(&plan->graph, dataset))
		issues |= ISSUE_BRANCH_ANCESTRY;
	if ((job->flags & JOB_TARGET) != 0 &&
	    (dataset->flags & DATASET_BUILDABLE) == 0)
		issues |= ISSUE_BUILD_DENIED;
	if ((dataset->flags & DATASET_TRASHED) != 0)
		issues |= ISSUE_OUTPUT_TRASHED;
	return issues;
}

/*
 * Whether a selected job makes the branch that an input pinned so will read;
 * while the survey goes on, none is known to.
 */
static bool
is_made(const struct plan *plan, uint32_t input)
{
	uint32_t producer = order_edge_selected(&plan->graph, input);

	return plan->is_surveyed && producer != GRAPH_NONE &&
	    (graph_job(&plan->graph, producer)->flags & JOB_STANDS) == 0;
}

/* Of an input that is known and whose scope's answer stands in its flags. */
static uint32_t
input_issues(const struct plan *plan, const struct graph_job *job, uint32_t i)
{
	const struct graph_dataset *dataset =
	    graph_dataset(&plan->graph, INPUT_DATASET(job->inputs[i]));
	uint32_t issues = 0;

	if (is_absent(dataset))
		return ISSUE_INPUT_NOT_FOUND;
	if ((dataset->flags & DATASET_READABLE) == 0)
		issues |= ISSUE_READ_DENIED;
	if ((dataset->flags & DATASET_TRASHED) != 0)
		issues |= ISSUE_INPUT_TRASHED;
	if (graph_read(&plan->graph, job, i) == NULL &&
	    !is_made(plan, job->inputs[i]))
		issues |= ISSUE_INPUT_NO_BRANCH;
	return issues;
}

/*
 * Whether what writes an output is the job that claims it, or one of an earlier
 * branch of the chain: where no document has been checked as a whole, a stored
 * catalogue may contradict itself.
 */
static bool
is_consistent(const struct plan *plan, uint32_t number, uint32_t output)
{
	const struct graph *graph = &plan->graph;
	uint32_t writer = graph_dataset(graph, output)->job;

	if (writer == number || writer == GRAPH_NONE)
		return writer == number;
	return chain_place(graph, graph_job(graph, writer)->spec->branch) <
	    chain_place(graph, graph_job(graph, number)->spec->branch);
}

/*
 * Whether all that the checks need of a job's outputs is known; marks them.  It
 * goes on after what isn't known, since a lone need costs a round trip as a
 * thousand do.  Issues that it sees then are seen again the next time.
 */
static bool
survey_outputs(struct plan *plan, uint32_t number)
{
	struct graph_job *job = graph_job(&plan->graph, number);
	bool may_stand =
	    job->staleness == STALE_NEVER && !plan->version->force_build;
	bool known = true;
	uint32_t i;

	for (i = 0; i < job->n_outputs; i++) {
		uint32_t output = job->outputs[i];
		struct graph_dataset *dataset =
		    graph_dataset(&plan->graph, output);

		if (!plan_knows(plan, output))
			known = false;
		else if (dataset->read == NULL)
			may_stand = false;
		if (!plan_resolves(plan, output))
			known = false;
		else if ((dataset->flags & DATASET_RESOLVED) != 0 &&
		    !is_consistent(plan, number, output))
			plan_note_damage(plan,
			    describe_contradiction(
				plan, job->spec, job->spec->outputs[i]));
		if ((job->flags & JOB_TARGET) != 0 &&
		    !plan_knows_buildable(plan, output))
			known = false;
		/* What is_made and order_edge_selected go by afterwards. */
		dataset->flags |= DATASET_WRITTEN;
		if (known)
			plan->issues |= output_issues(plan, number, output);
	}
	if (may_stand && known)
		job->flags |= JOB_STANDS;
	return known;
}

static bool
survey_inputs(struct plan *plan, const struct graph_job *job)
{
	bool known = true;
	uint32_t i;

	for (i = 0; i < job->n_inputs; i++)
		if (!knows_readable(plan, INPUT_DATASET(job->inputs[i])))
			known = false;
		else
			plan->issues |= input_issues(plan, job, i);
	return known;
}

/* Only now is it known which inputs selected jobs will write. */
static void
survey_branches(struct plan *plan)
{
	uint32_t j, i;

	plan->issues &= ~(uint32_t)ISSUE_INPUT_NO_BRANCH;
	for (j = 0; j < plan->graph.jobs.n; j++) {
		const struct graph_job *job = graph_job(&plan->graph, j);

		if ((job->flags & JOB_SELECTED) == 0)
			continue;
		for (i = 0; i < job->n_inputs; i++)
			plan->issues |= input_issues(plan, job, i);
	}
}

/*
 * After a wait it looks at every selected job again.  That stays cheap: all is
 * asked for in the first pass, so there are as many passes as there are levels
 * of need (dataset, then role, then reference), never as many as jobs.
 */
enum verdict
phase_survey(struct plan *plan)
{
	uint32_t n = plan->graph.jobs.n, j;
	bool known = true;

	plan->issues = 0;
	for (j = 0; j < n; j++) {
		const struct graph_job *job = graph_job(&plan->graph, j);

		if ((job->flags & JOB_SELECTED) == 0)
			continue;
		if (!survey_outputs(plan, j))
			known = false;
		if (!survey_inputs(plan, job))
			known = false;
	}
	if (!known)
		return WAIT;
	/* From here on all that selected jobs write is marked as written. */
	plan->is_surveyed = true;
	if ((plan->issues & ISSUE_INPUT_NO_BRANCH) != 0)
		survey_branches(plan);
	return GO_ON;
}

/*
 * Once each.  The flag is never taken back: a check that lists anything ends
 * the plan, so that no later one finds it set.
 */
static void
list_dataset(struct plan *plan, uint32_t number, struct lister *lister)
{
	struct graph_dataset *dataset = graph_dataset(&plan->graph, number);

	if ((dataset->flags & DATASET_LISTED) != 0)
		return;
	dataset->flags |= DATASET_LISTED;
	lister_add(lister, dataset->world->rid);
}

/*
 * Lists what has `issue` of a job's outputs, or else of its inputs.  One
 * dataset can be read in several ways, so an input without a branch is listed
 * by its key: the pinned ones go to `pinned`, where a key may come twice.
 */
static void
list_of_job(struct plan *plan, uint32_t number, uint32_t issue,
    struct lister *offenders, struct text_pile *pinned)
{
	const struct graph_job *job = graph_job(&plan->graph, number);
	const struct spec_input *input;
	uint32_t i;

	for (i = 0; i < job->n_outputs && (issue & OUTPUT_ISSUES) != 0; i++)
		if ((output_issues(plan, number, job->outputs[i]) & issue) != 0)
			list_dataset(plan, job->outputs[i], offenders);
	for (i = 0; i < job->n_inputs && (issue & OUTPUT_ISSUES) == 0; i++) {
		if ((input_issues(plan, job, i) & issue) == 0)
			continue;
		input = &job->spec->inputs[i];
		if (issue == ISSUE_INPUT_NO_BRANCH && input->branch.at != NULL)
			pile_add(pinned, job_input_key(plan->arena, input));
		else
			list_dataset(
			    plan, INPUT_DATASET(job->inputs[i]), offenders);
	}
}

/* One issue, and the error that it is. */
struct check {
	enum issue issue;
	enum cause cause;
};

/*
 * Ends the plan by the first of `n` issues that there is.  Offenders are looked
 * for only of what the survey has found: most plans pay for a bit each.
 */
static enum verdict
check_all(struct plan *plan, const struct check *checks, size_t n)
{
	struct text_pile pinned = { .arena = plan->arena };
	struct lister offenders;
	uint32_t j;
	size_t i;

	for (i = 0; i < n; i++) {
		if ((plan->issues & checks[i].issue) == 0)
			continue;
		offenders.count = 0;
		for (j = 0; j < plan->graph.jobs.n; j++)
			if ((graph_job(&plan->graph, j)->flags &
				JOB_SELECTED) != 0)
				list_of_job(plan, j, checks[i].issue,
				    &offenders, &pinned);
		pile_list(&pinned, &offenders);
		if (decide_listed(plan, checks[i].cause, &offenders) == DECIDED)
			return DECIDED;
	}
	return GO_ON;
}

/* In the order of docs/semantics.md, section 4, as are the two below. */
enum verdict
phase_compatibility(struct plan *plan)
{
	static const struct check checks[] = {
		{ ISSUE_IGNORED_OUTPUT, CAUSE_IGNORED_OUTPUT },
		{ ISSUE_CONFLICTING_SPECS, CAUSE_CONFLICTING_SPECS },
		{ ISSUE_BRANCH_ANCESTRY, CAUSE_BRANCH_ANCESTRY },
	};

	return check_all(plan, checks, sizeof checks / sizeof checks[0]);
}

enum verdict
phase_permissions(struct plan *plan)
{
	static const struct check checks[][2] = {
		[SCOPE_PROJECT] = {
			{ ISSUE_BUILD_DENIED, CAUSE_BUILD_DENIED_PROJECT },
			{ ISSUE_READ_DENIED, CAUSE_READ_DENIED_PROJECT },
		},
		[SCOPE_USER] = {
			{ ISSUE_BUILD_DENIED, CAUSE_BUILD_DENIED_USER },
			{ ISSUE_READ_DENIED, CAUSE_READ_DENIED_USER },
		},
	};

	return check_all(plan, checks[plan->version->scope], 2);
}

enum verdict
phase_datasets(struct plan *plan)
{
	static const struct check checks[] = {
		{ ISSUE_OUTPUT_NOT_FOUND, CAUSE_OUTPUT_NOT_FOUND },
		{ ISSUE_OUTPUT_TRASHED, CAUSE_OUTPUT_TRASHED },
		{ ISSUE_INPUT_NOT_FOUND, CAUSE_INPUT_NOT_FOUND },
		{ ISSUE_INPUT_TRASHED, CAUSE_INPUT_TRASHED },
		{ ISSUE_INPUT_NO_BRANCH, CAUSE_INPUT_NO_BRANCH },
	};

	return check_all(plan, checks, sizeof checks / sizeof checks[0]);
}
