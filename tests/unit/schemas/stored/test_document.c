#include <stdio.h>
#include <string.h>

#include "common/base/arena.h"
#include "schemas/stored/document.h"
#include "tests/unit/check.h"

/* "ä" n times: two bytes each, so that odd places are within a character. */
static struct text
umlauts(char *at, const char *first, size_t n)
{
	size_t size = strlen(first), i;

	memcpy(at, first, size);
	for (i = 0; i < n; i++, size += 2)
		memcpy(at + size, "\xc3\xa4", 2);
	return (struct text){ at, size };
}

static void
test_cuts(void)
{
	const struct {
		const char *name;
		struct text text;
		size_t max, left;
	} rows[] = {
		{ "short enough", TEXT("abc"), 3, 3 },
		{ "between letters", TEXT("abc"), 2, 2 },
		{ "nothing", TEXT("abc"), 0, 0 },
		{ "after two bytes", TEXT("\xc3\xa4x"), 2, 2 },
		{ "in two bytes", TEXT("\xc3\xa4x"), 1, 0 },
		{ "in three bytes", TEXT("a\xe2\x82\xacx"), 3, 1 },
		{ "in four bytes", TEXT("a\xf0\x9f\x98\x80"), 4, 1 },
		{ "after four bytes", TEXT("a\xf0\x9f\x98\x80x"), 5, 5 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].name,
		    text_cut(rows[i].text, rows[i].max).size == rows[i].left);
}

static void
test_cut_errors(void)
{
	char room[2100];
	struct error err;

	for (size_t n = 505; n < 520; n++) {
		struct text text = umlauts(room, "", n);

		error_set(&err, ERROR_INPUT, "x%.*s", TEXT_ARG(text));
		CHECK(text_is_utf8(text_from(err.message)));
		CHECK(strlen(err.message) > 1000);
		error_prefix(&err, "xy%.*s", TEXT_ARG(text));
		CHECK(text_is_utf8(text_from(err.message)));
	}
}

/* The first fault of reading `text` as the member of an object. */
static void
read_member_named(struct text name, struct error *err)
{
	struct arena *arena = arena_create(0);
	struct reader *reader = reader_create(arena);
	struct place root = { 0 }, place = place_member(&root, name);

	read_key(reader, &place, name, DOCUMENT_TEXT_MAX);
	CHECK(reader_result(reader, err) == -1);
	arena_destroy(arena);
}

static void
test_faults_are_one_line(void)
{
	char room[2100];
	struct error err;

	read_member_named(umlauts(room, "", 101), &err);
	CHECK(text_is_utf8(text_from(err.message)));
	read_member_named(umlauts(room, "x", 101), &err);
	CHECK(text_is_utf8(text_from(err.message)));
	CHECK(strstr(err.message, "has 203 bytes, more than 200") != NULL);
	read_member_named(TEXT("a\nb\"\x7f"), &err);
	CHECK(strcmp(err.message,
		  "$[\"a\\x0ab\\x22\\x7f\"]: has a control character: "
		  "\"a\\x0ab\\x22\\x7f\"") == 0);
}

static void
fault_with(struct text value, struct error *err)
{
	struct arena *arena = arena_create(0);
	struct reader *reader = reader_create(arena);
	struct place root = { 0 };

	reader_fault(reader, &root, "x %.*s", TEXT_ARG(value));
	CHECK(reader_result(reader, err) == -1);
	arena_destroy(arena);
}

static void
test_long_faults(void)
{
	char room[2100];
	struct error err;

	for (size_t n = 250; n < 260; n++) {
		fault_with(umlauts(room, "", n), &err);
		CHECK(text_is_utf8(text_from(err.message)));
		fault_with(umlauts(room, "x", n), &err);
		CHECK(text_is_utf8(text_from(err.message)));
	}
	fault_with(TEXT("two\nlines"), &err);
	CHECK(strcmp(err.message, "$: x two\\x0alines") == 0);
}

CU_TestInfo document_tests[] = {
	{ "cuts between characters", test_cuts },
	{ "cut errors", test_cut_errors },
	{ "faults are one line", test_faults_are_one_line },
	{ "long faults", test_long_faults },
	CU_TEST_INFO_NULL,
};
