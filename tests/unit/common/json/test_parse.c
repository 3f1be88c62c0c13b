#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json/large.h"
#include "common/json/node.h"
#include "common/json/write.h"
#include "tests/unit/check.h"
#include "tests/unit/random.h"

static void
test_what_is_refused(void)
{
	const struct {
		const char *name;
		struct text text;
		bool valid;
	} rows[] = {
		{ "an object", TEXT("{\"a\":[1,true,null,\"x\"]}"), true },
		{ "a lone string", TEXT("\"x\""), true },
		{ "brackets in a string", TEXT("[\"[[[[\\\"[[[[\"]"), true },
		{ "nothing", TEXT(""), false },
		{ "a space", TEXT(" "), false },
		{ "trailing text", TEXT("{} x"), false },
		{ "a member twice", TEXT("{\"a\":1,\"a\":2}"), false },
		{ "NaN", TEXT("[NaN]"), false },
		{ "a lone surrogate", TEXT("[\"\\ud800\"]"), false },
		{ "a NUL escaped", TEXT("[\"a\\u0000b\"]"), true },
		{ "a pair of surrogates", TEXT("[\"\\uD83d\\uDE00\"]"), true },
		{ "the other half first", TEXT("[\"\\ude00\\ud83d\"]"), false },
		{ "half and a letter", TEXT("[\"\\ud83dx\"]"), false },
		{ "half and an escape", TEXT("[\"\\ud83d\\n\"]"), false },
		{ "half and a point", TEXT("[\"\\ud83d\\u0041\"]"), false },
		{ "three digits", TEXT("[\"\\u123\"]"), false },
		{ "no such escape", TEXT("[\"\\x41\"]"), false },
		{ "a tab in a string", TEXT("[\"\t\"]"), false },
		{ "a string cut", TEXT("[\"abc"), false },
		{ "another quote", TEXT("['abc']"), false },
		{ "a byte order mark", TEXT("\xef\xbb\xbf[]"), true },
		{ "two of them", TEXT("\xef\xbb\xbf\xef\xbb\xbf[]"), false },
		{ "nothing behind it", TEXT("\xef\xbb\xbf"), false },
		{ "a NUL behind", TEXT("[]\0"), false },
		{ "a form feed", TEXT("[\f]"), false },
		{ "spaces", TEXT(" \t\r\n[ \n] "), true },
		{ "zero", TEXT("[0,-0,0.0,0e0,-0.5E+7,1e-7]"), true },
		{ "a zero in front", TEXT("[01]"), false },
		{ "a plus", TEXT("[+1]"), false },
		{ "a lone minus", TEXT("[-]"), false },
		{ "nothing behind the point", TEXT("[1.]"), false },
		{ "nothing before it", TEXT("[.5]"), false },
		{ "no exponent", TEXT("[1e]"), false },
		{ "only its sign", TEXT("[1e+]"), false },
		{ "a number of any size",
		    TEXT("[123456789012345678901234567890,1e999]"), true },
		{ "hexadecimal", TEXT("[0x1]"), false },
		{ "words", TEXT("[true,false,null]"), true },
		{ "half a word", TEXT("[tru]"), false },
		{ "a word and more", TEXT("[nullx]"), false },
		{ "a comma in front", TEXT("[,1]"), false },
		{ "a comma behind", TEXT("[1,]"), false },
		{ "two commas", TEXT("[1,,2]"), false },
		{ "no comma", TEXT("[1 2]"), false },
		{ "a member and a comma", TEXT("{\"a\":1,}"), false },
		{ "no colon", TEXT("{\"a\" 1}"), false },
		{ "no value", TEXT("{\"a\":}"), false },
		{ "a name without quotes", TEXT("{a:1}"), false },
		{ "a number for a name", TEXT("{1:1}"), false },
		{ "the other bracket", TEXT("[1}"), false },
		{ "the other bracket, empty", TEXT("{]"), false },
		{ "a bracket too many", TEXT("[]]"), false },
		{ "a bracket too few", TEXT("[[]"), false },
		{ "two values", TEXT("1 2"), false },
		{ "a comment", TEXT("[] // x"), false },
		{ "a member twice, escaped", TEXT("{\"a\":1,\"\\u0061\":2}"),
		    false },
		{ "a member twice of many",
		    TEXT("{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,"
			 "\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"d\":1}"),
		    false },
		{ "names with a NUL differ", TEXT("{\"a\":1,\"a\\u0000\":2}"),
		    true },
		{ "a NUL inside", TEXT("[\"a\0b\"]"), false },
		{ "not UTF-8", TEXT("[\"\xff\"]"), false },
		{ "an overlong form", TEXT("[\"\xc0\xaf\"]"), false },
		{ "four levels", TEXT("[[[[]]]]"), true },
		{ "five levels", TEXT("[[[[[]]]]]"), false },
		{ "five levels, not closed", TEXT("[[[[["), false },
		{ "an escape at the end", TEXT("[\"\\"), false },
	};
	struct error err;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct json_document *document =
		    json_parse(rows[i].text, 4, &err);

		CHECK_ROW(rows[i].name, (document != NULL) == rows[i].valid);
		CHECK_ROW(
		    rows[i].name, document != NULL || err.kind == ERROR_INPUT);
		json_destroy(document);
	}
}

