#include "producer/cli/line_reader.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/check.h"

#define MAX 8

/* All lines of what is written to a pipe in pieces, with '|' behind each. */
static const char *
lines_of(const char *const *pieces, size_t n)
{
	static char out[256];
	struct line_reader reader;
	struct error err = { 0 };
	struct text line;
	enum line_result result;
	int ends[2];
	size_t i, used = 0;

	REQUIRE(pipe(ends) == 0);
	line_reader_init(&reader, ends[0], MAX);
	out[0] = '\0';
	for (i = 0; i <= n; i++) {
		if (i < n)
			REQUIRE(write(ends[1], pieces[i], strlen(pieces[i])) ==
			    (ssize_t)strlen(pieces[i]));
		else
			close(ends[1]);
		while ((result = line_reader_next(&reader, 0, &line, &err)) ==
		    LINE_READ)
			used += (size_t)snprintf(out + used, sizeof out - used,
			    "%.*s|", TEXT_ARG(line));
		CHECK(result == (i < n ? LINE_NONE_YET : LINE_END));
	}
	line_reader_finish(&reader);
	close(ends[0]);
	return out;
}

static void
gives_out_lines(void)
{
	static const struct {
		const char *name, *pieces[4];
		size_t n;
		const char *lines;
	} rows[] = {
		{ "nothing", { "" }, 0, "" },
		{ "one", { "ab\n" }, 1, "ab|" },
		{ "without an end", { "ab" }, 1, "ab|" },
		{ "empty ones", { "\n\na\n" }, 1, "||a|" },
		{ "in pieces", { "a", "b\nc", "\n" }, 3, "ab|c|" },
		{ "carriage returns", { "a\r\nb\r\n" }, 1, "a|b|" },
		{ "a byte order mark",
		    { "\xef\xbb\xbf"
		      "12345678\na\n" },
		    1, "12345678|a|" },
		{ "one in pieces", { "\xef", "\xbb\xbf", "a\n" }, 3, "a|" },
		{ "one mark alone, the next is text",
		    { "\xef\xbb\xbf\xef\xbb\xbf\n" }, 1, "\xef\xbb\xbf|" },
		{ "just long enough", { "12345678\nx\n" }, 1, "12345678|x|" },
		{ "too long", { "123456789abc\nx\n" }, 1, "123456789|x|" },
		{ "too long, in pieces", { "12345", "6789", "abc", "\nx\n" }, 4,
		    "123456789|x|" },
		{ "too long at the end", { "123456789abc" }, 1, "123456789|" },
		{ "two too long", { "123456789a\n123456789b\ny" }, 1,
		    "123456789|123456789|y|" },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].name,
		    strcmp(lines_of(rows[i].pieces, rows[i].n),
			rows[i].lines) == 0);
}

CU_TestInfo line_reader_tests[] = {
	{ "gives out lines", gives_out_lines },
	CU_TEST_INFO_NULL,
};
