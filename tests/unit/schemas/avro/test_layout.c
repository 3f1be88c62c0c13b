#include <stdio.h>
#include <string.h>

#include "common/base/buffer.h"
#include "schemas/avro/layout.h"
#include "schemas/embedded.h"
#include "schemas/message/run_request.h"
#include "tests/unit/check.h"

#define NAME "schedrun.RunRequest"
#define HEAD                                                                   \
	"{\"type\":\"record\",\"name\":\"RunRequest\",\"namespace\":"          \
	"\"schedrun\","
#define FIELDS(fields) HEAD "\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define A(type) FIELDS(FIELD("a", type))

struct row {
	const char *name, *schema;
	int reason; /* -1: compiles */
};

static void
check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct rejection rejection = { 0 };
		struct layout *layout =
		    layout_compile(text_from(rows[i].schema), NAME, &rejection);

		CHECK_ROW(
		    rows[i].name, (layout != NULL) == (rows[i].reason < 0));
		CHECK_ROW(rows[i].name,
		    layout != NULL || (int)rejection.reason == rows[i].reason);
		CHECK_ROW(rows[i].name,
		    layout != NULL || strlen(rejection.detail) > 0);
		layout_destroy(layout);
	}
}

static void
test_schemas(void)
{
	const struct row rows[] = {
		{ "no fields", FIELDS(""), -1 },
		{ "each type",
		    FIELDS(FIELD("a", "\"null\"") "," FIELD(
			"b", "\"boolean\"") "," FIELD("c",
			"\"int\"") "," FIELD("d", "\"long\"") "," FIELD("e",
			"\"float\"") "," FIELD("f", "\"double\"") "," FIELD("g",
			"\"bytes\"") "," FIELD("h", "\"string\"") "," FIELD("i",
			"{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}") "," FIELD("j",
			"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"x\"]"
			"}") "," FIELD("k",
			"{\"type\":\"array\",\"items\":\"int\"}") "," FIELD("l",
			"{\"type\":\"map\",\"values\":\"int\"}") "," FIELD("m",
			"[\"null\",\"E\"]") "," FIELD("n",
			"{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}")),
		    -1 },
		{ "a logical type that is unknown",
		    A("{\"type\":\"long\",\"logicalType\":\"moment\"}"), -1 },
		{ "empty", "", REJECT_BAD_SCHEMA },
		{ "no JSON", "record", REJECT_BAD_SCHEMA },
		{ "an object without a type", "{}", REJECT_BAD_SCHEMA },
		{ "text behind it", FIELDS("") " x", REJECT_BAD_SCHEMA },
		{ "a type that is unknown", A("\"moment\""),
		    REJECT_BAD_SCHEMA },
		{ "a key twice", HEAD "\"fields\":[],\"fields\":[]}",
		    REJECT_BAD_SCHEMA },
		{ "a string", "\"string\"", REJECT_WRONG_SCHEMA },
		{ "an enum of that name",
		    "{\"type\":\"enum\",\"name\":\"RunRequest\","
		    "\"namespace\":\"schedrun\",\"symbols\":[\"A\"]}",
		    REJECT_WRONG_SCHEMA },
		{ "another name",
		    "{\"type\":\"record\",\"name\":\"Run\","
		    "\"namespace\":\"schedrun\",\"fields\":[]}",
		    REJECT_WRONG_SCHEMA },
		{ "another namespace",
		    "{\"type\":\"record\",\"name\":\"RunRequest\","
		    "\"namespace\":\"other\",\"fields\":[]}",
		    -1 },
		{ "no namespace",
		    "{\"type\":\"record\",\"name\":\"RunRequest\","
		    "\"fields\":[]}",
		    -1 },
		{ "a full name",
		    "{\"type\":\"record\",\"name\":\"schedrun.RunRequest\","
		    "\"fields\":[]}",
		    -1 },
		{ "itself inside", A("[\"null\",\"RunRequest\"]"), -1 },
		{ "recursive below",
		    A("{\"type\":\"record\",\"name\":\"L\",\"fields\":["
		      "{\"name\":\"next\",\"type\":[\"null\",\"L\"]}]}"),
		    -1 },
		{ "a list of itself",
		    A("{\"type\":\"array\",\"items\":\"RunRequest\"}"), -1 },
		{ "a record that holds itself",
		    A("{\"type\":\"record\",\"name\":\"L\",\"fields\":["
		      "{\"name\":\"next\",\"type\":\"L\"}]}"),
		    REJECT_BAD_SCHEMA },
		{ "two that hold each other",
		    A("{\"type\":\"record\",\"name\":\"L\",\"fields\":["
		      "{\"name\":\"m\",\"type\":{\"type\":\"record\","
		      "\"name\":\"M\",\"fields\":["
		      "{\"name\":\"l\",\"type\":\"L\"}]}}]}"),
		    REJECT_BAD_SCHEMA },
		{ "a union of nothing", A("[]"), REJECT_BAD_SCHEMA },
		{ "a fixed of negative size",
		    A("{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}"),
		    REJECT_BAD_SCHEMA },
		{ "a fixed that no record holds",
		    A("{\"type\":\"fixed\",\"name\":\"F\",\"size\":"
		      "9223372036854775807}"),
		    REJECT_BAD_SCHEMA },
	};

	check_rows(rows, sizeof rows / sizeof rows[0]);
}

