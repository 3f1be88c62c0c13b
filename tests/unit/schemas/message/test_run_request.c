#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "schemas/avro/framing.h"
#include "schemas/embedded.h"
#include "schemas/message/run_request.h"
#include "tests/unit/avro_value.h"
#include "tests/unit/check.h"
#include "tests/unit/random.h"

#define UUID "d2a5e9c6-298d-4788-a71d-42885d7bebb3"
#define CAPITAL "D2A5E9C6-298D-4788-A71D-42885D7BEBB3"
#define SCHEDULE "ri.scheduler.main.schedule." UUID
#define VERSION "ri.scheduler.main.schedule-version." UUID
#define RANDOM_VALUES 100000

static struct layout *
shipped_layout(void)
{
	struct rejection rejection;

	return run_request_layout(
	    message_schema(MESSAGE_RUN_REQUEST), &rejection);
}

static struct run_request
good_request(void)
{
	return (struct run_request){
		.request_id = TEXT("r-1"),
		.schedule_rid = TEXT(SCHEDULE),
		.created_time_ms = 1727285375974,
	};
}

static struct text
repeat(char c, size_t n)
{
	static char bytes[300];

	memset(bytes, c, sizeof bytes);
	return (struct text){ bytes, n };
}

static void
check_field(const char *name, const struct run_request *request, bool is_good)
{
	struct rejection rejection = { 0 };
	struct uuid run;
	int rc = run_request_check(request, &run, &rejection);

	CHECK_ROW(name, rc == (is_good ? 0 : -1));
	CHECK_ROW(name, is_good || rejection.reason == REJECT_INVALID_FIELD);
}

