#include "schemas/message/build_requested.h"

#include <string.h>

#include "schemas/avro/bytes.h"
#include "schemas/avro/framing.h"
#include "schemas/avro/value.h"
#include "schemas/stored/time_unit.h"

static const char *const reason_causes[REASON_CAUSES] = {
	[REASON_FORCED] = "forced",
	[REASON_NEVER_BUILT] = "neverBuilt",
	[REASON_NEW_LOGIC] = "newLogic",
	[REASON_INPUTS_CHANGED] = "inputsChanged",
	[REASON_UPSTREAM] = "upstream",
	[REASON_ALWAYS_STALE] = "alwaysStale",
};

const char *
reason_cause_text(enum reason_cause cause)
{
	return reason_causes[cause];
}

struct text
build_notifies(const struct build *build)
{
	const struct schedule_version *version = build->version;

	return version->notifications_enabled && version->scope == SCOPE_USER
	    ? version->created_by
	    : TEXT_NONE;
}

struct text
job_input_key(struct arena *arena, const struct spec_input *input)
{
	size_t size;
	char *key;

	if (input->branch.at == NULL)
		return input->rid;
	size = input->rid.size + 1 + input->branch.size;
	key = arena_alloc(arena, size);
	memcpy(key, input->rid.at, input->rid.size);
	key[input->rid.size] = '@';
	memcpy(key + input->rid.size + 1, input->branch.at, input->branch.size);
	return (struct text){ key, size };
}

/* Writing ---------------------------------------------------------------- */

static void
put_texts(struct buffer *out, const struct text *texts, size_t n)
{
	size_t i;

	avro_put_items(out, n);
	for (i = 0; i < n; i++)
		avro_put_text(out, texts[i]);
	avro_put_end(out);
}

static void
put_optional(struct buffer *out, const struct text *text)
{
	avro_put_optional(out, text != NULL ? *text : TEXT_NONE);
}

static void
put_head(struct buffer *out, const struct build *build)
{
	const struct schedule_version *version = build->version;
	const struct duration *backoff = &version->retry_backoff;

	avro_put_text(out, version->branch_name);
	put_texts(
	    out, version->fallback_branches.at, version->fallback_branches.n);
	avro_put_bool(out, version->force_build);
	avro_put_bool(out, version->abort_on_failure);
	avro_put_long(out, build->retry_count);
	avro_put_long(out, backoff->unit.at != NULL);
	if (backoff->unit.at != NULL) {
		avro_put_long(out, time_unit_index(backoff->unit));
		avro_put_long(out, backoff->value);
	}
	avro_put_long(out, version->scope == SCOPE_PROJECT);
	if (version->scope == SCOPE_PROJECT)
		put_texts(
		    out, version->project_rids.at, version->project_rids.n);
	else
		avro_put_text(out, version->created_by);
	avro_put_optional(out, build_notifies(build));
}

static void
put_reason(struct buffer *out, const struct job *job)
{
	bool has_inputs = job->reason == REASON_INPUTS_CHANGED ||
	    job->reason == REASON_UPSTREAM;

	avro_put_text(out, text_from(reason_cause_text(job->reason)));
	put_optional(out, job->reason_output);
	put_optional(out, job->reason_from);
	put_optional(out, job->reason_from != NULL ? &job->spec->logic : NULL);
	avro_put_long(out, has_inputs);
	if (!has_inputs)
		return;
	avro_put_long(out, job->reason_inputs.count);
	put_texts(out, job->reason_inputs.first, job->reason_inputs.n_first);
}

/* A job's fingerprint, as far as it is the same in all runs. */
struct fingerprint {
	char text[UUID_TEXT_SIZE];
	bool is_of_run; /* it, or what it reads, is made anew in each */
};

/* An input's part: what is read of it, or how its producer makes it. */
static void
name_input(struct buffer *out, const struct job *job, size_t i,
    const struct fingerprint *producer)
{
	const struct branch *read = job->inputs[i].read;

	buffer_append(out, job->spec->inputs[i].rid);
	buffer_byte(out, ' ');
	if (producer != NULL)
		buffer_append(out,
		    (struct text){ producer->text, sizeof producer->text });
	else if (read != NULL)
		buffer_append(out, read->head);
	buffer_byte(out, '\n');
}

/*
 * Of the `i`th job, after those before it.  The name that it is of stands at
 * the buffer's end for a moment: jobs are too many for memory of their own.
 * What is made anew in each run has its job's id for one: that is another for
 * each, and costs nothing.
 */
static void
make_fingerprint(const struct build *build, size_t i, struct fingerprint *all,
    struct buffer *out)
{
	const struct job *job = &build->jobs[i];
	const struct job_spec *spec = job->spec;
	size_t start = out->size, end, k;
	struct uuid id = { 0 };

