#include "producer/builder/said.h"

#include "tests/unit/check.h"

static void
what_is_written_is_read(void)
{
	const struct job_said said = { JOB_FAILED, 3, 1700000000000,
		1700000000042, 137, 2, TEXT("host-1"),
		TEXT("a line\nanother") };
	struct buffer out = { 0 };
	struct job_said read;

	job_said_write(&said, &out);
	CHECK(text_equal(buffer_text(&out),
	    TEXT("FAILED 3 1700000000000 1700000000042 137 host-1 2\n"
		 "a line\nanother")));
	job_said_read(buffer_text(&out), &read);
	CHECK(read.state == JOB_FAILED && read.attempt == 3);
	CHECK(read.begun_ms == said.begun_ms && read.ended_ms == said.ended_ms);
	CHECK(read.lost == 2);
	CHECK(read.code == 137 && text_equal(read.host, said.host));
	CHECK(text_equal(read.note, said.note));
	buffer_finish(&out);
}

/* By a version that counted no lost tries. */
static void
what_was_written_before_is_read(void)
{
	struct job_said read;

	job_said_read(TEXT("RUNNING 2 1700000000000 0 0 host-1\nwhy"), &read);
	CHECK(read.state == JOB_RUNNING && read.attempt == 2);
	CHECK(read.lost == 0 && text_equal(read.host, TEXT("host-1")));
	CHECK(text_equal(read.note, TEXT("why")));
}

static void
what_is_none_has_not_ended(void)
{
	const struct {
		const char *name;
		struct text stored;
		enum job_state state;
		int64_t attempt;
	} rows[] = {
		{ "nothing", { NULL, 0 }, JOB_WAITING, 0 },
		{ "empty", TEXT(""), JOB_WAITING, 0 },
		{ "another word", TEXT("DONE 1 0 0 0 h\n"), JOB_WAITING, 1 },
		{ "a part of one", TEXT("SUCC"), JOB_WAITING, 0 },
		{ "the word alone", TEXT("SUCCEEDED"), JOB_SUCCEEDED, 0 },
		{ "no number", TEXT("RUNNING -1 0 0"), JOB_RUNNING, 0 },
		{ "too large a one", TEXT("FAILED 99999999999999999999"),
		    JOB_FAILED, 0 },
		{ "only a note", TEXT("\nSUCCEEDED 1"), JOB_WAITING, 0 },
	};
	struct job_said said;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		job_said_read(rows[i].stored, &said);
		CHECK_ROW(rows[i].name, said.state == rows[i].state);
		CHECK_ROW(rows[i].name, said.attempt == rows[i].attempt);
	}
}

CU_TestInfo job_said_tests[] = {
	{ "what is written is read", what_is_written_is_read },
	{ "what was written before is read", what_was_written_before_is_read },
	{ "what is none has not ended", what_is_none_has_not_ended },
	CU_TEST_INFO_NULL,
};