static void
test_request_id(void)
{
	const struct {
		const char *name;
		struct text id;
		bool is_good;
	} rows[] = {
		{ "one byte", TEXT("r"), true },
		{ "200 bytes", repeat('r', 200), true },
		{ "beyond ASCII", TEXT("l\xc3\xa4uft \xf0\x9f\x98\x80"), true },
		{ "empty", TEXT(""), false },
		{ "201 bytes", repeat('r', 201), false },
		{ "a line break", TEXT("a\nb"), false },
		{ "a NUL", TEXT("a\0b"), false },
		{ "a DEL", TEXT("a\x7f"), false },
		{ "not UTF-8", TEXT("a\xff"), false },
		{ "overlong", TEXT("a\xc0\xaf"), false },
		{ "a surrogate", TEXT("a\xed\xa0\x80"), false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct run_request request = good_request();

		request.request_id = rows[i].id;
		check_field(rows[i].name, &request, rows[i].is_good);
	}
}

static void
test_schedule_rid(void)
{
	const struct {
		const char *name;
		struct text rid;
		bool is_good;
	} rows[] = {
		{ "a UUID", TEXT(SCHEDULE), true },
		{ "a locator that is no UUID",
		    TEXT("ri.scheduler.main.schedule.Nightly_1"), true },
		{ "no instance", TEXT("ri.scheduler..schedule.x"), true },
		{ "empty", TEXT(""), false },
		{ "a version's", TEXT(VERSION), false },
		{ "another service", TEXT("ri.foundry.main.schedule.x"),
		    false },
		{ "a UUID in capitals",
		    TEXT("ri.scheduler.main.schedule." CAPITAL), false },
		{ "a NUL", TEXT("ri.scheduler.main.schedule.x\0"), false },
		{ "not UTF-8", TEXT("ri.scheduler.main.schedule.\xff"), false },
		{ "201 bytes", repeat('r', 201), false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct run_request request = good_request();

		request.schedule_rid = rows[i].rid;
		check_field(rows[i].name, &request, rows[i].is_good);
	}
}

static void
test_version_rid(void)
{
	const struct {
		const char *name;
		struct text rid;
		bool is_good;
	} rows[] = {
		{ "none", TEXT_NONE, true },
		{ "a version", TEXT(VERSION), true },
		{ "empty", TEXT(""), false },
		{ "a schedule", TEXT(SCHEDULE), false },
		{ "capitals",
		    TEXT("ri.scheduler.main.schedule-version." CAPITAL),
		    false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct run_request request = good_request();

		request.schedule_version_rid = rows[i].rid;
		check_field(rows[i].name, &request, rows[i].is_good);
	}
}

static void
test_created_time(void)
{
	const int64_t now = clock_wall_ms(), hour = 3600 * 1000;
	const struct {
		const char *name;
		int64_t ms;
		const char *says; /* NULL: it is good */
	} rows[] = {
		{ "2000", INT64_C(946684800000), NULL },
		{ "now", now, NULL },
		{ "nearly a day ahead", now + 23 * hour, NULL },
		{ "1999", INT64_C(946684799999),
		    "createdTime is 1999-12-31, not from 2000-01-01 to a day "
		    "from now" },
		{ "more than a day ahead", now + 25 * hour,
		    ", not from 2000-01-01 to a day from now" },
		{ "seconds", INT64_C(1727285375),
		    "createdTime is 1970-01-20: seconds for milliseconds?" },
		{ "microseconds", INT64_C(1727285375974000),
		    "createdTime is after 9999-12-31: microseconds for "
		    "milliseconds?" },
		{ "nanoseconds", INT64_C(1727285375974000000),
		    "createdTime is after 9999-12-31: nanoseconds for "
		    "milliseconds?" },
		{ "1970", 0, "createdTime is 1970-01-01, not from" },
		{ "before 1970", -1, "createdTime is before 1970-01-01, not" },
		{ "the largest", INT64_MAX, "createdTime is after 9999-12-31" },
		{ "the smallest", INT64_MIN, "createdTime is before 1970" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct run_request request = good_request();
		struct rejection rejection = { 0 };

		request.created_time_ms = rows[i].ms;
		check_field(rows[i].name, &request, true);
		CHECK_ROW(rows[i].name,
		    (rows[i].says == NULL) ==
			(run_request_check_time(&request, now, &rejection) ==
			    0));
		CHECK_ROW(rows[i].name,
		    rows[i].says == NULL ||
			strstr(rejection.detail, rows[i].says) != NULL);
	}
}

static void
test_created_by_and_trigger(void)
{
	const struct {
		const char *name;
		struct text by, trigger;
		bool is_good;
	} rows[] = {
		{ "neither", TEXT_NONE, TEXT_NONE, true },
		{ "both", TEXT(UUID), TEXT("upload of\n\xe2\x82\xac"), true },
		{ "an empty trigger", TEXT_NONE, TEXT(""), true },
		{ "a user in capitals", TEXT(CAPITAL), TEXT_NONE, false },
		{ "a user who is no UUID", TEXT("ann"), TEXT_NONE, false },
		{ "an empty user", TEXT(""), TEXT_NONE, false },
		{ "a trigger that is not UTF-8", TEXT_NONE, TEXT("\x80"),
		    false },
		{ "a trigger with a NUL", TEXT_NONE, TEXT("a\0b"), false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct run_request request = good_request();

		request.created_by = rows[i].by;
		request.trigger = rows[i].trigger;
		check_field(rows[i].name, &request, rows[i].is_good);
	}
}

static void
test_run_rid(void)
{
	struct run_request request = good_request();
	struct uuid run = rid_run(request.schedule_rid, request.request_id);
	char rid[RID_SIZE_MAX];

	request.run_rid.at = rid;
	request.run_rid.size = rid_format(TEXT(RID_RUN_PREFIX), &run, rid);
	check_field("the function of both", &request, true);
	request.request_id = TEXT("r-2");
	check_field("of another request", &request, false);
	request.run_rid = TEXT("");
	check_field("empty", &request, false);
}

/* ------------------------------------------------ held against avro-c */

static struct run_request
random_request(struct random *random, struct arena *arena)
{
	return (struct run_request){
		.request_id = random_text(random, arena, 40),
		.run_rid = random_text_or_none(random, arena, 40),
		.schedule_rid = random_text(random, arena, 40),
		.schedule_version_rid = random_text_or_none(random, arena, 40),
		.created_time_ms = random_long(random),
		.created_by = random_text_or_none(random, arena, 40),
		.trigger = random_text_or_none(random, arena, 300),
	};
}

static void
fill(const avro_value_t *value, const struct run_request *request)
{
	avro_set_text(value, "requestId", request->request_id);
	avro_set_text_or_null(value, "runRid", request->run_rid);
	avro_set_text(value, "scheduleRid", request->schedule_rid);
	avro_set_text_or_null(
	    value, "scheduleVersionRid", request->schedule_version_rid);
	avro_set_long(value, "createdTime", request->created_time_ms);
	avro_set_text_or_null(value, "createdBy", request->created_by);
	avro_set_text_or_null(value, "trigger", request->trigger);
}

static bool
is_same(const union field_value *values, const struct run_request *request)
{
	return text_equal(values[0].text, request->request_id) &&
	    text_equal(values[1].text, request->run_rid) &&
	    text_equal(values[2].text, request->schedule_rid) &&
	    text_equal(values[3].text, request->schedule_version_rid) &&
	    values[4].number == request->created_time_ms &&
	    text_equal(values[5].text, request->created_by) &&
	    text_equal(values[6].text, request->trigger);
}

/* Ours and avro-c write the same bytes, and the walk gives the value back. */
static void
test_bytes(void)
{
	struct layout *layout = shipped_layout();
	struct random random = { 1 };
	struct arena *arena = arena_create(0);
	struct buffer ours = { 0 }, theirs = { 0 };
	struct avro_message message;
	size_t differ = 0;

	REQUIRE(
	    avro_message_init(&message, message_schema(MESSAGE_RUN_REQUEST)));
	REQUIRE(layout != NULL);
	for (int i = (int)random_rounds(RANDOM_VALUES); i > 0; i--) {
		struct run_request request = random_request(&random, arena);
		union field_value values[7];
		struct rejection rejection;
		struct text body;

		buffer_reset(&ours);
		buffer_reset(&theirs);
		run_request_encode(&request, 1, &ours);
		fill(&message.value, &request);
		avro_message_write(&message, &theirs);
		body = (struct text){ ours.at + FRAMING_SIZE,
			ours.size - FRAMING_SIZE };
		if (!text_equal(body, buffer_text(&theirs)) ||
		    layout_walk(layout, body, values, &rejection) != 0 ||
		    !is_same(values, &request))
			differ++;
		arena_reset(arena, 1 << 16);
	}
	CHECK(differ == 0);
	avro_message_finish(&message);
	buffer_finish(&ours);
	buffer_finish(&theirs);
	arena_destroy(arena);
	layout_destroy(layout);
}

/* ------------------------------------------------ whole records */

static void
encode_good(struct buffer *out)
{
	struct run_request request = good_request();

	request.trigger = TEXT("by hand");
	run_request_encode(&request, 1, out);
}

static int
decode(const struct layout *layout, struct text value, size_t size,
    struct rejection *rejection)
{
	struct run_request request;
	struct uuid run;

	return run_request_decode(layout,
	    (struct text){ value.at + FRAMING_SIZE, size - FRAMING_SIZE },
	    &request, &run, rejection);
}

static void
test_cut_at_every_byte(void)
{
	struct layout *layout = shipped_layout();
	struct buffer out = { 0 };
	struct rejection rejection;

	encode_good(&out);
	CHECK(decode(layout, buffer_text(&out), out.size, &rejection) == 0);
	for (size_t size = FRAMING_SIZE; size < out.size; size++) {
		char row[32];
		/* A copy of its own: a read beyond it is seen by ASan. */
		char *copy = malloc(size);

		memcpy(copy, out.at, size);
		snprintf(row, sizeof row, "cut at %zu", size);
		CHECK_ROW(row,
		    decode(layout, (struct text){ copy, size }, size,
			&rejection) == -1);
		CHECK_ROW(row, rejection.reason == REJECT_MALFORMED);
		free(copy);
	}
	buffer_finish(&out);
	layout_destroy(layout);
}

static void
test_trailing_bytes(void)
{
	static const size_t more[] = { 1, 1000 };
	struct layout *layout = shipped_layout();
	struct rejection rejection;
	struct buffer out = { 0 };

	for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
		buffer_reset(&out);
		encode_good(&out);
		memset(buffer_reserve(&out, more[i]), 0, more[i]);
		out.size += more[i];
		CHECK(decode(layout, buffer_text(&out), out.size, &rejection) ==
		    -1);
		CHECK(rejection.reason == REJECT_TRAILING_BYTES);
	}
	buffer_finish(&out);
	layout_destroy(layout);
}

/* The id that comes out is the semantics' function of the two texts. */
static void
test_run_id(void)
{
	struct layout *layout = shipped_layout();
	struct run_request request = good_request(), read;
	struct rejection rejection;
	struct buffer out = { 0 };
	struct uuid run,
	    expected = rid_run(request.schedule_rid, request.request_id);

	run_request_encode(&request, 1, &out);
	CHECK(
	    run_request_decode(layout,
		(struct text){ out.at + FRAMING_SIZE, out.size - FRAMING_SIZE },
		&read, &run, &rejection) == 0);
	CHECK(memcmp(&run, &expected, sizeof run) == 0);
	CHECK(text_equal(read.schedule_rid, request.schedule_rid));
	CHECK(read.created_by.at == NULL && read.trigger.at == NULL);
	buffer_finish(&out);
	layout_destroy(layout);
}

CU_TestInfo run_request_tests[] = {
	{ "request id", test_request_id },
	{ "schedule rid", test_schedule_rid },
	{ "version rid", test_version_rid },
	{ "created time", test_created_time },
	{ "created by and trigger", test_created_by_and_trigger },
	{ "run rid", test_run_rid },
	{ "bytes as avro-c's", test_bytes },
	{ "cut at every byte", test_cut_at_every_byte },
	{ "trailing bytes", test_trailing_bytes },
	{ "run id", test_run_id },
	CU_TEST_INFO_NULL,
};
