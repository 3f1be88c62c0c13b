#include "schemas/message/schedule_run.h"

#include <string.h>

#include "schemas/avro/bytes.h"
#include "schemas/avro/framing.h"
#include "schemas/avro/value.h"

static const char *const state_names[] = {
	[RUN_PENDING] = "pending",
	[RUN_IGNORED] = "ignored",
	[RUN_SUBMITTED] = "submitted",
	[RUN_FAILED] = "error",
};

static const char *const error_names[RUN_ERRORS] = {
	[TARGET_RESOLUTION_FAILURE] = "TargetResolutionFailure",
	[CYCLIC_DEPENDENCY] = "CyclicDependency",
	[INCOMPATIBLE_TARGETS] = "IncompatibleTargets",
	[PERMISSION_DENIED] = "PermissionDenied",
	[JOB_SPEC_NOT_FOUND] = "JobSpecNotFound",
	[SCHEDULE_OWNER_NOT_FOUND] = "ScheduleOwnerNotFound",
	[INTERNAL] = "Internal",
};

static const struct text list_names[RUN_LISTS] = {
	[LIST_OFFENDERS] = { "offenders", 9 },
	[LIST_UP_TO_DATE_TARGETS] = { "upToDateTargets", 15 },
	[LIST_DROPPED_TARGETS] = { "droppedTargets", 14 },
	[LIST_OUT_OF_SCOPE] = { "outOfScope", 10 },
};

const char *
run_state_name(enum run_state state)
{
	return state_names[state];
}

const char *
run_error_name(enum run_error error)
{
	return error_names[error];
}

bool
run_error_find(struct text name, enum run_error *error)
{
	int i;

	for (i = 0; i < RUN_ERRORS; i++)
		if (text_equal(text_from(error_names[i]), name)) {
			*error = (enum run_error)i;
			return true;
		}
	return false;
}

/* Writing ---------------------------------------------------------------- */

static void
put_lists(const struct listing *lists, struct buffer *out)
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

/* These two causes also stand in schemas/lua/fold.lua. */
bool
schedule_run_is_damage(const struct schedule_run *run)
{
	return run->state == RUN_FAILED && run->error == INTERNAL &&
	    (text_equal(run->why.cause, TEXT("catalogueUnreadable")) ||
		text_equal(run->why.cause, TEXT("versionUnreadable")));
}

void
schedule_run_put_form(
    const struct schedule_run *run, struct buffer *out, struct run_form *form)
{
	form->schedule = out->size;
	avro_put_text(out, run->schedule_rid);
	avro_put_optional(out, run->schedule_version_rid);
	form->outcome = out->size;
	form->build = 0;
	avro_put_long(out, run->state - RUN_IGNORED);
	if (run->state == RUN_SUBMITTED) {
		avro_put_rid(out, TEXT(RID_BUILD_PREFIX), &run->build_id);
		form->build = out->size - UUID_TEXT_SIZE;
	} else if (run->state == RUN_FAILED) {
		avro_put_long(out, run->error);
		avro_put_text(out, run->description);
	}
	avro_put_long(out, run->why.phase);
	avro_put_text(out, run->why.cause);
	avro_put_long(out, run->why.selected);
	avro_put_long(out, run->why.running);
	avro_put_long(out, run->why.up_to_date);
	avro_put_long(out, run->why.blocked);
	put_lists(run->why.lists, out);
	form->end = out->size;
}

void
schedule_run_put_own(struct buffer *out, uint32_t schema_id, const char *block,
    const struct run_form *form, const struct run_own *own)
{
	size_t outcome;

	framing_write(schema_id, out);
	avro_put_rid(out, TEXT(RID_RUN_PREFIX), own->id);
	avro_put_text(out, own->request_id);
	avro_put_raw(out, block, form->schedule, form->outcome);
	avro_put_long(out, own->created_time_ms);
	avro_put_optional(out, own->created_by);
	avro_put_optional(out, own->trigger);
	avro_put_long(out, own->finished_time_ms);
	outcome = out->size;
	avro_put_raw(out, block, form->outcome, form->end);
	if (form->build > 0)
		uuid_format(&own->build_id,
		    out->at + outcome + form->build - form->outcome);
}

/* Reading ---------------------------------------------------------------- */

static void
read_result(struct message_reader *reader, struct schedule_run *run)
{
	avro_value_t result;

	if (!value_needed(reader, &reader->value, "result", &result))
		return;
	if (value_is_record(&result, "Ignored")) {
		run->state = RUN_IGNORED;
	} else if (value_is_record(&result, "Submitted")) {
		run->state = RUN_SUBMITTED;
		run->build_id = value_rid(
		    reader, &result, "buildRid", TEXT(RID_BUILD_PREFIX));
	} else if (value_is_record(&result, "RunError")) {
		run->state = RUN_FAILED;
		if (!run_error_find(value_symbol(reader, &result, "errorName"),
			&run->error))
			value_unfit(reader, "errorName");
		run->description = value_text(reader, &result, "description");
	} else {
		value_unfit(reader, "result");
	}
}

static void
read_listing(struct message_reader *reader, const avro_value_t *value,
    struct listing *listing)
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
	listing->n_first = (uint32_t)n;
}

static void
read_why(struct message_reader *reader, struct run_why *out)
{
	avro_value_t why, map, value;
	const char *key = NULL;
	size_t n, i;
	int list;

	if (!value_needed(reader, &reader->value, "why", &why))
		return;
	out->phase = value_int(reader, &why, "phase");
	out->cause = value_text(reader, &why, "cause");
	out->selected = value_int_or(reader, &why, "selected", 0);
	out->running = value_int_or(reader, &why, "running", 0);
	out->up_to_date = value_int_or(reader, &why, "upToDate", 0);
	out->blocked = value_int_or(reader, &why, "blocked", 0);
	/* A list of a name that a later version may have is passed over. */
	n = value_size_or_none(reader, &why, "lists", &map);
	for (i = 0; i < n; i++) {
		if (!value_at(reader, &map, i, &key, &value))
			continue;
		for (list = 0; list < RUN_LISTS; list++)
			if (strcmp(list_names[list].at, key) == 0)
				read_listing(reader, &value, &out->lists[list]);
	}
}

int
schedule_run_decode(struct message_reader *reader, struct text body,
    struct arena *arena, struct schedule_run *run, struct rejection *rejection)
{
	const avro_value_t *root = &reader->value;

	*run = (struct schedule_run){ 0 };
	if (message_read(reader, body, arena, rejection) != 0)
		return -1;
	run->id = value_rid(reader, root, "rid", TEXT(RID_RUN_PREFIX));
	run->request_id = value_text(reader, root, "requestId");
	run->schedule_rid = value_text(reader, root, "scheduleRid");
	run->schedule_version_rid =
	    value_text_or_none(reader, root, "scheduleVersionRid");
	run->created_time_ms = value_long(reader, root, "createdTime");
	run->created_by = value_text_or_none(reader, root, "createdBy");
	run->trigger = value_text_or_none(reader, root, "trigger");
	run->finished_time_ms = value_long(reader, root, "finishedTime");
	read_result(reader, run);
	read_why(reader, &run->why);
	return message_result(reader, rejection);
}
