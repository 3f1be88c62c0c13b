#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buffer.h"
#include "schemas/avro/layout.h"
#include "tests/unit/avro_value.h"
#include "tests/unit/check.h"
#include "tests/unit/random_avro.h"

#define NAME "schedrun.Any"
#define HEAD                                                                   \
	"{\"type\":\"record\",\"name\":\"Any\",\"namespace\":\"schedrun\","    \
	"\"fields\":[{\"name\":\"a\",\"type\":"
#define A(type) HEAD type "}]}"
#define ARRAY(items) "{\"type\":\"array\",\"items\":" items "}"
#define MAP(values) "{\"type\":\"map\",\"values\":" values "}"

/* A varint of n bytes that ends with `last`. */
#define FF4 "\xff\xff\xff\xff"
#define OO4 "\x80\x80\x80\x80"

static struct layout *
compile(const char *schema)
{
	struct rejection rejection;

	return layout_compile(text_from(schema), NAME, &rejection);
}

/* Types that hold themselves; a union's null takes the byte that ends a list.
 */
#define LIST                                                                   \
	"{\"type\":\"record\",\"name\":\"L\",\"fields\":["                     \
	"{\"name\":\"n\",\"type\":\"int\"},"                                   \
	"{\"name\":\"next\",\"type\":[\"null\",\"L\"]}]}"
#define TREE                                                                   \
	"{\"type\":\"record\",\"name\":\"T\",\"fields\":["                     \
	"{\"name\":\"kids\",\"type\":" ARRAY("\"T\"") "}]}"

