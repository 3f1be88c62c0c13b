#include "schemas/message/run_json.h"

#include <stdio.h>

#include "tests/unit/check.h"

#define UUID "d2a5e9c6-298d-4788-a71d-42885d7bebb3"
#define ASKED                                                                  \
	"\"requestId\":\"q\",\"rid\":\"" RID_RUN_PREFIX UUID                   \
	"\",\"scheduleRid\":\"s\""
#define TIMES                                                                  \
	"\"createdTime\":\"1970-01-01T00:00:00.001Z\","                        \
	"\"finishedTime\":\"1970-01-01T00:00:00.002Z\","

static const struct text targets[] = { { "a", 1 }, { "b", 1 } };

/* A run with all that a result may have. */
static struct schedule_run
make_run(enum run_state state)
{
	struct schedule_run run = {
		.request_id = TEXT("q"),
		.schedule_rid = TEXT("s"),
		.schedule_version_rid = TEXT("v"),
		.created_time_ms = 1,
		.created_by = TEXT("u"),
		.trigger = TEXT("t"),
		.state = state,
		.finished_time_ms = 2,
		.error = CYCLIC_DEPENDENCY,
		.description = TEXT("d"),
		.why = { .phase = 8,
		    .cause = TEXT("cycle"),
		    .selected = 3,
		    .running = 2,
		    .up_to_date = 1,
		    .blocked = 4,
		    .lists = { [LIST_OFFENDERS] = { 30, 2, targets },
			[LIST_OUT_OF_SCOPE] = { 1, 1, targets } } },
		.partition = 5,
		.offset = INT64_MAX,
	};

	uuid_parse(TEXT(UUID), &run.id);
	run.build_id = run.id;
	return run;
}

static bool
is(struct buffer *out, const char *expected)
{
	bool same = text_equal(buffer_text(out), text_from(expected));

	if (!same)
		fprintf(stderr, "%.*s\n", TEXT_ARG(buffer_text(out)));
	buffer_reset(out);
	return same;
}

/* What is stored is read back whole. */
static void
stores_and_reads(void)
{
	struct arena *arena = arena_create(0);
	struct buffer out = { 0 }, again = { 0 };
	int state;

	for (state = RUN_PENDING; state <= RUN_FAILED; state++) {
		struct schedule_run run = make_run((enum run_state)state), read;
		const char *name = run_state_name(run.state);
		struct error err;

		buffer_reset(&out);
		buffer_reset(&again);
		run_json_store(&run, &out);
		CHECK_ROW(name,
		    run_json_parse(buffer_text(&out), arena, &read, &err) == 0);
		CHECK_ROW(name, read.state == run.state);
		CHECK_ROW(name, text_equal(read.trigger, run.trigger));
		run_json_store(&read, &again);
		CHECK_ROW(
		    name, text_equal(buffer_text(&out), buffer_text(&again)));
	}
	buffer_finish(&out);
	buffer_finish(&again);
	arena_destroy(arena);
}

/* Canonical, the place first: the fold's script cuts it off the beginning. */
static void
stores_the_place_first(void)
{
	struct schedule_run run = make_run(RUN_FAILED);
	struct buffer out = { 0 };

	run_json_store(&run, &out);
	CHECK(is(&out,
	    "{\"at\":\"5.9223372036854775807\",\"createdBy\":\"u\"," TIMES
	    "\"requestId\":\"q\",\"result\":{\"description\":\"d\","
	    "\"errorName\":\"CyclicDependency\",\"type\":\"error\"},"
	    "\"rid\":\"" RID_RUN_PREFIX UUID "\",\"scheduleRid\":\"s\","
	    "\"scheduleVersionRid\":\"v\",\"trigger\":\"t\",\"why\":{"
	    "\"blocked\":4,\"cause\":\"cycle\",\"offenders\":{\"count\":30,"
	    "\"first\":[\"a\",\"b\"]},\"outOfScope\":{\"count\":1,"
	    "\"first\":[\"a\"]},\"phase\":8,\"running\":2,\"selected\":3,"
	    "\"upToDate\":1}}"));
	run.why = (struct run_why){ 0 };
	run.created_by = run.schedule_version_rid = run.trigger = TEXT_NONE;
	run.state = RUN_IGNORED;
	run_json_store(&run, &out);
	CHECK(is(&out,
	    "{\"at\":\"5.9223372036854775807\"," TIMES
	    "\"requestId\":\"q\",\"result\":{\"type\":\"ignored\"},"
	    "\"rid\":\"" RID_RUN_PREFIX UUID "\",\"scheduleRid\":\"s\"}"));
	buffer_finish(&out);
}

static void
refuses_other_forms(void)
{
	static const struct {
		const char *name, *json;
		int rc;
	} rows[] = {
		{ "pending",
		    "{\"createdTime\":\"1970-01-01T00:00:00Z\"," ASKED "}", 0 },
		{ "no JSON", "{", -1 },
		{ "no object", "[]", -1 },
		{ "no times", "{" ASKED "}", -1 },
		{ "no place",
		    "{" TIMES ASKED ",\"result\":{\"type\":\"ignored\"}}", -1 },
		{ "a place without a dot",
		    "{\"at\":\"12\"," TIMES ASKED
		    ",\"result\":{\"type\":\"ignored\"}}",
		    -1 },
		{ "ignored",
		    "{\"at\":\"1.2\"," TIMES ASKED
		    ",\"result\":{\"type\":\"ignored\"}}",
		    0 },
		{ "another type",
		    "{\"at\":\"1.2\"," TIMES ASKED
		    ",\"result\":{\"type\":\"lost\"}}",
		    -1 },
		{ "submitted, no build",
		    "{\"at\":\"1.2\"," TIMES ASKED
		    ",\"result\":{\"type\":\"submitted\"}}",
		    -1 },
		{ "an error without a name",
		    "{\"at\":\"1.2\"," TIMES ASKED
		    ",\"result\":{\"type\":\"error\",\"description\":\"d\"}}",
		    -1 },
		{ "an error without a description",
		    "{\"at\":\"1.2\"," TIMES ASKED
		    ",\"result\":{\"type\":\"error\","
		    "\"errorName\":\"Internal\"}}",
		    -1 },
	};
	struct arena *arena = arena_create(0);
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error err = { 0 };
		struct schedule_run run;

		CHECK_ROW(rows[i].name,
		    run_json_parse(text_from(rows[i].json), arena, &run,
			&err) == rows[i].rc);
		CHECK_ROW(rows[i].name, rows[i].rc == 0 || err.exit_code == 70);
	}
	arena_destroy(arena);
}

