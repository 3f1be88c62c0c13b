#include "worker/plan/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* docs/semantics.md, section 4, row by row. */
static const struct {
	const char *cause;
	int32_t phase;
	enum run_error name;
	const char *description;
} errors[] = {
	[CAUSE_SCHEDULE_NOT_FOUND] = { "scheduleNotFound", 0,
	    TARGET_RESOLUTION_FAILURE, "Schedule {schedule} does not exist." },
	[CAUSE_VERSION_NOT_FOUND] = { "versionNotFound", 0,
	    TARGET_RESOLUTION_FAILURE,
	    "Version {pin} of schedule {schedule} does not exist." },
	[CAUSE_WRONG_SCHEDULE] = { "wrongSchedule", 0, INTERNAL,
	    "The run service planned with a version of schedule "
	    "{otherSchedule} for a request for schedule {schedule}." },
	[CAUSE_WRONG_VERSION] = { "wrongVersion", 0, INTERNAL,
	    "The run service planned with version {otherVersion} for a "
	    "request that pins version {pin}." },
	[CAUSE_SCHEDULE_DELETED] = { "scheduleDeleted", 0,
	    TARGET_RESOLUTION_FAILURE,
	    "Schedule {schedule} has been deleted." },
	[CAUSE_REQUESTER_UNKNOWN] = { "requesterUnknown", 2, PERMISSION_DENIED,
	    "User {user}, who requested this run, is not known." },
	[CAUSE_REQUESTER_INACTIVE] = { "requesterInactive", 2,
	    PERMISSION_DENIED,
	    "User {user}, who requested this run, is deactivated." },
	[CAUSE_OWNER_UNKNOWN] = { "ownerUnknown", 3, SCHEDULE_OWNER_NOT_FOUND,
	    "User {user}, who owns this user-scoped schedule, does not "
	    "exist. Save the schedule as an active user or scope it to "
	    "projects." },
	[CAUSE_OWNER_INACTIVE] = { "ownerInactive", 3, SCHEDULE_OWNER_NOT_FOUND,
	    "User {user}, who owns this user-scoped schedule, is "
	    "deactivated. Save the schedule as an active user or scope it to "
	    "projects." },
	[CAUSE_NO_TARGETS] = { "noTargets", 4, TARGET_RESOLUTION_FAILURE,
	    "The schedule names no targets." },
	[CAUSE_NO_INPUTS] = { "noInputs", 4, TARGET_RESOLUTION_FAILURE,
	    "The connecting build names no inputs." },
	[CAUSE_TOO_MANY_NAMED] = { "tooManyNamed", 4, TARGET_RESOLUTION_FAILURE,
	    "The schedule names {n} datasets, more than the limit of "
	    "{max}." },
	[CAUSE_TOO_MANY_BRANCHES] = { "tooManyBranches", 4,
	    TARGET_RESOLUTION_FAILURE,
	    "The schedule names {n} fallback branches, more than the limit "
	    "of {max}." },
	[CAUSE_DUPLICATE_BRANCH] = { "duplicateBranch", 4,
	    TARGET_RESOLUTION_FAILURE,
	    "Branches named more than once among the branch and its "
	    "fallbacks: {list}." },
	[CAUSE_TARGET_IGNORED] = { "targetIgnored", 4, INCOMPATIBLE_TARGETS,
	    "Datasets named both as targets and as ignored: {list}." },
	[CAUSE_DATASET_NOT_FOUND] = { "datasetNotFound", 5,
	    TARGET_RESOLUTION_FAILURE,
	    "Datasets named by the schedule that do not exist: {list}." },
	[CAUSE_DATASET_TRASHED] = { "datasetTrashed", 5,
	    TARGET_RESOLUTION_FAILURE,
	    "Datasets named by the schedule that are in the trash: {list}. "
	    "Restore them or remove them from the schedule." },
	[CAUSE_REQUESTER_ROLE] = { "requesterRole", 5, PERMISSION_DENIED,
	    "User {user}, who requested this run, lacks the editor role on "
	    "the projects of: {list}." },
	[CAUSE_NO_JOB_SPEC] = { "noJobSpec", 5, JOB_SPEC_NOT_FOUND,
	    "Targets without a job spec on {chain}: {list}." },
	[CAUSE_TOO_MANY_JOBS] = { "tooManyJobs", 6, TARGET_RESOLUTION_FAILURE,
	    "The build reaches more than {max} jobs." },
	[CAUSE_TOO_MANY_INPUTS] = { "tooManyInputs", 6,
	    TARGET_RESOLUTION_FAILURE,
	    "The jobs that the build reaches read more than {max} inputs." },
	[CAUSE_NOT_CONNECTED] = { "notConnected", 6, TARGET_RESOLUTION_FAILURE,
	    "No job spec path on branch {branch} leads from an input to any "
	    "target: {list}." },
	[CAUSE_IGNORED_OUTPUT] = { "ignoredOutput", 7, INCOMPATIBLE_TARGETS,
	    "Ignored datasets that jobs of this build would write: "
	    "{list}." },
	[CAUSE_CONFLICTING_SPECS] = { "conflictingSpecs", 7,
	    INCOMPATIBLE_TARGETS,
	    "Outputs that job specs of different branches claim: {list}. "
	    "Publish the job specs that write them on one branch." },
	[CAUSE_BRANCH_ANCESTRY] = { "branchAncestry", 7, INCOMPATIBLE_TARGETS,
	    "The order {chain} contradicts the branch ancestry of outputs: "
	    "{list}." },
	[CAUSE_CYCLE] = { "cycle", 8, CYCLIC_DEPENDENCY,
	    "{n} job specs form a cycle: {cycle}." },
	[CAUSE_BUILD_DENIED_USER] = { "buildDeniedUser", 9, PERMISSION_DENIED,
	    "User {user}, who owns this schedule, may not build: {list}." },
	[CAUSE_BUILD_DENIED_PROJECT] = { "buildDeniedProject", 9,
	    PERMISSION_DENIED,
	    "Outputs outside the projects that this schedule may build in: "
	    "{list}." },
	[CAUSE_READ_DENIED_USER] = { "readDeniedUser", 9, PERMISSION_DENIED,
	    "User {user}, who owns this schedule, may not read: {list}." },
	[CAUSE_READ_DENIED_PROJECT] = { "readDeniedProject", 9,
	    PERMISSION_DENIED,
	    "Inputs neither in the projects of this schedule nor referenced "
	    "by them: {list}." },
	[CAUSE_OUTPUT_NOT_FOUND] = { "outputNotFound", 10,
	    TARGET_RESOLUTION_FAILURE,
	    "Job outputs that do not exist: {list}." },
	[CAUSE_OUTPUT_TRASHED] = { "outputTrashed", 10,
	    TARGET_RESOLUTION_FAILURE,
	    "Job outputs that are in the trash: {list}. Restore or ignore "
	    "them." },
	[CAUSE_INPUT_NOT_FOUND] = { "inputNotFound", 10,
	    TARGET_RESOLUTION_FAILURE,
	    "Job inputs that do not exist: {list}." },
	[CAUSE_INPUT_TRASHED] = { "inputTrashed", 10, TARGET_RESOLUTION_FAILURE,
	    "Job inputs that are in the trash: {list}. Restore them or "
	    "change the jobs that read them." },
	[CAUSE_INPUT_NO_BRANCH] = { "inputNoBranch", 10,
	    TARGET_RESOLUTION_FAILURE,
	    "Job inputs without a branch to read: {list}." },
};