static const struct {
	const char *name, *type;
	struct text body;
	int reason; /* -1: good */
} rows[] = {
	{ "null", "\"null\"", { "", 0 }, -1 },
	{ "null and a byte", "\"null\"", { "\0", 1 }, REJECT_TRAILING_BYTES },
	{ "true", "\"boolean\"", { "\1", 1 }, -1 },
	{ "boolean 2", "\"boolean\"", { "\2", 1 }, REJECT_MALFORMED },
	{ "no boolean", "\"boolean\"", { "", 0 }, REJECT_MALFORMED },
	{ "the smallest int", "\"int\"", { FF4 "\x0f", 5 }, -1 },
	{ "the largest int", "\"int\"", { "\xfe\xff\xff\xff\x0f", 5 }, -1 },
	{ "an int too large", "\"int\"", { OO4 "\x10", 5 }, REJECT_MALFORMED },
	{ "an int of 6 bytes", "\"int\"", { OO4 "\x80\0", 6 },
	    REJECT_MALFORMED },
	{ "an int in more bytes than it needs", "\"int\"", { "\x82\0", 2 },
	    -1 },
	{ "the smallest long", "\"long\"", { FF4 FF4 "\xff\x01", 10 }, -1 },
	{ "a long of 65 bits", "\"long\"", { FF4 FF4 "\xff\x02", 10 },
	    REJECT_MALFORMED },
	{ "a long of 11 bytes", "\"long\"", { OO4 OO4 "\x80\x80\0", 11 },
	    REJECT_MALFORMED },
	{ "a long that doesn't end", "\"long\"", { FF4, 4 }, REJECT_MALFORMED },
	{ "a float of 3 bytes", "\"float\"", { "\0\0\0", 3 },
	    REJECT_MALFORMED },
	{ "a double of 8", "\"double\"", { "\0\0\0\0\0\0\0\0", 8 }, -1 },
	{ "an empty string", "\"string\"", { "\0", 1 }, -1 },
	{ "a string of length -1", "\"string\"", { "\1", 1 },
	    REJECT_MALFORMED },
	{ "a string a byte too long", "\"string\"", { "\4a", 2 },
	    REJECT_MALFORMED },
	{ "a string of INT64_MIN bytes", "\"string\"",
	    { FF4 FF4 "\xff\x01", 10 }, REJECT_MALFORMED },
	{ "a string of 2^31 bytes", "\"string\"", { OO4 "\x10", 5 },
	    REJECT_MALFORMED },
	{ "bytes of 2^62", "\"bytes\"", { OO4 OO4 "\x80\x01", 10 },
	    REJECT_MALFORMED },
	{ "a fixed cut", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}",
	    { "ab", 2 }, REJECT_MALFORMED },
	{ "an enum's last",
	    "{\"type\":\"enum\",\"name\":\"E\","
	    "\"symbols\":[\"a\",\"b\"]}",
	    { "\2", 1 }, -1 },
	{ "beyond an enum's last",
	    "{\"type\":\"enum\",\"name\":\"E\","
	    "\"symbols\":[\"a\",\"b\"]}",
	    { "\4", 1 }, REJECT_MALFORMED },
	{ "an enum's -1",
	    "{\"type\":\"enum\",\"name\":\"E\","
	    "\"symbols\":[\"a\",\"b\"]}",
	    { "\1", 1 }, REJECT_MALFORMED },
	{ "a branch -1", "[\"null\",\"int\"]", { "\1", 1 }, REJECT_MALFORMED },
	{ "branch 2 of 2", "[\"null\",\"int\"]", { "\4", 1 },
	    REJECT_MALFORMED },
	{ "branch 2^40", "[\"null\",\"int\"]", { OO4 "\x80\x40", 6 },
	    REJECT_MALFORMED },
	{ "branch 0 in 6 bytes", "[\"null\",\"int\"]", { OO4 "\x80\0", 6 },
	    REJECT_MALFORMED },
	{ "an empty array", ARRAY("\"int\""), { "\0", 1 }, -1 },
	{ "two blocks", ARRAY("\"int\""), { "\2\6\4\6\6\0", 6 }, -1 },
	{ "a block of a size", ARRAY("\"int\""), { "\3\4\6\6\0", 5 }, -1 },
	{ "an array without end", ARRAY("\"int\""), { "\2\6", 2 },
	    REJECT_MALFORMED },
	{ "a block too large for what follows", ARRAY("\"int\""),
	    { "\x06\1\1", 3 }, REJECT_MALFORMED },
	{ "a block of 2^60 ints", ARRAY("\"int\""),
	    { OO4 OO4 "\x20"
		      "\0",
		10 },
	    REJECT_MALFORMED },
	{ "a block of 2^60 nulls", ARRAY("\"null\""),
	    { OO4 OO4 "\x20"
		      "\0",
		10 },
	    REJECT_MALFORMED },
	{ "65,536 nulls", ARRAY("\"null\""), { "\x80\x80\x08\0", 4 }, -1 },
	{ "65,537 nulls", ARRAY("\"null\""), { "\x82\x80\x08\0", 4 },
	    REJECT_MALFORMED },
	{ "a block of INT64_MIN", ARRAY("\"null\""),
	    { FF4 FF4 "\xff\x01"
		      "\0",
		11 },
	    REJECT_MALFORMED },
	{ "a block that says less than it has", ARRAY("\"int\""),
	    { "\3\2\6\6\0", 5 }, REJECT_MALFORMED },
	{ "a block that says more than it has", ARRAY("\"int\""),
	    { "\3\6\6\6\0\0", 6 }, REJECT_MALFORMED },
	{ "a block of a size beyond the end", ARRAY("\"int\""),
	    { "\3\x7e\6\6\0", 5 }, REJECT_MALFORMED },
	{ "a block of size -1", ARRAY("\"int\""), { "\3\1\6\6\0", 5 },
	    REJECT_MALFORMED },
	{ "a block of nulls with a false size", ARRAY("\"null\""),
	    { "\3\2\0\0", 4 }, REJECT_MALFORMED },
	{ "a map", MAP("\"int\""), { "\2\2k\6\0", 5 }, -1 },
	{ "a map's key cut", MAP("\"null\""), { "\2\6k\0", 4 },
	    REJECT_MALFORMED },
	{ "a list's end", LIST, { "\2\0", 2 }, -1 },
	{ "a list of two", LIST, { "\2\2\4\0", 4 }, -1 },
	{ "a list cut", LIST, { "\2\2", 2 }, REJECT_MALFORMED },
	{ "a tree", TREE, { "\4\0\2\0\0\0", 6 }, -1 },
	{ "a tree cut", TREE, { "\4\0\2\0\0", 5 }, REJECT_MALFORMED },
	{ "a tree of 2^60 branches", TREE,
	    { OO4 OO4 "\x20"
		      "\0",
		10 },
	    REJECT_MALFORMED },
	{ "the record in itself", "[\"null\",\"Any\"]", { "\2\2\0", 3 }, -1 },
	{ "a map of 2^60 nulls", MAP("\"null\""),
	    { OO4 OO4 "\x20"
		      "\0",
		10 },
	    REJECT_MALFORMED },
};

static void
test_bodies(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rejection rejection = { 0 };
		struct buffer schema = { 0 };
		struct layout *layout;
		int rc;

		buffer_format(&schema, A("%s"), rows[i].type);
		buffer_byte(&schema, '\0');
		layout = compile(schema.at);
		REQUIRE(layout != NULL);
		rc = layout_walk(layout, rows[i].body, NULL, &rejection);
		CHECK_ROW(rows[i].name, rc == (rows[i].reason < 0 ? 0 : -1));
		CHECK_ROW(rows[i].name,
		    rc == 0 || (int)rejection.reason == rows[i].reason);
		layout_destroy(layout);
		buffer_finish(&schema);
	}
}