/* ------------------------------------------------ caps */

static void
compile_and_check(const char *name, const struct buffer *schema, int reason)
{
	struct rejection rejection = { 0 };
	struct layout *layout =
	    layout_compile(buffer_text(schema), NAME, &rejection);

	CHECK_ROW(name, (layout != NULL) == (reason < 0));
	CHECK_ROW(name, layout != NULL || (int)rejection.reason == reason);
	layout_destroy(layout);
}

static void
test_size(void)
{
	struct buffer schema = { 0 };

	buffer_append(&schema, TEXT(FIELDS("")));
	while (schema.size < SCHEMA_SIZE_MAX)
		buffer_byte(&schema, ' ');
	compile_and_check("as large as may be", &schema, -1);
	buffer_byte(&schema, ' ');
	compile_and_check("a byte more", &schema, REJECT_BAD_SCHEMA);
	buffer_finish(&schema);
}

/* Arrays in arrays: `depth` of them in the record's field. */
static void
nest(struct buffer *schema, size_t depth)
{
	buffer_reset(schema);
	buffer_append(
	    schema, TEXT(HEAD "\"fields\":[{\"name\":\"a\",\"type\":"));
	for (size_t i = 0; i < depth; i++)
		buffer_append(schema, TEXT("{\"type\":\"array\",\"items\":"));
	buffer_append(schema, TEXT("\"int\""));
	for (size_t i = 0; i < depth; i++)
		buffer_byte(schema, '}');
	buffer_append(schema, TEXT("}]}"));
}

static void
test_depth(void)
{
	struct buffer schema = { 0 };

	nest(&schema, SCHEMA_DEPTH_MAX - 2);
	compile_and_check("as deep as may be", &schema, -1);
	nest(&schema, SCHEMA_DEPTH_MAX - 1);
	compile_and_check("one deeper", &schema, REJECT_BAD_SCHEMA);
	nest(&schema, 1000);
	compile_and_check("1000 deep", &schema, REJECT_BAD_SCHEMA);
	buffer_finish(&schema);
}

static void
test_fields(void)
{
	static const struct {
		const char *name;
		int n, reason;
	} rows[] = {
		{ "1,000 fields", 1000, -1 },
		{ "9,000 fields", 9000, REJECT_BAD_SCHEMA },
		{ "10,000 fields", 10000, REJECT_BAD_SCHEMA },
	};
	struct buffer schema = { 0 };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		buffer_reset(&schema);
		buffer_append(&schema, TEXT(HEAD "\"fields\":["));
		for (int n = 0; n < rows[i].n; n++)
			buffer_format(&schema, "%s" FIELD("f%d", "%s"),
			    n > 0 ? "," : "", n, "\"int\"");
		buffer_append(&schema, TEXT("]}"));
		/* 10,000 are over the size cap already. */
		compile_and_check(rows[i].name, &schema, rows[i].reason);
	}
	buffer_finish(&schema);
}

