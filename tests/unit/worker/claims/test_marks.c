#include "worker/claims/marks.h"

#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/scripted_redis.h"

static struct scripted_redis script;
static struct marks marks;
static struct keyspace *keyspace;

static void
begin(void)
{
	scripted_redis_open(&script);
	keyspace = keyspace_create("p:");
	marks =
	    (struct marks){ script.redis, keyspace, TEXT("ns"), TEXT("topic") };
}

static void
end(void)
{
	keyspace_destroy(keyspace);
	scripted_redis_close(&script);
}

static void
a_mark_that_is_no_offset_is_none(void)
{
	const struct {
		const char *name;
		struct text answer;
		int64_t mark;
	} rows[] = {
		{ "an offset", TEXT("$2\r\n12\r\n"), 12 },
		{ "the first", TEXT("$1\r\n0\r\n"), 0 },
		{ "none", TEXT("$-1\r\n"), -1 },
		{ "set back", TEXT("$2\r\n-1\r\n"), -1 },
		{ "a letter behind it", TEXT("$3\r\n12x\r\n"), -1 },
		{ "15 digits", TEXT("$15\r\n999999999999999\r\n"),
		    999999999999999 },
		{ "16 digits", TEXT("$16\r\n1000000000000000\r\n"), -1 },
		{ "empty", TEXT("$0\r\n\r\n"), -1 },
	};
	size_t i;

	begin();
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct heard heard;
		int64_t mark = 7;

		scripted_redis_say(&script, rows[i].answer);
		CHECK_ROW(
		    rows[i].name, marks_read(&marks, 3, &mark, NULL) == 0);
		CHECK_ROW(rows[i].name, mark == rows[i].mark);
		heard = scripted_redis_heard(&script);
		CHECK(heard_is(&heard, "GET p:mns:topic:3"));
	}
	end();
}

static void
a_mark_is_set_down(void)
{
	struct error err = { 0 };
	struct heard heard;

	begin();
	SAY(&script, "+OK\r\n");
	CHECK(marks_write(&marks, 12, -1, &err) == 0);
	heard = scripted_redis_heard(&script);
	CHECK(heard_is(&heard, "SET p:mns:topic:12 -1"));
	SAY(&script, "-MISCONF no disk\r\n");
	CHECK(marks_write(&marks, 12, 5, &err) == -1);
	CHECK(err.kind == ERROR_RETRY);
	end();
}

static void
a_key_of_another_type_is_named(void)
{
	struct error err = { 0 };
	struct attempt attempt;
	int64_t mark;

	begin();
	SAY(&script, "-WRONGTYPE Operation\r\n");
	CHECK(marks_read(&marks, 3, &mark, &err) == -1);
	CHECK(strstr(err.message, "key p:mns:topic:3: ") != NULL);
	SAY(&script, "-WRONGTYPE Operation\r\n");
	CHECK(attempts_read(&marks, 3, &attempt, &err) == -1);
	CHECK(strstr(err.message, "key p:ans:topic:3: ") != NULL);
	end();
}

static void
attempts_come_back(void)
{
	const struct {
		const char *name;
		struct text answer;
		int64_t offset;
		int32_t entries;
	} rows[] = {
		{ "a note", TEXT("$4\r\n70:2\r\n"), 70, 2 },
		{ "none", TEXT("$-1\r\n"), 0, 0 },
		{ "no count", TEXT("$3\r\n70:\r\n"), 70, 0 },
		{ "no offset", TEXT("$2\r\n:2\r\n"), 0, 0 },
		{ "no colon", TEXT("$2\r\n70\r\n"), 0, 0 },
		{ "too many", TEXT("$7\r\n70:1001\r\n"), 70, 0 },
		{ "empty", TEXT("$0\r\n\r\n"), 0, 0 },
	};
	struct heard heard;
	size_t i;

	begin();
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct attempt attempt = { 1, 1 };

		scripted_redis_say(&script, rows[i].answer);
		CHECK_ROW(rows[i].name,
		    attempts_read(&marks, 3, &attempt, NULL) == 0);
		CHECK_ROW(rows[i].name, attempt.entries == rows[i].entries);
		CHECK_ROW(rows[i].name,
		    attempt.entries == 0 || attempt.offset == rows[i].offset);
		heard = scripted_redis_heard(&script);
		CHECK(heard_is(&heard, "GET p:ans:topic:3"));
	}
	SAY(&script, "+OK\r\n");
	CHECK(attempts_write(&marks, 3, (struct attempt){ 70, 2 }, NULL) == 0);
	heard = scripted_redis_heard(&script);
	CHECK(heard_is(&heard, "SET p:ans:topic:3 70:2 EX 3600"));
	end();
}

CU_TestInfo marks_tests[] = {
	{ "marks are read", a_mark_that_is_no_offset_is_none },
	{ "marks are written", a_mark_is_set_down },
	{ "another type", a_key_of_another_type_is_named },
	{ "attempts", attempts_come_back },
	CU_TEST_INFO_NULL,
};