/* As deep as may be, and one more: a list of so many. */
static void
test_depth_of_values(void)
{
	struct layout *layout = compile(A(LIST));
	unsigned char body[2 * VALUE_DEPTH_MAX + 2];
	struct rejection rejection = { 0 };
	size_t size = 2 * (size_t)VALUE_DEPTH_MAX;

	REQUIRE(layout != NULL);
	memset(body, 2, sizeof body);
	body[size - 1] = 0;
	CHECK(layout_walk(layout, (struct text){ (char *)body, size }, NULL,
		  &rejection) == 0);
	body[size - 1] = 2;
	body[size + 1] = 0;
	CHECK(layout_walk(layout, (struct text){ (char *)body, size + 2 }, NULL,
		  &rejection) != 0);
	CHECK(rejection.reason == REJECT_MALFORMED);
	CHECK(strstr(rejection.detail, "nested more than 256 deep") != NULL);
	layout_destroy(layout);
}

/* ------------------------------------------------ held against avro-c */

struct trial {
	struct random random;
	struct arena *arena;
	struct buffer schema, body;
	struct avro_message message;
	struct layout *layout;
};

static bool
begin(struct trial *trial)
{
	struct rejection rejection;

	buffer_reset(&trial->schema);
	buffer_reset(&trial->body);
	arena_reset(trial->arena, 1 << 16);
	random_schema(&trial->random, NAME, &trial->schema);
	trial->layout =
	    layout_compile(buffer_text(&trial->schema), NAME, &rejection);
	if (trial->layout == NULL ||
	    !avro_message_init(&trial->message, buffer_text(&trial->schema)))
		return false;
	random_value(&trial->random, trial->arena, &trial->message.value);
	avro_message_write(&trial->message, &trial->body);
	return true;
}

static void
end(struct trial *trial)
{
	avro_message_finish(&trial->message);
	layout_destroy(trial->layout);
}

static bool
walks(const struct trial *trial, const char *bytes, size_t size)
{
	struct rejection rejection;

	return layout_walk(trial->layout, (struct text){ bytes, size }, NULL,
		   &rejection) == 0;
}

/* No beginning of a record is a record. */
static bool
is_cut_anywhere(const struct trial *trial)
{
	size_t size;
	bool is_read = false;

	for (size = 0; size < trial->body.size && !is_read; size++) {
		char *copy = malloc(size > 0 ? size : 1);

		memcpy(copy, trial->body.at, size);
		is_read = walks(trial, copy, size);
		free(copy);
	}
	return is_read;
}

/* What the walk passes although a bit is another, avro-c reads to its end. */
static bool
is_flipped_badly(struct trial *trial)
{
	size_t bit = random_below(&trial->random, 8 * trial->body.size);
	bool is_bad;

	trial->body.at[bit / 8] ^= (char)(1 << (bit % 8));
	is_bad = walks(trial, trial->body.at, trial->body.size) &&
	    !avro_message_read(&trial->message, buffer_text(&trial->body));
	trial->body.at[bit / 8] ^= (char)(1 << (bit % 8));
	return is_bad;
}

/*
 * Values of random schemas: what avro-c writes the walk passes; nothing shorter
 * and nothing longer; and it passes nothing that avro-c can't read.
 */
static void
test_random_schemas(void)
{
	struct trial trial = { .random = { 4 }, .arena = arena_create(0) };

	for (int i = 0; i < 20000; i++) {
		char row[32];

		snprintf(row, sizeof row, "schema %d", i);
		if (!begin(&trial)) {
			CHECK_ROW(row, !"does not compile");
			continue;
		}
		CHECK_ROW(row, walks(&trial, trial.body.at, trial.body.size));
		CHECK_ROW(row, !is_cut_anywhere(&trial));
		for (int flips = 0; flips < 8 && trial.body.size > 0; flips++)
			CHECK_ROW(row, !is_flipped_badly(&trial));
		buffer_byte(&trial.body, '\0');
		CHECK_ROW(row, !walks(&trial, trial.body.at, trial.body.size));
		end(&trial);
	}
	buffer_finish(&trial.schema);
	buffer_finish(&trial.body);
	arena_destroy(trial.arena);
}

/* ------------------------------------------------ the time of a walk */

