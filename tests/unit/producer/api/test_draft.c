#include "producer/api/draft.h"

#include <stdio.h>
#include <string.h>

#include "producer/api/json.h"
#include "tests/unit/check.h"

#define D(name) "\"ri.foundry.main.dataset." name "\""
#define MANUAL "{\"type\":\"manual\",\"targetRids\":[" D("a") "]}"
#define ACTION "\"action\":{\"target\":" MANUAL "}"
#define SCHEDULE "ri.scheduler.main.schedule.s"
#define VERSION "ri.scheduler.main.schedule-version.v"
#define USER "f05f8da4-b84c-4fca-9c77-8af0b13d11de"
#define TIME "2026-01-31T09:05:07.042Z"

static const struct draft_ids ids = {
	.schedule_rid = { SCHEDULE, sizeof SCHEDULE - 1 },
	.version_rid = { VERSION, sizeof VERSION - 1 },
	.created_by = { USER, sizeof USER - 1 },
	.created_time = { TIME, sizeof TIME - 1 },
};

/* What is stored of the shortest body; the worker's reader takes it. */
static const char shortest[] =
    "{\"action\":{\"abortOnFailure\":false,\"branchName\":\"master\","
    "\"fallbackBranches\":[],\"forceBuild\":false,"
    "\"notificationsEnabled\":false,\"target\":{\"targetRids\":[" D(
	"a") "],"
	     "\"type\":\"manual\"}},\"createdBy\":\"" USER
	     "\",\"createdTime\":\"" TIME "\",\"rid\":\"" VERSION
	     "\",\"scheduleRid\":\"" SCHEDULE
	     "\",\"scopeMode\":{\"type\":\"user\"}}";

/* `parameter` and `reason` of Default:InvalidArgument. */
static const struct {
	const char *body;
	enum api_error error; /* N_API_ERRORS: it is taken */
	const char *parameter, *reason;
} rows[] = {
	{ "{" ACTION "}", N_API_ERRORS, NULL, NULL },
	{ "{\"action\":{\"target\":" MANUAL ",\"retryCount\":null}}",
	    N_API_ERRORS, NULL, NULL },
	{ "{" ACTION ",\"trigger\":null,\"scopeMode\":null}", N_API_ERRORS,
	    NULL, NULL },
	{ "[]", API_INVALID_ARGUMENT, "body",
	    "must be of type object, not array" },
	{ "{}", API_INVALID_ARGUMENT, "body", "\"action\" is missing" },
	{ "{\"action\":null}", API_INVALID_ARGUMENT, "action",
	    "must be of type object, not null" },
	{ "{\"action\":{}}", API_INVALID_ARGUMENT, "action",
	    "\"target\" is missing" },
	{ "{\"action\":{\"target\":[]}}", API_INVALID_ARGUMENT, "action.target",
	    "must be of type object, not array" },
	{ "{\"action\":{\"target\":{}}}", API_INVALID_ARGUMENT, "action.target",
	    "\"type\" is missing" },
	{ "{\"action\":{\"target\":{\"type\":\"manual\",\"targetRids\":[" D(
	      "a") "],\"ignoredRids\":[]}}}",
	    API_INVALID_ARGUMENT, "action.target.ignoredRids", NULL },
	{ "{" ACTION ",\"a.b: c\":1}", API_INVALID_ARGUMENT, NULL, NULL },
	{ "{\"action\":{\"target\":" MANUAL ",\"branchName\":\"\"}}",
	    API_INVALID_ARGUMENT, "action.branchName", "is empty" },
	{ "{" ACTION ",\"displayName\":5}", API_INVALID_ARGUMENT, "displayName",
	    "must be of type string, not integer" },
	{ "{\"action\":{\"target\":{\"type\":\"manual\",\"targetRids\":[]}}}",
	    API_MISSING_TARGETS, NULL, NULL },
	{ "{\"action\":{\"target\":{\"type\":\"connecting\",\"targetRids\":[" D(
	      "a") "]}}}",
	    API_MISSING_INPUTS, NULL, NULL },
	{ "{" ACTION ",\"trigger\":{\"type\":\"and\",\"triggers\":[]}}",
	    API_INVALID_AND_TRIGGER, NULL, NULL },
	{ "{" ACTION ",\"trigger\":{\"type\":\"time\",\"cronExpression\":"
	  "\"x\",\"timeZone\":\"UTC\"}}",
	    API_INVALID_TIME_TRIGGER, NULL, NULL },
};

static bool
is_text(struct api_parameter parameter, const char *name, const char *value)
{
	return value == NULL ||
	    (parameter.name != NULL && strcmp(parameter.name, name) == 0 &&
		text_equal(parameter.text, text_from(value)));
}

