#include "producer/auth/jwt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/crypto/digest.h"
#include "tests/unit/check.h"

/*
 * Keys are made here and tokens signed by libcrypto's own functions, so what
 * is judged was not written by what judges.
 */
#define NOW_MS INT64_C(1700000000000)
#define SUB "f05f8da4-b84c-4fca-9c77-8af0b13d11de"

static EVP_PKEY *rsa, *other_rsa, *small_rsa, *ec, *other_ec;
static struct buffer rsa_n, small_n, ec_x, ec_y, long_x, long_y;

static const struct jwt_rules rules = { "https://issuer.test", "schedrun",
	30000, "sub", "scope, scp, roles" };

static void
write_number(EVP_PKEY *key, const char *name, int size, struct buffer *out)
{
	unsigned char bytes[1024];
	BIGNUM *n = NULL;

	REQUIRE(EVP_PKEY_get_bn_param(key, name, &n) == 1);
	REQUIRE(BN_bn2binpad(n, bytes, size) == size);
	base64url_write(
	    (struct text){ (const char *)bytes, (size_t)size }, out);
	buffer_byte(out, '\0');
	BN_free(n);
}

static void
make_keys(void)
{
	if (rsa != NULL)
		return;
	rsa = EVP_RSA_gen(2048);
	other_rsa = EVP_RSA_gen(2048);
	small_rsa = EVP_RSA_gen(1024);
	ec = EVP_EC_gen("P-256");
	other_ec = EVP_EC_gen("P-256");
	write_number(rsa, OSSL_PKEY_PARAM_RSA_N, 256, &rsa_n);
	write_number(small_rsa, OSSL_PKEY_PARAM_RSA_N, 128, &small_n);
	write_number(ec, OSSL_PKEY_PARAM_EC_PUB_X, 32, &ec_x);
	write_number(ec, OSSL_PKEY_PARAM_EC_PUB_Y, 32, &ec_y);
	write_number(ec, OSSL_PKEY_PARAM_EC_PUB_X, 33, &long_x);
	write_number(ec, OSSL_PKEY_PARAM_EC_PUB_Y, 33, &long_y);
}

/* "<RSA>" and so on stand for the numbers of the keys made above. */
static struct text
fill_in(const char *form, struct buffer *out)
{
	const struct {
		const char *name;
		const struct buffer *value;
	} names[] = { { "<N>", &rsa_n }, { "<SMALL>", &small_n },
		{ "<X>", &ec_x }, { "<Y>", &ec_y }, { "<0X>", &long_x },
		{ "<0Y>", &long_y } };
	size_t i;

	buffer_reset(out);
	while (*form != '\0') {
		for (i = 0; i < sizeof names / sizeof names[0]; i++)
			if (strncmp(form, names[i].name,
				strlen(names[i].name)) == 0)
				break;
		if (i == sizeof names / sizeof names[0]) {
			buffer_byte(out, *form++);
			continue;
		}
		buffer_append(out, text_from(names[i].value->at));
		form += strlen(names[i].name);
	}
	return buffer_text(out);
}

#define RSA_KEY(more) "{\"kty\":\"RSA\",\"n\":\"<N>\",\"e\":\"AQAB\"" more "}"
#define EC_KEY(more)                                                           \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"<X>\",\"y\":\"<Y>\"" more "}"
#define SET(keys) "{\"keys\":[" keys "]}"

