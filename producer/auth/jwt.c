#include "producer/auth/jwt.h"

#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/crypto/digest.h"
#include "common/json/node.h"

#define DEPTH_MAX 32

static const struct {
	const char *name;
	bool rsa;
} algorithms[] = {
	{ "RS256", true },
	{ "ES256", false },
};

const char *
jwt_reason(enum jwt_verdict verdict)
{
	static const char *const reasons[] = {
		[JWT_OK] = "OK",
		[JWT_MALFORMED] = "MALFORMED",
		[JWT_ALGORITHM] = "ALGORITHM",
		[JWT_CRIT] = "CRIT",
		[JWT_UNKNOWN_KEY] = "UNKNOWN_KEY",
		[JWT_SIGNATURE] = "SIGNATURE",
		[JWT_NO_EXPIRY] = "NO_EXPIRY",
		[JWT_EXPIRED] = "EXPIRED",
		[JWT_NOT_YET_VALID] = "NOT_YET_VALID",
		[JWT_ISSUER] = "ISSUER",
		[JWT_AUDIENCE] = "AUDIENCE",
		[JWT_SUBJECT] = "SUBJECT",
	};

	return reasons[verdict];
}

/* A token's three parts as they stand, and what they say. */
struct jwt {
	struct text header, claims, signature; /* base64url */
	struct text message;                   /* what was signed */
	struct buffer bytes;                   /* of the signature */
	struct json_document *header_json, *claims_json;
	bool rsa;
	struct text kid; /* none: it has none */
};

static bool
split_token(struct text token, struct jwt *jwt)
{
	const char *end = token.at + token.size, *first, *second;

	first = memchr(token.at, '.', token.size);
	if (first == NULL)
		return false;
	second = memchr(first + 1, '.', (size_t)(end - first - 1));
	if (second == NULL)
		return false;
	jwt->header = (struct text){ token.at, (size_t)(first - token.at) };
	jwt->claims = (struct text){ first + 1, (size_t)(second - first - 1) };
	jwt->signature =
	    (struct text){ second + 1, (size_t)(end - second - 1) };
	jwt->message = (struct text){ token.at, (size_t)(second - token.at) };
	return memchr(second + 1, '.', jwt->signature.size) == NULL;
}

/* The object that a part says; NULL if it says none. */
static struct json_document *
read_object(struct text part)
{
	struct buffer bytes = { 0 };
	struct json_document *document = NULL;

	if (base64url_read(part, &bytes))
		document = json_parse(buffer_text(&bytes), DEPTH_MAX, NULL);
	buffer_finish(&bytes);
	if (document == NULL ||
	    json_type_of(json_root(document)) == JSON_TYPE_OBJECT)
		return document;
	json_destroy(document);
	return NULL;
}

static bool
is_string(const struct json *node)
{
	return node != NULL && json_type_of(node) == JSON_TYPE_STRING;
}

static bool
find_algorithm(const struct json *name, bool *rsa)
{
	size_t i;

	for (i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
		if (!is_string(name) ||
		    !text_equal(json_text(name), text_from(algorithms[i].name)))
			continue;
		*rsa = algorithms[i].rsa;
		return true;
	}
	return false;
}

/* Everything that can be refused before a key is touched. */
static enum jwt_verdict
read_header(struct jwt *jwt)
{
	const struct json *header, *kid;

	jwt->header_json = read_object(jwt->header);
	if (jwt->header_json == NULL)
		return JWT_MALFORMED;
	header = json_root(jwt->header_json);
	if (!find_algorithm(json_get(header, "alg"), &jwt->rsa))
		return JWT_ALGORITHM;
	if (json_get(header, "crit") != NULL)
		return JWT_CRIT;
	kid = json_get(header, "kid");
	jwt->kid = json_word(kid);
	if (jwt->kid.at == NULL && json_type_of(kid) != JSON_TYPE_NULL &&
	    !is_string(kid))
		return JWT_MALFORMED;
	if (!base64url_read(jwt->signature, &jwt->bytes))
		return JWT_MALFORMED;
	jwt->claims_json = read_object(jwt->claims);
	return jwt->claims_json != NULL ? JWT_OK : JWT_MALFORMED;
}

static enum jwt_verdict
check_signature(const struct jwt *jwt, const struct key_set *keys)
{
	static const enum jwt_verdict verdicts[] = {
		[KID_UNKNOWN] = JWT_UNKNOWN_KEY,
		[KID_UNFIT] = JWT_ALGORITHM,
		[KID_KNOWN] = JWT_SIGNATURE,
	};
	struct key_match match = { 0 };
	size_t i;

	if (keys != NULL)
		match = key_set_find(keys, jwt->kid, jwt->rsa);
	for (i = 0; i < match.n; i++)
		if (public_key_verify(
			match.keys[i], jwt->message, buffer_text(&jwt->bytes)))
			return JWT_OK;
	return verdicts[match.kid];
}

