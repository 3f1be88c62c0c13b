#include <stdio.h>
#include <string.h>

#include "producer/dryrun/case.h"
#include "tests/unit/check.h"
#include "tests/unit/random.h"
#include "tests/unit/toy_judge.h"

/*
 * The planner's properties over random toys: what it says is what brute force
 * says; the order of listings doesn't show; forcing runs all that is selected;
 * after the build there is nothing left to do; what nobody reaches changes
 * nothing.  A toy that fails is named by its seed.
 */
#define TOYS 20000
#define FAILURES_SHOWN 10

struct trial {
	struct toy toy, other;
	struct verdict verdict;
	struct plan_case plan_case;
	struct buffer line, answer, second;
};

/* Plans the toy, written in an order of `seed`; the answer goes to `answer`. */
static const struct outcome *
plan(struct trial *trial, const struct toy *toy, uint64_t seed,
    struct buffer *answer)
{
	buffer_reset(&trial->line);
	buffer_reset(answer);
	toy_write(toy, seed, &trial->line);
	plan_case_answer(&trial->plan_case, buffer_text(&trial->line), answer);
	return text_starts_with(buffer_text(answer), TEXT("{\"invalid\""))
	    ? NULL
	    : trial->plan_case.outcome;
}

static bool
is_listing(const struct listing *listing, const struct names *names)
{
	int i;

	if (listing->count != names->n)
		return false;
	for (i = 0; i < names->n && i < LISTING_FIRST; i++)
		if (!text_equal(listing->first[i], names->at[i]))
			return false;
	return true;
}

static int
spec_number(const struct toy *toy, const struct job_spec *spec)
{
	int s;

	for (s = 0; s < toy->n_specs; s++)
		if (text_equal(
			toy_branch_name(toy->specs[s].branch), spec->branch) &&
		    text_equal(judge_key(toy, s), spec->outputs[0]))
			return s;
	return TOY_NONE;
}

/* The job of the build that is this spec; -1: none. */
static int
position_of(const struct toy *toy, const struct build *build, int spec)
{
	size_t j;

	for (j = 0; j < build->n_jobs; j++)
		if (spec_number(toy, build->jobs[j].spec) == spec)
			return (int)j;
	return -1;
}

static const char *
check_reason(const struct toy *toy, const struct verdict *verdict,
    const struct job *job, int spec)
{
	int o;

	if (job->reason != verdict->reasons[spec])
		return "another reason";
	if (job->reason != REASON_NEVER_BUILT &&
	    job->reason != REASON_NEW_LOGIC)
		return job->reason_output == NULL ? NULL : "a stray output";
	for (o = 0; o < toy->specs[spec].n_outputs; o++)
		if (text_equal(*job->reason_output,
			toy_dataset_name(toy->specs[spec].outputs[o])))
			return NULL;
	return "the reason's output is none of the job's";
}

static const struct toy_branch *
branch_named(const struct toy *toy, int dataset, struct text name)
{
	int b;

	for (b = 0; b < TOY_BRANCHES; b++)
		if (text_equal(toy_branch_name(b), name))
			return &toy->datasets[dataset].branches[b];
	return NULL;
}

/* Whether an input comes from the producer that runs, or is pinned rightly. */
static const char *
check_input(const struct trial *trial, const struct build *build,
    const struct job *job, int i, struct toy_input want)
{
	const struct job_input *input = &job->inputs[i];
	const struct toy *toy = &trial->toy;
	int producer = judge_edge(toy, &trial->verdict, want);
	int branch = judge_read(toy, want);

	if (toy_dataset_number(job->spec->inputs[i].rid) != want.dataset)
		return "inputs out of order";
	if (producer != TOY_NONE && trial->verdict.runs[producer])
		return input->job == position_of(toy, build, producer)
		    ? NULL
		    : "an input's job is not its producer";
	if (branch == TOY_NONE || input->job >= 0 ||
	    branch_named(toy, want.dataset, input->read->name) !=
		&toy->datasets[want.dataset].branches[branch])
		return "an input is read elsewhere";
	return NULL;
}

