#include "common/crypto/rid.h"
#include "common/json/write.h"
#include "schemas/message/run_json.h"
#include "worker/plan/planner.h"

/*
 * The outcome document (docs/semantics.md, section 5).  Canonical: members are
 * written in ascending order of their names.
 */
static void
put_id(struct buffer *out, struct text prefix, const struct uuid *uuid)
{
	char rid[RID_SIZE_MAX];

	json_put_text(out, (struct text){ rid, rid_format(prefix, uuid, rid) });
}

static void
put_texts(struct buffer *out, const struct text *texts, size_t n)
{
	size_t i;

	json_open(out, '[');
	for (i = 0; i < n; i++)
		json_put_text(out, texts[i]);
	json_close(out, ']');
}

static void
put_input(struct buffer *out, const struct job *job, size_t i)
{
	const struct job_input *input = &job->inputs[i];

	json_open(out, '{');
	if (input->job >= 0) {
		json_member_integer(out, "job", input->job);
		json_member_text(out, "rid", job->spec->inputs[i].rid);
	} else {
		json_member_text(out, "branch", input->read->name);
		json_member_text(out, "rid", job->spec->inputs[i].rid);
		json_member_text(out, "transaction", input->read->head);
	}
	json_close(out, '}');
}

void
outcome_write_reason(const struct job *job, struct buffer *out)
{
	json_open(out, '{');
	json_member_string(out, "cause", reason_cause_text(job->reason));
	if (job->reason_from != NULL) {
		json_member_text(out, "from", *job->reason_from);
	}
	if (job->reason == REASON_INPUTS_CHANGED ||
	    job->reason == REASON_UPSTREAM) {
		json_member_open(out, "inputs", '{');
		json_member_integer(out, "count", job->reason_inputs.count);
		json_name(out, "first");
		put_texts(
		    out, job->reason_inputs.first, job->reason_inputs.n_first);
		json_close(out, '}');
	}
	if (job->reason_output != NULL) {
		json_member_text(out, "output", *job->reason_output);
	}
	if (job->reason_from != NULL) {
		json_member_text(out, "to", job->spec->logic);
	}
	json_close(out, '}');
}

static void
put_job(struct buffer *out, const struct uuid *build, const struct job *job)
{
	struct uuid id = rid_job(build, job->spec->outputs[0]);
	size_t i;

	json_open(out, '{');
	json_member_open(out, "dependsOn", '[');
	for (i = 0; i < job->n_depends_on; i++)
		json_put_integer(out, job->depends_on[i]);
	json_close(out, ']');
	json_member_open(out, "inputs", '[');
	for (i = 0; i < job->spec->n_inputs; i++)
		put_input(out, job, i);
	json_close(out, ']');
	json_name(out, "jobRid");
	put_id(out, TEXT(RID_JOB_PREFIX), &id);
	json_member_text(out, "jobSpecRid", job->spec->rid);
	json_member_text(out, "logic", job->spec->logic);
	json_member_open(out, "outputs", '[');
	for (i = 0; i < job->spec->n_outputs; i++) {
		const struct text *parent = job_new_branch(job, i);

		json_open(out, '{');
		json_name(out, "newBranch");
		if (parent != NULL) {
			json_open(out, '{');
			json_member_text(out, "parent", *parent);
			json_close(out, '}');
		} else {
			json_put_null(out);
		}
		json_member_text(out, "rid", job->spec->outputs[i]);
		json_close(out, '}');
	}
	json_close(out, ']');
	json_name(out, "reason");
	outcome_write_reason(job, out);
	json_member_text(out, "specBranch", job->spec->branch);
	json_close(out, '}');
}

static void
put_duration(struct buffer *out, const struct duration *duration)
{
	if (duration->unit.at == NULL) {
		json_put_null(out);
		return;
	}
	json_open(out, '{');
	json_member_text(out, "unit", duration->unit);
	json_member_integer(out, "value", duration->value);
	json_close(out, '}');
}

static void
put_run_as(struct buffer *out, const struct schedule_version *version)
{
	json_open(out, '{');
	if (version->scope == SCOPE_PROJECT) {
		json_name(out, "projectRids");
		put_texts(
		    out, version->project_rids.at, version->project_rids.n);
		json_member_string(out, "type", "project");
	} else {
		json_member_string(out, "type", "user");
		json_member_text(out, "userId", version->created_by);
	}
	json_close(out, '}');
}

static void
put_build(struct buffer *out, const struct outcome *outcome)
{
	const struct build *build = &outcome->build;
	const struct schedule_version *version = build->version;
	size_t i;

	json_open(out, '{');
	json_member_bool(out, "abortOnFailure", version->abort_on_failure);
	json_member_text(out, "branch", version->branch_name);
	json_name(out, "buildRid");
	put_id(out, TEXT(RID_BUILD_PREFIX), &outcome->run.build_id);
	json_name(out, "fallbackBranches");
	put_texts(
	    out, version->fallback_branches.at, version->fallback_branches.n);
	json_member_bool(out, "forceBuild", version->force_build);
	json_member_open(out, "jobs", '[');
	for (i = 0; i < build->n_jobs; i++)
		put_job(out, &outcome->run.build_id, &build->jobs[i]);
	json_close(out, ']');
	json_member_text(out, "notify", build_notifies(build));
	json_name(out, "retryBackoffDuration");
	put_duration(out, &version->retry_backoff);
	json_member_integer(out, "retryCount", build->retry_count);
	json_name(out, "runAs");
	put_run_as(out, version);
	json_close(out, '}');
}

static void
put_result(struct buffer *out, const struct schedule_run *run)
{
	json_open(out, '{');
	if (run->state == RUN_SUBMITTED) {
		json_name(out, "buildRid");
		put_id(out, TEXT(RID_BUILD_PREFIX), &run->build_id);
	} else if (run->state == RUN_FAILED) {
		json_member_text(out, "description", run->description);
		json_member_string(
		    out, "errorName", run_error_name(run->error));
	}
	json_member_string(out, "type", run_state_name(run->state));
	json_close(out, '}');
}

void
outcome_write_json(
    const struct outcome *outcome, struct text created_time, struct buffer *out)
{
	const struct schedule_run *run = &outcome->run;

	json_open(out, '{');
	if (run->state == RUN_SUBMITTED) {
		json_name(out, "build");
		put_build(out, outcome);
	}
	json_member_text(out, "createdBy", run->created_by);
	json_member_text(out, "createdTime", created_time);
	json_member_text(out, "requestId", run->request_id);
	json_name(out, "result");
	put_result(out, run);
	json_name(out, "runRid");
	put_id(out, TEXT(RID_RUN_PREFIX), &run->id);
	json_member_text(out, "scheduleRid", run->schedule_rid);
	json_member_text(out, "scheduleVersionRid", run->schedule_version_rid);
	json_name(out, "why");
	run_json_outcome_why(run, out);
	json_close(out, '}');
}
