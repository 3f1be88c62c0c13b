#include <string.h>

#include "schemas/avro/value.h"
#include "schemas/message/schedule_run.h"

static void
read_error(struct message_reader *reader, const avro_value_t *result,
    struct schedule_run *run)
{
	run->result = RESULT_ERROR;
	run->error_name =
	    run_error_index(value_symbol(reader, result, "errorName"));
	if (run->error_name < 0)
		value_unfit(reader, "errorName");
	run->description = value_text(reader, result, "description");
}

static void
read_result(struct message_reader *reader, struct schedule_run *run)
{
	avro_value_t result;

	if (!value_needed(reader, &reader->value, "result", &result))
		return;
	if (value_is_record(&result, "Submitted")) {
		run->result = RESULT_SUBMITTED;
		run->build_rid = value_text(reader, &result, "buildRid");
	} else if (value_is_record(&result, "RunError")) {
		read_error(reader, &result, run);
	} else if (!value_is_record(&result, "Ignored")) {
		value_unfit(reader, "result");
	}
}

static void
read_listing(struct message_reader *reader, const avro_value_t *value,
    struct run_listing *listing)
{
	avro_value_t first;
	struct text *texts;
	size_t n, i;

	listing->count = value_int(reader, value, "count");
	n = value_size(reader, value, "first", &first);
	texts = arena_zalloc(reader->arena, n, sizeof *texts);
	for (i = 0; i < n; i++)
		texts[i] = value_text_at(reader, &first, i);
	listing->first = texts;
	listing->n_first = n;
}

static void
read_lists(struct message_reader *reader, const avro_value_t *why,
    struct run_listing *lists)
{
	avro_value_t map, value;
	const char *key = NULL;
	size_t n = value_size_or_none(reader, why, "lists", &map), i;
	int list;

	for (i = 0; i < n; i++) {
		if (!value_at(reader, &map, i, &key, &value))
			continue;
		for (list = 0; list < RUN_LISTS; list++)
			if (strcmp(run_list_name((enum run_list)list), key) ==
			    0)
				read_listing(reader, &value, &lists[list]);
	}
}

static void
read_why(struct message_reader *reader, struct schedule_run *run)
{
	avro_value_t why;

	if (!value_needed(reader, &reader->value, "why", &why))
		return;
	run->phase = value_int(reader, &why, "phase");
	run->cause = value_text(reader, &why, "cause");
	run->selected = value_int_or(reader, &why, "selected", 0);
	run->running = value_int_or(reader, &why, "running", 0);
	run->up_to_date = value_int_or(reader, &why, "upToDate", 0);
	run->blocked = value_int_or(reader, &why, "blocked", 0);
	read_lists(reader, &why, run->lists);
}

int
schedule_run_decode(struct message_reader *reader, struct text body,
    struct arena *arena, struct schedule_run *run, struct rejection *rejection)
{
	const avro_value_t *root = &reader->value;

	*run = (struct schedule_run){ 0 };
	if (message_read(reader, body, arena, rejection) != 0)
		return -1;
	run->rid = value_text(reader, root, "rid");
	run->request_id = value_text(reader, root, "requestId");
	run->schedule_rid = value_text(reader, root, "scheduleRid");
	run->schedule_version_rid =
	    value_text_or_none(reader, root, "scheduleVersionRid");
	run->created_time_ms = value_long(reader, root, "createdTime");
	run->created_by = value_text_or_none(reader, root, "createdBy");
	run->trigger = value_text_or_none(reader, root, "trigger");
	run->finished_time_ms = value_long(reader, root, "finishedTime");
	read_result(reader, run);
	read_why(reader, run);
	return message_result(reader, rejection);
}