#define DESCRIPTION_FIRST 5 /* entries of a listing that a description has */

/* A text that grows in an arena. */
struct draft {
	struct arena *arena;
	char *at;
	size_t size, capacity;
};

static void
draft_put(struct draft *draft, struct text text)
{
	char *more;

	if (text.size > draft->capacity - draft->size) {
		draft->capacity = 2 * draft->capacity + text.size;
		more = arena_alloc(draft->arena, draft->capacity);
		memcpy(more, draft->at, draft->size);
		draft->at = more;
	}
	if (text.size > 0)
		memcpy(draft->at + draft->size, text.at, text.size);
	draft->size += text.size;
}

static void
put_number(struct draft *draft, int64_t number)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%" PRId64, number);

	draft_put(draft, (struct text){ digits, (size_t)n });
}

static void
put_chain(struct draft *draft, const struct plan *plan)
{
	uint32_t i;

	for (i = 0; i < plan->graph.n_chain; i++) {
		if (i > 0)
			draft_put(draft, TEXT(" -> "));
		draft_put(draft, plan->graph.chain[i]);
	}
}

static void
put_list(struct draft *draft, const struct listing *list)
{
	int32_t i;

	for (i = 0; i < list->count && i < DESCRIPTION_FIRST; i++) {
		if (i > 0)
			draft_put(draft, TEXT(", "));
		draft_put(draft, list->first[i]);
	}
	if (list->count > DESCRIPTION_FIRST) {
		draft_put(draft, TEXT(" and "));
		put_number(draft, list->count - DESCRIPTION_FIRST);
		draft_put(draft, TEXT(" more"));
	}
}

