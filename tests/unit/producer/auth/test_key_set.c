#include "producer/auth/key_set.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"

/* A number of 2048 bits, of 1024, and the curve's base point: keys as any. */
#define FF32 "____________________________________________"
#define N2048                                                                  \
	FF32 FF32 FF32 FF32 FF32 FF32 FF32 "_________________________________" \
					   "w"
#define N1024 FF32 FF32 FF32 "______________________________________w"
#define X "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY"
#define Y "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"

#define RSA "\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"AQAB\""
#define EC "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\""

static struct key_set *
parse(const char *keys, struct error *err)
{
	static char json[8192];

	snprintf(json, sizeof json, "{\"keys\":[%s]}", keys);
	return key_set_parse(text_from(json), err);
}

/* What a key says of itself must fit what it would be used for. */
static void
keys_that_cannot_be_used_are_passed_over(void)
{
	static const struct {
		const char *key;
		bool used;
	} rows[] = {
		{ "{" RSA "}", true },
		{ "{" EC "}", true },
		{ "{" RSA ",\"alg\":\"RS256\",\"use\":\"sig\"}", true },
		{ "{" EC ",\"alg\":\"ES256\",\"key_ops\":[\"verify\"]}", true },
		{ "{" RSA ",\"x5u\":\"https://elsewhere.test\"}", true },
		{ "{" RSA ",\"alg\":\"PS256\"}", false },
		{ "{" RSA ",\"alg\":\"ES256\"}", false },
		{ "{" EC ",\"alg\":\"RS256\"}", false },
		{ "{" RSA ",\"alg\":1}", false },
		{ "{" RSA ",\"use\":\"enc\"}", false },
		{ "{" RSA ",\"key_ops\":[\"sign\"]}", false },
		{ "{" RSA ",\"key_ops\":\"verify\"}", false },
		{ "{" RSA ",\"kid\":7}", false },
		{ "{\"kty\":\"RSA\",\"n\":\"" N1024 "\",\"e\":\"AQAB\"}",
		    false },
		{ "{\"kty\":\"RSA\",\"n\":\"" N2048 "=\",\"e\":\"AQAB\"}",
		    false },
		{ "{\"kty\":\"RSA\",\"n\":\"" N2048 "\"}", false },
		{ "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" X "\",\"y\":\"" Y
		  "\"}",
		    false },
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" X
		  "\"}",
		    false }, /* a point beside the curve */
		{ "{\"kty\":\"oct\",\"k\":\"AQAB\"}", false },
		{ "\"RSA\"", false },
	};
	char two[4096];
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error err = { 0 };
		struct key_set *set = parse(rows[i].key, &err);

		CHECK_ROW(rows[i].key, (set != NULL) == rows[i].used);
		CHECK_ROW(rows[i].key, set != NULL || err.kind == ERROR_INPUT);
		key_set_destroy(set);
		/* Beside a good one it takes nothing from that. */
		snprintf(two, sizeof two, "%s,{" EC "}", rows[i].key);
		set = parse(two, &err);
		REQUIRE(set != NULL);
		CHECK_ROW(
		    rows[i].key, key_set_size(set) == (rows[i].used ? 2 : 1));
		CHECK_ROW(rows[i].key,
		    (key_set_passed_over(set) == NULL) == rows[i].used);
		key_set_destroy(set);
	}
}

/* A set without a usable key is an error, never "no authentication". */
static void
what_is_no_set_is_an_error(void)
{
	static const char *const rows[] = { "", "[]", "{}", "{\"keys\":{}}",
		"{\"keys\":[]}", "{\"keys\":null}", "{\"keys\":[],\"keys\":[]}",
		"{\"keys\":[]}x" };
	char many[6000] = "1";
	struct error err;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		err.kind = ERROR_NONE;
		CHECK_ROW(
		    rows[i], key_set_parse(text_from(rows[i]), &err) == NULL);
		CHECK_ROW(rows[i], err.kind == ERROR_INPUT);
	}
	for (i = 1; i < 1001; i++)
		memcpy(many + 2 * i - 1, ",1", 3);
	CHECK(parse(many, &err) == NULL);
	CHECK(strstr(err.message, "1000") != NULL);
}

static void
a_key_is_found_by_exactly_its_id(void)
{
	struct error err = { 0 };
	struct key_set *set = parse("{" RSA ",\"kid\":\"a\"},{" EC
				    ",\"kid\":\"b\"},{" EC ",\"kid\":\"a\"}",
	    &err);
	const struct public_key *key = NULL;

	REQUIRE(set != NULL);
	CHECK(key_set_find(set, TEXT("a"), true, &key) == KEY_FOUND);
	CHECK(public_key_is_rsa(key));
	CHECK(key_set_find(set, TEXT("a"), false, &key) == KEY_FOUND);
	CHECK(!public_key_is_rsa(key));
	CHECK(key_set_find(set, TEXT("b"), false, &key) == KEY_FOUND);
	CHECK(key_set_find(set, TEXT("b"), true, &key) == KEY_UNFIT);
	CHECK(key_set_find(set, TEXT("A"), true, &key) == KEY_UNKNOWN);
	CHECK(key_set_find(set, TEXT(""), true, &key) == KEY_UNKNOWN);
	/* Without an id it must be clear which one is meant. */
	CHECK(key_set_find(set, TEXT_NONE, true, &key) == KEY_UNKNOWN);
	key_set_destroy(set);
	set = parse("{" RSA ",\"kid\":\"a\"}", &err);
	REQUIRE(set != NULL);
	CHECK(key_set_find(set, TEXT_NONE, true, &key) == KEY_FOUND);
	CHECK(key_set_find(set, TEXT_NONE, false, &key) == KEY_UNFIT);
	key_set_destroy(set);
}

CU_TestInfo key_set_tests[] = {
	{ "keys that can't be used are passed over",
	    keys_that_cannot_be_used_are_passed_over },
	{ "what is no set is an error", what_is_no_set_is_an_error },
	{ "a key is found by exactly its id",
	    a_key_is_found_by_exactly_its_id },
	CU_TEST_INFO_NULL,
};
