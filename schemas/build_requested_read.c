#include "schemas/build_requested.h"
#include "schemas/message_value.h"
#include "schemas/time_unit.h"

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

static struct duration
read_duration(struct message_reader *reader, const avro_value_t *record)
{
	avro_value_t duration;

	if (!value_field(record, "retryBackoffDuration", &duration))
		return (struct duration){ TEXT_NONE, 0 };
	return (struct duration){
		time_unit_text(value_long(reader, &duration, "unit", -1)),
		(int32_t)value_long(reader, &duration, "value", 0),
	};
}

static void
read_run_as(struct message_reader *reader, struct build_head *head)
{
	avro_value_t run_as, user;

	if (!value_field(&reader->value, "runAs", &run_as)) {
		reader->failed = true;
		return;
	}
	if (value_field(&run_as, "userId", &user)) {
		head->run_as = SCOPE_USER;
		head->user_id = value_text(reader, &run_as, "userId");
	} else {
		head->run_as = SCOPE_PROJECT;
		head->project_rids = read_texts(reader, &run_as, "projectRids");
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
	head->created_time_ms = value_long(reader, root, "createdTime", 0);
	head->created_by = value_text(reader, root, "createdBy");
	head->branch = value_text(reader, root, "branch");
	head->fallback_branches = read_texts(reader, root, "fallbackBranches");
	head->force_build = value_bool(reader, root, "forceBuild");
	head->abort_on_failure = value_bool(reader, root, "abortOnFailure");
	head->retry_count = (int32_t)value_long(reader, root, "retryCount", 0);
	head->retry_backoff = read_duration(reader, root);
	read_run_as(reader, head);
	head->notify = value_text(reader, root, "notify");
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
			    value_text(reader, &branch, "parent");
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
			.job = (int32_t)value_long(reader, &item, "job", -1),
			.pinned = value_bool(reader, &item, "pinned"),
			.branch = value_text(reader, &item, "branch"),
			.transaction = value_text(reader, &item, "transaction"),
		};
	}
	job->inputs = inputs;
	job->n_inputs = n;
}

static void
read_depends_on(struct message_reader *reader, const avro_value_t *value,
    struct build_job *job)
{
	avro_value_t list, item;
	size_t n = value_size(reader, value, "dependsOn", &list), i;
	int32_t *positions = arena_zalloc(reader->arena, n, sizeof *positions);

	for (i = 0; i < n; i++)
		if (!value_at(reader, &list, i, NULL, &item) ||
		    avro_value_get_int(&item, &positions[i]) != 0)
			reader->failed = true;
	job->depends_on = positions;
	job->n_depends_on = n;
}

static void
read_reason(struct message_reader *reader, const avro_value_t *value,
    struct build_reason *out)
{
	avro_value_t reason, inputs;

	*out = (struct build_reason){ 0 };
	if (!value_field(value, "reason", &reason)) {
		reader->failed = true;
		return;
	}
	out->cause = value_text(reader, &reason, "cause");
	out->output = value_text(reader, &reason, "output");
	out->from = value_text(reader, &reason, "from");
	out->to = value_text(reader, &reason, "to");
	out->has_inputs = value_field(&reason, "inputs", &inputs);
	if (!out->has_inputs)
		return;
	out->inputs_count = (int32_t)value_long(reader, &inputs, "count", 0);
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
