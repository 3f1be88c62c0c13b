#include "schemas/message/schedule_run.h"

#include "schemas/avro/bytes.h"
#include "schemas/avro/framing.h"

static const char *const error_names[] = { "TargetResolutionFailure",
	"CyclicDependency", "IncompatibleTargets", "PermissionDenied",
	"JobSpecNotFound", "ScheduleOwnerNotFound", "Internal" };
#define ERROR_NAMES (sizeof error_names / sizeof error_names[0])

const char *
run_error_name(int32_t index)
{
	if (index < 0 || (size_t)index >= ERROR_NAMES)
		return NULL;
	return error_names[index];
}

int32_t
run_error_index(struct text name)
{
	int32_t i;

	for (i = 0; i < (int32_t)ERROR_NAMES; i++)
		if (text_equal(text_from(error_names[i]), name))
			return i;
	return -1;
}

static const struct text list_names[RUN_LISTS] = {
	[LIST_OFFENDERS] = { "offenders", 9 },
	[LIST_UP_TO_DATE_TARGETS] = { "upToDateTargets", 15 },
	[LIST_DROPPED_TARGETS] = { "droppedTargets", 14 },
	[LIST_OUT_OF_SCOPE] = { "outOfScope", 10 },
};

const char *
run_list_name(enum run_list list)
{
	return list_names[list].at;
}

static void
put_result(const struct schedule_run *run, struct buffer *out)
{
	avro_put_long(out, (int64_t)run->result);
	switch (run->result) {
	case RESULT_IGNORED:
		break;
	case RESULT_SUBMITTED:
		avro_put_text(out, run->build_rid);
		break;
	case RESULT_ERROR:
		avro_put_long(out, run->error_name);
		avro_put_text(out, run->description);
		break;
	}
}

static void
put_lists(const struct run_listing *lists, struct buffer *out)
{
	size_t n = 0, i, j;

	for (i = 0; i < RUN_LISTS; i++)
		n += lists[i].count > 0;
	avro_put_items(out, n);
	for (i = 0; i < RUN_LISTS; i++) {
		if (lists[i].count == 0)
			continue;
		avro_put_text(out, list_names[i]);
		avro_put_long(out, lists[i].count);
		avro_put_items(out, lists[i].n_first);
		for (j = 0; j < lists[i].n_first; j++)
			avro_put_text(out, lists[i].first[j]);
		avro_put_end(out);
	}
	avro_put_end(out);
}

static void
put_schedule(const struct schedule_run *run, struct buffer *out)
{
	avro_put_text(out, run->schedule_rid);
	avro_put_optional(out, run->schedule_version_rid);
}

static void
put_outcome(const struct schedule_run *run, struct buffer *out)
{
	put_result(run, out);
	avro_put_long(out, run->phase);
	avro_put_text(out, run->cause);
	avro_put_long(out, run->selected);
	avro_put_long(out, run->running);
	avro_put_long(out, run->up_to_date);
	avro_put_long(out, run->blocked);
	put_lists(run->lists, out);
}

void
schedule_run_encode(
    const struct schedule_run *run, uint32_t schema_id, struct buffer *out)
{
	framing_write(schema_id, out);
	avro_put_text(out, run->rid);
	avro_put_text(out, run->request_id);
	put_schedule(run, out);
	avro_put_long(out, run->created_time_ms);
	avro_put_optional(out, run->created_by);
	avro_put_optional(out, run->trigger);
	avro_put_long(out, run->finished_time_ms);
	put_outcome(run, out);
}

void
schedule_run_encode_form(
    const struct schedule_run *run, struct buffer *out, struct run_form *form)
{
	form->schedule = out->size;
	put_schedule(run, out);
	form->created_by = out->size;
	avro_put_optional(out, run->created_by);
	form->outcome = out->size;
	put_outcome(run, out);
	form->end = out->size;
	form->build = 0;
	if (run->result == RESULT_SUBMITTED)
		/* The union's branch and the text's size are a byte each. */
		form->build = form->outcome + 2 + sizeof RID_BUILD_PREFIX - 1;
}

void
schedule_run_encode_own(const char *block, const struct run_form *form,
    const struct run_own *own, uint32_t schema_id, struct buffer *out)
{
	size_t outcome;

	framing_write(schema_id, out);
	avro_put_rid(out, TEXT(RID_RUN_PREFIX), own->run);
	avro_put_text(out, own->request_id);
	avro_put_raw(out, block, form->schedule, form->created_by);
	avro_put_long(out, own->created_time_ms);
	avro_put_raw(out, block, form->created_by, form->outcome);
	avro_put_optional(out, own->trigger);
	avro_put_long(out, own->finished_time_ms);
	outcome = out->size;
	avro_put_raw(out, block, form->outcome, form->end);
	if (form->build > 0)
		uuid_format(own->build,
		    out->at + outcome + form->build - form->outcome);
}
