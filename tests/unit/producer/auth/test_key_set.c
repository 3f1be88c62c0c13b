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
		{ "{" RSA ",\"key_ops\":\"verify\"}", true },
		{ "{" RSA ",\"key_ops\":[]}", false },
		{ "{" RSA ",\"use\":null,\"alg\":null,\"key_ops\":null}",
		    true },
		{ "{" RSA ",\"kid\":7}", true },
		{ "{" RSA ",\"kid\":[]}", true },
		{ "{\"kty\":\"RSA\",\"n\":\"" N1024 "\",\"e\":\"AQAB\"}",
		    false },
		{ "{\"kty\":\"RSA\",\"n\":\"" N2048 "==\",\"e\":\"AQAB=\"}",
		    true },
		{ "{\"kty\":\"RSA\",\"n\":\"AAAA" N2048
		  "\",\"e\":\"AAAAAQAB\"}",
		    true }, /* zeros before the numbers */
		{ "{\"kty\":\"RSA\",\"n\":\"////" N2048 "\",\"e\":\"AQAB\"}",
		    true },
		{ "{\"kty\":\"RSA\",\"n\":\"" N2048 "===\",\"e\":\"AQAB\"}",
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
	static const struct {
		struct text kid;
		bool rsa;
		size_t n;
		int known;
	} rows[] = {
		{ { "a", 1 }, true, 1, KID_KNOWN },
		{ { "a", 1 }, false, 2, KID_KNOWN },
		{ { "a\0b", 3 }, true, 1, KID_KNOWN },
		{ { "7", 1 }, false, 1, KID_KNOWN },
		{ { "7", 1 }, true, 0, KID_UNFIT },
		{ { "A", 1 }, true, 0, KID_UNKNOWN },
		{ { NULL, 0 }, true, 2, KID_UNKNOWN },
		{ { NULL, 0 }, false, 3, KID_UNKNOWN },
	};
	struct error err = { 0 };
	struct key_set *set =
	    parse("{" RSA ",\"kid\":\"a\"},{" EC ",\"kid\":7},{" EC
		  ",\"kid\":\"a\"},{" EC ",\"kid\":\"a\"},{" RSA
		  ",\"kid\":\"a\\u0000b\"}",
		&err);
	size_t i;

	REQUIRE(set != NULL);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct key_match match =
		    key_set_find(set, rows[i].kid, rows[i].rsa);

		CHECK(match.n == rows[i].n);
		CHECK((int)match.kid == rows[i].known);
		CHECK(match.n == 0 ||
		    public_key_is_rsa(match.keys[0]) == rows[i].rsa);
	}
	key_set_destroy(set);
}

/* Either side may leave the id out; then few keys are tried. */
static void
keys_without_an_id_fit_any(void)
{
	static const struct {
		struct text kid;
		bool rsa;
		size_t n;
		int known;
	} rows[] = {
		{ { "x", 1 }, true, 1, KID_UNKNOWN },
		{ { "x", 1 }, false, KEYS_TRIED_MAX, KID_UNKNOWN },
		{ { "e", 1 }, false, KEYS_TRIED_MAX, KID_KNOWN },
		{ { "e", 1 }, true, 1, KID_UNFIT },
	};
	struct error err = { 0 };
	struct key_set *set =
	    parse("{" RSA "},{" EC ",\"kid\":\"\"},{" EC ",\"kid\":null},{" EC
		  "},{" EC "},{" EC ",\"kid\":\"e\"}",
		&err);
	size_t i;

	REQUIRE(set != NULL);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct key_match match =
		    key_set_find(set, rows[i].kid, rows[i].rsa);

		CHECK(match.n == rows[i].n);
		CHECK((int)match.kid == rows[i].known);
	}
	CHECK(key_set_find(set, TEXT_NONE, false).n == KEYS_TRIED_MAX);
	key_set_destroy(set);
}

CU_TestInfo key_set_tests[] = {
	{ "keys that can't be used are passed over",
	    keys_that_cannot_be_used_are_passed_over },
	{ "what is no set is an error", what_is_no_set_is_an_error },
	{ "a key is found by exactly its id",
	    a_key_is_found_by_exactly_its_id },
	{ "keys without an id fit any", keys_without_an_id_fit_any },
	CU_TEST_INFO_NULL,
};
