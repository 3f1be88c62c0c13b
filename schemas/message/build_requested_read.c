#include "schemas/avro/value.h"
#include "schemas/message/build_requested.h"
#include "schemas/stored/time_unit.h"

static struct text_list
read_texts(
    struct message_reader *reader, const avro_value_t *record, const char *name)
{
	avro_value_t list;
	size_t n = value_size(reader, record, name, &list), i;
	struct text *texts = arena_zalloc(reader->arena, n, sizeof *texts);

	for (i = 0; i < n; i++)
		texts[i] = value_text_at(reader, &list, i);
	return (struct text_list){ texts, n };
}

static struct text
read_unit(struct message_reader *reader, const avro_value_t *duration)
{
	struct text unit = value_symbol(reader, duration, "unit");

	if (time_unit_index(unit) >= 0)
		return time_unit_text(time_unit_index(unit));
	value_unfit(reader, "unit");
	return TEXT_NONE;
}

static struct duration
read_duration(struct message_reader *reader, const avro_value_t *record)
{
	avro_value_t duration;

	if (!value_field(record, "retryBackoffDuration", &duration))
		return (struct duration){ TEXT_NONE, 0 };
	return (struct duration){
		read_unit(reader, &duration),
		value_int(reader, &duration, "value"),
	};
}

static void
read_run_as(struct message_reader *reader, struct build_head *head)
{
	avro_value_t run_as;

	if (!value_needed(reader, &reader->value, "runAs", &run_as))
		return;
	if (value_is_record(&run_as, "UserScope")) {
		head->run_as = SCOPE_USER;
		head->user_id = value_text(reader, &run_as, "userId");
	} else if (value_is_record(&run_as, "ProjectScope")) {
		head->run_as = SCOPE_PROJECT;
		head->project_rids = read_texts(reader, &run_as, "projectRids");
	} else {
		value_unfit(reader, "runAs");
	}
}

static void
read_head(struct message_reader *reader, struct build_head *head)
{
	const avro_value_t *root = &reader->value;

	head->build_rid = value_text(reader, root, "buildRid");
	head->run_rid = value_text(reader, root, "runRid");
	head->request_id = value_text(reader, root, "requestId");
	head->schedule_rid = value_text(reader, root, "scheduleRid");
	head->schedule_version_rid =
	    value_text(reader, root, "scheduleVersionRid");
	head->created_time_ms = value_long(reader, root, "createdTime");
	head->created_by = value_text_or_none(reader, root, "createdBy");
	head->branch = value_text(reader, root, "branch");
	head->fallback_branches = read_texts(reader, root, "fallbackBranches");
	head->force_build = value_bool(reader, root, "forceBuild");
	head->abort_on_failure = value_bool(reader, root, "abortOnFailure");
	head->retry_count = value_int(reader, root, "retryCount");
	head->retry_backoff = read_duration(reader, root);
	read_run_as(reader, head);
	head->notify = value_text_or_none(reader, root, "notify");
}

static void
read_outputs(struct message_reader *reader, const avro_value_t *value,
    struct build_job *job)
{
	avro_value_t list, item, branch;
	size_t n = value_size(reader, value, "outputs", &list), i;
	struct build_output *outputs =
	    arena_zalloc(reader->arena, n, sizeof *outputs);

	for (i = 0; i < n; i++) {
		if (!value_at(reader, &list, i, NULL, &item))
			continue;
		outputs[i].rid = value_text(reader, &item, "rid");
		outputs[i].new_branch =
		    value_field(&item, "newBranch", &branch);
		if (outputs[i].new_branch)
			outputs[i].parent =
			    value_text_or_none(reader, &branch, "parent");
	}
	job->outputs = outputs;
	job->n_outputs = n;
}

static void
read_inputs(struct message_reader *reader, const avro_value_t *value,
    struct build_job *job)
{
	avro_value_t list, item;
	size_t n = value_size(reader, value, "inputs", &list), i;
	struct build_input *inputs =
	    arena_zalloc(reader->arena, n, sizeof *inputs);

	for (i = 0; i < n; i++) {
		if (!value_at(reader, &list, i, NULL, &item))
			continue;
		inputs[i] = (struct build_input){
			.rid = value_text(reader, &item, "rid"),
			.job = value_int_or(reader, &item, "job", -1),
			.pinned = value_bool_or(reader, &item, "pinned", false),
			.branch = value_text_or_none(reader, &item, "branch"),
			.transaction =
			    value_text_or_none(reader, &item, "transaction"),
		};
	}
	job->inputs = inputs;
	job->n_inputs = n;
}

static void
read_depends_on(struct message_reader *reader, const avro_value_t *value,
    struct build_job *job)
{
	avro_value_t list;
	size_t n = value_size(reader, value, "dependsOn", &list), i;
	int32_t *positions = arena_zalloc(reader->arena, n, sizeof *positions);

	for (i = 0; i < n; i++)
		positions[i] = value_int_at(reader, &list, i);
	job->depends_on = positions;
	job->n_depends_on = n;
}

static void
read_reason(struct message_reader *reader, const avro_value_t *value,
    struct build_reason *out)
{
	avro_value_t reason, inputs;

	*out = (struct build_reason){ 0 };
	if (!value_needed(reader, value, "reason", &reason))
		return;
	out->cause = value_text(reader, &reason, "cause");
	out->output = value_text_or_none(reader, &reason, "output");
	out->from = value_text_or_none(reader, &reason, "from");
	out->to = value_text_or_none(reader, &reason, "to");
	out->has_inputs = value_field(&reason, "inputs", &inputs);
	if (!out->has_inputs)
		return;
	out->inputs_count = value_int(reader, &inputs, "count");
	out->inputs_first = read_texts(reader, &inputs, "first");
}

static void
read_job(struct message_reader *reader, const avro_value_t *value,
    struct build_job *job)
{
	job->head = (struct build_job_head){
		.job_rid = value_text(reader, value, "jobRid"),
		.job_spec_rid = value_text(reader, value, "jobSpecRid"),
		.spec_branch = value_text(reader, value, "specBranch"),
		.logic = value_text(reader, value, "logic"),
	};
	read_outputs(reader, value, job);
	read_inputs(reader, value, job);
	read_depends_on(reader, value, job);
	read_reason(reader, value, &job->reason);
}

int
build_requested_decode(struct message_reader *reader, struct text body,
    struct arena *arena, struct build_requested *build,
    struct rejection *rejection)
{
	avro_value_t list, item;
	struct build_job *jobs;
	size_t n, i;

	*build = (struct build_requested){ 0 };
	if (message_read(reader, body, arena, rejection) != 0)
		return -1;
	read_head(reader, &build->head);
	n = value_size(reader, &reader->value, "jobs", &list);
	jobs = arena_zalloc(arena, n, sizeof *jobs);
	for (i = 0; i < n; i++)
		if (value_at(reader, &list, i, NULL, &item))
			read_job(reader, &item, &jobs[i]);
	build->jobs = jobs;
	build->n_jobs = n;
	return message_result(reader, rejection);
}
