#include "producer/runs/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/json/node.h"
#include "common/json/write.h"

#define DEPTH_MAX 16

static void
put_member(struct buffer *out, const char *name, struct text value)
{
	if (value.at == NULL)
		return;
	json_name(out, name);
	json_put_text(out, value);
}

static void
put_time(struct buffer *out, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format(ms, text);
	put_member(out, name, (struct text){ text, sizeof text });
}

static void
put_rid(struct buffer *out, const struct uuid *id)
{
	char rid[RID_SIZE_MAX];
	size_t size = rid_format(TEXT(RID_RUN_PREFIX), id, rid);

	put_member(out, "rid", (struct text){ rid, size });
}

static const char *
type_of(enum run_state state)
{
	switch (state) {
	case RUN_PENDING:
		break;
	case RUN_IGNORED:
		return "ignored";
	case RUN_SUBMITTED:
		return "submitted";
	case RUN_FAILED:
		return "error";
	}
	return "";
}

static void
put_stored_result(struct buffer *out, const struct run_record *record)
{
	json_name(out, "result");
	json_open(out, '{');
	put_member(out, "buildRid", record->build_rid);
	put_member(out, "description", record->description);
	put_member(out, "errorName", record->error_name);
	put_member(out, "type", text_from(type_of(record->state)));
	json_close(out, '}');
}

void
run_record_write(const struct run_record *record, struct buffer *out)
{
	bool finished = record->state != RUN_PENDING;
	char at[48];

	json_open(out, '{');
	if (finished) {
		snprintf(at, sizeof at, "%ld.%lld", (long)record->partition,
		    (long long)record->offset);
		put_member(out, "at", text_from(at));
	}
	put_member(out, "createdBy", record->created_by);
	put_time(out, "createdTime", record->created_time_ms);
	if (finished)
		put_time(out, "finishedTime", record->finished_time_ms);
	put_member(out, "requestId", record->request_id);
	if (finished)
		put_stored_result(out, record);
	put_rid(out, &record->id);
	put_member(out, "scheduleRid", record->schedule_rid);
	put_member(out, "scheduleVersionRid", record->schedule_version_rid);
	if (finished && record->why.at != NULL) {
		json_name(out, "why");
		buffer_append(out, record->why);
	}
	json_close(out, '}');
}

/* A string member, copied; none if it is missing or no string. */
static struct text
get_text(const struct json *object, const char *name, struct arena *arena)
{
	const struct json *node = json_get(object, name);

	if (node == NULL || json_type_of(node) != JSON_TYPE_STRING)
		return TEXT_NONE;
	return text_copy(arena, json_text(node));
}

static bool
get_time(const struct json *object, const char *name, int64_t *ms)
{
	const struct json *node = json_get(object, name);

	return node != NULL && json_type_of(node) == JSON_TYPE_STRING &&
	    clock_parse(json_text(node), ms);
}

static bool
read_id(const struct json *object, struct uuid *id)
{
	const struct json *node = json_get(object, "rid");

	return node != NULL && json_type_of(node) == JSON_TYPE_STRING &&
	    rid_parse(json_text(node), TEXT(RID_RUN_PREFIX), id);
}

static bool
read_place(const struct json *object, struct run_record *record)
{
	const struct json *node = json_get(object, "at");
	struct text partition, offset;
	const char *dot;
	int64_t number;

	if (node == NULL || json_type_of(node) != JSON_TYPE_STRING)
		return false;
	partition = json_text(node);
	dot = memchr(partition.at, '.', partition.size);
	if (dot == NULL)
		return false;
	offset.at = dot + 1;
	offset.size = partition.size - (size_t)(offset.at - partition.at);
	partition.size = (size_t)(dot - partition.at);
	if (!text_to_number(partition, INT32_MAX, &number) ||
	    !text_to_number(offset, INT64_MAX, &record->offset))
		return false;
	record->partition = (int32_t)number;
	return true;
}