	all[i].is_of_run =
	    job->reason == REASON_FORCED || job->reason == REASON_ALWAYS_STALE;
	buffer_append(out, build->version->branch_name);
	buffer_byte(out, '\n');
	for (k = 0; k < spec->n_inputs; k++) {
		int32_t at = job->inputs[k].job;
		const struct fingerprint *producer =
		    at >= 0 && (size_t)at < i ? &all[at] : NULL;

		name_input(out, job, k, producer);
		if (producer != NULL && producer->is_of_run)
			all[i].is_of_run = true;
	}
	end = out->size;
	buffer_append(out, spec->rid);
	buffer_byte(out, '\n');
	buffer_append(out, spec->logic);
	if (!all[i].is_of_run)
		id = rid_fingerprint(
		    (struct text){ out->at + start, end - start },
		    (struct text){ out->at + end, out->size - end });
	uuid_format(&id, all[i].text);
	out->size = start;
}

/* Its id is any: it is overwritten in each record. */
static void
put_job(
    struct buffer *out, const struct job *job, const struct fingerprint *made)
{
	static const struct uuid any;
	const struct job_spec *spec = job->spec;
	size_t i;

	avro_put_rid(out, TEXT(RID_JOB_PREFIX), &any);
	avro_put_text(out, spec->rid);
	avro_put_text(out, spec->branch);
	avro_put_text(out, spec->logic);
	avro_put_items(out, spec->n_outputs);
	for (i = 0; i < spec->n_outputs; i++) {
		const struct text *parent = job_new_branch(job, i);

		avro_put_text(out, job->spec->outputs[i]);
		avro_put_long(out, parent != NULL);
		if (parent != NULL)
			avro_put_optional(out, *parent);
	}
	avro_put_end(out);
	avro_put_items(out, spec->n_inputs);
	for (i = 0; i < spec->n_inputs; i++) {
		const struct spec_input *input = &spec->inputs[i];
		const struct branch *read = job->inputs[i].read;
		int32_t producer = job->inputs[i].job;

		avro_put_text(out, input->rid);
		avro_put_long(out, producer >= 0);
		if (producer >= 0)
			avro_put_long(out, producer);
		avro_put_bool(out, input->branch.at != NULL);
		put_optional(out, read != NULL ? &read->name : NULL);
		put_optional(out, read != NULL ? &read->head : NULL);
	}
	avro_put_end(out);
	avro_put_items(out, job->n_depends_on);
	for (i = 0; i < job->n_depends_on; i++)
		avro_put_long(out, job->depends_on[i]);
	avro_put_end(out);
	put_reason(out, job);
	avro_put_optional(out, (struct text){ made->text, sizeof made->text });
}

void
build_requested_put_form(const struct schedule_run *run,
    const struct build *build, struct arena *arena, struct buffer *out,
    struct build_form *form)
{
	struct build_form_job *jobs =
	    arena_alloc(arena, build->n_jobs * sizeof *jobs);
	struct fingerprint *made =
	    arena_alloc(arena, build->n_jobs * sizeof *made);
	size_t i;

	form->schedule = out->size;
	avro_put_text(out, run->schedule_rid);
	avro_put_text(out, run->schedule_version_rid);
	form->rest = out->size;
	put_head(out, build);
	avro_put_items(out, build->n_jobs);
	for (i = 0; i < build->n_jobs; i++) {
		const struct job *job = &build->jobs[i];

		/* The RID's size, before its first byte, takes one. */
		jobs[i].uuid = (uint32_t)(out->size - form->rest + 1 +
		    sizeof RID_JOB_PREFIX - 1);
		jobs[i].key = text_copy(arena, job->spec->outputs[0]);
		make_fingerprint(build, i, made, out);
		put_job(out, job, &made[i]);
		/* It is the last of a job. */
		jobs[i].fingerprint = made[i].is_of_run
		    ? (uint32_t)(out->size - form->rest - UUID_TEXT_SIZE)
		    : 0;
	}
	avro_put_end(out);
	form->end = out->size;
	form->jobs = jobs;
	form->n_jobs = build->n_jobs;
}

