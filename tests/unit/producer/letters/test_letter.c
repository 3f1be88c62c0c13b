#include "producer/letters/letter.h"

#include <string.h>

#include "tests/unit/check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define HEADER(name, value)                                                    \
	{                                                                      \
		{ name, sizeof(name) - 1 },                                    \
		{                                                              \
			value, sizeof(value) - 1                               \
		}                                                              \
	}

/* What the worker appends. */
#define OURS                                                                   \
	HEADER(DEAD_TOPIC, "requests"), HEADER(DEAD_PARTITION, "3"),           \
	    HEADER(DEAD_OFFSET, "17"), HEADER(DEAD_MESSAGE, "why"),            \
	    HEADER(DEAD_REASON, "malformed"), HEADER(DEAD_TIMESTAMP, "-1"),    \
	    HEADER(DEAD_REDRIVES, "2")

/* What a hostile record brings. */
#define BROUGHT                                                                \
	HEADER("own", "1"), HEADER(DEAD_TOPIC, "elsewhere"),                   \
	    HEADER(DEAD_REASON, "empty"), HEADER(DEAD_CUT, "9"),               \
	    HEADER(DEAD_REDRIVEN, "now"), HEADER(DEAD_REDRIVES, "2"),          \
	    HEADER("last", "")

static struct letter
read_headers(
    struct text key, const struct kafka_header *headers, size_t n_headers)
{
	const struct kafka_message message = {
		.key = key, .headers = headers, .n_headers = n_headers
	};
	struct letter letter;

	letter_read(&message, &letter);
	return letter;
}

/* Only what stands behind the last topic counts. */
static void
the_last_of_a_name_counts(void)
{
	static const struct kafka_header both[] = { BROUGHT, OURS };
	static const struct kafka_header cut[] = { OURS,
		HEADER(DEAD_CUT, "2000000") };
	struct letter letter = read_headers(TEXT("0:5"), both, COUNT(both));

	CHECK(letter.kind == LETTER_BURIED);
	CHECK(letter.reason == DEAD_MALFORMED && letter.n_brought == 7);
	CHECK(text_equal(letter.topic, TEXT("requests")));
	CHECK(letter.partition == 3 && letter.offset == 17);
	CHECK(letter.timestamp_ms == -1 && letter.redrives == 2);
	CHECK(letter.cut.at == NULL);
	letter = read_headers(TEXT_NONE, cut, COUNT(cut));
	CHECK(text_equal(letter.cut, TEXT("2000000")));
}

static const struct {
	const char *name, *key;
	struct kafka_header headers[2];
	size_t n;
	enum letter_kind kind;
	enum letter_state became;
} marker_rows[] = {
	{ "redriven", "1:23", { HEADER(DEAD_REDRIVEN, "t") }, 1, LETTER_MARKER,
	    LETTER_REDRIVEN },
	{ "dropped", "1:23", { HEADER(DEAD_DROPPED, "t") }, 1, LETTER_MARKER,
	    LETTER_DROPPED },
	{ "a letter", "1:23",
	    { HEADER(DEAD_REDRIVEN, "t"), HEADER(DEAD_REASON, "empty") }, 2,
	    LETTER_FOREIGN, LETTER_WAITS },
	{ "the reason first", "1:23",
	    { HEADER(DEAD_REASON, "empty"), HEADER(DEAD_DROPPED, "t") }, 2,
	    LETTER_FOREIGN, LETTER_WAITS },
	{ "no header", "1:23", { HEADER("x", "") }, 1, LETTER_FOREIGN,
	    LETTER_WAITS },
	{ "no key", NULL, { HEADER(DEAD_DROPPED, "t") }, 1, LETTER_FOREIGN,
	    LETTER_WAITS },
	{ "no place", "1:-3", { HEADER(DEAD_DROPPED, "t") }, 1, LETTER_FOREIGN,
	    LETTER_WAITS },
	{ "another case", "1:23", { HEADER("Schedrun.dlq.dropped", "t") }, 1,
	    LETTER_FOREIGN, LETTER_WAITS },
};

static void
a_letter_is_no_marker(void)
{
	size_t i;

	for (i = 0; i < COUNT(marker_rows); i++) {
		struct letter letter =
		    read_headers(text_from(marker_rows[i].key),
			marker_rows[i].headers, marker_rows[i].n);

		CHECK_ROW(
		    marker_rows[i].name, letter.kind == marker_rows[i].kind);
		if (letter.kind == LETTER_MARKER)
			CHECK_ROW(marker_rows[i].name,
			    letter.became == marker_rows[i].became &&
				letter.of.partition == 1 &&
				letter.of.offset == 23);
	}
}

