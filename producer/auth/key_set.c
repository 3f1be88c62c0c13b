#include "producer/auth/key_set.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/crypto/digest.h"
#include "common/json/node.h"

#define DEPTH_MAX 32
#define KEYS_MAX 1000

struct key {
	struct public_key *key;
	char *kid_bytes;
	struct text kid; /* of these; none: it has none */
};

struct key_set {
	struct key *keys;
	size_t n;
	const char *passed_over;
};

static struct text
member(const struct json *object, const char *name)
{
	return json_text(json_get(object, name));
}

/* A member that may be missing, but if it is there must say this. */
static bool
allows(const struct json *jwk, const char *name, const char *value)
{
	const struct json *node = json_get(jwk, name);

	return json_type_of(node) == JSON_TYPE_NULL ||
	    text_equal(json_text(node), text_from(value));
}

static bool
may_verify(const struct json *jwk)
{
	const struct json *uses = json_get(jwk, "key_ops");
	size_t i;

	for (i = 0; i < json_size(uses); i++)
		if (text_equal(json_text(json_at(uses, i)), TEXT("verify")))
			return true;
	return allows(jwk, "key_ops", "verify");
}

/* The two numbers that make a key, decoded. */
struct numbers {
	struct buffer first, second;
};

static bool
read_numbers(const struct json *jwk, const char *first, const char *second,
    struct numbers *numbers)
{
	struct text a = member(jwk, first), b = member(jwk, second);

	return a.size > 0 && b.size > 0 && base64_read(a, &numbers->first) &&
	    base64_read(b, &numbers->second);
}

static struct public_key *
make_rsa(const struct json *jwk, struct numbers *numbers, const char **reason)
{
	if (!allows(jwk, "alg", "RS256")) {
		*reason = "an RSA key for another alg than RS256";
		return NULL;
	}
	if (!read_numbers(jwk, "n", "e", numbers)) {
		*reason = "n and e must be base64";
		return NULL;
	}
	return public_key_rsa(buffer_text(&numbers->first),
	    buffer_text(&numbers->second), reason);
}

static struct public_key *
make_p256(const struct json *jwk, struct numbers *numbers, const char **reason)
{
	if (!allows(jwk, "alg", "ES256") ||
	    !text_equal(member(jwk, "crv"), TEXT("P-256"))) {
		*reason = "an EC key for another alg than ES256 or crv than "
			  "P-256";
		return NULL;
	}
	if (!read_numbers(jwk, "x", "y", numbers)) {
		*reason = "x and y must be base64";
		return NULL;
	}
	return public_key_p256(buffer_text(&numbers->first),
	    buffer_text(&numbers->second), reason);
}

static const struct {
	const char *kty;
	struct public_key *(*make)(const struct json *jwk,
	    struct numbers *numbers, const char **reason);
} types[] = {
	{ "RSA", make_rsa },
	{ "EC", make_p256 },
};

static struct public_key *
make_key(const struct json *jwk, const char **reason)
{
	struct numbers numbers = { 0 };
	struct public_key *key = NULL;
	size_t i;

	*reason = "kty is neither RSA nor EC";
	if (json_type_of(jwk) != JSON_TYPE_OBJECT) {
		*reason = "not an object";
		return NULL;
	}
	if (!allows(jwk, "use", "sig") || !may_verify(jwk)) {
		*reason = "not for signatures (use, key_ops)";
		return NULL;
	}
	for (i = 0; i < sizeof types / sizeof types[0]; i++)
		if (text_equal(member(jwk, "kty"), text_from(types[i].kty)))
			key = types[i].make(jwk, &numbers, reason);
	buffer_finish(&numbers.first);
	buffer_finish(&numbers.second);
	return key;
}

static void
add_key(struct key_set *set, const struct json *jwk)
{
	const char *reason;
	struct public_key *made = make_key(jwk, &reason);
	struct text kid;
	struct key *key;

	if (made == NULL) {
		if (set->passed_over == NULL)
			set->passed_over = reason;
		return;
	}
	key = &set->keys[set->n++];
	key->key = made;
	kid = json_word(json_get(jwk, "kid"));
	if (kid.at != NULL) {
		key->kid_bytes = memory_alloc(kid.size);
		memcpy(key->kid_bytes, kid.at, kid.size);
		key->kid = (struct text){ key->kid_bytes, kid.size };
	}
}

static struct key_set *
read_set(const struct json *root, struct error *err)
{
	const struct json *keys = json_type_of(root) == JSON_TYPE_OBJECT
	    ? json_get(root, "keys")
	    : NULL;
	struct key_set *set;
	size_t i;

	if (keys == NULL || json_type_of(keys) != JSON_TYPE_ARRAY) {
		error_set(err, ERROR_INPUT,
		    "not a key set: an object with an array \"keys\" is "
		    "expected");
		return NULL;
	}
	if (json_size(keys) > KEYS_MAX) {
		error_set(err, ERROR_INPUT, "more than %d keys", KEYS_MAX);
		return NULL;
	}
	set = memory_zalloc(1, sizeof *set);
	set->keys = memory_zalloc(json_size(keys) + 1, sizeof *set->keys);
	for (i = 0; i < json_size(keys); i++)
		add_key(set, json_at(keys, i));
	return set;
}

struct key_set *
key_set_parse(struct text json, struct error *err)
{
	struct json_document *document = json_parse(json, DEPTH_MAX, err);
	struct key_set *set;

	if (document == NULL)
		return NULL;
	set = read_set(json_root(document), err);
	json_destroy(document);
	if (set == NULL || set->n > 0)
		return set;
	error_set(err, ERROR_INPUT,
	    "no key in it can be used (%s); RSA from 2048 bits or EC P-256 "
	    "for signatures is wanted",
	    set->passed_over != NULL ? set->passed_over : "it is empty");
	key_set_destroy(set);
	return NULL;
}

void
key_set_destroy(struct key_set *set)
{
	size_t i;

	if (set == NULL)
		return;
	for (i = 0; i < set->n; i++) {
		public_key_destroy(set->keys[i].key);
		free(set->keys[i].kid_bytes);
	}
	free(set->keys);
	free(set);
}

size_t
key_set_size(const struct key_set *set)
{
	return set->n;
}

const char *
key_set_passed_over(const struct key_set *set)
{
	return set->passed_over;
}

/*
 * Adds keys that fit the algorithm: those of exactly this id, or else those
 * that may be meant as well, because either side names none.
 */
static void
match_keys(const struct key_set *set, struct text kid, bool exactly,
    struct key_match *match)
{
	size_t i;

	for (i = 0; i < set->n && match->n < KEYS_TRIED_MAX; i++) {
		const struct key *key = &set->keys[i];
		bool named = key->kid.at != NULL && kid.at != NULL;

		if (named != exactly || (exactly && !text_equal(key->kid, kid)))
			continue;
		if (public_key_is_rsa(key->key) == match->rsa)
			match->keys[match->n++] = key->key;
		else if (exactly)
			match->kid = KID_UNFIT;
	}
}

struct key_match
key_set_find(const struct key_set *set, struct text kid, bool rsa)
{
	struct key_match match = { .rsa = rsa };

	match_keys(set, kid, true, &match);
	if (match.n > 0)
		match.kid = KID_KNOWN;
	match_keys(set, kid, false, &match);
	return match;
}
