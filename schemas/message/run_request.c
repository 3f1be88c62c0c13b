#include "schemas/message/run_request.h"

#include <string.h>

#include "common/base/clock.h"
#include "schemas/avro/bytes.h"
#include "schemas/avro/framing.h"
#include "schemas/embedded.h"

#define REQUEST_ID_MAX 200

/* Nothing was created before 2000-01-01, or later than clocks may differ. */
#define CREATED_FIRST_MS INT64_C(946684800000)
#define CREATED_AHEAD_MS INT64_C(86400000)
#define DAY_SIZE 10 /* "1970-01-21" */

enum field {
	FIELD_REQUEST_ID,
	FIELD_RUN_RID,
	FIELD_SCHEDULE_RID,
	FIELD_VERSION_RID,
	FIELD_CREATED_TIME,
	FIELD_CREATED_BY,
	FIELD_TRIGGER,
	FIELDS,
};

static const struct wanted_field fields[FIELDS] = {
	[FIELD_REQUEST_ID] = { "requestId", WANTED_TEXT, false },
	[FIELD_RUN_RID] = { "runRid", WANTED_TEXT_OR_NULL, true },
	[FIELD_SCHEDULE_RID] = { "scheduleRid", WANTED_TEXT, false },
	[FIELD_VERSION_RID] = { "scheduleVersionRid", WANTED_TEXT_OR_NULL,
	    true },
	[FIELD_CREATED_TIME] = { "createdTime", WANTED_LONG, false },
	[FIELD_CREATED_BY] = { "createdBy", WANTED_TEXT_OR_NULL, true },
	[FIELD_TRIGGER] = { "trigger", WANTED_TEXT_OR_NULL, true },
};

struct layout *
run_request_layout(struct text schema, struct rejection *rejection)
{
	struct layout *layout = layout_compile(
	    schema, message_name(MESSAGE_RUN_REQUEST), rejection);

	if (layout == NULL)
		return NULL;
	if (layout_want(layout, fields, FIELDS, rejection) == 0)
		return layout;
	layout_destroy(layout);
	return NULL;
}

static int
invalid(struct rejection *rejection, enum field field, const char *what)
{
	return reject(
	    rejection, REJECT_INVALID_FIELD, "%s %s", fields[field].name, what);
}

static int
check_request_id(struct text id, struct rejection *rejection)
{
	if (id.size == 0)
		return invalid(rejection, FIELD_REQUEST_ID, "is empty");
	if (id.size > REQUEST_ID_MAX)
		return reject(rejection, REJECT_INVALID_FIELD,
		    "requestId has %zu bytes, more than %d", id.size,
		    REQUEST_ID_MAX);
	if (text_has_control(id))
		return invalid(
		    rejection, FIELD_REQUEST_ID, "has a control character");
	if (!text_is_utf8(id))
		return invalid(rejection, FIELD_REQUEST_ID, "is not UTF-8");
	return 0;
}

static bool
is_plausible(int64_t time_ms, int64_t now_ms)
{
	return time_ms >= CREATED_FIRST_MS &&
	    time_ms - CREATED_AHEAD_MS <= now_ms;
}

/* What would have made it a time that one can believe. */
static const char *
guess_unit(int64_t time_ms, int64_t now_ms)
{
	if (time_ms > 0 && time_ms < INT64_MAX / 1000 &&
	    is_plausible(time_ms * 1000, now_ms))
		return ": seconds for milliseconds?";
	if (is_plausible(time_ms / 1000, now_ms))
		return ": microseconds for milliseconds?";
	if (is_plausible(time_ms / 1000000, now_ms))
		return ": nanoseconds for milliseconds?";
	return ", not from 2000-01-01 to a day from now";
}

int
run_request_check_time(const struct run_request *request, int64_t now_ms,
    struct rejection *rejection)
{
	int64_t time_ms = request->created_time_ms;
	char day[CLOCK_TEXT_SIZE];

	if (is_plausible(time_ms, now_ms))
		return 0;
	clock_format(time_ms, day);
	return reject(rejection, REJECT_INVALID_FIELD,
	    "createdTime is %s%.*s%s",
	    time_ms < 0                  ? "before "
		: time_ms > CLOCK_MAX_MS ? "after "
					 : "",
	    DAY_SIZE, day, guess_unit(time_ms, now_ms));
}

static int
check_trigger(struct text trigger, struct rejection *rejection)
{
	if (trigger.size == 0)
		return 0;
	if (!text_is_utf8(trigger))
		return invalid(rejection, FIELD_TRIGGER, "is not UTF-8");
	if (memchr(trigger.at, '\0', trigger.size) != NULL)
		return invalid(rejection, FIELD_TRIGGER, "has a NUL inside");
	return 0;
}

int
run_request_check(const struct run_request *request, struct uuid *run,
    struct rejection *rejection)
{
	struct uuid user;
	char expected[sizeof RID_RUN_PREFIX + UUID_TEXT_SIZE];
	size_t size;

	if (check_request_id(request->request_id, rejection) != 0)
		return -1;
	if (!rid_is(request->schedule_rid, TEXT("scheduler"), TEXT("schedule")))
		return invalid(rejection, FIELD_SCHEDULE_RID,
		    "is not the RID of a schedule, ri.scheduler.*.schedule.* "
		    "of at most 200 bytes");
	if (request->schedule_version_rid.at != NULL &&
	    !rid_is(request->schedule_version_rid, TEXT("scheduler"),
		TEXT("schedule-version")))
		return invalid(rejection, FIELD_VERSION_RID,
		    "is not ri.scheduler.*.schedule-version.*");
	if (request->created_by.at != NULL &&
	    !uuid_parse(request->created_by, &user))
		return invalid(
		    rejection, FIELD_CREATED_BY, "is not a UUID in lower case");
	if (check_trigger(request->trigger, rejection) != 0)
		return -1;
	*run = rid_run(request->schedule_rid, request->request_id);
	/* runRid, if given, must be what this request's id gives. */
	if (request->run_rid.at == NULL)
		return 0;
	size = rid_format(TEXT(RID_RUN_PREFIX), run, expected);
	if (!text_equal(request->run_rid, (struct text){ expected, size }))
		return invalid(rejection, FIELD_RUN_RID,
		    "is not the function of scheduleRid and requestId");
	return 0;
}

int
run_request_decode(const struct layout *layout, struct text body,
    struct run_request *request, struct uuid *run, struct rejection *rejection)
{
	union field_value values[FIELDS];

	if (layout_walk(layout, body, values, rejection) != 0)
		return -1;
	*request = (struct run_request){
		.request_id = values[FIELD_REQUEST_ID].text,
		.run_rid = values[FIELD_RUN_RID].text,
		.schedule_rid = values[FIELD_SCHEDULE_RID].text,
		.schedule_version_rid = values[FIELD_VERSION_RID].text,
		.created_time_ms = values[FIELD_CREATED_TIME].number,
		.created_by = values[FIELD_CREATED_BY].text,
		.trigger = values[FIELD_TRIGGER].text,
	};
	return run_request_check(request, run, rejection);
}

void
run_request_encode(
    const struct run_request *request, uint32_t schema_id, struct buffer *out)
{
	framing_write(schema_id, out);
	avro_put_text(out, request->request_id);
	avro_put_optional(out, request->run_rid);
	avro_put_text(out, request->schedule_rid);
	avro_put_optional(out, request->schedule_version_rid);
	avro_put_long(out, request->created_time_ms);
	avro_put_optional(out, request->created_by);
	avro_put_optional(out, request->trigger);
}
