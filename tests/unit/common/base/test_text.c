#include "common/base/text.h"

#include <string.h>

#include "common/base/arena.h"
#include "tests/unit/check.h"

#define BYTES(literal)                                                         \
	{                                                                      \
		(literal), sizeof(literal) - 1                                 \
	}
#define ROWS(rows) (sizeof(rows) / sizeof(rows)[0])

static void
compares(void)
{
	CHECK(text_equal(TEXT_NONE, TEXT_NONE));
	CHECK(!text_equal(TEXT_NONE, TEXT("")));
	CHECK(text_equal(TEXT("a\0b"), TEXT("a\0b")));
	CHECK(!text_equal(TEXT("a\0b"), TEXT("a\0c")));
	CHECK(text_from(NULL).at == NULL);
	CHECK(text_compare(TEXT("a"), TEXT("ab")) < 0);
	CHECK(text_compare(TEXT("b"), TEXT("ab")) > 0);
	CHECK(text_compare(TEXT("\xC3\xA4"), TEXT("z")) > 0);
	CHECK(text_compare(TEXT("x"), TEXT("x")) == 0);
	CHECK(text_starts_with(TEXT("abc"), TEXT("ab")));
	CHECK(text_starts_with(TEXT("abc"), TEXT("")));
	CHECK(!text_starts_with(TEXT("ab"), TEXT("abc")));
	CHECK(text_hash(TEXT("abc")) == text_hash(TEXT("abc")));
	CHECK(text_hash(TEXT("abc")) != text_hash(TEXT("abd")));
}

static const struct number_row {
	const char *name;
	struct text text;
	int64_t max;
	bool fits;      /* text_to_number */
	int64_t number; /* text_to_bounded; -1: refused */
} numbers[] = {
	{ "zero", BYTES("0"), 9, true, 0 },
	{ "the largest", BYTES("65535"), 65535, true, 65535 },
	{ "one more", BYTES("65536"), 65535, false, 65535 },
	{ "leading zeros", BYTES("0000000000000000000000007"), 9, true, 7 },
	{ "INT64_MAX", BYTES("9223372036854775807"), INT64_MAX, true,
	    INT64_MAX },
	{ "beyond it", BYTES("9223372036854775808"), INT64_MAX, false,
	    INT64_MAX },
	{ "far beyond", BYTES("99999999999999999999999999"), 100, false, 100 },
	{ "nothing", BYTES(""), 9, false, -1 },
	{ "a sign", BYTES("+1"), 9, false, -1 },
	{ "below zero", BYTES("-1"), 9, false, -1 },
	{ "a blank before", BYTES(" 1"), 9, false, -1 },
	{ "a blank behind", BYTES("1 "), 9, false, -1 },
	{ "a letter", BYTES("1e3"), 9999, false, -1 },
	{ "a letter behind too much", BYTES("999x"), 9, false, -1 },
	{ "hexadecimal", BYTES("0x1"), 9, false, -1 },
	{ "a NUL", BYTES("1\0"), 9, false, -1 },
};

static void
reads_decimals(void)
{
	int64_t number;
	size_t i;

	for (i = 0; i < ROWS(numbers); i++) {
		const struct number_row *row = &numbers[i];

		number = -1;
		CHECK_ROW(row->name,
		    text_to_number(row->text, row->max, &number) == row->fits);
		if (row->fits)
			CHECK_ROW(row->name, number == row->number);
		number = -1;
		CHECK_ROW(row->name,
		    text_to_bounded(row->text, row->max, &number) ==
			(row->number >= 0));
		if (row->number >= 0)
			CHECK_ROW(row->name, number == row->number);
	}
	CHECK(!text_to_number(TEXT_NONE, 9, &number));
	CHECK(!text_to_bounded(TEXT_NONE, 9, &number));
}

static void
cuts_decimals_off(void)
{
	struct text rest = TEXT("12345/7x");
	int64_t number;

	CHECK(text_take_number(&rest, 3, &number) && number == 123);
	CHECK(text_take_number(&rest, 3, &number) && number == 45);
	CHECK(!text_take_number(&rest, 3, &number));
	CHECK(text_equal(rest, TEXT("/7x")));
	rest = TEXT("7");
	CHECK(text_take_number(&rest, 18, &number) && number == 7);
	CHECK(rest.size == 0 && !text_take_number(&rest, 18, &number));
	rest = TEXT_NONE;
	CHECK(!text_take_number(&rest, 18, &number));
}

