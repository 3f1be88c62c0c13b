#include "schemas/stored/cron.h"

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

CU_TestInfo cron_tests[] = {
	{ "judges", judges },
	CU_TEST_INFO_NULL,
};