static void
reads_bodies(void)
{
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct arena *arena = arena_create(0);
		struct json_document *body =
		    json_parse(text_from(rows[i].body), 32, NULL);
		struct draft_refusal refusal = { .error = N_API_ERRORS };
		struct schedule_draft draft;
		int rc;

		REQUIRE(body != NULL);
		rc = schedule_draft_read(
		    json_root(body), &ids, arena, &draft, &refusal);
		CHECK_ROW(rows[i].body, refusal.error == rows[i].error);
		CHECK_ROW(
		    rows[i].body, (rc == 0) == (rows[i].error == N_API_ERRORS));
		CHECK_ROW(rows[i].body,
		    is_text(
			refusal.parameters[0], "parameter", rows[i].parameter));
		CHECK_ROW(rows[i].body,
		    is_text(refusal.parameters[1], "reason", rows[i].reason));
		if (rc == 0)
			CHECK_ROW(rows[i].body,
			    text_equal(draft.json, TEXT(shortest)));
		json_destroy(body);
		arena_destroy(arena);
	}
}

/* A name of `n` characters of two bytes each. */
static enum api_error
read_name(const char *member, size_t n)
{
	struct arena *arena = arena_create(0);
	struct buffer json = { 0 };
	struct json_document *body;
	struct draft_refusal refusal = { .error = N_API_ERRORS };
	struct schedule_draft draft;

	buffer_format(&json, "{" ACTION ",\"%s\":\"", member);
	while (n-- > 0)
		buffer_append(&json, TEXT("\xc3\xa4"));
	buffer_append(&json, TEXT("\"}"));
	body = json_parse(buffer_text(&json), 32, NULL);
	REQUIRE(body != NULL);
	schedule_draft_read(json_root(body), &ids, arena, &draft, &refusal);
	json_destroy(body);
	buffer_finish(&json);
	arena_destroy(arena);
	return refusal.error;
}

static void
counts_characters(void)
{
	CHECK(read_name("displayName", 255) == N_API_ERRORS);
	CHECK(read_name("displayName", 256) == API_INVALID_NAME);
	CHECK(read_name("description", 4096) == N_API_ERRORS);
	CHECK(read_name("description", 4097) == API_INVALID_DESCRIPTION);
}

/* A version that `apply` took, with little in it, as clients see it. */
static void
fills_what_was_stored(void)
{
	static const char stored[] =
	    "{\"action\":{\"branchName\":\"b\",\"retryBackoffDuration\":null,"
	    "\"target\":{\"inputRids\":[" D("i") "],\"targetRids\":[" D(
		"a") "],\"type\":\"connecting\"}},\"createdBy\":\"" USER
		     "\",\"createdTime\":\"2026-01-31T09:05:07Z\",\"rid\":"
		     "\"" VERSION "\",\"scheduleRid\":\"" SCHEDULE
		     "\",\"scopeMode\":{\"type\":\"user\"},"
		     "\"trigger\":{\"type\":\"scheduleFailed\",\"scheduleRid\":"
		     "\"" SCHEDULE "\"}}";
	static const char head[] =
	    "{\"rid\":\"" VERSION "\",\"scheduleRid\":\"" SCHEDULE
	    "\",\"createdTime\":"
	    "\"2026-01-31T09:05:07.000Z\","
	    "\"createdBy\":\"" USER "\",";
	static const char trigger[] = "\"trigger\":{\"scheduleRid\":\"" SCHEDULE
				      "\",\"type\":\"scheduleFailed\"},";
	static const char rest[] =
	    "\"action\":{\"target\":{\"type\":\"connecting\","
	    "\"inputRids\":[" D("i") "],\"targetRids\":[" D(
		"a") "],\"ignoredRids\":[]},"
		     "\"branchName\":\"b\",\"fallbackBranches\":[],"
		     "\"forceBuild\":false,\"abortOnFailure\":false,"
		     "\"notificationsEnabled\":false},"
		     "\"scopeMode\":{\"type\":\"user\"}}";
	struct version_access version = { .json = TEXT(stored) };
	struct arena *arena = arena_create(0);
	struct buffer out = { 0 };
	char expected[2048];

	REQUIRE(schedule_version_parse(version.json, TEXT(VERSION), arena,
		    &version.version, NULL) == 0);
	schedule_version_write_api(&version, PROFILE_GA, &out, NULL);
	snprintf(expected, sizeof expected, "%s%s", head, rest);
	CHECK(text_equal(buffer_text(&out), text_from(expected)));
	buffer_reset(&out);
	schedule_version_write_api(&version, PROFILE_GA_UPPER, &out, NULL);
	snprintf(expected, sizeof expected, "%s%s%s", head, trigger, rest);
	CHECK(text_equal(buffer_text(&out), text_from(expected)));
	buffer_finish(&out);
	arena_destroy(arena);
}

CU_TestInfo schedule_draft_tests[] = {
	{ "reads bodies", reads_bodies },
	{ "counts characters", counts_characters },
	{ "fills what was stored", fills_what_was_stored },
	CU_TEST_INFO_NULL,
};
