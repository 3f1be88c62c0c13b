#include "common/http/path.h"

#include <string.h>

#include "common/base/buffer.h"
#include "tests/unit/check.h"

/* For initializers, where a compound literal is no constant. */
#define BYTES(literal)                                                         \
	{                                                                      \
		(literal), sizeof(literal) - 1                                 \
	}

/* `segments` joined by '|', or NULL for a refusal. */
static const struct {
	const char *name;
	struct text target;
	const char *segments;
} rows[] = {
	{ "root", BYTES("/"), "" },
	{ "two", BYTES("/a/b"), "a|b" },
	{ "slash at the end", BYTES("/a/"), "a|" },
	{ "empty segment", BYTES("//a"), "|a" },
	{ "dots stay", BYTES("/a/../b/./c"), "a|..|b|.|c" },
	{ "%2F does not separate", BYTES("/a%2Fb"), "a/b" },
	{ "decoded once", BYTES("/%2541"), "%41" },
	{ "UTF-8", BYTES("/%C3%A9"), "\xc3\xa9" },
	{ "plus stays", BYTES("/a+b"), "a+b" },
	{ "query", BYTES("/a?b=c/d"), "a" },
	{ "absolute", BYTES("http://h:1/a?b"), "a" },
	{ "absolute without a path", BYTES("HTTP://h"), "" },
	{ "absolute with a query only", BYTES("http://h?a/b"), "" },
	{ "absolute with a fragment", BYTES("http://h#a/b"), NULL },
	{ "absolute with a user", BYTES("http://u@h/a"), NULL },
	{ "absolute with a backslash", BYTES("http://h\\x/a"), NULL },
	{ "asterisk", BYTES("*"), "" },
	{ "absolute without a host", BYTES("http:///a"), NULL },
	{ "another scheme", BYTES("ftp://h/a"), NULL },
	{ "authority", BYTES("h:443"), NULL },
	{ "fragment", BYTES("/a#b"), NULL },
	{ "fragment in the query", BYTES("/a?b#c"), NULL },
	{ "NUL", BYTES("/a%00"), NULL },
	{ "line break", BYTES("/a%0d%0ab"), NULL },
	{ "DEL", BYTES("/a%7f"), NULL },
	{ "C1 control", BYTES("/a%c2%85"), NULL },
	{ "behind C1", BYTES("/a%c2%a0"), "a\xc2\xa0" },
	{ "not UTF-8", BYTES("/%ff"), NULL },
	{ "overlong", BYTES("/%c0%af"), NULL },
	{ "surrogate", BYTES("/%ed%a0%80"), NULL },
	{ "cut escape", BYTES("/%4"), NULL },
	{ "cut escape before a slash", BYTES("/%4/a"), NULL },
	{ "no digits", BYTES("/%zz"), NULL },
	{ "bad escape in the query", BYTES("/a?b=%"), NULL },
	{ "control in the query", BYTES("/a?b=%0a"), NULL },
};

static void
cuts_then_decodes(void)
{
	struct arena *arena = arena_create(0);
	size_t i, n;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct http_path path;
		const char *reason;
		struct buffer joined = { 0 };
		int rc = http_path_parse(rows[i].target, arena, &path, &reason);

		CHECK_ROW(
		    rows[i].name, (rc == 0) == (rows[i].segments != NULL));
		CHECK_ROW(rows[i].name, (rc == 0) == (reason == NULL));
		if (rc != 0 || rows[i].segments == NULL)
			continue;
		for (n = 0; n < path.n_segments; n++) {
			if (n > 0)
				buffer_byte(&joined, '|');
			buffer_append(&joined, path.segments[n]);
		}
		CHECK_ROW(rows[i].name,
		    text_equal(
			buffer_text(&joined), text_from(rows[i].segments)));
		buffer_finish(&joined);
	}
	arena_destroy(arena);
}

static void
reads_the_query(void)
{
	struct arena *arena = arena_create(0);
	struct http_path path;
	struct text value;
	const char *reason;

	REQUIRE(http_path_parse(TEXT("/r?a=1&b&c=x+y%2B&&d=1&d=2&=e"), arena,
		    &path, &reason) == 0);
	CHECK(path.n_parameters == 6);
	CHECK(http_path_get(&path, "a", &value) == 1 &&
	    text_equal(value, TEXT("1")));
	CHECK(http_path_get(&path, "b", &value) == 1 && value.size == 0);
	CHECK(http_path_get(&path, "c", &value) == 1 &&
	    text_equal(value, TEXT("x y+")));
	CHECK(http_path_get(&path, "d", &value) == -1);
	CHECK(http_path_get(&path, "z", &value) == 0);
	arena_destroy(arena);
}

CU_TestInfo http_path_tests[] = {
	{ "cuts, then decodes", cuts_then_decodes },
	{ "reads the query", reads_the_query },
	CU_TEST_INFO_NULL,
};
