#include "worker/marks.h"

#include "tests/unit/check.h"

static void
a_killer_is_found_after_six_entries(void)
{
	static const enum attempt_verdict wanted[] = { ATTEMPT_WHOLE,
		ATTEMPT_SINGLE, ATTEMPT_SINGLE, ATTEMPT_SINGLE,
		ATTEMPT_POISON };
	struct attempt stored = { 0, 0 };
	size_t i;

	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		CHECK(attempt_judge(stored, 70, &stored) == wanted[i]);
	CHECK(stored.offset == 70 && stored.entries == 6);
}

static void
progress_starts_anew(void)
{
	struct attempt stored = { 70, 5 };

	CHECK(attempt_judge(stored, 71, &stored) == ATTEMPT_WHOLE);
	CHECK(stored.offset == 71 && stored.entries == 2);
}

CU_TestInfo marks_tests[] = {
	{ "a killer is found", a_killer_is_found_after_six_entries },
	{ "progress starts anew", progress_starts_anew },
	CU_TEST_INFO_NULL,
};
