#include "schemas/message/build_requested.h"

#include "schemas/avro/bytes.h"
#include "schemas/avro/framing.h"
#include "schemas/stored/time_unit.h"

static void
put_texts(struct buffer *out, struct text_list list)
{
	size_t i;

	avro_put_items(out, list.n);
	for (i = 0; i < list.n; i++)
		avro_put_text(out, list.at[i]);
	avro_put_end(out);
}

static void
put_duration(struct buffer *out, struct duration duration)
{
	avro_put_long(out, duration.unit.at != NULL);
	if (duration.unit.at == NULL)
		return;
	avro_put_long(out, time_unit_index(duration.unit));
	avro_put_long(out, duration.value);
}

static void
put_run_as(struct buffer *out, const struct build_head *head)
{
	if (head->run_as == SCOPE_USER) {
		avro_put_long(out, 0);
		avro_put_text(out, head->user_id);
	} else {
		avro_put_long(out, 1);
		put_texts(out, head->project_rids);
	}
}

static void
put_schedule(struct buffer *out, const struct build_head *head)
{
	avro_put_text(out, head->schedule_rid);
	avro_put_text(out, head->schedule_version_rid);
}

static void
put_rest(struct buffer *out, const struct build_head *head, size_t n_jobs)
{
	avro_put_optional(out, head->created_by);
	avro_put_text(out, head->branch);
	put_texts(out, head->fallback_branches);
	avro_put_bool(out, head->force_build);
	avro_put_bool(out, head->abort_on_failure);
	avro_put_long(out, head->retry_count);
	put_duration(out, head->retry_backoff);
	put_run_as(out, head);
	avro_put_optional(out, head->notify);
	avro_put_items(out, n_jobs);
}

void
build_put_head(struct buffer *out, uint32_t schema_id,
    const struct build_head *head, size_t n_jobs)
{
	framing_write(schema_id, out);
	avro_put_text(out, head->build_rid);
	avro_put_text(out, head->run_rid);
	avro_put_text(out, head->request_id);
	put_schedule(out, head);
	avro_put_long(out, head->created_time_ms);
	put_rest(out, head, n_jobs);
}

void
build_put_form(struct buffer *out, const struct build_head *head, size_t n_jobs,
    struct build_form *form)
{
	form->schedule = out->size;
	put_schedule(out, head);
	form->rest = out->size;
	put_rest(out, head, n_jobs);
}

size_t
build_put_own(struct buffer *out, uint32_t schema_id, const char *block,
    const struct build_form *form, const struct run_own *own)
{
	size_t rest;

	framing_write(schema_id, out);
	avro_put_rid(out, TEXT(RID_BUILD_PREFIX), &own->build_id);
	avro_put_rid(out, TEXT(RID_RUN_PREFIX), own->id);
	avro_put_text(out, own->request_id);
	avro_put_raw(out, block, form->schedule, form->rest);
	avro_put_long(out, own->created_time_ms);
	rest = out->size;
	avro_put_raw(out, block, form->rest, form->end);
	return rest;
}

size_t
build_put_job(struct buffer *out, const struct build_job_head *job)
{
	size_t uuid;

	avro_put_text(out, job->job_rid);
	uuid = out->size - UUID_TEXT_SIZE;
	avro_put_text(out, job->job_spec_rid);
	avro_put_text(out, job->spec_branch);
	avro_put_text(out, job->logic);
	return uuid;
}

void
build_put_items(struct buffer *out, size_t n)
{
	avro_put_items(out, n);
}

void
build_put_end(struct buffer *out)
{
	avro_put_end(out);
}

void
build_put_output(struct buffer *out, const struct build_output *output)
{
	avro_put_text(out, output->rid);
	avro_put_long(out, output->new_branch);
	if (output->new_branch)
		avro_put_optional(out, output->parent);
}

void
build_put_input(struct buffer *out, const struct build_input *input)
{
	avro_put_text(out, input->rid);
	avro_put_long(out, input->job >= 0);
	if (input->job >= 0)
		avro_put_long(out, input->job);
	avro_put_bool(out, input->pinned);
	avro_put_optional(out, input->branch);
	avro_put_optional(out, input->transaction);
}

void
build_put_depends_on(struct buffer *out, const int32_t *positions, size_t n)
{
	size_t i;

	avro_put_items(out, n);
	for (i = 0; i < n; i++)
		avro_put_long(out, positions[i]);
	avro_put_end(out);
}

void
build_put_reason(struct buffer *out, const struct build_reason *reason)
{
	avro_put_text(out, reason->cause);
	avro_put_optional(out, reason->output);
	avro_put_optional(out, reason->from);
	avro_put_optional(out, reason->to);
	avro_put_long(out, reason->has_inputs);
	if (!reason->has_inputs)
		return;
	avro_put_long(out, reason->inputs_count);
	put_texts(out, reason->inputs_first);
}
