#include "producer/dryrun/outcome.h"

#include <string.h>

#include "common/json/node.h"

#define DEPTH_MAX 16

static const enum outcome_type types[] = {
	[RUN_PENDING] = OUTCOME_IGNORED, /* callers have a finished run */
	[RUN_IGNORED] = OUTCOME_IGNORED,
	[RUN_SUBMITTED] = OUTCOME_SUBMITTED,
	[RUN_FAILED] = OUTCOME_ERROR,
};

static enum error_name
error_of(struct text name)
{
	int i;

	for (i = TARGET_RESOLUTION_FAILURE; i < INTERNAL; i++)
		if (text_equal(
			name, text_from(error_name_text((enum error_name)i))))
			break;
	return (enum error_name)i;
}

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

static int32_t
number_of(const struct json *object, const char *name)
{
	const struct json *node = json_get(object, name);
	int64_t value;

	if (node == NULL || json_type_of(node) != JSON_TYPE_INTEGER)
		return 0;
	value = json_int(node);
	return value >= 0 && value <= INT32_MAX ? (int32_t)value : 0;
}

/* What a listing names can't be more than it counts. */
static struct listing
listing_of(const struct text *first, size_t n, int32_t count)
{
	if (count < 0 || (size_t)count < n)
		count = (int32_t)n;
	if (n < LISTING_FIRST && (size_t)count > n)
		count = (int32_t)n;
	return (struct listing){ count, first };
}

static struct listing
read_listing(const struct json *why, const char *name, struct arena *arena)
{
	const struct json *node = json_get(why, name), *list;
	struct text *first;
	size_t n, i;

	if (node == NULL || json_type_of(node) != JSON_TYPE_OBJECT)
		return (struct listing){ 0 };
	list = json_get(node, "first");
	if (list == NULL || json_type_of(list) != JSON_TYPE_ARRAY)
		return (struct listing){ 0 };
	n = json_size(list) < LISTING_FIRST ? json_size(list) : LISTING_FIRST;
	first = arena_zalloc(arena, n, sizeof *first);
	for (i = 0; i < n; i++)
		if (json_type_of(json_at(list, i)) == JSON_TYPE_STRING)
			first[i] =
			    text_copy(arena, json_text(json_at(list, i)));
	return listing_of(first, n, number_of(node, "count"));
}

static int
read_why(
    struct text stored, struct arena *arena, struct why *why, struct error *err)
{
	struct json_document *document =
	    json_parse(stored.at != NULL ? stored : TEXT("{}"), DEPTH_MAX, err);
	const struct json *root, *cause;

	if (document == NULL)
		return -1;
	root = json_root(document);
	cause = json_get(root, "cause");
	*why = (struct why){
		.phase = number_of(root, "phase"),
		.cause = "unknown",
		.selected = number_of(root, "selected"),
		.running = number_of(root, "running"),
		.up_to_date = number_of(root, "upToDate"),
		.blocked = number_of(root, "blocked"),
		.offenders = read_listing(root, "offenders", arena),
		.up_to_date_targets =
		    read_listing(root, "upToDateTargets", arena),
		.dropped_targets = read_listing(root, "droppedTargets", arena),
		.out_of_scope = read_listing(root, "outOfScope", arena),
	};
	why->has_offenders = why->offenders.count > 0;
	if (cause != NULL && json_type_of(cause) == JSON_TYPE_STRING)
		why->cause = text_copy(arena, json_text(cause)).at;
	json_destroy(document);
	return 0;
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
	job->reason_inputs = listing_of(reason->inputs_first.at,
	    reason->inputs_first.n < LISTING_FIRST ? reason->inputs_first.n
						   : LISTING_FIRST,
	    reason->inputs_count);
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

int
run_outcome(const struct run_record *record,
    const struct build_requested *build, struct arena *arena,
    struct outcome *outcome, struct error *err)
{
	*outcome = (struct outcome){
		.run_id = record->id,
		.schedule_version_rid = record->schedule_version_rid,
		.type = types[record->state],
		.error_name = error_of(record->error_name),
		.description = record->description,
	};
	outcome->build_id = rid_build(&record->id);
	if (build != NULL)
		read_build(build, arena, &outcome->build);
	if (read_why(record->why, arena, &outcome->why, err) == 0)
		return 0;
	error_prefix(err, "the run's record in the run view");
	return -1;
}
