#include "schemas/message/run_json.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/json/node.h"
#include "common/json/write.h"

#define DEPTH_MAX 16
#define PHASE_STALENESS 11 /* the one that says how much is up to date */

/* Writing ---------------------------------------------------------------- */

static void
put_id(struct buffer *out, const char *name, struct text prefix,
    const struct uuid *id)
{
	char rid[RID_SIZE_MAX];

	json_member_known(
	    out, name, (struct text){ rid, rid_format(prefix, id, rid) });
}

static void
put_list(struct buffer *out, const char *name, const struct listing *list,
    bool also_empty)
{
	uint32_t i;

	if (!also_empty && list->count == 0)
		return;
	json_member_open(out, name, '{');
	json_member_integer(out, "count", list->count);
	json_member_open(out, "first", '[');
	for (i = 0; i < list->n_first; i++)
		json_put_text(out, list->first[i]);
	json_close(out, ']');
	json_close(out, '}');
}

/* Ascending.  `counts`: has numbers; `also_empty`: and lists of nothing. */
static void
put_why(
    struct buffer *out, const struct run_why *why, bool counts, bool also_empty)
{
	const struct listing *lists = why->lists;

	json_open(out, '{');
	if (why->blocked > 0)
		json_member_integer(out, "blocked", why->blocked);
	json_member_known(out, "cause", why->cause);
	put_list(
	    out, "droppedTargets", &lists[LIST_DROPPED_TARGETS], also_empty);
	put_list(out, "offenders", &lists[LIST_OFFENDERS], false);
	put_list(out, "outOfScope", &lists[LIST_OUT_OF_SCOPE], also_empty);
	json_member_integer(out, "phase", why->phase);
	if (counts) {
		json_member_integer(out, "running", why->running);
		json_member_integer(out, "selected", why->selected);
		json_member_integer(out, "upToDate", why->up_to_date);
	}
	put_list(out, "upToDateTargets", &lists[LIST_UP_TO_DATE_TARGETS],
	    also_empty);
	json_close(out, '}');
}

void
run_json_why(const struct run_why *why, struct buffer *out)
{
	put_why(out, why, true, false);
}

void
run_json_outcome_why(const struct schedule_run *run, struct buffer *out)
{
	bool counts =
	    run->why.phase == PHASE_STALENESS && run->state != RUN_FAILED;

	put_why(out, &run->why, counts, counts);
}

static void
put_stored_result(struct buffer *out, const struct schedule_run *run)
{
	json_member_open(out, "result", '{');
	if (run->state == RUN_SUBMITTED)
		put_id(out, "buildRid", TEXT(RID_BUILD_PREFIX), &run->build_id);
	if (run->state == RUN_FAILED) {
		json_member_known(out, "description", run->description);
		json_member_string(
		    out, "errorName", run_error_name(run->error));
	}
	json_member_string(out, "type", run_state_name(run->state));
	json_close(out, '}');
}

void
run_json_store(const struct schedule_run *run, struct buffer *out)
{
	bool finished = run->state != RUN_PENDING;
	char at[48];

	json_open(out, '{');
	if (finished) {
		snprintf(at, sizeof at, "%ld.%lld", (long)run->partition,
		    (long long)run->offset);
		json_member_string(out, "at", at);
	}
	json_member_known(out, "createdBy", run->created_by);
	json_member_time(out, "createdTime", run->created_time_ms);
	if (finished)
		json_member_time(out, "finishedTime", run->finished_time_ms);
	json_member_known(out, "requestId", run->request_id);
	if (finished)
		put_stored_result(out, run);
	put_id(out, "rid", TEXT(RID_RUN_PREFIX), &run->id);
	json_member_known(out, "scheduleRid", run->schedule_rid);
	json_member_known(out, "scheduleVersionRid", run->schedule_version_rid);
	json_member_known(
	    out, "trigger", text_cut(run->trigger, RUN_TRIGGER_KEPT));
	if (finished && run->why.cause.at != NULL) {
		json_name(out, "why");
		run_json_why(&run->why, out);
	}
	json_close(out, '}');
}