/* A named type that is used often is one node, or it would be exponential. */
static void
test_shared_types(void)
{
	struct buffer schema = { 0 };

	buffer_append(&schema,
	    TEXT(HEAD "\"fields\":["
		      "{\"name\":\"a\",\"type\":{\"type\":\"record\",\"name\":"
		      "\"R0\",\"fields\":"
		      "[{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"y\","
		      "\"type\":\"int\"}]}}"));
	for (int i = 1; i < 29; i++)
		buffer_format(&schema,
		    ",{\"name\":\"a%d\",\"type\":{\"type\":\"record\",\"name\":"
		    "\"R%d\","
		    "\"fields\":[{\"name\":\"x\",\"type\":\"R%d\"},"
		    "{\"name\":\"y\",\"type\":\"R%d\"}]}}",
		    i, i, i - 1, i - 1);
	buffer_append(&schema, TEXT("]}"));
	compile_and_check("twice 2^28 ints", &schema, -1);
	buffer_finish(&schema);
}

/* ------------------------------------------------ what readers want */

#define NEEDED                                                                 \
	FIELD("requestId", "\"string\"")                                       \
	"," FIELD("scheduleRid", "\"string\"") "," FIELD(                      \
	    "createdTime", "\"long\"")

#define NEEDED_BUT_TIME                                                        \
	FIELD("requestId", "\"string\"")                                       \
	"," FIELD("scheduleRid", "\"string\"") ","

static void
test_resolution(void)
{
	const struct row rows[] = {
		{ "only what has no default", FIELDS(NEEDED), -1 },
		{ "in another order",
		    FIELDS(FIELD("createdTime", "\"long\"") "," FIELD(
			"scheduleRid", "\"string\"") "," FIELD("requestId",
			"\"string\"")),
		    -1 },
		{ "more fields",
		    FIELDS(NEEDED "," FIELD("priority",
			"{\"type\":\"map\",\"values\":[\"null\",\"double\"]}")),
		    -1 },
		{ "an optional one that is a string always",
		    FIELDS(NEEDED "," FIELD("trigger", "\"string\"")), -1 },
		{ "an optional one that is null always",
		    FIELDS(NEEDED "," FIELD("trigger", "\"null\"")), -1 },
		{ "a union the other way round",
		    FIELDS(
			NEEDED "," FIELD("trigger", "[\"string\",\"null\"]")),
		    -1 },
		{ "bytes that become a string",
		    FIELDS(NEEDED "," FIELD("trigger", "[\"null\",\"bytes\"]")),
		    -1 },
		{ "an int that becomes a long",
		    FIELDS(
			FIELD("requestId", "\"bytes\"") "," FIELD("scheduleRid",
			    "\"string\"") "," FIELD("createdTime", "\"int\"")),
		    -1 },
		{ "a union of what can be read and what can't",
		    FIELDS(NEEDED "," FIELD("trigger", "[\"int\",\"string\"]")),
		    -1 },
		{ "one without default is missing",
		    FIELDS(FIELD("requestId", "\"string\"") "," FIELD(
			"scheduleRid", "\"string\"")),
		    REJECT_WRONG_SCHEMA },
		{ "a name in capitals",
		    FIELDS(FIELD("RequestId", "\"string\"") "," FIELD(
			"scheduleRid", "\"string\"") "," FIELD("createdTime",
			"\"long\"")),
		    REJECT_WRONG_SCHEMA },
		/* Java renames by the reader's aliases only: ours has none. */
		{ "a writer's alias",
		    FIELDS(
			"{\"name\":\"id\",\"type\":\"string\",\"aliases\":["
			"\"requestId\"]}," FIELD("scheduleRid",
			    "\"string\"") "," FIELD("createdTime", "\"long\"")),
		    REJECT_WRONG_SCHEMA },
		{ "a long became a string",
		    FIELDS(FIELD("requestId", "\"string\"") "," FIELD(
			"scheduleRid", "\"string\"") "," FIELD("createdTime",
			"\"string\"")),
		    REJECT_WRONG_SCHEMA },
		{ "a long became a double",
		    FIELDS(FIELD("requestId", "\"string\"") "," FIELD(
			"scheduleRid", "\"string\"") "," FIELD("createdTime",
			"\"double\"")),
		    REJECT_WRONG_SCHEMA },
		{ "a string became an enum",
		    FIELDS(FIELD("requestId", "\"string\"") "," FIELD(
			"scheduleRid",
			"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"x\"]"
			"}") "," FIELD("createdTime", "\"long\"")),
		    REJECT_WRONG_SCHEMA },
		{ "a needed one is always null",
		    FIELDS(
			FIELD("requestId", "\"null\"") "," FIELD("scheduleRid",
			    "\"string\"") "," FIELD("createdTime", "\"long\"")),
		    REJECT_WRONG_SCHEMA },
		{ "a string in a record",
		    FIELDS(FIELD("requestId",
			"{\"type\":\"record\",\"name\":\"S\",\"fields\":[{"
			"\"name\":\"s\",\"type\":\"string\"}]}") "," FIELD("sch"
									   "edu"
									   "leR"
									   "id",
			"\"string\"") "," FIELD("createdTime", "\"long\"")),
		    REJECT_WRONG_SCHEMA },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rejection rejection = { 0 };
		struct layout *layout =
		    run_request_layout(text_from(rows[i].schema), &rejection);

		CHECK_ROW(
		    rows[i].name, (layout != NULL) == (rows[i].reason < 0));
		CHECK_ROW(rows[i].name,
		    layout != NULL || (int)rejection.reason == rows[i].reason);
		layout_destroy(layout);
	}
}