static void
test_nodes(void)
{
	struct json_document *document =
	    json_parse(TEXT("{\"b\":1,\"a\":[2.0,\"x\"],\"c\":{}}"), 8, NULL);
	const struct json *root, *list;
	struct json_member member = { 0 };

	REQUIRE(document != NULL);
	root = json_root(document);
	CHECK(json_type_of(root) == JSON_TYPE_OBJECT && json_size(root) == 3);
	CHECK(json_int(json_get(root, "b")) == 1);
	CHECK(json_get(root, "missing") == NULL);
	list = json_get(root, "a");
	CHECK(json_type_of(json_at(list, 0)) == JSON_TYPE_NUMBER);
	CHECK(text_equal(json_text(json_at(list, 1)), TEXT("x")));
	CHECK(json_at(list, 2) == NULL);
	CHECK(json_next(root, &member) && text_equal(member.name, TEXT("b")));
	CHECK(json_next(root, &member) && text_equal(member.name, TEXT("a")));
	CHECK(json_next(root, &member) && member.value != NULL);
	CHECK(!json_next(root, &member));
	json_destroy(document);
}

static void
test_writing(void)
{
	struct buffer out = { 0 };
	struct json_document *document =
	    json_parse(TEXT("{\"z\" : 1, \"a\" : \"\xc3\xa4/\"}"), 8, NULL);

	REQUIRE(document != NULL);
	json_open(&out, '{');
	json_name(&out, "list");
	json_open(&out, '[');
	json_put_integer(&out, -5);
	json_put_text(&out, TEXT("q\"\\\n\x01[:"));
	json_put_text(&out, TEXT_NONE);
	json_put_bool(&out, false);
	json_close(&out, ']');
	json_name(&out, "node");
	json_put_node(&out, json_root(document));
	json_close(&out, '}');
	CHECK(text_equal(buffer_text(&out),
	    TEXT("{\"list\":[-5,\"q\\\"\\\\\\n\\u0001[:\",null,false],"
		 "\"node\":{\"a\":\"\xc3\xa4/\",\"z\":1}}")));
	json_destroy(document);
	buffer_finish(&out);
}

/* Whether each of n members is found, and no other. */
static bool
are_members_found(int n)
{
	struct buffer text = { 0 };
	struct json_document *document;
	char name[16];
	bool found = true;
	int i;

	json_open(&text, '{');
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof name, "m%d", i);
		json_name(&text, name);
		json_put_integer(&text, i);
	}
	json_close(&text, '}');
	document = json_parse(buffer_text(&text), 1, NULL);
	for (i = 0; i < n && found; i++) {
		snprintf(name, sizeof name, "m%d", i);
		found = json_get(json_root(document), name) != NULL &&
		    json_int(json_get(json_root(document), name)) == i;
	}
	found = found && json_get(json_root(document), "m") == NULL &&
	    json_size(json_root(document)) == (size_t)n;
	json_destroy(document);
	buffer_finish(&text);
	return found;
}

static void
test_many_members(void)
{
	static const int counts[] = { 0, 1, 8, 9, 16, 17, 1000, 100000 };
	char row[32];

	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		snprintf(row, sizeof row, "%d members", counts[i]);
		CHECK_ROW(row, are_members_found(counts[i]));
	}
}

