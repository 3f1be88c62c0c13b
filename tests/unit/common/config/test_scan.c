#include "common/config/scan.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"

/* "block.name:line ..." of all properties; or the message. */
static const char *
scanned(const char *content)
{
	static struct config_property_place places[CONFIG_PLACES_MAX];
	static char out[1200];
	struct error err = { 0 };
	int n = config_scan("f", content, places, &err), i;
	size_t used = 0;

	snprintf(out, sizeof out, "%s", n < 0 ? err.message : "");
	for (i = 0; i < n; i++)
		used += (size_t)snprintf(out + used, sizeof out - used,
		    "%s%.*s.%.*s:%d", i > 0 ? " " : "",
		    TEXT_ARG(places[i].block), TEXT_ARG(places[i].name),
		    places[i].line);
	return out;
}

static void
finds_what_stands_where(void)
{
	static const struct {
		const char *name, *content, *found;
	} rows[] = {
		{ "nothing", "", "" },
		{ "no block", "a = 1\nb = \"x { y = 2 }\"\n", "" },
		{ "lines", "kafka {\n a = 1\n b=2 }\nc = 3",
		    "kafka.a:2 kafka.b:3" },
		{ "one line", "k { a = 1 b = 2 }", "k.a:1 k.b:1" },
		{ "two blocks", "k { a = 1 }\nl { a = 1 }", "k.a:1 l.a:2" },
		{ "strings", "k { a = \"b = } { \\\" \"\n c = 'd = 1' }",
		    "k.a:1 k.c:2" },
		{ "comments", "k { # b = 1 }\n // } c = 1\n /* } \n */ a = 1 }",
		    "k.a:4" },
		{ "a value like a name", "k { a = b\n c = d }", "k.a:1 k.c:2" },
		{ "twice", "k { a = 1 }\nk { a = 2 }",
		    "f:2: k { a }: set twice, first in line 1" },
		{ "not closed", "x = 1\nk {\n a = 1\n",
		    "f:2: the block k is not closed" },
		{ "a string not closed", "k { a = \"x }",
		    "f:1: the block k is not closed" },
		{ "a comment not closed", "k { /* }",
		    "f:1: the block k is not "
		    "closed" },
		{ "signs", "k { = = } { } } =", "" },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].name,
		    strcmp(scanned(rows[i].content), rows[i].found) == 0);
}

CU_TestInfo config_scan_tests[] = {
	{ "finds what stands where", finds_what_stands_where },
	CU_TEST_INFO_NULL,
};
