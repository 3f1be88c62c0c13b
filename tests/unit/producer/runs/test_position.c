#include "producer/runs/position.h"

#include <string.h>

#include "tests/unit/check.h"

static void
writes_and_reads_ids(void)
{
	static const struct {
		const char *name, *id;
		int64_t next[3];
		int32_t n;
	} rows[] = {
		{ "one partition at 0", "AQEA", { 0 }, 1 },
		{ "two bytes", "AQGAAQ", { 128 }, 1 },
		{ "three partitions", "AQMBAn8", { 1, 2, 127 }, 3 },
		{ "the largest offset", "AQH__________38", { INT64_MAX }, 1 },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct event_position position = { 0 };
		struct buffer out = { 0 };

		CHECK_ROW(rows[i].name,
		    event_position_read(&position, text_from(rows[i].id)));
		CHECK_ROW(rows[i].name,
		    position.n == rows[i].n &&
			memcmp(position.next, rows[i].next,
			    (size_t)position.n * sizeof *position.next) == 0);
		event_position_write(&position, &out);
		CHECK_ROW(rows[i].name,
		    text_equal(buffer_text(&out), text_from(rows[i].id)));
		buffer_finish(&out);
		event_position_finish(&position);
	}
}

static void
refuses_what_is_no_id(void)
{
	static const char *const rows[] = { "", "A", "AQ", "AQEA=", "AQEA ",
		"AgEA",             /* another version */
		"AQA",              /* no partition */
		"AQIA",             /* a partition too few */
		"AQEAAA",           /* a byte too many */
		"AQGAAA",           /* not the shortest form */
		"AQGA",             /* cut in a number */
		"AQH___________8B", /* over 63 bits */
		"AZBOAAAA",         /* more partitions than bytes */
		"AQ+A", "AQEB\n" };
	struct event_position position = { 0 };
	size_t i;

	event_position_pass(&position, 0, 7);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i],
		    !event_position_read(&position, text_from(rows[i])));
	CHECK(position.n == 1 && position.next[0] == 7);
	event_position_finish(&position);
}

static void
compares_places(void)
{
	struct event_position a = { 0 }, b = { 0 };

	CHECK(event_position_covers(&a, &b));
	event_position_pass(&a, 2, 5);
	CHECK(a.n == 3 && a.next[0] == 0);
	CHECK(event_position_covers(&a, &b) && !event_position_covers(&b, &a));
	event_position_copy(&b, &a);
	event_position_pass(&b, 2, 4); /* never back */
	CHECK(event_position_covers(&b, &a));
	event_position_pass(&b, 0, 1);
	CHECK(event_position_covers(&b, &a) && !event_position_covers(&a, &b));
	event_position_resize(&b, 1);
	event_position_resize(&b, 3);
	CHECK(b.next[0] == 1 && b.next[2] == 0);
	event_position_finish(&a);
	event_position_finish(&b);
}

CU_TestInfo event_position_tests[] = {
	{ "writes and reads ids", writes_and_reads_ids },
	{ "refuses what is no id", refuses_what_is_no_id },
	{ "compares places", compares_places },
	CU_TEST_INFO_NULL,
};