static bool
is_input_before(struct toy_input a, struct toy_input b)
{
	int order = text_compare(
	    toy_dataset_name(a.dataset), toy_dataset_name(b.dataset));

	if (order != 0)
		return order < 0;
	return text_compare(
		   toy_branch_name(a.branch), toy_branch_name(b.branch)) < 0;
}

static const char *
check_inputs(const struct trial *trial, const struct build *build,
    const struct job *job, int spec)
{
	struct toy_spec sorted = trial->toy.specs[spec];
	const char *wrong = NULL;
	int i, k;

	if (job->spec->n_inputs != (size_t)sorted.n_inputs)
		return "another number of inputs";
	for (i = 1; i < sorted.n_inputs; i++)
		for (k = i; k > 0 &&
		     is_input_before(sorted.inputs[k], sorted.inputs[k - 1]);
		     k--) {
			struct toy_input swap = sorted.inputs[k];

			sorted.inputs[k] = sorted.inputs[k - 1];
			sorted.inputs[k - 1] = swap;
		}
	for (i = 0; i < sorted.n_inputs && wrong == NULL; i++)
		wrong = check_input(trial, build, job, i, sorted.inputs[i]);
	return wrong;
}

/* Exactly the jobs whose outputs the job reads, all of them before it. */
static const char *
check_depends(const struct trial *trial, const struct build *build, size_t j)
{
	const struct job *job = &build->jobs[j];
	bool wanted[TOY_SPECS] = { false };
	size_t i;

	for (i = 0; i < job->spec->n_inputs; i++)
		if (job->inputs[i].job >= 0)
			wanted[job->inputs[i].job] = true;
	for (i = 0; i < job->n_depends_on; i++) {
		if (i > 0 && job->depends_on[i] <= job->depends_on[i - 1])
			return "dependsOn does not ascend";
		if (!wanted[job->depends_on[i]])
			return "a job depends on what it does not read";
		wanted[job->depends_on[i]] = false;
	}
	for (i = 0; i < TOY_SPECS; i++)
		if (wanted[i])
			return "a job does not depend on what it reads";
	if (job->n_depends_on > 0 &&
	    job->depends_on[job->n_depends_on - 1] >= (int32_t)j)
		return "a job comes before what it depends on";
	(void)trial;
	return NULL;
}

/* Whether all that job `k` depends on stands before position `j`. */
static bool
is_ready(const struct build *build, size_t k, size_t j)
{
	const struct job *job = &build->jobs[k];

	return job->n_depends_on == 0 ||
	    job->depends_on[job->n_depends_on - 1] < (int32_t)j;
}

/* Of the jobs that could stand at each place the smallest does. */
static const char *
check_order(const struct build *build)
{
	size_t j, k;

	for (j = 0; j < build->n_jobs; j++)
		for (k = j + 1; k < build->n_jobs; k++)
			if (is_ready(build, k, j) &&
			    text_compare(build->jobs[k].spec->outputs[0],
				build->jobs[j].spec->outputs[0]) < 0)
				return "a smaller job was ready";
	return NULL;
}

static const char *
check_build(const struct trial *trial, const struct build *build)
{
	const char *wrong = check_order(build);
	size_t j;
	int spec;

	if (build->n_jobs != (size_t)trial->verdict.n_runs)
		return "another number of jobs";
	for (j = 0; j < build->n_jobs && wrong == NULL; j++) {
		const struct job *job = &build->jobs[j];

		spec = spec_number(&trial->toy, job->spec);
		if (!trial->verdict.runs[spec])
			return "a job that need not run";
		wrong = check_reason(&trial->toy, &trial->verdict, job, spec);
		if (wrong == NULL)
			wrong = check_inputs(trial, build, job, spec);
		if (wrong == NULL)
			wrong = check_depends(trial, build, j);
	}
	return wrong;
}

/* The job spec of a key among those that are blocked. */
static int
blocked_of_key(const struct trial *trial, struct text key)
{
	int s;

	for (s = 0; s < trial->toy.n_specs; s++)
		if (trial->verdict.blocked[s] &&
		    text_equal(judge_key(&trial->toy, s), key))
			return s;
	return TOY_NONE;
}

