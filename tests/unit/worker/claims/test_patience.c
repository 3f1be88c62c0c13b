#include "worker/claims/patience.h"

#include "tests/unit/check.h"

#define NOW 1000000

static const struct claim_value holder = { 7, 100, 1, 2 };
static const struct patience fresh = { .offset = -1, .given_up_on = -1 };

static void
what_is_behind_is_decided(void)
{
	static const struct {
		const char *name;
		struct holder_place place;
		enum patience_verdict verdict;
	} rows[] = {
		{ "committed", { 101, -1 }, HOLDER_DECIDED },
		{ "long ago", { 5000, -1 }, HOLDER_DECIDED },
		{ "before it in the batch", { 90, 101 }, HOLDER_DECIDED },
		{ "it comes next", { 100, -1 }, HOLDER_AWAITED },
		{ "it comes next in the batch", { 90, 100 }, HOLDER_AWAITED },
		{ "nothing is committed", { -1, -1 }, HOLDER_AWAITED },
		{ "nobody answers", { PATIENCE_UNKNOWN, -1 }, HOLDER_AWAITED },
		{ "no such partition", { PATIENCE_NOBODY, -1 },
		    HOLDER_GIVEN_UP },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct patience patience = fresh;

		CHECK_ROW(rows[i].name,
		    patience_judge(&patience, 3, &holder, rows[i].place, NOW) ==
			rows[i].verdict);
		CHECK_ROW(rows[i].name,
		    patience.offset ==
			(rows[i].verdict == HOLDER_AWAITED ? 3 : -1));
	}
}

static enum patience_verdict
judge(struct patience *patience, int64_t offset, int64_t stands, int64_t ms)
{
	return patience_judge(patience, offset, &holder,
	    (struct holder_place){ stands, -1 }, NOW + ms);
}

static void
what_stands_still_is_given_up(void)
{
	struct patience patience = fresh;

	CHECK(judge(&patience, 3, 90, 0) == HOLDER_AWAITED);
	CHECK(judge(&patience, 3, 90, PATIENCE_MS - 1) == HOLDER_AWAITED);
	CHECK(judge(&patience, 3, 90, PATIENCE_MS) == HOLDER_GIVEN_UP);
	/* The next needn't wait again, until it goes on. */
	CHECK(judge(&patience, 4, 90, PATIENCE_MS) == HOLDER_GIVEN_UP);
	CHECK(judge(&patience, 5, 91, PATIENCE_MS) == HOLDER_AWAITED);
	CHECK(judge(&patience, 5, 101, PATIENCE_MS) == HOLDER_DECIDED);
}

/* Each record has its time, but an unknown offset is never given up. */
static void
each_waits_for_itself(void)
{
	struct patience patience = fresh;

	CHECK(judge(&patience, 3, 90, 0) == HOLDER_AWAITED);
	CHECK(judge(&patience, 4, 90, PATIENCE_MS) == HOLDER_AWAITED);
	CHECK(judge(&patience, 4, PATIENCE_UNKNOWN, 3 * PATIENCE_MS) ==
	    HOLDER_AWAITED);
	CHECK(judge(&patience, 4, 91, 3 * PATIENCE_MS) == HOLDER_GIVEN_UP);
}

CU_TestInfo patience_tests[] = {
	{ "what is behind is decided", what_is_behind_is_decided },
	{ "what stands still is given up", what_stands_still_is_given_up },
	{ "each waits for itself", each_waits_for_itself },
	CU_TEST_INFO_NULL,
};