static const struct {
	const char *name, *json;
	size_t usable; /* 0: refused */
} sets[] = {
	{ "RSA", SET(RSA_KEY("")), 1 },
	{ "EC", SET(EC_KEY("")), 1 },
	{ "both", SET(RSA_KEY(",\"kid\":\"r\"") "," EC_KEY("")), 2 },
	{ "use, alg, key_ops",
	    SET(RSA_KEY(",\"use\":\"sig\",\"alg\":\"RS256\","
			"\"key_ops\":[\"verify\"]")),
	    1 },
	{ "members that aren't known", SET(RSA_KEY(",\"x5c\":[1]")), 1 },
	{ "unusable ones are passed over", SET("{},3," EC_KEY("")), 1 },
	{ "empty", SET(""), 0 },
	{ "no keys", "{}", 0 },
	{ "keys is no array", "{\"keys\":{}}", 0 },
	{ "an array", "[]", 0 },
	{ "not JSON", "<html>", 0 },
	{ "nothing", "", 0 },
	{ "trailing text", SET(RSA_KEY("")) "x", 0 },
	{ "duplicate member", SET(RSA_KEY(",\"e\":\"AQAB\"")), 0 },
	{ "1024 bits",
	    SET("{\"kty\":\"RSA\",\"n\":\"<SMALL>\",\"e\":\"AQAB\"}"), 0 },
	{ "exponent 1", SET("{\"kty\":\"RSA\",\"n\":\"<N>\",\"e\":\"AQ\"}"),
	    0 },
	{ "exponent even",
	    SET("{\"kty\":\"RSA\",\"n\":\"<N>\",\"e\":\"AQAA\"}"), 0 },
	{ "exponent of 9 bytes",
	    SET("{\"kty\":\"RSA\",\"n\":\"<N>\",\"e\":\"AQAAAAAAAAAB\"}"), 0 },
	{ "no exponent", SET("{\"kty\":\"RSA\",\"n\":\"<N>\"}"), 0 },
	{ "n padded", SET("{\"kty\":\"RSA\",\"n\":\"<N>==\",\"e\":\"AQAB\"}"),
	    1 },
	{ "for encryption", SET(RSA_KEY(",\"use\":\"enc\"")), 0 },
	{ "for PS256", SET(RSA_KEY(",\"alg\":\"PS256\"")), 0 },
	{ "key_ops without verify", SET(RSA_KEY(",\"key_ops\":[\"sign\"]")),
	    0 },
	{ "kid is a number", SET(RSA_KEY(",\"kid\":1")), 1 },
	{ "x and y with zeros before them",
	    SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"<0X>=\","
		"\"y\":\"<0Y>\"}"),
	    1 },
	{ "symmetric", SET("{\"kty\":\"oct\",\"k\":\"AQAB\"}"), 0 },
	{ "lower-case kty",
	    SET("{\"kty\":\"rsa\",\"n\":\"<N>\",\"e\":\"AQAB\"}"), 0 },
	{ "EC without crv", SET("{\"kty\":\"EC\",\"x\":\"<X>\",\"y\":\"<Y>\"}"),
	    0 },
	{ "P-384",
	    SET("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"<X>\","
		"\"y\":\"<Y>\"}"),
	    0 },
	{ "EC for ES384", SET(EC_KEY(",\"alg\":\"ES384\"")), 0 },
	{ "not on the curve",
	    SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"<X>\","
		"\"y\":\"<X>\"}"),
	    0 },
	{ "short coordinate",
	    SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"<X>\","
		"\"y\":\"AQAB\"}"),
	    0 },
};

static void
reads_key_sets(void)
{
	struct buffer json = { 0 };
	size_t i;

	make_keys();
	for (i = 0; i < sizeof sets / sizeof sets[0]; i++) {
		struct error err = { 0 };
		struct key_set *set =
		    key_set_parse(fill_in(sets[i].json, &json), &err);

		CHECK_ROW(sets[i].name,
		    (set != NULL ? key_set_size(set) : 0) == sets[i].usable);
		CHECK_ROW(
		    sets[i].name, (set == NULL) == (err.kind == ERROR_INPUT));
		key_set_destroy(set);
	}
	buffer_finish(&json);
}

static struct key_set *
make_set(const char *form)
{
	struct buffer json = { 0 };
	struct error err;
	struct key_set *set;

	make_keys();
	set = key_set_parse(fill_in(form, &json), &err);
	REQUIRE(set != NULL);
	buffer_finish(&json);
	return set;
}

/* DER to r‖s. */
static size_t
as_pair(unsigned char *bytes, size_t size)
{
	const unsigned char *at = bytes;
	ECDSA_SIG *both = d2i_ECDSA_SIG(NULL, &at, (long)size);
	unsigned char pair[64];

	BN_bn2binpad(ECDSA_SIG_get0_r(both), pair, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(both), pair + 32, 32);
	ECDSA_SIG_free(both);
	memcpy(bytes, pair, sizeof pair);
	return sizeof pair;
}

