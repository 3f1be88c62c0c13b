#include "producer/dryrun/outcome.h"

static enum reason_cause
reason_of(struct text cause)
{
	int i;

	for (i = REASON_FORCED; i < REASON_ALWAYS_STALE; i++)
		if (text_equal(cause,
			text_from(reason_cause_text((enum reason_cause)i))))
			break;
	return (enum reason_cause)i;
}

static struct schedule_version *
version_of(const struct build_head *head, struct arena *arena)
{
	struct schedule_version *version =
	    arena_zalloc(arena, 1, sizeof *version);

	version->branch_name = head->branch;
	version->fallback_branches = head->fallback_branches;
	version->force_build = head->force_build;
	version->abort_on_failure = head->abort_on_failure;
	version->notifications_enabled = head->notify.at != NULL;
	version->retry_backoff = head->retry_backoff;
	version->scope = head->run_as;
	version->created_by = head->user_id;
	version->project_rids = head->project_rids;
	return version;
}

static const struct text *const *
new_branches_of(const struct build_job *event, struct arena *arena)
{
	const struct text **parents =
	    arena_zalloc(arena, event->n_outputs, sizeof *parents);
	size_t i;

	for (i = 0; i < event->n_outputs; i++)
		if (event->outputs[i].new_branch)
			parents[i] = &event->outputs[i].parent;
	return parents;
}

static const struct job_input *
inputs_of(const struct build_job *event, struct arena *arena)
{
	struct job_input *inputs =
	    arena_zalloc(arena, event->n_inputs, sizeof *inputs);
	struct branch *read =
	    arena_zalloc(arena, event->n_inputs, sizeof *read);
	size_t i;

	for (i = 0; i < event->n_inputs; i++) {
		inputs[i].job = event->inputs[i].job;
		if (inputs[i].job >= 0)
			continue;
		read[i].name = event->inputs[i].branch;
		read[i].head = event->inputs[i].transaction;
		inputs[i].read = &read[i];
	}
	return inputs;
}

/* As much of the job spec as the event tells. */
static const struct job_spec *
spec_of(const struct build_job *event, struct arena *arena)
{
	struct job_spec *spec = arena_zalloc(arena, 1, sizeof *spec);
	struct text *outputs =
	    arena_zalloc(arena, event->n_outputs, sizeof *outputs);
	struct spec_input *inputs =
	    arena_zalloc(arena, event->n_inputs, sizeof *inputs);
	size_t i;

	for (i = 0; i < event->n_outputs; i++)
		outputs[i] = event->outputs[i].rid;
	for (i = 0; i < event->n_inputs; i++)
		inputs[i].rid = event->inputs[i].rid;
	spec->rid = event->head.job_spec_rid;
	spec->branch = event->head.spec_branch;
	spec->logic = event->head.logic;
	spec->outputs = outputs;
	spec->n_outputs = event->n_outputs;
	spec->inputs = inputs;
	spec->n_inputs = event->n_inputs;
	return spec;
}

static const struct text *
if_any(const struct text *text)
{
	return text->at != NULL ? text : NULL;
}

static void
read_job(const struct build_job *event, struct arena *arena, struct job *job)
{
	const struct build_reason *reason = &event->reason;

	*job = (struct job){
		.spec = spec_of(event, arena),
		.new_branches = new_branches_of(event, arena),
		.inputs = inputs_of(event, arena),
		.depends_on = event->depends_on,
		.n_depends_on = (uint32_t)event->n_depends_on,
		.reason = reason_of(reason->cause),
		.reason_output = if_any(&reason->output),
		.reason_from = if_any(&reason->from),
	};
	job->reason_inputs = (struct listing){ reason->inputs_count,
		(uint32_t)reason->inputs_first.n, reason->inputs_first.at };
}

static void
read_build(const struct build_requested *event, struct arena *arena,
    struct build *build)
{
	struct job *jobs = arena_zalloc(arena, event->n_jobs, sizeof *jobs);
	size_t i;

	for (i = 0; i < event->n_jobs; i++)
		read_job(&event->jobs[i], arena, &jobs[i]);
	*build = (struct build){
		.version = version_of(&event->head, arena),
		.retry_count = event->head.retry_count,
		.jobs = jobs,
		.n_jobs = event->n_jobs,
	};
}

struct outcome
run_outcome(const struct schedule_run *run, const struct build_requested *build,
    struct arena *arena)
{
	struct outcome outcome = { .run = *run };

	if (run->why.cause.at == NULL)
		outcome.run.why.cause = TEXT("unknown");
	if (build != NULL)
		read_build(build, arena, &outcome.build);
	return outcome;
}