void
build_requested_put_own(struct buffer *out, uint32_t schema_id,
    const char *block, const struct build_form *form, const struct run_own *own)
{
	size_t rest, i;

	framing_write(schema_id, out);
	avro_put_rid(out, TEXT(RID_BUILD_PREFIX), &own->build_id);
	avro_put_rid(out, TEXT(RID_RUN_PREFIX), own->id);
	avro_put_text(out, own->request_id);
	avro_put_raw(out, block, form->schedule, form->rest);
	avro_put_long(out, own->created_time_ms);
	avro_put_optional(out, own->created_by);
	rest = out->size;
	avro_put_raw(out, block, form->rest, form->end);
	for (i = 0; i < form->n_jobs; i++) {
		struct uuid id = rid_job(&own->build_id, form->jobs[i].key);
		char *at = out->at + rest;

		uuid_format(&id, at + form->jobs[i].uuid);
		if (form->jobs[i].fingerprint > 0)
			uuid_format(&id, at + form->jobs[i].fingerprint);
	}
}

/* Reading ---------------------------------------------------------------- */

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
	struct text unit;

	if (!value_field(record, "retryBackoffDuration", &duration))
		return (struct duration){ 0 };
	unit = value_symbol(reader, &duration, "unit");
	if (time_unit_index(unit) < 0)
		value_unfit(reader, "unit");
	return (struct duration){
		time_unit_text(time_unit_index(unit)),
		value_int(reader, &duration, "value"),
	};
}

static void
read_run_as(struct message_reader *reader, struct schedule_version *version)
{
	avro_value_t run_as;

	if (!value_needed(reader, &reader->value, "runAs", &run_as))
		return;
	if (value_is_record(&run_as, "UserScope")) {
		version->scope = SCOPE_USER;
		version->created_by = value_text(reader, &run_as, "userId");
	} else if (value_is_record(&run_as, "ProjectScope")) {
		version->scope = SCOPE_PROJECT;
		version->project_rids =
		    read_texts(reader, &run_as, "projectRids");
	} else {
		value_unfit(reader, "runAs");
	}
}

static struct schedule_version *
read_version(struct message_reader *reader, const struct schedule_run *run)
{
	const avro_value_t *root = &reader->value;
	struct schedule_version *version =
	    arena_zalloc(reader->arena, 1, sizeof *version);
	struct text notify = value_text_or_none(reader, root, "notify");

	version->rid = run->schedule_version_rid;
	version->schedule_rid = run->schedule_rid;
	version->branch_name = value_text(reader, root, "branch");
	version->fallback_branches =
	    read_texts(reader, root, "fallbackBranches");
	version->force_build = value_bool(reader, root, "forceBuild");
	version->abort_on_failure = value_bool(reader, root, "abortOnFailure");
	version->notifications_enabled = notify.at != NULL;
	version->retry_backoff = read_duration(reader, root);
	read_run_as(reader, version);
	return version;
}

static void
read_run(struct message_reader *reader, struct schedule_run *run)
{
	const avro_value_t *root = &reader->value;

	*run = (struct schedule_run){
		.id = value_rid(reader, root, "runRid", TEXT(RID_RUN_PREFIX)),
		.request_id = value_text(reader, root, "requestId"),
		.schedule_rid = value_text(reader, root, "scheduleRid"),
		.schedule_version_rid =
		    value_text(reader, root, "scheduleVersionRid"),
		.created_time_ms = value_long(reader, root, "createdTime"),
		.created_by = value_text_or_none(reader, root, "createdBy"),
		.state = RUN_SUBMITTED,
		.build_id =
		    value_rid(reader, root, "buildRid", TEXT(RID_BUILD_PREFIX)),
	};
}

static void
read_outputs(struct message_reader *reader, const avro_value_t *value,
    struct job_spec *spec, struct job *job)
{
	avro_value_t list, item, branch;
	size_t n = value_size(reader, value, "outputs", &list), i;
	struct text *outputs = arena_zalloc(reader->arena, n, sizeof *outputs);
	const struct text **parents =
	    arena_zalloc(reader->arena, n, sizeof *parents);
	struct text *parent;

	for (i = 0; i < n; i++) {
		if (!value_at(reader, &list, i, NULL, &item))
			continue;
		outputs[i] = value_text(reader, &item, "rid");
		if (!value_field(&item, "newBranch", &branch))
			continue;
		parent = arena_alloc(reader->arena, sizeof *parent);
		*parent = value_text_or_none(reader, &branch, "parent");
		parents[i] = parent;
	}
	spec->outputs = outputs;
	spec->n_outputs = n;
	job->new_branches = parents;
}

/* A pinned input of a producer in this build reads the build's `branch`. */
static void
read_inputs(struct message_reader *reader, const avro_value_t *value,
    struct text branch, struct job_spec *spec, struct job *job)
{
	avro_value_t list, item;
	size_t n = value_size(reader, value, "inputs", &list), i;
	struct spec_input *specs =
	    arena_zalloc(reader->arena, n, sizeof *specs);
	struct job_input *inputs =
	    arena_zalloc(reader->arena, n, sizeof *inputs);