static void
tell_why(struct buffer *out, const struct run_why *why)
{
	json_member_open(out, "why", '{');
	json_member_integer(out, "phase", why->phase);
	json_member_known(out, "cause", why->cause);
	json_member_integer(out, "selected", why->selected);
	json_member_integer(out, "running", why->running);
	json_member_integer(out, "upToDate", why->up_to_date);
	if (why->blocked > 0)
		json_member_integer(out, "blocked", why->blocked);
	put_list(out, "offenders", &why->lists[LIST_OFFENDERS], false);
	put_list(out, "upToDateTargets", &why->lists[LIST_UP_TO_DATE_TARGETS],
	    false);
	put_list(
	    out, "droppedTargets", &why->lists[LIST_DROPPED_TARGETS], false);
	put_list(out, "outOfScope", &why->lists[LIST_OUT_OF_SCOPE], false);
	json_close(out, '}');
}

/* What the result's type has beside its name. */
static void
put_variant(
    struct buffer *out, const struct schedule_run *run, struct text error_name)
{
	if (run->state == RUN_SUBMITTED)
		put_id(out, "buildRid", TEXT(RID_BUILD_PREFIX), &run->build_id);
	if (run->state == RUN_FAILED) {
		json_member_known(out, "errorName", error_name);
		json_member_known(out, "description", run->description);
	}
}

static void
put_result(struct buffer *out, const struct schedule_run *run,
    struct text error_name, bool keyed)
{
	const char *type = run_state_name(run->state);

	json_member_open(out, "result", '{');
	json_member_string(out, "type", type);
	put_variant(out, run, error_name);
	if (keyed) {
		json_member_open(out, type, '{');
		put_variant(out, run, error_name);
		json_close(out, '}');
	}
	json_close(out, '}');
}

void
run_json_tell(const struct schedule_run *run, bool repeat, struct buffer *out)
{
	json_open(out, '{');
	put_id(out, "rid", TEXT(RID_RUN_PREFIX), &run->id);
	json_member_known(out, "requestId", run->request_id);
	json_member_known(out, "scheduleRid", run->schedule_rid);
	json_member_known(out, "scheduleVersionRid", run->schedule_version_rid);
	json_member_time(out, "createdTime", run->created_time_ms);
	json_member_known(out, "createdBy", run->created_by);
	json_member_known(out, "trigger", run->trigger);
	json_member_time(out, "finishedTime", run->finished_time_ms);
	put_result(out, run, text_from(run_error_name(run->error)), false);
	tell_why(out, &run->why);
	if (repeat)
		json_member_bool(out, "repeat", true);
	json_close(out, '}');
}

void
run_json_show(const struct schedule_run *run, struct text error_name,
    bool keyed, struct buffer *out)
{
	json_open(out, '{');
	put_id(out, "rid", TEXT(RID_RUN_PREFIX), &run->id);
	json_member_known(out, "scheduleRid", run->schedule_rid);
	json_member_known(out, "scheduleVersionRid", run->schedule_version_rid);
	json_member_time(out, "createdTime", run->created_time_ms);
	json_member_known(out, "createdBy", run->created_by);
	if (run->state != RUN_PENDING)
		put_result(out, run, error_name, keyed);
	json_close(out, '}');
}

/* Reading ---------------------------------------------------------------- */

/* A string member, copied; none if it is missing or no string. */
static struct text
get_text(const struct json *object, const char *name, struct arena *arena)
{
	return text_copy(arena, json_text(json_get(object, name)));
}

static bool
get_time(const struct json *object, const char *name, int64_t *ms)
{
	return clock_parse(json_text(json_get(object, name)), ms);
}

static bool
get_id(const struct json *object, const char *name, struct text prefix,
    struct uuid *id)
{
	return rid_parse(json_text(json_get(object, name)), prefix, id);
}

/* 0 if it is missing, or nothing that may be counted. */
static int32_t
get_count(const struct json *object, const char *name)
{
	int64_t value = json_int(json_get(object, name));

	return value >= 0 && value <= INT32_MAX ? (int32_t)value : 0;
}