static void
sign(EVP_PKEY *key, const char *header, const char *claims, struct buffer *out)
{
	unsigned char bytes[1024];
	size_t size = sizeof bytes;
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	buffer_reset(out);
	base64url_write(text_from(header), out);
	buffer_byte(out, '.');
	base64url_write(text_from(claims), out);
	REQUIRE(
	    EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1);
	REQUIRE(EVP_DigestSign(context, bytes, &size,
		    (const unsigned char *)out->at, out->size) == 1);
	EVP_MD_CTX_free(context);
	if (EVP_PKEY_is_a(key, "EC"))
		size = as_pair(bytes, size);
	buffer_byte(out, '.');
	base64url_write((struct text){ (const char *)bytes, size }, out);
}

#define CLAIMS_BUT(exp, iss, aud, sub) "{" exp iss aud sub "\"x\":1}"
#define EXP "\"exp\":1700000100,"
#define ISS "\"iss\":\"https://issuer.test\","
#define AUD "\"aud\":\"schedrun\","
#define SUBJECT "\"sub\":\"" SUB "\","
#define GOOD CLAIMS_BUT(EXP, ISS, AUD, SUBJECT)
#define RS "{\"alg\":\"RS256\",\"kid\":\"r\"}"
#define ES "{\"alg\":\"ES256\",\"kid\":\"e\"}"
#define TIMES(times) CLAIMS_BUT(times, ISS, AUD, SUBJECT)