static bool
reads_from(const struct trial *trial, int spec, int producer)
{
	const struct toy_spec *of = &trial->toy.specs[spec];
	int i;

	for (i = 0; i < of->n_inputs; i++)
		if (judge_edge(&trial->toy, &trial->verdict, of->inputs[i]) ==
		    producer)
			return true;
	return false;
}

/* Each reads the next, the last the first, which is the smallest. */
static const char *
check_cycle(const struct trial *trial, const struct run_why *why)
{
	const struct listing *cycle = &why->lists[LIST_OFFENDERS];
	int n = cycle->count, i, at, next;

	if (why->blocked != trial->verdict.n_blocked)
		return "another number of blocked jobs";
	if (n < 1 || n > LISTING_FIRST)
		return n < 1 ? "an empty cycle" : NULL;
	for (i = 0; i < n; i++) {
		at = blocked_of_key(trial, cycle->first[i]);
		next = blocked_of_key(trial, cycle->first[(i + 1) % n]);
		if (at == TOY_NONE || next == TOY_NONE ||
		    !reads_from(trial, at, next))
			return "no cycle";
		if (i > 0 &&
		    text_compare(cycle->first[0], cycle->first[i]) >= 0)
			return "the cycle does not start at its smallest job";
	}
	return NULL;
}

static const char *
check_counts(const struct verdict *verdict, const struct run_why *why)
{
	if (why->selected != verdict->n_selected ||
	    why->running != verdict->n_runs ||
	    why->up_to_date != verdict->n_selected - verdict->n_runs)
		return "other counts";
	if (!is_listing(&why->lists[LIST_UP_TO_DATE_TARGETS],
		&verdict->up_to_date_targets))
		return "other targets up to date";
	if (!is_listing(
		&why->lists[LIST_DROPPED_TARGETS], &verdict->dropped_targets))
		return "other targets dropped";
	if (!is_listing(&why->lists[LIST_OUT_OF_SCOPE], &verdict->out_of_scope))
		return "others out of scope";
	return NULL;
}

static const char *
check_verdict(const struct trial *trial, const struct outcome *outcome)
{
	const struct verdict *verdict = &trial->verdict;
	const struct run_why *why = &outcome->run.why;
	const char *wrong = NULL;

	if (!text_equal(why->cause, text_from(verdict->cause)))
		return "another cause";
	if (why->phase != verdict->phase)
		return "another phase";
	if (verdict->n_blocked > 0)
		return check_cycle(trial, why);
	if (!is_listing(&why->lists[LIST_OFFENDERS], &verdict->offenders))
		return "other offenders";
	if (why->phase == 11)
		wrong = check_counts(verdict, why);
	if (wrong == NULL && outcome->run.state == RUN_SUBMITTED)
		wrong = check_build(trial, &outcome->build);
	return wrong;
}

static const char *
check_order_of_listings(struct trial *trial, uint64_t seed)
{
	plan(trial, &trial->toy, seed + 1, &trial->second);
	return text_equal(
		   buffer_text(&trial->answer), buffer_text(&trial->second))
	    ? NULL
	    : "the order of a listing shows";
}

/* Forced, a plan runs just what is selected, and fails where it fails. */
static const char *
check_force(struct trial *trial, uint64_t seed)
{
	const struct outcome *outcome;

	if (trial->toy.force || trial->verdict.phase != 11)
		return NULL;
	trial->other = trial->toy;
	trial->other.force = true;
	outcome = plan(trial, &trial->other, seed, &trial->second);
	if (outcome->run.state != RUN_SUBMITTED)
		return "forced, it fails";
	if (outcome->build.n_jobs != (size_t)trial->verdict.n_selected)
		return "forced, not all that is selected runs";
	return NULL;
}

/* Whether a job runs for `always`, or only follows from such. */
static bool
is_for_ever(const struct job *job)
{
	return job->reason == REASON_ALWAYS_STALE ||
	    job->reason == REASON_UPSTREAM;
}

static const char *
check_after_build(
    struct trial *trial, const struct outcome *outcome, uint64_t seed)
{
	size_t j;

	if (outcome->run.state != RUN_SUBMITTED)
		return NULL;
	trial->other = trial->toy;
	toy_build(&trial->other, &outcome->build);
	trial->other.force = false;
	outcome = plan(trial, &trial->other, seed, &trial->second);
	if (outcome == NULL || outcome->run.why.phase != 11)
		return "after the build it fails";
	for (j = 0; j < outcome->build.n_jobs; j++)
		if (!is_for_ever(&outcome->build.jobs[j]))
			return "after the build a job runs again";
	return NULL;
}