static const struct utf8_row {
	const char *name;
	struct text text;
	bool valid;
} sequences[] = {
	{ "nothing", BYTES(""), true },
	{ "ASCII", BYTES("a plain text of some length"), true },
	{ "two bytes", BYTES("\xC2\x80\xDF\xBF"), true },
	{ "three", BYTES("\xE0\xA0\x80\xEF\xBF\xBF"), true },
	{ "four", BYTES("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"), true },
	{ "a NUL", BYTES("a\0b"), true },
	{ "overlong, two", BYTES("\xC0\x80"), false },
	{ "overlong, two, the last", BYTES("\xC1\xBF"), false },
	{ "overlong, three", BYTES("\xE0\x9F\xBF"), false },
	{ "overlong, four", BYTES("\xF0\x8F\xBF\xBF"), false },
	{ "a surrogate", BYTES("\xED\xA0\x80"), false },
	{ "over the last", BYTES("\xF4\x90\x80\x80"), false },
	{ "no such lead", BYTES("\xF5\x80\x80\x80"), false },
	{ "no lead", BYTES("\x80"), false },
	{ "cut short", BYTES("abcdefgh\xE2\x82"), false },
	{ "not followed", BYTES("\xE2\x82x"), false },
	{ "behind eight of ASCII", BYTES("abcdefgh\xFFijklmno"), false },
};

static void
knows_utf8(void)
{
	size_t i;

	for (i = 0; i < ROWS(sequences); i++)
		CHECK_ROW(sequences[i].name,
		    text_is_utf8(sequences[i].text) == sequences[i].valid);
	CHECK(text_utf8_size(TEXT("ab\xC3\xA4\xC3")) == 4);
	CHECK(text_characters(TEXT("a\xC3\xA4\xE2\x82\xAC")) == 3);
	CHECK(text_equal(text_skip_mark(TEXT("\xEF\xBB\xBF"
					     "a")),
	    TEXT("a")));
	CHECK(text_equal(text_skip_mark(TEXT("\xEF\xBB")), TEXT("\xEF\xBB")));
}

static void
cuts_between_characters(void)
{
	const struct text text = TEXT("a\xE2\x82\xAC\xF0\x9F\x98\x80");
	static const size_t sizes[] = { 0, 1, 1, 1, 4, 4, 4, 4, 8, 8 };
	size_t max;

	for (max = 0; max < ROWS(sizes); max++)
		CHECK(text_cut(text, max).size == sizes[max]);
}

/* Each byte at each place of a text, most of which is looked at by eights. */
static void
each_control_character_is_found(void)
{
	char bytes[19];
	size_t i;
	int c;

	for (c = 0; c < 256; c++)
		for (i = 0; i < sizeof bytes; i++) {
			memset(bytes, i % 2 == 0 ? ' ' : '\x80', sizeof bytes);
			bytes[i] = (char)c;
			CHECK(text_has_control((struct text){ bytes,
				  sizeof bytes }) == (c < 0x20 || c == 0x7F));
		}
}

static void
finds_control_characters(void)
{
	CHECK(text_has_control(TEXT("a\tb")) && text_has_control(TEXT("\x7F")));
	CHECK(!text_has_control(TEXT("a b\xC3\xA4")));
	CHECK(text_control_size(TEXT("a\n"), 0) == 0);
	CHECK(text_control_size(TEXT("a\n"), 1) == 1);
	CHECK(text_control_size(TEXT("\xC2\x80"), 0) == 2);
	CHECK(text_control_size(TEXT("\xC2\x9F"), 0) == 2);
	CHECK(text_control_size(TEXT("\xC2\xA0"), 0) == 0);
	CHECK(text_control_size(TEXT("\xC2"), 0) == 0);
}

static void
finds_parts_in_either_case(void)
{
	CHECK(text_has_part(TEXT("ri.Orders"), TEXT("oRDERs")));
	CHECK(text_has_part(TEXT("ri.Orders"), TEXT("ri.")));
	CHECK(text_has_part(TEXT("a"), TEXT("")));
	CHECK(text_has_part(TEXT("a\0b"), TEXT("B")));
	CHECK(!text_has_part(TEXT("a\0x"), TEXT("\0y")));
	CHECK(!text_has_part(TEXT("order"), TEXT("orders")));
	CHECK(!text_has_part(TEXT("o-r-d"), TEXT("ord")));
	CHECK(!text_has_part(TEXT_NONE, TEXT("")));
}

static void
copies_with_a_nul(void)
{
	struct arena *arena = arena_create(0);
	struct text copy = text_copy(arena, TEXT("a\0b"));

	CHECK(text_equal(copy, TEXT("a\0b")) && copy.at[3] == '\0');
	CHECK(text_copy(arena, TEXT_NONE).at == NULL);
	CHECK(text_copy(arena, TEXT("")).at != NULL);
	arena_destroy(arena);
}

CU_TestInfo text_tests[] = {
	{ "compares", compares },
	{ "reads decimals", reads_decimals },
	{ "cuts decimals off", cuts_decimals_off },
	{ "knows UTF-8", knows_utf8 },
	{ "cuts between characters", cuts_between_characters },
	{ "finds control characters", finds_control_characters },
	{ "finds parts in either case", finds_parts_in_either_case },
	{ "copies with a NUL", copies_with_a_nul },
	{ "control characters", each_control_character_is_found },
	CU_TEST_INFO_NULL,
};