static const struct {
	const char *name;
	EVP_PKEY **key;
	const char *header, *claims;
	enum jwt_verdict verdict;
} rows[] = {
	{ "RS256", &rsa, RS, GOOD, JWT_OK },
	{ "ES256", &ec, ES, GOOD, JWT_OK },
	{ "typ and others", &rsa,
	    "{\"typ\":\"JWT\",\"alg\":\"RS256\",\"kid\":\"r\",\"a\":{}}", GOOD,
	    JWT_OK },
	{ "jwk, jku, x5u, x5c are nothing", &rsa,
	    "{\"alg\":\"RS256\",\"kid\":\"r\",\"jwk\":{},\"jku\":\"x\","
	    "\"x5u\":1,\"x5c\":[]}",
	    GOOD, JWT_OK },

	{ "none", &rsa, "{\"alg\":\"none\",\"kid\":\"r\"}", GOOD,
	    JWT_ALGORITHM },
	{ "None", &rsa, "{\"alg\":\"None\",\"kid\":\"r\"}", GOOD,
	    JWT_ALGORITHM },
	{ "rs256", &rsa, "{\"alg\":\"rs256\",\"kid\":\"r\"}", GOOD,
	    JWT_ALGORITHM },
	{ "HS256", &rsa, "{\"alg\":\"HS256\",\"kid\":\"r\"}", GOOD,
	    JWT_ALGORITHM },
	{ "PS256", &rsa, "{\"alg\":\"PS256\",\"kid\":\"r\"}", GOOD,
	    JWT_ALGORITHM },
	{ "no alg", &rsa, "{\"kid\":\"r\"}", GOOD, JWT_ALGORITHM },
	{ "alg is an array", &rsa, "{\"alg\":[\"RS256\"],\"kid\":\"r\"}", GOOD,
	    JWT_ALGORITHM },
	{ "RS256 with the EC key", &ec, "{\"alg\":\"RS256\",\"kid\":\"e\"}",
	    GOOD, JWT_ALGORITHM },
	{ "ES256 with the RSA key", &rsa, "{\"alg\":\"ES256\",\"kid\":\"r\"}",
	    GOOD, JWT_ALGORITHM },
	{ "crit", &rsa, "{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[\"b64\"]}",
	    GOOD, JWT_CRIT },
	{ "crit empty", &rsa, "{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[]}",
	    GOOD, JWT_CRIT },
	{ "crit null", &rsa, "{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":null}",
	    GOOD, JWT_CRIT },
	{ "unknown kid", &rsa, "{\"alg\":\"RS256\",\"kid\":\"q\"}", GOOD,
	    JWT_UNKNOWN_KEY },
	{ "kid longer", &rsa, "{\"alg\":\"RS256\",\"kid\":\"rr\"}", GOOD,
	    JWT_UNKNOWN_KEY },
	{ "kid empty", &rsa, "{\"alg\":\"RS256\",\"kid\":\"\"}", GOOD, JWT_OK },
	{ "kid null", &ec, "{\"alg\":\"ES256\",\"kid\":null}", GOOD, JWT_OK },
	{ "no kid, two keys", &rsa, "{\"alg\":\"RS256\"}", GOOD, JWT_OK },
	{ "no kid, signed by a stranger", &other_rsa, "{\"alg\":\"RS256\"}",
	    GOOD, JWT_UNKNOWN_KEY },
	{ "no kid, signed by the other key", &ec, "{\"alg\":\"RS256\"}", GOOD,
	    JWT_UNKNOWN_KEY },
	{ "kid is a number", &rsa, "{\"alg\":\"RS256\",\"kid\":1}", GOOD,
	    JWT_UNKNOWN_KEY },
	{ "kid is an array", &rsa, "{\"alg\":\"RS256\",\"kid\":[\"r\"]}", GOOD,
	    JWT_MALFORMED },
	{ "another RSA key", &other_rsa, RS, GOOD, JWT_SIGNATURE },
	{ "another EC key", &other_ec, ES, GOOD, JWT_SIGNATURE },

	{ "header is an array", &rsa, "[]", GOOD, JWT_MALFORMED },
	{ "header is not JSON", &rsa, "{alg", GOOD, JWT_MALFORMED },
	{ "header empty", &rsa, "", GOOD, JWT_MALFORMED },
	{ "duplicate alg", &rsa,
	    "{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"r\"}", GOOD,
	    JWT_MALFORMED },
	{ "trailing text", &rsa, RS " x", GOOD, JWT_MALFORMED },
	{ "claims are text", &rsa, RS, "\"x\"", JWT_MALFORMED },
	{ "claims empty", &rsa, RS, "", JWT_MALFORMED },
	{ "duplicate exp", &rsa, RS, TIMES("\"exp\":1,\"exp\":1700000100,"),
	    JWT_MALFORMED },
	{ "claims are not UTF-8", &rsa, RS, "{\"a\":\"\xff\"}", JWT_MALFORMED },
	{ "lone surrogate", &rsa, RS, "{\"a\":\"\\ud800\"}", JWT_MALFORMED },
	{ "32 deep", &rsa, RS,
	    TIMES(EXP "\"d\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		      "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],"),
	    JWT_OK },
	{ "33 deep", &rsa, RS,
	    TIMES(EXP "\"d\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		      "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],"),
	    JWT_MALFORMED },

	{ "no exp", &rsa, RS, TIMES(""), JWT_NO_EXPIRY },
	{ "exp null", &rsa, RS, TIMES("\"exp\":null,"), JWT_NO_EXPIRY },
	{ "exp text", &rsa, RS, TIMES("\"exp\":\"1700000100\","),
	    JWT_NO_EXPIRY },
	{ "exp true", &rsa, RS, TIMES("\"exp\":true,"), JWT_NO_EXPIRY },
	{ "exp within the leeway", &rsa, RS, TIMES("\"exp\":1699999971,"),
	    JWT_OK },
	{ "exp at the leeway", &rsa, RS, TIMES("\"exp\":1699999970,"),
	    JWT_EXPIRED },
	{ "exp with a fraction", &rsa, RS, TIMES("\"exp\":1699999970.5,"),
	    JWT_OK },
	{ "exp negative", &rsa, RS, TIMES("\"exp\":-1,"), JWT_EXPIRED },
	{ "exp 1e300", &rsa, RS, TIMES("\"exp\":1e300,"), JWT_OK },
	{ "nbf within the leeway", &rsa, RS, TIMES(EXP "\"nbf\":1700000030,"),
	    JWT_OK },
	{ "nbf behind it", &rsa, RS, TIMES(EXP "\"nbf\":1700000031,"),
	    JWT_NOT_YET_VALID },
	{ "nbf null", &rsa, RS, TIMES(EXP "\"nbf\":null,"), JWT_OK },
	{ "nbf text", &rsa, RS, TIMES(EXP "\"nbf\":\"1\","), JWT_MALFORMED },

	{ "no iss", &rsa, RS, CLAIMS_BUT(EXP, "", AUD, SUBJECT), JWT_ISSUER },
	{ "iss with a slash", &rsa, RS,
	    CLAIMS_BUT(EXP, "\"iss\":\"https://issuer.test/\",", AUD, SUBJECT),
	    JWT_ISSUER },
	{ "iss in an array", &rsa, RS,
	    CLAIMS_BUT(EXP, "\"iss\":[\"https://issuer.test\"],", AUD, SUBJECT),
	    JWT_ISSUER },
	{ "no aud", &rsa, RS, CLAIMS_BUT(EXP, ISS, "", SUBJECT), JWT_AUDIENCE },
	{ "another aud", &rsa, RS,
	    CLAIMS_BUT(EXP, ISS, "\"aud\":\"schedrun2\",", SUBJECT),
	    JWT_AUDIENCE },
	{ "aud in an array", &rsa, RS,
	    CLAIMS_BUT(EXP, ISS, "\"aud\":[\"a\",\"schedrun\"],", SUBJECT),
	    JWT_OK },
	{ "aud array without ours", &rsa, RS,
	    CLAIMS_BUT(EXP, ISS, "\"aud\":[\"a\",1,[\"schedrun\"]],", SUBJECT),
	    JWT_AUDIENCE },
	{ "aud array empty", &rsa, RS,
	    CLAIMS_BUT(EXP, ISS, "\"aud\":[],", SUBJECT), JWT_AUDIENCE },
	{ "aud as an object", &rsa, RS,
	    CLAIMS_BUT(EXP, ISS, "\"aud\":{\"schedrun\":1},", SUBJECT),
	    JWT_AUDIENCE },
	{ "no sub", &rsa, RS, CLAIMS_BUT(EXP, ISS, AUD, ""), JWT_SUBJECT },
	{ "sub empty", &rsa, RS, CLAIMS_BUT(EXP, ISS, AUD, "\"sub\":\"\","),
	    JWT_SUBJECT },
	{ "sub null", &rsa, RS, CLAIMS_BUT(EXP, ISS, AUD, "\"sub\":null,"),
	    JWT_SUBJECT },
	{ "sub is a fraction", &rsa, RS,
	    CLAIMS_BUT(EXP, ISS, AUD, "\"sub\":1.5,"), JWT_SUBJECT },
	{ "sub in an array", &rsa, RS,
	    CLAIMS_BUT(EXP, ISS, AUD, "\"sub\":[\"" SUB "\"],"), JWT_SUBJECT },
};