static void
test_numbers(void)
{
	const struct {
		struct text text;
		enum json_type type;
		int64_t value;
		double number;
	} rows[] = {
		{ TEXT("0"), JSON_TYPE_INTEGER, 0, 0 },
		{ TEXT("-0"), JSON_TYPE_INTEGER, 0, 0 },
		{ TEXT("2147483647"), JSON_TYPE_INTEGER, INT32_MAX, INT32_MAX },
		{ TEXT("9223372036854775807"), JSON_TYPE_INTEGER, INT64_MAX,
		    9223372036854775807.0 },
		{ TEXT("-9223372036854775808"), JSON_TYPE_INTEGER, INT64_MIN,
		    -9223372036854775808.0 },
		{ TEXT("9223372036854775808"), JSON_TYPE_NUMBER, 0,
		    9223372036854775808.0 },
		{ TEXT("-9223372036854775809"), JSON_TYPE_NUMBER, 0,
		    -9223372036854775808.0 },
		{ TEXT("10000000000000000000"), JSON_TYPE_NUMBER, 0, 1e19 },
		{ TEXT("1.0"), JSON_TYPE_NUMBER, 0, 1 },
		{ TEXT("1e2"), JSON_TYPE_NUMBER, 0, 100 },
		{ TEXT("\"1\""), JSON_TYPE_STRING, 0, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct json_document *document =
		    json_parse(rows[i].text, 1, NULL);
		const struct json *root = json_root(document);
		double off = json_number(root) - rows[i].number;

		CHECK_ROW(rows[i].text.at, json_type_of(root) == rows[i].type);
		CHECK_ROW(rows[i].text.at, json_int(root) == rows[i].value);
		CHECK_ROW(rows[i].text.at, off >= 0 && off <= 0);
		CHECK_ROW(rows[i].text.at,
		    (json_digits(root).at != NULL) ==
			(rows[i].type != JSON_TYPE_STRING));
		json_destroy(document);
	}
}

static void
test_where_it_is_wrong(void)
{
	const struct {
		struct text text;
		const char *message;
	} rows[] = {
		{ TEXT("[1,\n \xc3\xa4]"),
		    "line 2, column 2: a value is missing" },
		{ TEXT("[\"\xc3\xa4\" 1]"),
		    "line 1, column 6: a comma or the closing bracket is "
		    "missing" },
		{ TEXT("[\"\\n\", x"), "line 1, column 8: a value is missing" },
		{ TEXT("[1,\n\"\xff\"]"), "line 2, column 2: not UTF-8" },
		{ TEXT("[[[]]]"), "JSON nested more than 2 levels deep" },
		{ TEXT("{}{"), "line 1, column 3: more than one value" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error err;

		CHECK(json_parse(rows[i].text, 2, &err) == NULL);
		CHECK_ROW(
		    rows[i].message, strcmp(err.message, rows[i].message) == 0);
	}
}

static void
test_written_as_it_came(void)
{
	const struct text text = TEXT("[1e2,-0,12345678901234567890,"
				      "\"a\\u0000\\b\\f\\n\\r\\t\\\"\\\\/\","
				      "{\"\":{},\"a\":[],\"\xc3\xa4\":null}]");
	struct json_document *document = json_parse(text, 8, NULL);
	struct buffer out = { 0 };

	json_put_node(&out, json_root(document));
	CHECK(text_equal(buffer_text(&out), text));
	json_destroy(document);
	buffer_finish(&out);
}

/* Whether they hold the same; twice of each element, as it may be forgotten. */
static bool
/* NOLINTNEXTLINE(misc-no-recursion): as deep as a document */
is_alike(const struct json *one, const struct json *other)
{
	struct json_member left = { 0 }, right = { 0 };
	struct buffer put[2] = { { 0 }, { 0 } };
	size_t n = json_size(one), i;
	bool alike =
	    json_type_of(one) == json_type_of(other) && n == json_size(other);

	for (i = 0; alike && i < n; i++) {
		if (json_type_of(one) == JSON_TYPE_ARRAY) {
			alike = is_alike(json_at(one, i), json_at(other, i)) &&
			    is_alike(json_at(one, n - 1 - i),
				json_at(other, n - 1 - i));
			continue;
		}
		alike = json_next(one, &left) && json_next(other, &right) &&
		    text_equal(left.name, right.name) &&
		    is_alike(left.value, right.value) &&
		    is_alike(json_get(other, left.name.at), left.value);
	}
	if (n > 0)
		return alike;
	json_put_node(&put[0], one);
	json_put_node(&put[1], other);
	alike = alike && text_equal(buffer_text(&put[0]), buffer_text(&put[1]));
	buffer_finish(&put[0]);
	buffer_finish(&put[1]);
	return alike;
}

/* Root, a large object, a large array, small ones, blanks, escapes. */
static void
put_large(struct buffer *out)
{
	int i;

	buffer_append(out, TEXT("{ \"\\u0061\" :{"));
	for (i = 0; i < 60; i++)
		buffer_format(out,
		    "%s\"k\\u00%02x\\n%d\" : { \"n\":[%d , "
		    "{}],\"e\":\"\\\\\\\"}\"}",
		    i > 0 ? " ,\n" : "", 0x30 + i, i, i);
	buffer_append(out, TEXT("} , \"list\":["));
	for (i = 0; i < 200; i++)
		buffer_format(out,
		    "%s[ \"]%d\", %d.5e1,true,null, {\"\":\"\"} ]",
		    i > 0 ? "," : " ", i, i);
	buffer_append(out, TEXT(" ],\"small\":{\"x\":1},\"one\": -7 }\n"));
}

static bool
is_same_parsed(struct text text, size_t depth, bool *valid)
{
	struct error errors[2] = { { 0 }, { 0 } };
	struct json_document *whole, *large;
	bool same;

	whole = json_parse(text, depth, &errors[0]);
	large = json_parse_large(text, false, depth, &errors[1]);
	*valid = whole != NULL;
	same = (whole != NULL) == (large != NULL) &&
	    strcmp(errors[0].message, errors[1].message) == 0;
	if (same && whole != NULL)
		same = is_alike(json_root(whole), json_root(large));
	json_destroy(whole);
	json_destroy(large);
	return same;
}

/* As json_parse sees it, sound or with any byte another, gone or twice. */
static void
test_large(void)
{
	static const char bytes[] = "{}[]\",:\\ 0atu\xef\x01-";
	struct random random = { 7 };
	struct buffer good = { 0 }, bad = { 0 };
	size_t i, at, n_valid = 0;
	bool valid;

	put_large(&good);
	CHECK(is_same_parsed(buffer_text(&good), 8, &valid) && valid);
	CHECK(is_same_parsed(buffer_text(&good), 5, &valid) && valid);
	CHECK(is_same_parsed(buffer_text(&good), 4, &valid) && !valid);
	for (i = 0; i < 3000; i++) {
		at = random_below(&random, good.size);
		buffer_reset(&bad);
		buffer_append(&bad, (struct text){ good.at, at });
		if (i % 3 != 0)
			buffer_byte(&bad,
			    bytes[random_below(&random, sizeof bytes - 1)]);
		at += i % 3 < 2;
		buffer_append(
		    &bad, (struct text){ good.at + at, good.size - at });
		REQUIRE(is_same_parsed(buffer_text(&bad), 8, &valid));
		n_valid += valid;
	}
	CHECK(n_valid > 100 && n_valid < 2000);
	buffer_finish(&good);
	buffer_finish(&bad);
}

/* A name that stands twice is refused wherever it is, however it is written. */
static void
test_large_repeats(void)
{
	static const char *const twice[] = { "k0", "\\u006b0", "k199", "k77" };
	struct buffer text = { 0 };
	size_t which;
	bool valid;
	int i;

	for (which = 0; which < sizeof twice / sizeof *twice; which++) {
		buffer_reset(&text);
		buffer_append(&text, TEXT("{\"a\":{"));
		for (i = 0; i < 200; i++)
			buffer_format(&text, "\"k%d\":\"%20d\",", i, i);
		buffer_format(&text, "\"%s\":1}}", twice[which]);
		CHECK_ROW(twice[which],
		    is_same_parsed(buffer_text(&text), 8, &valid) && !valid);
	}
	buffer_finish(&text);
}

CU_TestInfo strict_json_tests[] = {
	{ "what is refused", test_what_is_refused },
	{ "nodes", test_nodes },
	{ "writing", test_writing },
	{ "many members", test_many_members },
	{ "numbers", test_numbers },
	{ "where it is wrong", test_where_it_is_wrong },
	{ "written as it came", test_written_as_it_came },
	{ "large ones", test_large },
	{ "large ones with repeats", test_large_repeats },
	CU_TEST_INFO_NULL,
};
