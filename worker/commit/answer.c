#include "worker/commit/answer.h"

#include <string.h>

/* A RID whose UUID does not matter: it is overwritten in each record. */
static struct text
any_rid(struct text prefix, char out[RID_SIZE_MAX])
{
	static const struct uuid nil;

	return (struct text){ out, rid_format(prefix, &nil, out) };
}

static struct text
text_or_none(const struct text *text)
{
	return text != NULL ? *text : TEXT_NONE;
}

static void
put_output(struct buffer *out, const struct job *job, size_t i)
{
	const struct text *parent = job_new_branch(job, i);

	build_put_output(out,
	    &(struct build_output){ .rid = job->spec->outputs[i],
		.new_branch = parent != NULL,
		.parent = text_or_none(parent) });
}

static void
put_input(struct buffer *out, const struct job *job, size_t i)
{
	const struct spec_input *input = &job->spec->inputs[i];
	const struct branch *read = job->inputs[i].read;

	build_put_input(out,
	    &(struct build_input){ .rid = input->rid,
		.job = job->inputs[i].job,
		.pinned = input->branch.at != NULL,
		.branch = read != NULL ? read->name : TEXT_NONE,
		.transaction = read != NULL ? read->head : TEXT_NONE });
}

static size_t
put_job(struct buffer *out, const struct job *job)
{
	const struct job_spec *spec = job->spec;
	char any[RID_SIZE_MAX];
	struct build_job_head head = {
		.job_rid = any_rid(TEXT(RID_JOB_PREFIX), any),
		.job_spec_rid = spec->rid,
		.spec_branch = spec->branch,
		.logic = spec->logic,
	};
	struct build_reason reason = {
		.cause = text_from(reason_cause_text(job->reason)),
		.output = text_or_none(job->reason_output),
		.from = text_or_none(job->reason_from),
		.to = job->reason_from != NULL ? spec->logic : TEXT_NONE,
		.has_inputs = job->reason == REASON_INPUTS_CHANGED ||
		    job->reason == REASON_UPSTREAM,
		.inputs_count = job->reason_inputs.count,
	};
	size_t uuid, i;

	reason.inputs_first = (struct text_list){ job->reason_inputs.first,
		job->reason_inputs.n_first };
	uuid = build_put_job(out, &head);
	build_put_items(out, spec->n_outputs);
	for (i = 0; i < spec->n_outputs; i++)
		put_output(out, job, i);
	build_put_end(out);
	build_put_items(out, spec->n_inputs);
	for (i = 0; i < spec->n_inputs; i++)
		put_input(out, job, i);
	build_put_end(out);
	build_put_depends_on(out, job->depends_on, job->n_depends_on);
	build_put_reason(out, &reason);
	return uuid;
}

static struct build_head
head_of(const struct outcome *outcome)
{
	const struct schedule_version *version = outcome->build.version;
	bool notifies =
	    version->notifications_enabled && version->scope == SCOPE_USER;

	return (struct build_head){
		.schedule_rid = outcome->run.schedule_rid,
		.schedule_version_rid = outcome->run.schedule_version_rid,
		.created_by = outcome->run.created_by,
		.branch = version->branch_name,
		.fallback_branches = version->fallback_branches,
		.force_build = version->force_build,
		.abort_on_failure = version->abort_on_failure,
		.retry_count = outcome->build.retry_count,
		.retry_backoff = version->retry_backoff,
		.run_as = version->scope,
		.user_id = version->created_by,
		.project_rids = version->project_rids,
		.notify = notifies ? version->created_by : TEXT_NONE,
	};
}

static void
encode_build(struct answer *answer, struct arena *arena, struct buffer *out,
    const struct outcome *outcome)
{
	struct build_head head = head_of(outcome);
	struct answer_job *jobs;
	size_t i;

	answer->n_jobs = outcome->build.n_jobs;
	jobs = arena_alloc(arena, answer->n_jobs * sizeof *jobs);
	build_put_form(out, &head, answer->n_jobs, &answer->build);
	for (i = 0; i < answer->n_jobs; i++) {
		const struct job *job = &outcome->build.jobs[i];

		jobs[i].key = text_copy(arena, job->spec->outputs[0]);
		jobs[i].uuid =
		    (uint32_t)(put_job(out, job) - answer->build.rest);
	}
	build_put_end(out);
	answer->build.end = out->size;
	answer->jobs = jobs;
}

struct answer *
answer_make(
    struct arena *arena, struct buffer *scratch, const struct outcome *outcome)
{
	struct answer *answer = arena_zalloc(arena, 1, sizeof *answer);

	answer->state = outcome->run.state;
	answer->error = outcome->run.error;
	answer->schedule_version_rid =
	    text_copy(arena, outcome->run.schedule_version_rid);
	buffer_reset(scratch);
	schedule_run_put_form(&outcome->run, scratch, &answer->run);
	if (answer->state == RUN_SUBMITTED)
		encode_build(answer, arena, scratch, outcome);
	answer->block = text_copy(arena, buffer_text(scratch)).at;
	return answer;
}

void
answer_put_build(const struct answer *answer, const struct run_own *own,
    uint32_t schema_id, struct buffer *out)
{
	size_t rest =
	    build_put_own(out, schema_id, answer->block, &answer->build, own);
	size_t i;

	for (i = 0; i < answer->n_jobs; i++) {
		struct uuid job = rid_job(&own->build_id, answer->jobs[i].key);

		uuid_format(&job, out->at + rest + answer->jobs[i].uuid);
	}
}