static bool
read_result(
    const struct json *result, struct arena *arena, struct run_record *record)
{
	struct text type = get_text(result, "type", arena);

	record->build_rid = get_text(result, "buildRid", arena);
	record->error_name = get_text(result, "errorName", arena);
	record->description = get_text(result, "description", arena);
	if (text_equal(type, TEXT("ignored")))
		record->state = RUN_IGNORED;
	else if (text_equal(type, TEXT("submitted")))
		record->state = RUN_SUBMITTED;
	else if (text_equal(type, TEXT("error")))
		record->state = RUN_FAILED;
	else
		return false;
	return (record->state != RUN_SUBMITTED ||
		   record->build_rid.at != NULL) &&
	    (record->state != RUN_FAILED ||
		(record->error_name.at != NULL &&
		    record->description.at != NULL));
}

static bool
read_finished(
    const struct json *root, struct arena *arena, struct run_record *record)
{
	const struct json *result = json_get(root, "result");
	const struct json *why = json_get(root, "why");
	struct buffer printed = { 0 };

	record->state = RUN_PENDING;
	if (result == NULL)
		return true;
	if (!read_result(result, arena, record) ||
	    !get_time(root, "finishedTime", &record->finished_time_ms) ||
	    !read_place(root, record))
		return false;
	if (why != NULL) {
		json_put_node(&printed, why);
		record->why = text_copy(arena, buffer_text(&printed));
		buffer_finish(&printed);
	}
	return true;
}

static bool
read_record(
    const struct json *root, struct arena *arena, struct run_record *record)
{
	if (json_type_of(root) != JSON_TYPE_OBJECT)
		return false;
	record->request_id = get_text(root, "requestId", arena);
	record->schedule_rid = get_text(root, "scheduleRid", arena);
	record->schedule_version_rid =
	    get_text(root, "scheduleVersionRid", arena);
	record->created_by = get_text(root, "createdBy", arena);
	return record->request_id.at != NULL &&
	    record->schedule_rid.at != NULL && read_id(root, &record->id) &&
	    get_time(root, "createdTime", &record->created_time_ms) &&
	    read_finished(root, arena, record);
}

int
run_record_parse(struct text bytes, struct arena *arena,
    struct run_record *record, struct error *err)
{
	struct json_document *document = json_parse(bytes, DEPTH_MAX, err);
	int rc = -1;

	memset(record, 0, sizeof *record);
	if (document != NULL && read_record(json_root(document), arena, record))
		rc = 0;
	json_destroy(document);
	return rc == 0 ? 0
		       : error_fatal(err, 70,
			     "a run in the view is not of our form; remove its "
			     "key, the fold writes it again");
}

static void
put_variant(struct buffer *out, const struct run_record *record,
    enum http_profile profile)
{
	char name[64];
	size_t size;

	put_member(out, "buildRid", record->build_rid);
	if (record->state != RUN_FAILED)
		return;
	size = http_profile_error_name(profile, record->error_name, name);
	put_member(out, "errorName", (struct text){ name, size });
	put_member(out, "description", record->description);
}

/*
 * Flat with a discriminator for all clients; for `doc` also the key that the
 * API's page shows, both readings in one.
 */
static void
put_api_result(struct buffer *out, const struct run_record *record,
    enum http_profile profile)
{
	const char *type = type_of(record->state);

	json_name(out, "result");
	json_open(out, '{');
	json_name(out, "type");
	json_put_string(out, type);
	put_variant(out, record, profile);
	if (profile == PROFILE_DOC) {
		json_name(out, type);
		json_open(out, '{');
		put_variant(out, record, profile);
		json_close(out, '}');
	}
	json_close(out, '}');
}

void
run_record_write_api(const struct run_record *record, enum http_profile profile,
    struct buffer *out)
{
	json_open(out, '{');
	put_rid(out, &record->id);
	put_member(out, "scheduleRid", record->schedule_rid);
	put_member(out, "scheduleVersionRid", record->schedule_version_rid);
	put_time(out, "createdTime", record->created_time_ms);
	put_member(out, "createdBy", record->created_by);
	if (record->state != RUN_PENDING)
		put_api_result(out, record, profile);
	json_close(out, '}');
}
