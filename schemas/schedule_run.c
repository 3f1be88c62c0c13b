#include "schemas/schedule_run.h"

#include "schemas/avro_bytes.h"
#include "schemas/framing.h"

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

void
schedule_run_encode(
    const struct schedule_run *run, uint32_t schema_id, struct buffer *out)
{
	framing_write(schema_id, out);
	avro_put_text(out, run->rid);
	avro_put_text(out, run->request_id);
	avro_put_text(out, run->schedule_rid);
	avro_put_optional(out, run->schedule_version_rid);
	avro_put_long(out, run->created_time_ms);
	avro_put_optional(out, run->created_by);
	avro_put_optional(out, run->trigger);
	avro_put_long(out, run->finished_time_ms);
	put_result(run, out);
	avro_put_long(out, run->phase);
	avro_put_text(out, run->cause);
	avro_put_long(out, run->selected);
	avro_put_long(out, run->running);
	avro_put_long(out, run->up_to_date);
	avro_put_long(out, run->blocked);
	put_lists(run->lists, out);
}