static const char *
check_bystander(struct trial *trial, uint64_t seed)
{
	struct dice dice = { seed };

	trial->other = trial->toy;
	if (!toy_add_bystander(&trial->other, &dice))
		return NULL;
	plan(trial, &trial->other, seed, &trial->second);
	return text_equal(
		   buffer_text(&trial->answer), buffer_text(&trial->second))
	    ? NULL
	    : "what nobody reaches shows";
}

static const char *
try_toy(struct trial *trial, uint64_t seed)
{
	const struct outcome *outcome;
	const char *wrong;

	toy_make(&trial->toy, seed);
	toy_judge(&trial->toy, &trial->verdict);
	outcome = plan(trial, &trial->toy, seed, &trial->answer);
	if (outcome == NULL)
		return "the documents are malformed";
	wrong = check_verdict(trial, outcome);
	/* Last of all, as its outcome lives until the next plan. */
	if (wrong == NULL)
		wrong = check_after_build(trial, outcome, seed);
	if (wrong == NULL)
		wrong = check_order_of_listings(trial, seed);
	if (wrong == NULL)
		wrong = check_force(trial, seed);
	if (wrong == NULL)
		wrong = check_bystander(trial, seed);
	return wrong;
}

/* What toys must have led to now and then, or the toys are too tame. */
static struct {
	const char *cause;
	int n;
} causes[] = {
	{ "paused", 0 },
	{ "requesterUnknown", 0 },
	{ "requesterInactive", 0 },
	{ "ownerUnknown", 0 },
	{ "ownerInactive", 0 },
	{ "noTargets", 0 },
	{ "noInputs", 0 },
	{ "targetIgnored", 0 },
	{ "datasetNotFound", 0 },
	{ "datasetTrashed", 0 },
	{ "requesterRole", 0 },
	{ "noJobSpec", 0 },
	{ "tooManyJobs", 0 },
	{ "tooManyInputs", 0 },
	{ "notConnected", 0 },
	{ "ignoredOutput", 0 },
	{ "conflictingSpecs", 0 },
	{ "branchAncestry", 0 },
	{ "cycle", 0 },
	{ "buildDeniedUser", 0 },
	{ "buildDeniedProject", 0 },
	{ "readDeniedUser", 0 },
	{ "readDeniedProject", 0 },
	{ "outputNotFound", 0 },
	{ "outputTrashed", 0 },
	{ "inputNotFound", 0 },
	{ "inputTrashed", 0 },
	{ "inputNoBranch", 0 },
	{ "stale", 0 },
	{ "upToDate", 0 },
};

static void
count_cause(const char *cause)
{
	size_t i;

	for (i = 0; i < sizeof causes / sizeof causes[0]; i++)
		if (strcmp(causes[i].cause, cause) == 0)
			causes[i].n++;
}

static void
test_toys(void)
{
	static struct trial trial;
	uint64_t rounds = random_rounds(TOYS), seed;
	int failures = 0;
	size_t i;

	plan_case_init(&trial.plan_case);
	for (seed = 1; seed <= rounds && failures < FAILURES_SHOWN; seed++) {
		const char *wrong = try_toy(&trial, seed);
		char row[120];

		count_cause(trial.verdict.cause);
		if (wrong == NULL)
			continue;
		failures++;
		snprintf(row, sizeof row, "toy %d: %s", (int)seed, wrong);
		CHECK_ROW(row, wrong == NULL);
	}
	CHECK(failures == 0);
	for (i = 0; i < sizeof causes / sizeof causes[0]; i++)
		CHECK_ROW(causes[i].cause, causes[i].n >= 5 || rounds < TOYS);
	plan_case_finish(&trial.plan_case);
	buffer_finish(&trial.line);
	buffer_finish(&trial.answer);
	buffer_finish(&trial.second);
}

CU_TestInfo planner_tests[] = {
	{ "properties over toys", test_toys },
	CU_TEST_INFO_NULL,
};