#define BOTH SET(RSA_KEY(",\"kid\":\"r\"") "," EC_KEY(",\"kid\":\"e\""))

static void
judges_each_claim(void)
{
	struct key_set *set = make_set(BOTH);
	struct buffer token = { 0 };
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct http_caller caller = { 0 };

		sign(*rows[i].key, rows[i].header, rows[i].claims, &token);
		CHECK_ROW(rows[i].name,
		    jwt_check(&rules, set, buffer_text(&token), NOW_MS,
			&caller) == rows[i].verdict);
		CHECK_ROW(
		    rows[i].name, caller.known == (rows[i].verdict == JWT_OK));
	}
	buffer_finish(&token);
	key_set_destroy(set);
}

/* A good token, changed in one place: none of these may pass. */
static void
refuses_each_change(void)
{
	static const struct {
		const char *name, *end;
		size_t cut;
	} ends[] = { { "padded", "=", 0 }, { "padded twice", "==", 0 },
		{ "a blank", " ", 0 }, { "a line break", "\n", 0 },
		{ "a fourth part", ".AAAA", 0 }, { "a dot", ".", 0 },
		{ "shorter", "", 1 }, { "much shorter", "", 40 },
		{ "longer", "A", 0 }, { "plain base64", "+", 1 } };
	struct key_set *set = make_set(BOTH);
	EVP_PKEY *const keys[] = { rsa, ec };
	struct http_caller caller;
	struct buffer token = { 0 };
	size_t k, i;

	for (k = 0; k < 2; k++)
		for (i = 0; i < sizeof ends / sizeof ends[0]; i++) {
			sign(keys[k], k == 0 ? RS : ES, GOOD, &token);
			token.size -= ends[i].cut;
			buffer_append(&token, text_from(ends[i].end));
			CHECK_ROW(ends[i].name,
			    jwt_check(&rules, set, buffer_text(&token), NOW_MS,
				&caller) != JWT_OK);
		}
	for (k = 0; k < 2; k++) {
		sign(keys[k], k == 0 ? RS : ES, GOOD, &token);
		for (i = 0; i < token.size; i++) {
			token.at[i] = (char)(token.at[i] ^ 1);
			CHECK(jwt_check(&rules, set, buffer_text(&token),
				  NOW_MS, &caller) != JWT_OK);
			token.at[i] = (char)(token.at[i] ^ 1);
		}
	}
	buffer_finish(&token);
	key_set_destroy(set);
}

