#include "producer/trigger/timetable.h"

#include "tests/unit/check.h"

#define TIME(cron, zone)                                                       \
	"{\"type\":\"time\",\"cronExpression\":\"" cron                        \
	"\",\"timeZone\":\"" zone "\"}"
#define MANY "{\"type\":\"or\",\"triggers\":["
#define ALL "{\"type\":\"and\",\"triggers\":["
#define OF(trigger) "{\"rid\":\"x\",\"trigger\":" trigger "}"
#define NOON INT64_C(1774785600) /* 2026-03-29T12:00:00Z */

static int64_t
next_of(const struct timetable *table, int64_t after_s)
{
	struct due due;

	return timetable_next(table, after_s, &due) ? due.instant.at_s : -1;
}

static void
finds_times(void)
{
	static const struct {
		const char *version;
		int rc;
		int64_t next; /* after noon, in minutes; -1: no table */
	} rows[] = {
		{ OF("null"), 0, -1 },
		{ "{}", 0, -1 },
		{ "{", -1, -1 },
		{ OF(TIME("5 * * * *", "UTC")), 0, 5 },
		{ OF("{\"type\":\"manual\"}"), 0, -1 },
		{ OF(MANY TIME("9 * * * *", "UTC") "," MANY TIME(
		      "7 * * * *", "Asia/Tokyo") "]}]}"),
		    0, 7 },
		{ OF(ALL TIME("9 * * * *", "UTC") "]}"), 0, -1 },
		{ OF(MANY TIME("9 * * * *", "UTC") "," ALL TIME(
		      "7 * * * *", "UTC") "]}]}"),
		    0, 9 },
		/* One that can't be read leaves the others. */
		{ OF(MANY TIME("9 * * * *", "UTC") "," TIME(
		      "7 * * * *", "No/Where") "]}"),
		    -1, 9 },
		{ OF(TIME("7 * * *", "UTC")), -1, -1 },
		{ OF("{\"type\":\"time\"}"), -1, -1 },
		{ OF("{\"type\":\"or\",\"triggers\":[null,3]}"), 0, -1 },
	};
	struct zones *zones = zones_create();
	struct timetable *table;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *row = rows[i].version;

		CHECK_ROW(row,
		    timetable_read(text_from(row), zones, &table, NULL) ==
			rows[i].rc);
		CHECK_ROW(row, (table != NULL) == (rows[i].next >= 0));
		if (table != NULL)
			CHECK_ROW(row,
			    next_of(table, NOON) == NOON + rows[i].next * 60);
		timetable_destroy(table);
	}
	zones_destroy(zones);
}

CU_TestInfo timetable_tests[] = {
	{ "finds_times", finds_times },
	CU_TEST_INFO_NULL,
};
