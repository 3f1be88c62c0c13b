#include <stdlib.h>
#include <string.h>

#include "common/json_write.h"
#include "common/strict_json.h"
#include "tests/unit/check.h"

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
		{ "a NUL escaped", TEXT("[\"a\\u0000b\"]"), false },
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

CU_TestInfo strict_json_tests[] = {
	{ "what is refused", test_what_is_refused },
	{ "nodes", test_nodes },
	{ "writing", test_writing },
	CU_TEST_INFO_NULL,
};