#define HOSTILE_SIZE ((size_t)64 * 1024)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIMIT_NS (30 * 1000 * 1000)
#else
#define LIMIT_NS (1000 * 1000)
#endif

/* As much longer as random cases are fewer. */
static int64_t
limit_ns(void)
{
	return LIMIT_NS * (int64_t)(1000 / random_rounds(1000));
}

static int64_t
cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/*
 * The shortest of some walks, of many while none is short enough: the machine
 * may be busy for as long as a few take.
 */
static int64_t
shortest_ns(const struct layout *layout, struct text body)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < 9 || (i < 900 && best > limit_ns()); i++) {
		struct rejection rejection;
		int64_t start = cpu_ns(), took;

		layout_walk(layout, body, NULL, &rejection);
		took = cpu_ns() - start;
		if (took < best)
			best = took;
	}
	return best;
}

/* `unit` again and again. */
static void
repeat(struct buffer *body, struct text unit)
{
	while (body->size + unit.size <= HOSTILE_SIZE)
		buffer_append(body, unit);
}

/* 8,000 fields of null, and one of the `last` type. */
static void
put_wide_record(struct buffer *schema, const char *last)
{
	buffer_append(
	    schema, TEXT("{\"type\":\"record\",\"name\":\"W\",\"fields\":["));
	for (int i = 0; i < 7900; i++)
		buffer_format(
		    schema, "{\"name\":\"%x\",\"type\":\"null\"},", i + 0xa000);
	buffer_format(schema, "{\"name\":\"z\",\"type\":%s}]}", last);
}

/* Records in records, each of one field. */
static void
put_deep_record(struct buffer *schema, const char *last)
{
	for (int i = 0; i < 28; i++)
		buffer_format(schema,
		    "{\"type\":\"record\",\"name\":\"D%d\",\"fields\":["
		    "{\"name\":\"a\",\"type\":",
		    i);
	buffer_append(schema, text_from(last));
	for (int i = 0; i < 28; i++)
		buffer_append(schema, TEXT("}]}"));
}

static const struct slow {
	const char *name;
	const char *before; /* of the schema's type */
	void (*put)(struct buffer *schema, const char *last);
	const char *last; /* its argument, or the type itself */
	const char *after;
	struct text first, unit; /* of the body */
} slow_rows[] = {
	{ "blocks of 65,536 nulls", "", NULL, ARRAY("\"null\""), "", { "", 0 },
	    { "\x80\x80\x08", 3 } },
	{ "blocks of one null", "", NULL, ARRAY("\"null\""), "", { "", 0 },
	    { "\2", 1 } },
	{ "blocks of one boolean", "", NULL, ARRAY("\"boolean\""), "",
	    { "", 0 }, { "\2\1", 2 } },
	{ "sized blocks of one boolean", "", NULL, ARRAY("\"boolean\""), "",
	    { "", 0 }, { "\1\2\1", 3 } },
	{ "a block of 65,000 booleans", "", NULL, ARRAY("\"boolean\""), "",
	    { "\xd0\xf7\x07", 3 }, { "\1", 1 } },
	{ "records of 7,900 nulls and a boolean",
	    "{\"type\":\"array\",\"items\":", put_wide_record, "\"boolean\"",
	    "}", { "\xd0\xf7\x07", 3 }, { "\1", 1 } },
	{ "28 records in one another",
	    "{\"type\":\"array\",\"items\":", put_deep_record, "\"boolean\"",
	    "}", { "\xd0\xf7\x07", 3 }, { "\1", 1 } },
	{ "a union of 28 records in one another",
	    "{\"type\":\"array\",\"items\":[", put_deep_record, "\"boolean\"",
	    "]}", { "\xa0\xfe\x03", 3 }, { "\0\1", 2 } },
	{ "empty arrays", "", NULL, ARRAY(ARRAY("\"int\"")), "",
	    { "\xd0\xf7\x07", 3 }, { "\0", 1 } },
	{ "arrays in arrays in arrays", "", NULL,
	    ARRAY(ARRAY(ARRAY(ARRAY("\"int\"")))), "", { "\xe8\x07", 2 },
	    { "\2\2\2\2\0\0\0", 7 } },
	{ "a map of empty keys", "", NULL, MAP("\"null\""), "",
	    { "\xd0\xf7\x07", 3 }, { "\0", 1 } },
	{ "ints of 5 bytes", "", NULL, ARRAY("\"int\""), "",
	    { "\xc0\xcf\x01", 3 }, { OO4 "\0", 5 } },
	{ "unions", "", NULL, ARRAY("[\"null\",\"boolean\",\"int\"]"), "",
	    { "\xd0\xf7\x07", 3 }, { "\0", 1 } },
};

