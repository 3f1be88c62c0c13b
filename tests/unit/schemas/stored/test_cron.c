#include "schemas/stored/cron.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/unit/check.h"

static void
judges(void)
{
	static const struct {
		const char *expression;
		bool valid;
	} rows[] = {
		{ "0 6 * * *", true },
		{ "*/15 * * * MON-FRI", true },
		{ "0,30 0-23/2 1,15 JAN,jul 0", true },
		{ "59 23 31 12 7", true },
		{ "0 0 L * *", true },
		{ "0 0 * * 5L", true },
		{ "0 0 * * 1#2", true },
		{ "  0   6 * *  * ", true },
		{ "5/10 * * * *", true },
		{ "", false },
		{ " ", false },
		{ "0 6 * *", false },
		{ "0 6 * * * *", false },
		{ "60 6 * * *", false },
		{ "0 24 * * *", false },
		{ "0 6 0 * *", false },
		{ "0 6 32 * *", false },
		{ "0 6 * 13 *", false },
		{ "0 6 * * 8", false },
		{ "0 6 * * MO", false },
		{ "MON 6 * * *", false },
		{ "0 6 * * 1#6", false },
		{ "0 6 * * 1#", false },
		{ "0 6 1L * *", false },
		{ "5-1 6 * * *", false },
		{ "1- 6 * * *", false },
		{ "*/0 6 * * *", false },
		{ "*/ 6 * * *", false },
		{ "0,,1 6 * * *", false },
		{ ",0 6 * * *", false },
		{ "0, 6 * * *", false },
		{ "-1 6 * * *", false },
		{ "0 6 * * *\n", false },
		{ "0\t6\t*\t*\t*", false },
		{ "@daily", false },
		{ "every day", false },
		{ "99999999999999999999 6 * * *", false },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].expression,
		    cron_is_valid(text_from(rows[i].expression)) ==
			rows[i].valid);
	CHECK(!cron_is_valid(TEXT("0 6 * *\0 *")));
}

/* The field is named, and what stands there. */
static void
says_why(void)
{
	static const struct {
		const char *expression, *says;
	} rows[] = {
		{ "0 6 * *", "4 fields for five" },
		{ "0 6 * * * *", "6 fields for five" },
		{ "", "0 fields for five" },
		{ "@daily", "1 fields for five" },
		{ "0 0 6 ? * MON", "6 fields for five" },
		{ "60 6 * * *", "minute: \"60\" is none of 0 to 59" },
		{ "0 8,24 * * *", "hour: \"24\" is none of 0 to 23" },
		{ "0 6 32 * *",
		    "day of the month: \"32\" is none of 1 to 31, L" },
		{ "0 6 ? * 1", "day of the month: \"?\"" },
		{ "0 6 * JANUARY *", "month: \"JANUARY\"" },
		{ "0 6 * * 5-1", "day of the week: \"5-1\"" },
		{ "*/0 6 * * *", "minute: \"*/0\"" },
		{ "0,, 6 * * *", "minute: \"\"" },
	};
	struct error err;
	struct cron cron;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		CHECK_ROW(rows[i].expression,
		    cron_read(text_from(rows[i].expression), &cron, &err) != 0);
		CHECK_ROW(rows[i].expression, err.kind == ERROR_INPUT);
		CHECK_ROW(rows[i].expression,
		    strstr(err.message, rows[i].says) != NULL);
	}
}

static int64_t
seconds_of(const char *time)
{
	int64_t ms = -1;

	CHECK_ROW(time, clock_parse(text_from(time), &ms));
	return ms / 1000;
}

/* The next two after a time; NULL: never. */
static void
is_due(void)
{
	static const struct {
		const char *expression, *zone, *after, *first, *second;
	} rows[] = {
		{ "* * * * *", "UTC", "2026-01-31T23:58:59Z",
		    "2026-01-31T23:59:00Z", "2026-02-01T00:00:00Z" },
		{ "0 6 * * 1-5", "Europe/Berlin", "2026-03-27T05:00:00Z",
		    "2026-03-30T04:00:00Z", "2026-03-31T04:00:00Z" },
		/* Skipped, and shown twice. */
		{ "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z",
		    "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z" },
		{ "30 2,3 29 3 *", "Europe/Berlin", "2026-03-28T12:00:00Z",
		    "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z" },
		{ "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
		    "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z" },
		/* From within the second hour of the two. */
		{ "*/20 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z",
		    "2026-10-26T01:00:00Z", "2026-10-26T01:20:00Z" },
		/* Of every hour: by the time that passes. */
		{ "30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z",
		    "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z" },
		{ "30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z",
		    "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z" },
		/* Both days narrowed: either is enough. */
		{ "0 0 31 * 3#5", "UTC", "2026-07-01T00:00:00Z",
		    "2026-07-29T00:00:00Z", "2026-07-31T00:00:00Z" },
		{ "0 0 L * *", "UTC", "2028-01-31T00:00:00Z",
		    "2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z" },
		{ "0 0 * * 5L", "UTC", "2026-11-27T00:00:00Z",
		    "2026-12-25T00:00:00Z", "2027-01-29T00:00:00Z" },
		{ "0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z",
		    "2104-02-29T00:00:00Z", "2108-02-29T00:00:00Z" },
		/* A day that the islands left out; summer that is winter. */
		{ "0 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00:00Z",
		    "2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z" },
		{ "0 12 * * *", "Europe/Dublin", "2050-10-29T12:00:00Z",
		    "2050-10-30T12:00:00Z", "2050-10-31T12:00:00Z" },
		{ "0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", NULL, NULL },
	};
	struct cron_instant instant;
	struct cron cron;
	struct zone *zone;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *row = rows[i].expression;

		zone = zone_load(text_from(rows[i].zone), NULL);
		CHECK_ROW(row, cron_read(text_from(row), &cron, NULL) == 0);
		CHECK_ROW(
		    row, cron_is_ever_due(&cron) == (rows[i].first != NULL));
		CHECK_ROW(row,
		    cron_next(&cron, zone, seconds_of(rows[i].after),
			&instant) == (rows[i].first != NULL));
		if (rows[i].first != NULL) {
			CHECK_ROW(
			    row, instant.at_s == seconds_of(rows[i].first));
			CHECK_ROW(row,
			    cron_next(&cron, zone, instant.at_s, &instant));
			CHECK_ROW(
			    row, instant.at_s == seconds_of(rows[i].second));
		}
		zone_destroy(zone);
	}
}

CU_TestInfo cron_tests[] = {
	{ "judges", judges },
	{ "says why", says_why },
	{ "is_due", is_due },
	CU_TEST_INFO_NULL,
};
