#include "worker/plan/internal.h"

#include <string.h>

#include "common/base/buffer.h"

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

static void
put_chain(struct buffer *out, const struct plan *plan)
{
	uint32_t i;

	for (i = 0; i < plan->graph.n_chain; i++) {
		if (i > 0)
			buffer_append(out, TEXT(" -> "));
		buffer_append(out, plan->graph.chain[i]);
	}
}

static void
put_list(struct buffer *out, const struct listing *list)
{
	int32_t i;

	for (i = 0; i < list->count && i < DESCRIPTION_FIRST; i++) {
		if (i > 0)
			buffer_append(out, TEXT(", "));
		buffer_append(out, list->first[i]);
	}
	if (list->count > DESCRIPTION_FIRST) {
		buffer_append(out, TEXT(" and "));
		buffer_format(
		    out, "%lld", (long long)(list->count - DESCRIPTION_FIRST));
		buffer_append(out, TEXT(" more"));
	}
}

static void
put_cycle(struct buffer *out, const struct listing *cycle)
{
	int32_t i;

	for (i = 0; i < cycle->count && i < DESCRIPTION_FIRST; i++) {
		buffer_append(out, cycle->first[i]);
		buffer_append(out, TEXT(" reads "));
	}
	if (cycle->count > DESCRIPTION_FIRST)
		buffer_append(out, TEXT("... reads "));
	buffer_append(out, cycle->first[0]);
}

static void
put_name(struct buffer *out, const struct plan *plan,
    const struct filling *filling, struct text name)
{
	const struct run_request *request = plan->input.request;

	if (text_equal(name, TEXT("schedule")))
		buffer_append(out, request->schedule_rid);
	else if (text_equal(name, TEXT("pin")))
		buffer_append(out, request->schedule_version_rid);
	else if (text_equal(name, TEXT("otherSchedule")))
		buffer_append(out, plan->version->schedule_rid);
	else if (text_equal(name, TEXT("otherVersion")))
		buffer_append(out, plan->version->rid);
	else if (text_equal(name, TEXT("user")))
		buffer_append(out, filling->user);
	else if (text_equal(name, TEXT("branch")))
		buffer_append(out, plan->version->branch_name);
	else if (text_equal(name, TEXT("chain")))
		put_chain(out, plan);
	else if (text_equal(name, TEXT("n")))
		buffer_format(out, "%lld", (long long)filling->n);
	else if (text_equal(name, TEXT("max")))
		buffer_format(out, "%lld", (long long)filling->max);
	else if (text_equal(name, TEXT("cycle")))
		put_cycle(out, filling->list);
	else
		put_list(out, filling->list);
}

static struct text
describe(
    const struct plan *plan, const char *format, const struct filling *filling)
{
	struct buffer out = { 0 };
	const char *open, *close;

	while ((open = strchr(format, '{')) != NULL) {
		close = strchr(open, '}');
		buffer_append(
		    &out, (struct text){ format, (size_t)(open - format) });
		put_name(&out, plan, filling,
		    (struct text){ open + 1, (size_t)(close - open - 1) });
		format = close + 1;
	}
	buffer_append(&out, text_from(format));
	return buffer_keep(&out, plan->arena);
}

struct text
describe_contradiction(
    struct plan *plan, const struct job_spec *spec, struct text output)
{
	struct buffer out = { 0 };

	buffer_format(&out,
	    "The stored catalogue contradicts itself: job spec %.*s writes "
	    "%.*s on branch %.*s, but the entry of that output there does not "
	    "name it.",
	    TEXT_ARG(spec->rid), TEXT_ARG(output), TEXT_ARG(spec->branch));
	return buffer_keep(&out, plan->arena);
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
