#include "common/base/zone.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/small_file.h"
#include "tests/unit/check.h"

static int32_t
offset_at(const struct zone *zone, int year, int month, int day)
{
	return zone_span_at(zone, clock_days_to(year, month, day) * 86400)
	    .offset;
}

static void
knows_offsets(void)
{
	static const struct {
		const char *name;
		int year;
		int32_t january, july; /* minutes */
	} rows[] = {
		{ "UTC", 2026, 0, 0 },
		{ "Europe/Berlin", 2026, 60, 120 },
		{ "Europe/Berlin", 2400, 60, 120 },
		{ "America/New_York", 2040, -300, -240 },
		{ "Australia/Lord_Howe", 2060, 660, 630 },
		{ "Asia/Kathmandu", 2026, 345, 345 },
		{ "America/Nuuk", 2060, -120, -60 },
		{ "Etc/GMT+5", 2026, -300, -300 },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *row = rows[i].name;
		struct zone *zone = zone_load(text_from(row), NULL);

		REQUIRE(zone != NULL);
		CHECK_ROW(row,
		    offset_at(zone, rows[i].year, 1, 15) ==
			rows[i].january * 60);
		CHECK_ROW(row,
		    offset_at(zone, rows[i].year, 7, 15) == rows[i].july * 60);
		zone_destroy(zone);
	}
}

/* Spans follow each other without a hole, and end where the next begins. */
static void
joins_spans(void)
{
	struct zone *zone = zone_load(TEXT("Europe/Berlin"), NULL);
	int64_t until = clock_days_to(2050, 1, 1) * 86400;
	struct zone_span span = zone_span_at(zone, 0), next;
	int changes = 0;

	for (; span.until < until; span = next, changes++) {
		next = zone_span_at(zone, span.until);
		CHECK(next.from == span.until && next.until > next.from);
		CHECK(zone_span_at(zone, span.until - 1).offset == span.offset);
	}
	CHECK(changes == 140);
	zone_destroy(zone);
}

static void
refuses_names(void)
{
	static const char *const rows[] = { "", "/etc/passwd", "../UTC",
		"Europe//Berlin", "Europe/", "Europe/Berlin.", "Europe",
		"Mars/Olympus", "a\nb" };
	struct error err;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		err = (struct error){ 0 };
		CHECK_ROW(rows[i], zone_load(text_from(rows[i]), &err) == NULL);
		CHECK_ROW(rows[i], err.kind == ERROR_INPUT);
	}
}

static void
put_file(const char *path, const char *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert(file != NULL);
	fwrite(bytes, 1, size, file);
	fclose(file);
}

/* Cut anywhere, and with each byte another: refused, or a zone. */
static void
outlives_damage(void)
{
	char folder[] = "/tmp/schedrun-zone-XXXXXX", path[64];
	struct buffer bytes = { 0 };
	bool exposed;
	size_t i;

	REQUIRE(mkdtemp(folder) != NULL);
	REQUIRE(small_file_read("/usr/share/zoneinfo/Europe/Berlin", 65536,
		    &bytes, &exposed, NULL) == 0);
	snprintf(path, sizeof path, "%s/Broken", folder);
	setenv("TZDIR", folder, 1);
	for (i = 0; i < bytes.size; i += 1 + i / 100) {
		struct zone *zone;

		put_file(path, bytes.at, i);
		CHECK(zone_load(TEXT("Broken"), NULL) == NULL);
		bytes.at[i] = (char)~bytes.at[i];
		put_file(path, bytes.at, bytes.size);
		zone = zone_load(TEXT("Broken"), NULL);
		if (zone != NULL)
			zone_span_at(zone, clock_wall_ms() / 1000);
		zone_destroy(zone);
		bytes.at[i] = (char)~bytes.at[i];
	}
	unsetenv("TZDIR");
	unlink(path);
	rmdir(folder);
	buffer_finish(&bytes);
}

CU_TestInfo zone_tests[] = {
	{ "knows_offsets", knows_offsets },
	{ "joins_spans", joins_spans },
	{ "refuses_names", refuses_names },
	{ "outlives_damage", outlives_damage },
	CU_TEST_INFO_NULL,
};