static void
a_copy_is_what_came(void)
{
	static const struct kafka_header both[] = { BROUGHT, OURS };
	static const struct kafka_header many[] = { OURS,
		HEADER(DEAD_REDRIVES, "999999999") };
	struct kafka_message message = { .key = TEXT("k"),
		.value = TEXT("v"),
		.headers = both,
		.n_headers = COUNT(both) };
	struct arena *arena = arena_create(0);
	struct kafka_message copy;
	struct letter letter;

	letter_read(&message, &letter);
	letter_copy(&message, &letter, arena, &copy);
	CHECK(text_equal(copy.key, message.key));
	CHECK(text_equal(copy.value, message.value));
	CHECK(copy.n_headers == 3 && copy.pinned == 0);
	CHECK(text_equal(copy.headers[0].name, TEXT("own")));
	CHECK(text_equal(copy.headers[1].name, TEXT("last")));
	CHECK(text_equal(copy.headers[2].name, TEXT(DEAD_REDRIVES)));
	CHECK(text_equal(copy.headers[2].value, TEXT("3")));
	message.headers = many;
	message.n_headers = COUNT(many);
	letter_read(&message, &letter);
	letter_copy(&message, &letter, arena, &copy);
	CHECK(text_equal(copy.headers[0].value, TEXT("999999999")));
	arena_destroy(arena);
}

/* What is written of a letter is read as that. */
static void
a_marker_is_read_again(void)
{
	const struct kafka_offset place = { 7, INT64_C(1) << 40 };
	struct arena *arena = arena_create(0);
	struct kafka_message marker;
	struct letter letter;

	letter_mark(place, LETTER_DROPPED, 0, arena, &marker);
	CHECK(marker.pinned == 8 && marker.value.at == NULL);
	letter_read(&marker, &letter);
	CHECK(letter.kind == LETTER_MARKER);
	CHECK(letter.became == LETTER_DROPPED);
	CHECK(letter.of.partition == 7 && letter.of.offset == place.offset);
	arena_destroy(arena);
}

static const struct {
	const char *text;
	bool is_place;
} place_rows[] = {
	{ "0:0", true },
	{ "2147483646:9223372036854775806", true },
	{ "2147483647:0", false },
	{ "0:9223372036854775807", false },
	{ "1:", false },
	{ ":1", false },
	{ "1", false },
	{ "", false },
	{ "1:2:3", false },
	{ "+1:2", false },
	{ "1: 2", false },
};

static void
places(void)
{
	struct kafka_offset place;
	size_t i;

	for (i = 0; i < COUNT(place_rows); i++)
		CHECK_ROW(place_rows[i].text,
		    letter_place_read(text_from(place_rows[i].text), &place) ==
			place_rows[i].is_place);
	CHECK(!letter_place_read(TEXT_NONE, &place));
}

static void
refusals(void)
{
	static struct kafka_header headers[] = { OURS,
		HEADER(DEAD_CUT_HEADERS, "1") };
	struct kafka_message message = { .value = TEXT("v"),
		.headers = headers,
		.n_headers = COUNT(headers) };
	struct arena *arena = arena_create(0);
	struct letter letter;
	const char *why;

	letter_read(&message, &letter);
	why = letter_refusal(&message, &letter, "requests", -1, arena);
	CHECK(why != NULL && strstr(why, "it had 1 headers") != NULL);
	message.n_headers--;
	letter_read(&message, &letter);
	CHECK(letter_refusal(&message, &letter, "requests", -1, arena) == NULL);
	CHECK(letter_refusal(&message, &letter, "other", -1, arena) != NULL);
	CHECK(letter_refusal(&message, &letter, "requests", 9, arena) != NULL);
	letter.reason = DEAD_CRASHED_WORKER;
	CHECK(letter_refusal(&message, &letter, "requests", -1, arena) != NULL);
	arena_destroy(arena);
}

CU_TestInfo letter_tests[] = {
	{ "the last of a name counts", the_last_of_a_name_counts },
	{ "a letter is no marker", a_letter_is_no_marker },
	{ "a copy is what came", a_copy_is_what_came },
	{ "a marker is read again", a_marker_is_read_again },
	{ "places", places },
	{ "refusals", refusals },
	CU_TEST_INFO_NULL,
};