/* r and s of 0, and of n itself: the classic forgeries (CVE-2022-21449). */
static void
refuses_degenerate_pairs(void)
{
	static const char order[] = "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff"
				    "\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad"
				    "\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63"
				    "\x25\x51";
	static const char zero[32];
	const char *const halves[] = { zero, order };
	struct key_set *set = make_set(BOTH);
	struct http_caller caller;
	size_t r, s;

	for (r = 0; r < 2; r++)
		for (s = 0; s < 2; s++) {
			struct buffer token = { 0 }, pair = { 0 };

			base64url_write(TEXT(ES), &token);
			buffer_byte(&token, '.');
			base64url_write(TEXT(GOOD), &token);
			buffer_byte(&token, '.');
			buffer_append(&pair, (struct text){ halves[r], 32 });
			buffer_append(&pair, (struct text){ halves[s], 32 });
			base64url_write(buffer_text(&pair), &token);
			CHECK(jwt_check(&rules, set, buffer_text(&token),
				  NOW_MS, &caller) == JWT_SIGNATURE);
			buffer_finish(&token);
			buffer_finish(&pair);
		}
	key_set_destroy(set);
}

static void
chooses_a_single_key(void)
{
	struct key_set *named = make_set(SET(RSA_KEY(",\"kid\":\"r\"")));
	struct key_set *nameless = make_set(SET(RSA_KEY("")));
	struct http_caller caller;
	struct buffer token = { 0 };

	sign(rsa, "{\"alg\":\"RS256\"}", GOOD, &token);
	CHECK(jwt_check(&rules, named, buffer_text(&token), NOW_MS, &caller) ==
	    JWT_OK);
	CHECK(jwt_check(&rules, nameless, buffer_text(&token), NOW_MS,
		  &caller) == JWT_OK);
	sign(rsa, RS, GOOD, &token);
	CHECK(jwt_check(&rules, nameless, buffer_text(&token), NOW_MS,
		  &caller) == JWT_OK);
	sign(other_rsa, RS, GOOD, &token);
	CHECK(jwt_check(&rules, nameless, buffer_text(&token), NOW_MS,
		  &caller) == JWT_UNKNOWN_KEY);
	CHECK(jwt_check(&rules, NULL, buffer_text(&token), NOW_MS, &caller) ==
	    JWT_UNKNOWN_KEY);
	buffer_finish(&token);
	key_set_destroy(named);
	key_set_destroy(nameless);
}

static const struct {
	const char *name, *claim;
	unsigned scopes;
} scope_rows[] = {
	{ "none", "", 0 },
	{ "read", "\"scope\":\"api:orchestration-read\",", SCOPE_READ },
	{ "both",
	    "\"scope\":\"x api:orchestration-write  api:orchestration-read\",",
	    SCOPE_READ | SCOPE_WRITE },
	{ "array", "\"scope\":[\"api:orchestration-write\"],", SCOPE_WRITE },
	{ "scp", "\"scp\":[\"api:orchestration-read\",1],", SCOPE_READ },
	{ "longer", "\"scope\":\"api:orchestration-write2\",", 0 },
	{ "capitals", "\"scope\":\"API:orchestration-write\",", 0 },
	{ "by commas",
	    "\"scope\":\"api:orchestration-read,api:orchestration-write\",",
	    0 },
	{ "by tabs", "\"scope\":\"x\\tapi:orchestration-write\",", 0 },
	{ "two in one element",
	    "\"scp\":[\"api:orchestration-read api:orchestration-write\"],",
	    SCOPE_READ | SCOPE_WRITE },
	{ "a number", "\"scope\":1,", 0 },
	{ "roles", "\"roles\":[\"api:orchestration-read\"],", SCOPE_READ },
	{ "in each of them",
	    "\"scp\":\"api:orchestration-read\",\"scope\":null,"
	    "\"roles\":\"api:orchestration-write\",",
	    SCOPE_READ | SCOPE_WRITE },
	{ "another claim", "\"groups\":[\"api:orchestration-read\"],", 0 },
};

