#include "producer/dashboard/history.h"

#include "tests/unit/check.h"

#define MINUTE 60000
#define NOW (INT64_C(29000000) * MINUTE + 30000)

static struct run_history history;

static void
note(enum run_state state, int64_t finished_ms, int64_t took_ms)
{
	const struct schedule_run run = {
		.state = state,
		.created_time_ms = finished_ms - took_ms,
		.finished_time_ms = finished_ms,
	};

	run_history_note(&history, &run, NOW);
}

static bool
is_written(int64_t now_ms, const char *json)
{
	struct buffer out = { 0 };
	bool same;

	run_history_write(&history, now_ms, &out);
	same = text_equal(buffer_text(&out), text_from(json));
	if (!same)
		printf("%.*s\n", TEXT_ARG(buffer_text(&out)));
	buffer_finish(&out);
	return same;
}

static void
empty_is_an_empty_list(void)
{
	history = (struct run_history){ 0 };
	CHECK(is_written(NOW, "[]"));
	CHECK(is_written(0, "[]"));
}

static void
results_fall_into_their_minutes(void)
{
	history = (struct run_history){ 0 };
	note(RUN_IGNORED, NOW, 10);
	note(RUN_SUBMITTED, NOW - 29000, 30);
	note(RUN_FAILED, NOW - MINUTE, 200);
	CHECK(is_written(NOW,
	    "[{\"at\":\"2025-02-19T21:19:00.000Z\",\"ignored\":0,"
	    "\"submitted\":0,\"error\":1,\"meanMs\":200,\"longestMs\":200},"
	    "{\"at\":\"2025-02-19T21:20:00.000Z\",\"ignored\":1,"
	    "\"submitted\":1,\"error\":0,\"meanMs\":20,\"longestMs\":30}]"));
}

/* A fresh replica reads old results, and a clock may be ahead of ours. */
static void
only_the_last_hour_is_kept(void)
{
	history = (struct run_history){ 0 };
	note(RUN_IGNORED, NOW - HISTORY_MINUTES * (int64_t)MINUTE, 1);
	note(RUN_IGNORED, NOW + MINUTE, 1);
	note(RUN_IGNORED, 0, 1);
	CHECK(is_written(NOW, "[]"));
	note(RUN_IGNORED, NOW - (HISTORY_MINUTES - 1) * (int64_t)MINUTE, 1);
	CHECK(!is_written(NOW, "[]"));
	CHECK(is_written(NOW + MINUTE, "[]"));
}

/* An hour later the place is another minute's. */
static void
a_place_is_taken_over(void)
{
	const struct schedule_run later = { .state = RUN_FAILED,
		.created_time_ms = NOW + 60 * (int64_t)MINUTE,
		.finished_time_ms = NOW + 60 * (int64_t)MINUTE };

	history = (struct run_history){ 0 };
	note(RUN_IGNORED, NOW, 500);
	run_history_note(&history, &later, NOW + 60 * (int64_t)MINUTE);
	CHECK(is_written(NOW + 60 * (int64_t)MINUTE,
	    "[{\"at\":\"2025-02-19T22:20:00.000Z\",\"ignored\":0,"
	    "\"submitted\":0,\"error\":1,\"meanMs\":0,\"longestMs\":0}]"));
}

/* Clocks of two machines: what ended before it began took no time. */
static void
time_does_not_run_backwards(void)
{
	history = (struct run_history){ 0 };
	note(RUN_SUBMITTED, NOW, -5000);
	note(RUN_SUBMITTED, NOW, 100);
	CHECK(is_written(NOW,
	    "[{\"at\":\"2025-02-19T21:20:00.000Z\",\"ignored\":0,"
	    "\"submitted\":2,\"error\":0,\"meanMs\":50,\"longestMs\":100}]"));
}

CU_TestInfo history_tests[] = {
	{ "empty is an empty list", empty_is_an_empty_list },
	{ "results fall into their minutes", results_fall_into_their_minutes },
	{ "only the last hour is kept", only_the_last_hour_is_kept },
	{ "a place is taken over", a_place_is_taken_over },
	{ "time does not run backwards", time_does_not_run_backwards },
	CU_TEST_INFO_NULL,
};
