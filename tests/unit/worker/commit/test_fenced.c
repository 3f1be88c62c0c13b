#include "worker/commit/fenced.h"

#include <string.h>

#include "tests/unit/check.h"

static void
a_twin_is_told_by_the_third_time_in_a_minute(void)
{
	struct fenced fenced = { 0 };
	struct error err = { 0 };

	CHECK(fenced_note(&fenced, 1000, "schedrun-1", &err) == 0);
	CHECK(fenced_note(&fenced, 2000, "schedrun-1", &err) == 0);
	CHECK(fenced_note(&fenced, 60999, "schedrun-1", &err) == -1);
	CHECK(err.kind == ERROR_FATAL && err.exit_code == 75);
	CHECK(strstr(err.message, "\"schedrun-1\"") != NULL);
	CHECK(strstr(err.message, "worker.id") != NULL);
	CHECK(strstr(err.message, "transaction.timeout.ms") != NULL);
}

static void
restarts_now_and_then_are_none(void)
{
	struct fenced fenced = { 0 };
	struct error err = { 0 };
	int64_t now;

	/* Two each minute, for ten minutes. */
	for (now = 0; now <= 600000; now += 30000)
		CHECK(fenced_note(&fenced, now, "schedrun-1", &err) == 0);
	CHECK(fenced_note(&fenced, now - 29000, "schedrun-1", &err) == -1);
}

CU_TestInfo fenced_tests[] = {
	{ "the third time", a_twin_is_told_by_the_third_time_in_a_minute },
	{ "now and then", restarts_now_and_then_are_none },
	CU_TEST_INFO_NULL,
};