static void
test_time(void)
{
	for (size_t i = 0; i < sizeof slow_rows / sizeof slow_rows[0]; i++) {
		const struct slow *row = &slow_rows[i];
		struct buffer schema = { 0 }, body = { 0 };
		struct layout *layout;
		int64_t ns;

		buffer_append(&schema, TEXT(HEAD));
		buffer_append(&schema, text_from(row->before));
		if (row->put != NULL)
			row->put(&schema, row->last);
		else
			buffer_append(&schema, text_from(row->last));
		buffer_append(&schema, text_from(row->after));
		buffer_append(&schema, TEXT("}]}"));
		buffer_byte(&schema, '\0');
		layout = compile(schema.at);
		CHECK_ROW(row->name, layout != NULL);
		if (layout != NULL) {
			buffer_append(&body, row->first);
			repeat(&body, row->unit);
			ns = shortest_ns(layout, buffer_text(&body));
			CHECK_ROW(row->name, ns <= limit_ns());
			if (getenv("SCHEDRUN_TIMES") != NULL)
				printf(
				    "%8lld ns %s\n", (long long)ns, row->name);
		}
		layout_destroy(layout);
		buffer_finish(&schema);
		buffer_finish(&body);
	}
}

/*
 * Lists whose items take little room in the bytes and much in memory are
 * refused before avro-c makes them: a union has room for its largest branch.
 */
static void
test_memory(void)
{
	struct buffer schema = { 0 }, body = { 0 };
	struct rejection rejection;
	struct layout *layout;

	buffer_append(
	    &schema, TEXT(HEAD "{\"type\":\"array\",\"items\":[\"null\","));
	put_wide_record(&schema, "\"int\"");
	buffer_append(&schema, TEXT("]}}]}"));
	buffer_byte(&schema, '\0');
	layout = compile(schema.at);
	REQUIRE(layout != NULL);
	buffer_append(&body, TEXT("\xd0\xf7\x07"));
	while (body.size < 3 + 65000)
		buffer_byte(&body, 0);
	buffer_byte(&body, 0);
	CHECK(layout_walk(layout, buffer_text(&body), NULL, &rejection) == -1);
	CHECK(rejection.reason == REJECT_MALFORMED);
	CHECK(layout_walk(layout, TEXT("\x14\0\0\0\0\0\0\0\0\0\0\0"), NULL,
		  &rejection) == 0);
	layout_destroy(layout);
	buffer_finish(&schema);
	buffer_finish(&body);
}

/* Field by field up to the first that is broken, and where it breaks. */
static void
test_look(void)
{
	struct layout *layout = compile(
	    HEAD "\"string\"},{\"name\":\"b\",\"type\":[\"null\",\"long\"]},"
		 "{\"name\":\"c\",\"type\":{\"type\":\"array\",\"items\":"
		 "\"int\"}},{\"name\":\"d\",\"type\":\"string\"}]}");
	struct text body = TEXT("\4hi\2\5\2\1\0\x0exyz");
	struct layout_field field = { 0 };

	REQUIRE(layout != NULL);
	CHECK(layout_look(layout, body, 0, &field));
	CHECK(field.kind == FIELD_IS_TEXT && field.from == 0 && field.to == 3);
	CHECK(text_equal(field.text, TEXT("hi")));
	CHECK(layout_look(layout, body, 1, &field));
	CHECK(field.kind == FIELD_IS_NUMBER && field.number == -3);
	CHECK(layout_look(layout, body, 2, &field));
	CHECK(field.kind == FIELD_IS_OTHER && field.from == 5 && field.to == 8);
	CHECK(layout_look(layout, body, 3, &field));
	CHECK(field.kind == FIELD_IS_BROKEN && field.from == 8);
	CHECK(field.to == 9 && strcmp(field.name, "d") == 0);
	CHECK(!layout_look(layout, body, 4, &field));
	field.to = 0;
	CHECK(layout_look(layout, TEXT_NONE, 0, &field));
	CHECK(field.kind == FIELD_IS_BROKEN && field.to == 0);
	layout_destroy(layout);
}

CU_TestInfo avro_walk_tests[] = {
	{ "look", test_look },
	{ "bodies", test_bodies },
	{ "depth of values", test_depth_of_values },
	{ "random schemas against avro-c", test_random_schemas },
	{ "time", test_time },
	{ "memory", test_memory },
	CU_TEST_INFO_NULL,
};
