#include "common/base/clock.h"

#include <string.h>

#include "tests/unit/check.h"

static const struct {
	const char *text;
	int64_t ms; /* -1: refused */
} rows[] = {
	{ "1970-01-01T00:00:00Z", 0 },
	{ "1970-01-01T00:00:00.001Z", 1 },
	{ "2024-09-25T17:29:35.974Z", 1727285375974 },
	{ "2024-02-29T23:59:59.9999Z", 1709251199999 },
	{ "2000-02-29T00:00:00Z", 951782400000 },
	{ "2026-01-31T09:05:07.04Z", 1769850307040 },
	{ "9999-12-31T23:59:59.999999999Z", 253402300799999 },
	{ "2023-02-29T00:00:00Z", -1 },
	{ "2100-02-29T00:00:00Z", -1 },
	{ "2024-13-01T00:00:00Z", -1 },
	{ "2024-00-01T00:00:00Z", -1 },
	{ "2024-01-00T00:00:00Z", -1 },
	{ "2024-04-31T00:00:00Z", -1 },
	{ "2024-01-01T24:00:00Z", -1 },
	{ "2024-01-01T00:60:00Z", -1 },
	{ "2024-01-01T00:00:60Z", -1 },
	{ "1969-12-31T23:59:59Z", -1 },
	{ "2024-01-01T00:00:00", -1 },
	{ "2024-01-01T00:00:00.Z", -1 },
	{ "2024-01-01T00:00:00.0123456789Z", -1 },
	{ "2024-01-01T00:00:00+00:00", -1 },
	{ "2024-01-01t00:00:00z", -1 },
	{ "2024-01-01 00:00:00Z", -1 },
	{ "", -1 },
};

static void
reads_times(void)
{
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t ms = -1;
		bool ok = clock_parse(text_from(rows[i].text), &ms);

		CHECK_ROW(rows[i].text, ok == (rows[i].ms >= 0));
		CHECK_ROW(rows[i].text, !ok || ms == rows[i].ms);
	}
}

static void
writes_what_it_reads(void)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t ms, back;

	/* a step that meets every day of the leap cycle at another hour */
	for (ms = 0; ms <= CLOCK_MAX_MS; ms += INT64_C(86399999) * 7) {
		clock_format(ms, text);
		if (!clock_parse((struct text){ text, sizeof text }, &back) ||
		    back != ms) {
			CHECK_ROW("round trip", false);
			break;
		}
	}
	clock_format(-1, text);
	CHECK(memcmp(text, "1970-01-01T00:00:00.000Z", sizeof text) == 0);
	clock_format(INT64_MAX, text);
	CHECK(memcmp(text, "9999-12-31T23:59:59.999Z", sizeof text) == 0);
}

CU_TestInfo clock_tests[] = {
	{ "reads times", reads_times },
	{ "writes what it reads", writes_what_it_reads },
	CU_TEST_INFO_NULL,
};
