#include "producer/trigger/timetable.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
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

/* The expression of what is due next, as the version has it. */
static bool
names_next(const struct timetable *table, const char *version)
{
	char expression[64] = "";
	struct due due;

	if (timetable_next(table, NOON, &due))
		snprintf(expression, sizeof expression, "\"%.*s\"",
		    TEXT_ARG(due.trigger->expression));
	return expression[0] != '\0' && strstr(version, expression) != NULL;
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
		/* Parts are due, too: whether they fire is not theirs to say.
		 */
		{ OF(ALL TIME("9 * * * *", "UTC") "]}"), 0, 9 },
		{ OF(MANY TIME("9 * * * *", "UTC") "," ALL TIME(
		      "7 * * * *", "UTC") "]}]}"),
		    0, 7 },
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
		if (table != NULL) {
			CHECK_ROW(row,
			    next_of(table, NOON) == NOON + rows[i].next * 60);
			CHECK_ROW(row, names_next(table, row));
		}
		timetable_destroy(table);
	}
	zones_destroy(zones);
}

static void
count_due(void *opaque, const struct time_trigger *trigger)
{
	size_t *counts = opaque;

	counts[trigger->is_part]++;
}

/* A time alone and two that are parts, of which one is due with it. */
static void
finds_parts(void)
{
	struct zones *zones = zones_create();
	struct timetable *table;
	struct due due;
	size_t counts[2] = { 0 };

	timetable_read(
	    TEXT(OF(MANY ALL MANY TIME("5 * * * *", "UTC") "]}," TIME(
		"6 * * * *", "UTC") "]}," TIME("5 * * * *", "UTC") "]}")),
	    zones, &table, NULL);
	CHECK(timetable_size(table) == 3 && timetable_has_parts(table));
	CHECK(timetable_next(table, NOON, &due) && !due.trigger->is_part);
	CHECK(timetable_next(table, NOON + 5 * 60, &due) &&
	    due.trigger->is_part && due.instant.at_s == NOON + 6 * 60);
	timetable_each_due(table, NOON + 5 * 60, count_due, counts);
	CHECK(counts[false] == 1 && counts[true] == 1);
	timetable_each_due(table, NOON + 5 * 60 + 1, count_due, counts);
	CHECK(counts[false] == 1 && counts[true] == 1);
	timetable_destroy(table);
	zones_destroy(zones);
}

static void
finds_missed(void)
{
	struct zones *zones = zones_create();
	struct timetable *minutes, *years;
	struct due list[3];

	timetable_read(
	    TEXT(OF(TIME("* * * * *", "UTC"))), zones, &minutes, NULL);
	timetable_read(TEXT(OF(TIME("0 0 1 1 *", "UTC"))), zones, &years, NULL);
	CHECK(timetable_missed(minutes, NOON, NOON + 59, list, 3) == 0);
	CHECK(timetable_missed(minutes, NOON, NOON + 60, list, 3) == 1);
	CHECK(list[0].instant.at_s == NOON + 60);
	CHECK(timetable_missed(minutes, 0, NOON, list, 3) == 3);
	CHECK(list[0].instant.at_s == NOON - 120);
	CHECK(list[2].instant.at_s == NOON);
	CHECK(timetable_missed(years, NOON, NOON + 86400, list, 3) == 0);
	CHECK(timetable_missed(years, 0, NOON, list, 3) == 3);
	CHECK(list[2].instant.at_s == clock_days_to(2026, 1, 1) * 86400);
	CHECK(timetable_missed(
		  years, NOON - 86400 * INT64_C(500), NOON, list, 3) == 2);
	timetable_destroy(minutes);
	timetable_destroy(years);
	zones_destroy(zones);
}

CU_TestInfo timetable_tests[] = {
	{ "finds_times", finds_times },
	{ "finds_parts", finds_parts },
	{ "finds_missed", finds_missed },
	CU_TEST_INFO_NULL,
};