/* Ids of other messages of ours: docs/faults.md, section 2. */
static void
test_other_messages(void)
{
	struct rejection rejection = { 0 };

	CHECK(run_request_layout(
		  message_schema(MESSAGE_SCHEDULE_RUN), &rejection) == NULL);
	CHECK(rejection.reason == REJECT_WRONG_SCHEMA);
	CHECK(run_request_layout(
		  message_schema(MESSAGE_BUILD_REQUESTED), &rejection) == NULL);
	CHECK(rejection.reason == REJECT_WRONG_SCHEMA);
}

/* ------------------------------------------------ evolved writers */

struct evolved {
	const char *name, *schema;
	struct text body;
	int reason; /* -1: a good request, with this trigger: */
	struct text trigger;
};

#define ID                                                                     \
	"\x06"                                                                 \
	"r-1"
#define RID                                                                    \
	"\x38"                                                                 \
	"ri.scheduler.main.schedule.x"
/* 1727285375974, 6 bytes; the same in micro- and nanoseconds, and a rest */
#define TIME "\xcc\xcf\xd9\xa3\xc5\x64"
#define MICROS "\xae\xf9\x95\xf4\x9e\xbd\x91\x06"
#define NANOS "\xfe\x9e\xbc\xcb\xbb\xb9\xc6\xf8\x2f"
#define INT_TIME "\x02"