/* A NumericDate in milliseconds, kept within what clocks know. */
static bool
read_date(const struct json *node, int64_t *ms)
{
	double seconds;

	if (node == NULL ||
	    (json_type_of(node) != JSON_TYPE_INTEGER &&
		json_type_of(node) != JSON_TYPE_NUMBER))
		return false;
	seconds = json_number(node);
	if (seconds < 0)
		*ms = 0;
	else if (seconds * 1000 > (double)CLOCK_MAX_MS)
		*ms = CLOCK_MAX_MS;
	else
		*ms = (int64_t)(seconds * 1000);
	return true;
}

static enum jwt_verdict
check_times(const struct jwt_rules *rules, const struct json *claims,
    int64_t now_ms, int64_t *expires_ms)
{
	const struct json *not_before = json_get(claims, "nbf");
	int64_t from_ms = 0;

	if (!read_date(json_get(claims, "exp"), expires_ms))
		return JWT_NO_EXPIRY;
	if (json_type_of(not_before) != JSON_TYPE_NULL &&
	    !read_date(not_before, &from_ms))
		return JWT_MALFORMED;
	if (now_ms >= *expires_ms + rules->leeway_ms)
		return JWT_EXPIRED;
	if (now_ms + rules->leeway_ms < from_ms)
		return JWT_NOT_YET_VALID;
	return JWT_OK;
}

static bool
says_type(const struct json *node, const char *value)
{
	return is_string(node) && text_equal(json_text(node), text_from(value));
}

static bool
is_for(const struct json *audience, const char *ours)
{
	size_t i;

	if (audience == NULL || json_type_of(audience) != JSON_TYPE_ARRAY)
		return says_type(audience, ours);
	for (i = 0; i < json_size(audience); i++)
		if (says_type(json_at(audience, i), ours))
			return true;
	return false;
}

/* By its own name, or by the names that lead to it, with dots between. */
static const struct json *
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the token's JSON */
find_claim(const struct json *object, struct text name)
{
	const struct json *found = NULL;
	struct json_member member = { 0 };

	while (json_next(object, &member))
		if (text_equal(member.name, name))
			return member.value;
	member = (struct json_member){ 0 };
	while (found == NULL && json_next(object, &member)) {
		size_t n = member.name.size;

		if (text_starts_with(name, member.name) && name.at[n] == '.')
			found = find_claim(member.value,
			    (struct text){
				name.at + n + 1, name.size - n - 1 });
	}
	return found;
}

/* Scopes by blanks, and by nothing else (RFC 6749, section 3.3). */
static unsigned
scopes_of_list(struct text list)
{
	unsigned scopes = SCOPE_NONE;
	struct text word;

	while (text_take_word(&list, " ", &word))
		scopes |= http_scope_parse(word);
	return scopes;
}

/* A claim is such a list, or an array of them. */
static unsigned
scopes_of_claims(const struct json *claims, struct text names)
{
	unsigned scopes = SCOPE_NONE;
	struct text name;
	size_t i;

	while (text_take_word(&names, ", ", &name)) {
		const struct json *claim = find_claim(claims, name);

		scopes |= scopes_of_list(json_text(claim));
		for (i = 0; i < json_size(claim); i++)
			scopes |= scopes_of_list(json_text(json_at(claim, i)));
	}
	return scopes;
}

static enum jwt_verdict
check_claims(const struct jwt_rules *rules, const struct json *claims,
    int64_t now_ms, struct http_caller *caller)
{
	struct text subject =
	    json_word(find_claim(claims, text_from(rules->user_claim)));
	enum jwt_verdict verdict =
	    check_times(rules, claims, now_ms, &caller->expires_ms);

	if (verdict != JWT_OK)
		return verdict;
	if (!says_type(json_get(claims, "iss"), rules->issuer))
		return JWT_ISSUER;
	if (!is_for(json_get(claims, "aud"), rules->audience))
		return JWT_AUDIENCE;
	if (subject.at == NULL)
		return JWT_SUBJECT;
	http_caller_name(caller, subject);
	caller->scopes =
	    scopes_of_claims(claims, text_from(rules->scope_claims));
	return JWT_OK;
}

enum jwt_verdict
jwt_check(const struct jwt_rules *rules, const struct key_set *keys,
    struct text token, int64_t now_ms, struct http_caller *caller)
{
	struct jwt jwt = { 0 };
	enum jwt_verdict verdict = JWT_MALFORMED;

	if (split_token(token, &jwt))
		verdict = read_header(&jwt);
	if (verdict == JWT_OK)
		verdict = check_signature(&jwt, keys);
	if (verdict == JWT_OK)
		verdict = check_claims(
		    rules, json_root(jwt.claims_json), now_ms, caller);
	json_destroy(jwt.header_json);
	json_destroy(jwt.claims_json);
	buffer_finish(&jwt.bytes);
	return verdict;
}