/* What a later version may have put there doesn't make a run unreadable. */
static void
reads_of_later_versions(void)
{
	struct arena *arena = arena_create(0);
	struct schedule_run run;
	struct error err;

	CHECK(run_json_parse(
		  TEXT("{\"at\":\"1.2\"," TIMES ASKED
		       ",\"more\":1,\"result\":{\"type\":\"error\","
		       "\"errorName\":\"NewName\",\"description\":\"d\"},"
		       "\"why\":{\"cause\":\"c\",\"phase\":-1,\"more\":[],"
		       "\"offenders\":{\"count\":2,\"first\":[\"a\",7]}}}"),
		  arena, &run, &err) == 0);
	CHECK(run.state == RUN_FAILED && run.error == INTERNAL);
	CHECK(run.why.phase == 0 && text_equal(run.why.cause, TEXT("c")));
	CHECK(run.why.lists[LIST_OFFENDERS].n_first == 2);
	CHECK(run.why.lists[LIST_OFFENDERS].first[1].at == NULL);
	arena_destroy(arena);
}

static void
tells_and_shows(void)
{
	struct schedule_run run = make_run(RUN_SUBMITTED);
	struct buffer out = { 0 };

	run.why.blocked = 0;
	run_json_tell(&run, false, &out);
	CHECK(is(&out,
	    "{\"rid\":\"" RID_RUN_PREFIX UUID "\",\"requestId\":\"q\","
	    "\"scheduleRid\":\"s\",\"scheduleVersionRid\":\"v\","
	    "\"createdTime\":\"1970-01-01T00:00:00.001Z\",\"createdBy\":\"u\","
	    "\"trigger\":\"t\",\"finishedTime\":\"1970-01-01T00:00:00.002Z\","
	    "\"result\":{\"type\":\"submitted\",\"buildRid\":"
	    "\"" RID_BUILD_PREFIX UUID "\"},\"why\":{\"phase\":8,"
	    "\"cause\":\"cycle\",\"selected\":3,\"running\":2,\"upToDate\":1,"
	    "\"offenders\":{\"count\":30,\"first\":[\"a\",\"b\"]},"
	    "\"outOfScope\":{\"count\":1,\"first\":[\"a\"]}}}"));
	run.state = RUN_FAILED;
	run_json_show(&run, TEXT("NAME"), true, &out);
	CHECK(is(&out,
	    "{\"rid\":\"" RID_RUN_PREFIX UUID "\",\"scheduleRid\":\"s\","
	    "\"scheduleVersionRid\":\"v\",\"createdTime\":"
	    "\"1970-01-01T00:00:00.001Z\",\"createdBy\":\"u\","
	    "\"result\":{\"type\":\"error\",\"errorName\":\"NAME\","
	    "\"description\":\"d\",\"error\":{\"errorName\":\"NAME\","
	    "\"description\":\"d\"}}}"));
	run.state = RUN_PENDING;
	run.created_by = run.schedule_version_rid = TEXT_NONE;
	run_json_show(&run, TEXT_NONE, true, &out);
	CHECK(is(&out,
	    "{\"rid\":\"" RID_RUN_PREFIX UUID "\",\"scheduleRid\":\"s\","
	    "\"createdTime\":\"1970-01-01T00:00:00.001Z\"}"));
	buffer_finish(&out);
}

/* Counts and empty lists are told where staleness was looked at. */
static void
tells_what_was_counted(void)
{
	struct schedule_run run = { .state = RUN_IGNORED,
		.why = { .phase = 11, .cause = TEXT("c"), .selected = 1 } };
	struct buffer out = { 0 };

	run_json_outcome_why(&run, &out);
	CHECK(is(&out,
	    "{\"cause\":\"c\",\"droppedTargets\":{\"count\":0,\"first\":[]},"
	    "\"outOfScope\":{\"count\":0,\"first\":[]},\"phase\":11,"
	    "\"running\":0,\"selected\":1,\"upToDate\":0,"
	    "\"upToDateTargets\":{\"count\":0,\"first\":[]}}"));
	run.state = RUN_FAILED;
	run_json_outcome_why(&run, &out);
	CHECK(is(&out, "{\"cause\":\"c\",\"phase\":11}"));
	run.state = RUN_IGNORED;
	run.why.phase = 1;
	run_json_outcome_why(&run, &out);
	CHECK(is(&out, "{\"cause\":\"c\",\"phase\":1}"));
	buffer_finish(&out);
}

CU_TestInfo run_json_tests[] = {
	{ "stores and reads", stores_and_reads },
	{ "stores the place first", stores_the_place_first },
	{ "refuses other forms", refuses_other_forms },
	{ "reads of later versions", reads_of_later_versions },
	{ "tells and shows", tells_and_shows },
	{ "tells what was counted", tells_what_was_counted },
	CU_TEST_INFO_NULL,
};