static void
test_evolved_bodies(void)
{
	static const struct evolved rows[] = {
		{ "the fields without default", FIELDS(NEEDED),
		    { ID RID TIME, 4 + 29 + 6 }, -1, { NULL, 0 } },
		{ "a time that is an int: of January 1970",
		    FIELDS(FIELD("trigger", "\"string\"") "," FIELD(
			"createdTime", "\"int\"") "," FIELD("scheduleRid",
			"\"bytes\"") "," FIELD("requestId", "\"string\"")),
		    { "\x04up" INT_TIME RID ID, 3 + 1 + 29 + 4 },
		    REJECT_INVALID_FIELD, { NULL, 0 } },
		{ "another order and bytes",
		    FIELDS(FIELD("trigger", "\"string\"") "," FIELD(
			"createdTime", "\"long\"") "," FIELD("scheduleRid",
			"\"bytes\"") "," FIELD("requestId", "\"string\"")),
		    { "\x04up" TIME RID ID, 3 + 6 + 29 + 4 }, -1, { "up", 2 } },
		{ "a time in microseconds",
		    FIELDS(NEEDED_BUT_TIME FIELD("createdTime",
			"{\"type\":\"long\",\"logicalType\":"
			"\"timestamp-micros\"}")),
		    { ID RID MICROS, 4 + 29 + 8 }, -1, { NULL, 0 } },
		{ "a time in nanoseconds, in a union",
		    FIELDS(NEEDED_BUT_TIME FIELD("createdTime",
			"[\"null\",{\"type\":\"long\",\"logicalType\":"
			"\"timestamp-nanos\"}]")),
		    { ID RID "\x02" NANOS, 4 + 29 + 1 + 9 }, -1, { NULL, 0 } },
		{ "a time in milliseconds, and it says so",
		    FIELDS(NEEDED_BUT_TIME FIELD("createdTime",
			"{\"type\":\"long\",\"logicalType\":"
			"\"timestamp-millis\"}")),
		    { ID RID TIME, 4 + 29 + 6 }, -1, { NULL, 0 } },
		{ "more fields between",
		    FIELDS(FIELD("n",
			"{\"type\":\"array\",\"items\":"
			"\"int\"}") "," NEEDED "," FIELD("m",
			"{\"type\":\"map\",\"values\":"
			"\"string\"}") "," FIELD("trigger",
			"[\"null\",\"string\"]")),
		    { "\x04\x02\x02\x00" ID RID TIME "\x02\x02k\x02v\x00"
		      "\x02\x02t",
			4 + 39 + 6 + 3 },
		    -1, { "t", 1 } },
		{ "a union that holds what can be read",
		    FIELDS(NEEDED "," FIELD("trigger", "[\"int\",\"string\"]")),
		    { ID RID TIME "\x02\x02t", 39 + 3 }, -1, { "t", 1 } },
		{ "a union that holds what can't",
		    FIELDS(NEEDED "," FIELD("trigger", "[\"int\",\"string\"]")),
		    { ID RID TIME "\x00\x08", 39 + 2 }, REJECT_WRONG_SCHEMA,
		    { NULL, 0 } },
		{ "null where there must be a text",
		    FIELDS(FIELD("requestId",
			"[\"null\",\"string\"]") "," FIELD("schedul"
							   "eRid",
			"\"string\"") "," FIELD("createdTime", "\"long\"")),
		    { "\x00" RID TIME, 1 + 29 + 6 }, REJECT_WRONG_SCHEMA,
		    { NULL, 0 } },
		{ "a record in a union where there must be a text",
		    FIELDS(FIELD("requestId",
			"[{\"type\":\"record\",\"name\":\"S\","
			"\"fields\":[{\"name\":\"s\",\"type\":"
			"\"string\"}]}]") "," FIELD("scheduleRid",
			"\"string\"") "," FIELD("createdTime", "\"long\"")),
		    { "\x00" ID RID TIME, 40 }, REJECT_WRONG_SCHEMA,
		    { NULL, 0 } },
		{ "an int of more than 32 bits",
		    FIELDS(FIELD("requestId", "\"string\"") "," FIELD(
			"scheduleRid", "\"string\"") "," FIELD("createdTime",
			"\"int\"")),
		    { ID RID "\x80\x80\x80\x80\x20", 33 + 5 }, REJECT_MALFORMED,
		    { NULL, 0 } },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rejection rejection = { 0 };
		struct layout *layout =
		    run_request_layout(text_from(rows[i].schema), &rejection);
		struct run_request request;
		struct uuid run;
		int rc = layout == NULL
		    ? 1
		    : run_request_decode(
			  layout, rows[i].body, &request, &run, &rejection);

		if (rc == 0)
			rc = run_request_check_time(
			    &request, INT64_C(1727285375974), &rejection);
		CHECK_ROW(rows[i].name, rc == (rows[i].reason < 0 ? 0 : -1));
		CHECK_ROW(rows[i].name,
		    rc == 0 || (int)rejection.reason == rows[i].reason);
		CHECK_ROW(rows[i].name,
		    rc != 0 ||
			(text_equal(request.trigger, rows[i].trigger) &&
			    text_equal(request.request_id, TEXT("r-1")) &&
			    request.created_time_ms == INT64_C(1727285375974) &&
			    request.created_by.at == NULL));
		layout_destroy(layout);
	}
}

CU_TestInfo avro_layout_tests[] = {
	{ "schemas", test_schemas },
	{ "size", test_size },
	{ "depth", test_depth },
	{ "fields", test_fields },
	{ "shared types", test_shared_types },
	{ "resolution", test_resolution },
	{ "other messages", test_other_messages },
	{ "evolved bodies", test_evolved_bodies },
	CU_TEST_INFO_NULL,
};
