#include "common/config/file.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"

/* "key=value@line ..." of all settings; or the message. */
static const char *
parsed(struct text bytes)
{
	static struct config_line lines[CONFIG_LINES_MAX];
	static char out[1200];
	struct error err = { 0 };
	int n = config_file_parse("f", bytes, lines, &err), i;
	size_t used = 0;

	snprintf(out, sizeof out, "%s", n < 0 ? err.message : "");
	for (i = 0; i < n; i++)
		used += (size_t)snprintf(out + used, sizeof out - used,
		    "%s%.*s=%.*s@%d", i > 0 ? " " : "", TEXT_ARG(lines[i].key),
		    TEXT_ARG(lines[i].value), lines[i].number);
	return out;
}

#define BYTES(literal)                                                         \
	{                                                                      \
		(literal), sizeof(literal) - 1                                 \
	}

static const struct row {
	const char *name;
	struct text bytes;
	const char *found;
} rows[] = {
	{ "nothing", BYTES(""), "" },
	{ "blank lines", BYTES("\n \t\n\n"), "" },
	{ "settings", BYTES("a = 1\nb=2\n\tc\t=\t3 \n"), "a=1@1 b=2@2 c=3@3" },
	{ "comments", BYTES("# a = 1\n  # b\n#\nc = 1\n"), "c=1@4" },
	{ "a later #", BYTES("a = 1 # one\n"), "a=1 # one@1" },
	{ "what stands for itself", BYTES("a = ${B} \"c\" 'd' \\e = f"),
	    "a=${B} \"c\" 'd' \\e = f@1" },
	{ "an empty value", BYTES("a =\n"), "a=@1" },
	{ "CR LF", BYTES("a = 1\r\n\r\nb = 2\r\n"), "a=1@1 b=2@3" },
	{ "no end of the last line", BYTES("a = 1"), "a=1@1" },
	{ "a byte order mark",
	    BYTES("\xEF\xBB\xBF"
		  "a = 1\n"),
	    "a=1@1" },
	{ "one in the middle",
	    BYTES("a = 1\n\xEF\xBB\xBF"
		  "b = 2\n"),
	    "a=1@1 \xEF\xBB\xBF"
	    "b=2@2" },
	{ "UTF-8", BYTES("a = \xC3\xA4"), "a=\xC3\xA4@1" },
	{ "one sign of a quote", BYTES("a = \"b\nc = d\"\ne = \""),
	    "a=\"b@1 c=d\"@2 e=\"@3" },
	{ "longer names", BYTES("a = 1\na.b = 2\na.files = 3\n"),
	    "a=1@1 a.b=2@2 a.files=3@3" },

	{ "quotes", BYTES("\na = \"secret\"\n"),
	    "f:2: a: a value stands without quotes; write KEY = VALUE" },
	{ "a block", BYTES("kafka {\n a = 1\n}\n"),
	    "f:1: there are no blocks; write kafka.NAME = VALUE, a line for "
	    "each" },
	{ "a block in a line", BYTES("kafka { a = secret }"),
	    "f:1: there are no blocks; write kafka.NAME = VALUE, a line for "
	    "each" },
	{ "a block's end", BYTES("}"),
	    "f:1: there are no blocks; write kafka.NAME = VALUE, a line for "
	    "each" },
	{ "no sign", BYTES("a = 1\nsecret\n"),
	    "f:2: not of the form KEY = VALUE" },
	{ "no key", BYTES(" = secret\n"), "f:1: not of the form KEY = VALUE" },
	{ "two words", BYTES("a b = secret\n"),
	    "f:1: not of the form KEY = VALUE" },
	{ "a tab in a key", BYTES("a\tb = secret\n"),
	    "f:1: not of the form KEY = VALUE" },
	{ "a backslash at the end", BYTES("a = secret\\\n b\n"),
	    "f:1: a: a value can't end in a backslash, no line goes on in the "
	    "next" },
	{ "and a blank", BYTES("a = secret\\ \n"),
	    "f:1: a: a value can't end in a backslash, no line goes on in the "
	    "next" },
	{ "twice", BYTES("a = 1\n\na = 1\n"),
	    "f:3: a: set twice, first in line 1" },
	{ "by its file too", BYTES("a = 1\na.file = x\n"),
	    "f:2: a.file: set twice, first in line 1" },
	{ "by its file first", BYTES("a.file = x\na = 1\n"),
	    "f:2: a: set twice, first in line 1" },
	{ "not UTF-8", BYTES("a = 1\nb = \xC3\n"), "f:2: not UTF-8" },
	{ "not UTF-8 in a comment", BYTES("# \xFF\n"), "f:1: not UTF-8" },
	{ "a NUL", BYTES("a = 1\0b\n"),
	    "f:1: a control character (byte 6 of the line)" },
	{ "a bare CR", BYTES("a = 1\rb = 2\n"),
	    "f:1: a control character (byte 6 of the line)" },
	{ "a bare CR at the end", BYTES("a = 1\r"),
	    "f:1: a control character (byte 6 of the line)" },
	{ "an escape", BYTES("a = \x1B[1m\n"),
	    "f:1: a control character (byte 5 of the line)" },
	{ "one of two bytes", BYTES("a = \xC2\x9B\n"),
	    "f:1: a control character (byte 5 of the line)" },
};

static void
finds_settings_and_refuses_the_rest(void)
{
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].name,
		    strcmp(parsed(rows[i].bytes), rows[i].found) == 0);
}

static void
has_bounds(void)
{
	static char bytes[70000];
	size_t size = 0, i;

	memset(bytes, 'x', sizeof bytes);
	memcpy(bytes, "a =", 3);
	CHECK(strcmp(parsed((struct text){ bytes, 65537 }),
		  "f:1: a line of 65537 bytes, more than 65536") == 0);
	bytes[65536] = '\n';
	bytes[65537] = '#';
	CHECK(strstr(parsed((struct text){ bytes, 65538 }), "a=xxx") != NULL);
	for (i = 0; i <= CONFIG_LINES_MAX; i++)
		size += (size_t)snprintf(
		    bytes + size, sizeof bytes - size, "k%zu=\n", i);
	CHECK(strcmp(parsed((struct text){ bytes, size }),
		  "f:513: more than 512 settings") == 0);
}

CU_TestInfo config_file_tests[] = {
	{ "finds settings and refuses the rest",
	    finds_settings_and_refuses_the_rest },
	{ "has bounds", has_bounds },
	CU_TEST_INFO_NULL,
};