static void
reads_scopes_exactly(void)
{
	struct key_set *set = make_set(BOTH);
	struct buffer token = { 0 };
	size_t i;

	for (i = 0; i < sizeof scope_rows / sizeof scope_rows[0]; i++) {
		struct http_caller caller = { 0 };
		char claims[400];

		snprintf(claims, sizeof claims,
		    "{" EXP ISS AUD SUBJECT "%s\"x\":1}", scope_rows[i].claim);
		sign(rsa, RS, claims, &token);
		CHECK_ROW(scope_rows[i].name,
		    jwt_check(&rules, set, buffer_text(&token), NOW_MS,
			&caller) == JWT_OK);
		CHECK_ROW(
		    scope_rows[i].name, caller.scopes == scope_rows[i].scopes);
		CHECK(caller.expires_ms == INT64_C(1700000100000));
		CHECK(text_equal(http_caller_user(&caller), TEXT(SUB)));
	}
	buffer_finish(&token);
	key_set_destroy(set);
}

static const struct {
	const char *claim, *more, *user; /* NULL: refused */
} user_rows[] = {
	{ "sub", "", SUB },
	{ "oid", "\"oid\":\"F05F8DA4-b84c-4FCA-9C77-8AF0B13D11DE\",", SUB },
	{ "oid", "\"oid\":\"auth0|5f7c8ec7c33c6c00\",",
	    "2966673b-ae01-51d6-a421-8cace0db6e4a" },
	{ "id", "\"id\":1234567,", "8c8fa4aa-c212-5c9a-8a79-fd0b3ce6d666" },
	{ "id", "\"id\":\"1234567\",", "8c8fa4aa-c212-5c9a-8a79-fd0b3ce6d666" },
	{ "a.b.c", "\"a\":1,\"a.b\":{\"c\":\"" SUB "\"},", SUB },
	{ "a.b", "\"a\":{\"b\":\"" SUB "\"},\"ab\":1,", SUB },
	{ "a.b", "\"a\":{\"c\":\"" SUB "\"},\"b\":\"" SUB "\",", NULL },
	{ "a.b", "\"a.b\":\"\",", NULL },
	{ "a.b", "\"a\":{\"b\":\"x\"},\"a.b\":\"" SUB "\",", SUB },
	{ "oid", "", NULL },
};

static void
names_the_caller(void)
{
	struct key_set *set = make_set(BOTH);
	struct buffer token = { 0 };
	struct jwt_rules own = rules;
	size_t i;

	for (i = 0; i < sizeof user_rows / sizeof user_rows[0]; i++) {
		const char *user = user_rows[i].user;
		struct http_caller caller = { 0 };
		char claims[400];

		own.user_claim = user_rows[i].claim;
		snprintf(claims, sizeof claims,
		    "{" EXP ISS AUD SUBJECT "%s\"x\":1}", user_rows[i].more);
		sign(rsa, RS, claims, &token);
		CHECK_ROW(claims,
		    jwt_check(&own, set, buffer_text(&token), NOW_MS,
			&caller) == (user != NULL ? JWT_OK : JWT_SUBJECT));
		CHECK_ROW(claims,
		    text_equal(http_caller_user(&caller), text_from(user)));
	}
	buffer_finish(&token);
	key_set_destroy(set);
}

static void
refuses_what_is_no_token(void)
{
	static const char *const tokens[] = { "", ".", "..", "...", "a", "a.b",
		"a.b.c", "a.b.c.d", "a.b.c.d.e", "!.!.!" };
	struct key_set *set = make_set(BOTH);
	struct http_caller caller;
	size_t i;

	for (i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
		CHECK_ROW(tokens[i],
		    jwt_check(&rules, set, text_from(tokens[i]), NOW_MS,
			&caller) == JWT_MALFORMED);
	key_set_destroy(set);
}

CU_TestInfo jwt_tests[] = {
	{ "reads key sets", reads_key_sets },
	{ "judges each claim", judges_each_claim },
	{ "refuses each change", refuses_each_change },
	{ "refuses degenerate pairs", refuses_degenerate_pairs },
	{ "chooses a single key", chooses_a_single_key },
	{ "reads scopes exactly", reads_scopes_exactly },
	{ "names the caller", names_the_caller },
	{ "refuses what is no token", refuses_what_is_no_token },
	CU_TEST_INFO_NULL,
};