static void
put_cycle(struct draft *draft, const struct listing *cycle)
{
	int32_t i;

	for (i = 0; i < cycle->count && i < DESCRIPTION_FIRST; i++) {
		draft_put(draft, cycle->first[i]);
		draft_put(draft, TEXT(" reads "));
	}
	if (cycle->count > DESCRIPTION_FIRST)
		draft_put(draft, TEXT("... reads "));
	draft_put(draft, cycle->first[0]);
}

static void
put_name(struct draft *draft, const struct plan *plan,
    const struct filling *filling, struct text name)
{
	const struct run_request *request = plan->input.request;

	if (text_equal(name, TEXT("schedule")))
		draft_put(draft, request->schedule_rid);
	else if (text_equal(name, TEXT("pin")))
		draft_put(draft, request->schedule_version_rid);
	else if (text_equal(name, TEXT("otherSchedule")))
		draft_put(draft, plan->version->schedule_rid);
	else if (text_equal(name, TEXT("otherVersion")))
		draft_put(draft, plan->version->rid);
	else if (text_equal(name, TEXT("user")))
		draft_put(draft, filling->user);
	else if (text_equal(name, TEXT("branch")))
		draft_put(draft, plan->version->branch_name);
	else if (text_equal(name, TEXT("chain")))
		put_chain(draft, plan);
	else if (text_equal(name, TEXT("n")))
		put_number(draft, filling->n);
	else if (text_equal(name, TEXT("max")))
		put_number(draft, filling->max);
	else if (text_equal(name, TEXT("cycle")))
		put_cycle(draft, filling->list);
	else
		put_list(draft, filling->list);
}

static struct text
describe(
    const struct plan *plan, const char *format, const struct filling *filling)
{
	struct draft draft = { plan->arena, NULL, 0, 256 };
	const char *open, *close;

	draft.at = arena_alloc(plan->arena, draft.capacity);
	while ((open = strchr(format, '{')) != NULL) {
		close = strchr(open, '}');
		draft_put(
		    &draft, (struct text){ format, (size_t)(open - format) });
		put_name(&draft, plan, filling,
		    (struct text){ open + 1, (size_t)(close - open - 1) });
		format = close + 1;
	}
	draft_put(&draft, text_from(format));
	return (struct text){ draft.at, draft.size };
}

struct text
describe_contradiction(
    struct plan *plan, const struct job_spec *spec, struct text output)
{
	struct draft draft = { plan->arena, NULL, 0, 512 };

	draft.at = arena_alloc(plan->arena, draft.capacity);
	draft_put(
	    &draft, TEXT("The stored catalogue contradicts itself: job spec "));
	draft_put(&draft, spec->rid);
	draft_put(&draft, TEXT(" writes "));
	draft_put(&draft, output);
	draft_put(&draft, TEXT(" on branch "));
	draft_put(&draft, spec->branch);
	draft_put(&draft,
	    TEXT(", but the entry of that output there does not name it."));
	return (struct text){ draft.at, draft.size };
}

enum verdict
decide_error(struct plan *plan, enum cause cause, const struct filling *filling)
{
	static const struct filling nothing;
	struct schedule_run *run = &plan->outcome.run;

	if (filling == NULL)
		filling = &nothing;
	run->state = RUN_FAILED;
	run->error = errors[cause].name;
	run->description = describe(plan, errors[cause].description, filling);
	run->why.phase = errors[cause].phase;
	run->why.cause = text_from(errors[cause].cause);
	if (filling->list != NULL)
		run->why.lists[LIST_OFFENDERS] = *filling->list;
	return DECIDED;
}

enum verdict
decide_listed(
    struct plan *plan, enum cause cause, const struct lister *offenders)
{
	struct listing list;
	struct filling filling = { .list = &list };

	if (offenders->count == 0)
		return GO_ON;
	list = lister_finish(offenders, plan->arena);
	filling.user = cause == CAUSE_REQUESTER_ROLE
	    ? plan->input.request->created_by
	    : plan->version->created_by;
	return decide_error(plan, cause, &filling);
}
