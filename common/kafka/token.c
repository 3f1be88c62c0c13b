#include "common/kafka/token.h"

#include <string.h>
#include <strings.h>

#include "common/http/fetch.h"
#include "common/json/node.h"

#define METHOD "sasl.oauthbearer.method"
#define GRANT "sasl.oauthbearer.grant.type"
#define CLIENT_CREDENTIALS "client_credentials"
#define ENDPOINT "sasl.oauthbearer.token.endpoint.url"
#define CLIENT_ID "sasl.oauthbearer.client.id"
#define CLIENT_SECRET "sasl.oauthbearer.client.secret"
#define SCOPE "sasl.oauthbearer.scope"
#define EXTENSIONS "sasl.oauthbearer.extensions"
#define AUTHORITY "https.ca.location"

#define DEPTH_MAX 8
/* Of a token whose life isn't told, and at most: the broker judges. */
#define LIFETIME_UNKNOWN_MS ((int64_t)300 * 1000)
#define LIFETIME_MAX_S ((int64_t)365 * 24 * 3600)

static const char *
value_of(const struct config_property *properties, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(properties[i].name, name) == 0)
			return properties[i].value;
	return NULL;
}

static bool
is_ours(const struct config_property *properties, size_t n)
{
	const char *method = value_of(properties, n, METHOD);
	const char *grant = value_of(properties, n, GRANT);

	return method != NULL && strcasecmp(method, "oidc") == 0 &&
	    (grant == NULL || strcasecmp(grant, CLIENT_CREDENTIALS) == 0);
}

static int
check_oauth(const struct kafka_oauth *oauth, struct error *err)
{
	const char *missing = oauth->endpoint == NULL ? ENDPOINT
	    : oauth->client_id == NULL                ? CLIENT_ID
	    : oauth->client_secret == NULL            ? CLIENT_SECRET
						      : NULL;

	if (missing != NULL)
		return error_fatal(err, 78, "kafka property %s=oidc needs %s",
		    METHOD, missing);
	if (strchr(oauth->client_id, ':') != NULL)
		return error_fatal(err, 78,
		    "kafka property %s: no colon can be in it", CLIENT_ID);
	if (fetch_check_url(oauth->endpoint, err) != 0) {
		error_prefix(err, "kafka property %s", ENDPOINT);
		return -1;
	}
	return 0;
}

int
kafka_oauth_take(struct kafka_oauth *oauth, struct config_property *properties,
    size_t n, struct error *err)
{
	static const char *const taken[] = { METHOD, GRANT, ENDPOINT, CLIENT_ID,
		CLIENT_SECRET, SCOPE, EXTENSIONS, AUTHORITY };
	const size_t n_taken = sizeof taken / sizeof taken[0];
	size_t left = 0;
	size_t i, k;

	if (!is_ours(properties, n))
		return (int)n;
	oauth->endpoint = value_of(properties, n, ENDPOINT);
	oauth->client_id = value_of(properties, n, CLIENT_ID);
	oauth->client_secret = value_of(properties, n, CLIENT_SECRET);
	oauth->scope = value_of(properties, n, SCOPE);
	oauth->extensions = value_of(properties, n, EXTENSIONS);
	oauth->authority = value_of(properties, n, AUTHORITY);
	for (i = 0; i < n; i++) {
		for (k = 0; k < n_taken; k++)
			if (strcmp(properties[i].name, taken[k]) == 0)
				break;
		if (k == n_taken)
			properties[left++] = properties[i];
	}
	return check_oauth(oauth, err) == 0 ? (int)left : -1;
}

/* An endpoint's answer ---------------------------------------------------- */

/* As much of an issuer's word as can be shown. */
static int
refuse_answer(long status, const struct json *answer, struct error *err)
{
	struct text word = json_text(json_get(answer, "error"));
	char shown[64];
	size_t n = 0;

	for (; n < word.size && n + 1 < sizeof shown; n++)
		shown[n] =
		    (char)(word.at[n] > 0x20 && word.at[n] < 0x7f ? word.at[n]
								  : '?');
	shown[n] = '\0';
	if (status == 400 || status == 401 || status == 403)
		return error_fatal(err, 77,
		    "the token endpoint refuses the client: %s (HTTP %ld)",
		    n > 0 ? shown : "no reason given", status);
	return error_set(
	    err, ERROR_RETRY, "the token endpoint answers HTTP %ld", status);
}

/* RFC 6750's b64token has less; what would end SASL's message is not in it. */
static bool
is_visible(struct text text)
{
	size_t i;

	for (i = 0; i < text.size; i++)
		if (text.at[i] <= 0x20 || text.at[i] >= 0x7f)
			return false;
	return text.size > 0;
}

static char *
copy_text(struct arena *arena, struct text text)
{
	char *made = arena_alloc(arena, text.size + 1);

	memcpy(made, text.at, text.size);
	made[text.size] = '\0';
	return made;
}

static int
take_token(const struct json *answer, struct arena *arena,
    struct kafka_token *token, struct error *err)
{
	const struct json *expires = json_get(answer, "expires_in");
	struct text value = json_text(json_get(answer, "access_token"));
	int64_t seconds = json_int(expires);

	if (!is_visible(value))
		return error_set(err, ERROR_RETRY,
		    "the token endpoint's answer has no access_token");
	if (expires != NULL && (seconds <= 0 || seconds > LIFETIME_MAX_S))
		return error_set(err, ERROR_RETRY,
		    "the token endpoint's answer has an expires_in that is no "
		    "number of seconds");
	token->value = copy_text(arena, value);
	token->lifetime_ms =
	    expires != NULL ? seconds * 1000 : LIFETIME_UNKNOWN_MS;
	return 0;
}

int
kafka_token_read(long status, struct text answer, struct arena *arena,
    struct kafka_token *token, struct error *err)
{
	struct json_document *document = json_parse(answer, DEPTH_MAX, NULL);
	const struct json *root = document != NULL ? json_root(document) : NULL;
	int rc = status == 200 ? take_token(root, arena, token, err)
			       : refuse_answer(status, root, err);

	json_destroy(document);
	return rc;
}

size_t
kafka_token_extensions(
    const char *list, struct arena *arena, const char **out, size_t max)
{
	struct text rest = text_from(list != NULL ? list : ""), pair;
	size_t n = 0;

	while (n + 2 <= max && text_take_word(&rest, ", ", &pair)) {
		char *name = copy_text(arena, pair);
		char *equals = strchr(name, '=');

		if (equals == NULL)
			continue;
		*equals = '\0';
		out[n++] = name;
		out[n++] = equals + 1;
	}
	return n;
}
