#include "producer/http/rate_limit.h"

#include <string.h>

#include "tests/unit/check.h"

static struct http_caller
user(char last)
{
	struct http_caller caller = { .known = true };

	memset(caller.user, 'a', UUID_TEXT_SIZE);
	caller.user[UUID_TEXT_SIZE - 1] = last;
	return caller;
}

static unsigned
take_all(struct rate_limit *limit, struct http_caller caller, int64_t now_ms)
{
	unsigned n = 0;

	while (n < 1000 && rate_limit_take(limit, &caller, now_ms))
		n++;
	return n;
}

static const struct {
	const char *name;
	char user;
	int64_t at_ms;
	unsigned taken;
} rows[] = {
	{ "a burst of two seconds", 'a', 5000, 10 },
	{ "nothing is left", 'a', 5000, 0 },
	{ "another has his own", 'b', 5000, 10 },
	{ "not quite one", 'a', 5199, 0 },
	{ "one after a fifth of a second", 'a', 5200, 1 },
	{ "five after a second", 'a', 6200, 5 },
	{ "no more than a burst after an hour", 'a', 3600000, 10 },
	{ "a clock that stands still", 'a', 3600000, 0 },
};

static void
gives_each_caller_his_rate(void)
{
	struct rate_limit *limit = rate_limit_create(5);
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].name,
		    take_all(limit, user(rows[i].user), rows[i].at_ms) ==
			rows[i].taken);
	rate_limit_destroy(limit);
}

static void
takes_the_unknown_as_one(void)
{
	struct rate_limit *limit = rate_limit_create(1);
	struct http_caller unknown = { .known = false };

	CHECK(take_all(limit, unknown, 0) == 2);
	CHECK(take_all(limit, unknown, 0) == 0);
	rate_limit_destroy(limit);
}

CU_TestInfo rate_limit_tests[] = {
	{ "gives each caller his rate", gives_each_caller_his_rate },
	{ "takes the unknown as one", takes_the_unknown_as_one },
	CU_TEST_INFO_NULL,
};