	for (i = 0; i < n; i++) {
		struct branch *read =
		    arena_zalloc(reader->arena, 1, sizeof *read);

		if (!value_at(reader, &list, i, NULL, &item))
			continue;
		read->name = value_text_or_none(reader, &item, "branch");
		read->head = value_text_or_none(reader, &item, "transaction");
		specs[i].rid = value_text(reader, &item, "rid");
		inputs[i].job = value_int_or(reader, &item, "job", -1);
		if (inputs[i].job < 0)
			inputs[i].read = read;
		if (value_bool_or(reader, &item, "pinned", false))
			specs[i].branch =
			    inputs[i].job < 0 ? read->name : branch;
	}
	spec->inputs = specs;
	spec->n_inputs = n;
	job->inputs = inputs;
}

static const struct text *
read_text_if(
    struct message_reader *reader, const avro_value_t *record, const char *name)
{
	struct text *text = arena_alloc(reader->arena, sizeof *text);

	*text = value_text_or_none(reader, record, name);
	return text->at != NULL ? text : NULL;
}

/* A cause that a later version may have is taken for the last of ours. */
static void
read_reason(
    struct message_reader *reader, const avro_value_t *value, struct job *job)
{
	avro_value_t reason, inputs;
	struct text_list first;
	struct text cause;
	int i = 0;

	if (!value_needed(reader, value, "reason", &reason))
		return;
	cause = value_text(reader, &reason, "cause");
	while (i < REASON_CAUSES - 1 &&
	    !text_equal(cause, text_from(reason_causes[i])))
		i++;
	job->reason = (enum reason_cause)i;
	job->reason_output = read_text_if(reader, &reason, "output");
	job->reason_from = read_text_if(reader, &reason, "from");
	if (!value_field(&reason, "inputs", &inputs))
		return;
	first = read_texts(reader, &inputs, "first");
	job->reason_inputs =
	    (struct listing){ value_int(reader, &inputs, "count"),
		    (uint32_t)first.n, first.at };
}

static void
read_job(struct message_reader *reader, const avro_value_t *value,
    struct text branch, struct job *job)
{
	struct job_spec *spec = arena_zalloc(reader->arena, 1, sizeof *spec);
	int32_t *positions;
	avro_value_t list;
	size_t n, i;

	spec->rid = value_text(reader, value, "jobSpecRid");
	spec->branch = value_text(reader, value, "specBranch");
	spec->logic = value_text(reader, value, "logic");
	read_outputs(reader, value, spec, job);
	read_inputs(reader, value, branch, spec, job);
	n = value_size(reader, value, "dependsOn", &list);
	positions = arena_zalloc(reader->arena, n, sizeof *positions);
	for (i = 0; i < n; i++)
		positions[i] = value_int_at(reader, &list, i);
	job->depends_on = positions;
	job->n_depends_on = (uint32_t)n;
	read_reason(reader, value, job);
	job->spec = spec;
}

/* Whoever looks for it in Redis may rely on its form. */
static struct text
read_fingerprint(struct message_reader *reader, const avro_value_t *job)
{
	struct text text = value_text_or_none(reader, job, "fingerprint");
	struct uuid id;

	if (text.at != NULL && !uuid_parse(text, &id))
		value_unfit(reader, "fingerprint");
	return text;
}

int
build_requested_decode(struct message_reader *reader, struct text body,
    struct arena *arena, struct build_requested *build,
    struct rejection *rejection)
{
	const struct schedule_version *version;
	avro_value_t list, item;
	struct text *fingerprints;
	struct uuid *ids;
	struct job *jobs;
	size_t n, i;

	*build = (struct build_requested){ 0 };
	if (message_read(reader, body, arena, rejection) != 0)
		return -1;
	read_run(reader, &build->run);
	version = read_version(reader, &build->run);
	n = value_size(reader, &reader->value, "jobs", &list);
	jobs = arena_zalloc(arena, n, sizeof *jobs);
	ids = arena_zalloc(arena, n, sizeof *ids);
	fingerprints = arena_zalloc(arena, n, sizeof *fingerprints);
	for (i = 0; i < n; i++) {
		if (!value_at(reader, &list, i, NULL, &item))
			continue;
		ids[i] =
		    value_rid(reader, &item, "jobRid", TEXT(RID_JOB_PREFIX));
		read_job(reader, &item, version->branch_name, &jobs[i]);
		fingerprints[i] = read_fingerprint(reader, &item);
	}
	build->build = (struct build){ version,
		value_int(reader, &reader->value, "retryCount"), jobs, n };
	build->job_ids = ids;
	build->fingerprints = fingerprints;
	return message_result(reader, rejection);
}