static bool
read_place(const struct json *root, struct schedule_run *run)
{
	struct text partition = json_text(json_get(root, "at")), offset;
	const char *dot;
	int64_t number;

	if (partition.at == NULL)
		return false;
	dot = memchr(partition.at, '.', partition.size);
	if (dot == NULL)
		return false;
	offset.at = dot + 1;
	offset.size = partition.size - (size_t)(offset.at - partition.at);
	partition.size = (size_t)(dot - partition.at);
	if (!text_to_number(partition, INT32_MAX, &number) ||
	    !text_to_number(offset, INT64_MAX, &run->offset))
		return false;
	run->partition = (int32_t)number;
	return true;
}

static bool
read_result(
    const struct json *result, struct arena *arena, struct schedule_run *run)
{
	struct text type = json_text(json_get(result, "type"));
	struct text name = json_text(json_get(result, "errorName"));

	if (text_equal(type, TEXT("ignored"))) {
		run->state = RUN_IGNORED;
		return true;
	}
	if (text_equal(type, TEXT("submitted"))) {
		run->state = RUN_SUBMITTED;
		return get_id(
		    result, "buildRid", TEXT(RID_BUILD_PREFIX), &run->build_id);
	}
	run->state = RUN_FAILED;
	run->description = get_text(result, "description", arena);
	/* One that a later version may have is as good as Internal to us. */
	if (!run_error_find(name, &run->error))
		run->error = INTERNAL;
	return text_equal(type, TEXT("error")) && name.at != NULL &&
	    run->description.at != NULL;
}

static struct listing
read_list(const struct json *why, const char *name, struct arena *arena)
{
	const struct json *node = json_get(why, name);
	const struct json *list = json_get(node, "first");
	size_t n = json_size(list), i;
	struct text *first = arena_zalloc(arena, n, sizeof *first);

	for (i = 0; i < n; i++)
		first[i] = text_copy(arena, json_text(json_at(list, i)));
	return (struct listing){ get_count(node, "count"), (uint32_t)n, first };
}

static void
read_why(const struct json *why, struct arena *arena, struct run_why *out)
{
	*out = (struct run_why){
		.phase = get_count(why, "phase"),
		.cause = get_text(why, "cause", arena),
		.selected = get_count(why, "selected"),
		.running = get_count(why, "running"),
		.up_to_date = get_count(why, "upToDate"),
		.blocked = get_count(why, "blocked"),
	};
	out->lists[LIST_OFFENDERS] = read_list(why, "offenders", arena);
	out->lists[LIST_UP_TO_DATE_TARGETS] =
	    read_list(why, "upToDateTargets", arena);
	out->lists[LIST_DROPPED_TARGETS] =
	    read_list(why, "droppedTargets", arena);
	out->lists[LIST_OUT_OF_SCOPE] = read_list(why, "outOfScope", arena);
}

static bool
read_run(const struct json *root, struct arena *arena, struct schedule_run *run)
{
	const struct json *result = json_get(root, "result");

	run->request_id = get_text(root, "requestId", arena);
	run->schedule_rid = get_text(root, "scheduleRid", arena);
	run->schedule_version_rid = get_text(root, "scheduleVersionRid", arena);
	run->created_by = get_text(root, "createdBy", arena);
	run->trigger = get_text(root, "trigger", arena);
	if (run->request_id.at == NULL || run->schedule_rid.at == NULL ||
	    !get_id(root, "rid", TEXT(RID_RUN_PREFIX), &run->id) ||
	    !get_time(root, "createdTime", &run->created_time_ms))
		return false;
	if (result == NULL)
		return true;
	read_why(json_get(root, "why"), arena, &run->why);
	return read_result(result, arena, run) &&
	    get_time(root, "finishedTime", &run->finished_time_ms) &&
	    read_place(root, run);
}

int
run_json_parse(struct text bytes, struct arena *arena, struct schedule_run *run,
    struct error *err)
{
	struct json_document *document = json_parse(bytes, DEPTH_MAX, err);
	bool is_ours;

	*run = (struct schedule_run){ 0 };
	is_ours = document != NULL && read_run(json_root(document), arena, run);
	json_destroy(document);
	if (is_ours)
		return 0;
	return error_fatal(err, 70,
	    "a run in the view is not of our form; remove its key, the fold "
	    "writes it again");
}
