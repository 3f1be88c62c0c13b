#include "producer/auth/auth.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/crypto/digest.h"
#include "producer/auth/origins.h"
#include "producer/auth/token_file.h"

struct http_auth {
	/* One of them; neither: everybody may do everything. */
	struct jwt_auth *jwt;
	struct token_file *tokens;
	unsigned edition; /* of the tokens */
};

/* Whether an address to listen on, "host:port", is this machine's own. */
static bool
is_loopback(const char *address)
{
	const char *colon = strrchr(address, ':');
	size_t size = colon != NULL ? (size_t)(colon - address) : 0;
	unsigned char ip[4];
	char host[64];

	if (size == 0 || size >= sizeof host)
		return false;
	memcpy(host, address, size);
	host[size] = '\0';
	if (inet_pton(AF_INET, host, ip) == 1)
		return ip[0] == 127;
	return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	    strcmp(host, "::1") == 0;
}

static int
check_none(const struct config *config, struct error *err)
{
	const char *listen = config_text(config, "http.listen");

	if (is_loopback(listen))
		return 0;
	return error_fatal(err, 78,
	    "http.auth=none lets everybody in and so serves loopback "
	    "only, not %s; set http.auth=jwt or token-file",
	    listen);
}

/* NULL: ERROR_FATAL. */
static struct token_file *
open_tokens(const struct config *config, struct error *err)
{
	const char *path = config_text(config, "http.token.file");

	if (path != NULL && path[0] != '\0')
		return token_file_create(
		    path, config_switch(config, "strict"), err);
	error_fatal(err, 78,
	    "http.auth=token-file needs http.token.file, a file with a "
	    "line per token: TOKEN USER-UUID SCOPE…");
	return NULL;
}

int
http_auth_check_settings(const struct config *config, struct error *err)
{
	const char *mode = config_text(config, "http.auth");
	const char *path = config_text(config, "http.token.file");
	struct token_file *tokens;

	if (strcmp(mode, "jwt") == 0)
		return jwt_auth_check_settings(config, err) != 0
		    ? -1
		    : jwt_auth_check_keys(config, err);
	if (strcmp(mode, "none") == 0)
		return check_none(config, err);
	if (path != NULL && config_is_loaded_later(path))
		return 0;
	tokens = open_tokens(config, err);
	token_file_destroy(tokens);
	return tokens != NULL ? 0 : -1;
}

struct http_auth *
http_auth_create(const struct config *config, struct loop *loop,
    struct health_check *check, struct error *err)
{
	const char *mode = config_text(config, "http.auth");
	struct http_auth *auth;
	int rc;

	if (origins_check(config_text(config, "http.cors.origins"), err) != 0)
		return NULL;
	auth = memory_zalloc(1, sizeof *auth);
	if (strcmp(mode, "jwt") == 0) {
		auth->jwt = jwt_auth_create(config, loop, check, err);
		rc = auth->jwt != NULL ? 0 : -1;
	} else if (strcmp(mode, "none") == 0) {
		rc = check_none(config, err);
		if (rc == 0)
			log_event(LOG_WARN, "http", "auth_off",
			    "http.auth=none: everybody on this machine may do "
			    "everything",
			    LOG_S(
				"address", config_text(config, "http.listen")),
			    LOG_END);
		health_ok(check);
	} else {
		auth->tokens = open_tokens(config, err);
		rc = auth->tokens != NULL ? 0 : -1;
		health_ok(check);
	}
	if (rc == 0)
		return auth;
	http_auth_destroy(auth);
	return NULL;
}

void
http_auth_stop(struct http_auth *auth)
{
	if (auth != NULL && auth->jwt != NULL)
		jwt_auth_stop(auth->jwt);
}

void
http_auth_destroy(struct http_auth *auth)
{
	if (auth == NULL)
		return;
	jwt_auth_destroy(auth->jwt);
	token_file_destroy(auth->tokens);
	free(auth);
}

void
http_auth_reload(struct http_auth *auth)
{
	struct error err;

	if (auth->jwt != NULL)
		jwt_auth_reload(auth->jwt);
	if (auth->tokens == NULL)
		return;
	if (token_file_reload(auth->tokens, &err) != 0)
		log_event(LOG_ERROR, "http", "tokens_not_reloaded", err.message,
		    LOG_END);
	else {
		auth->edition++;
		log_event(LOG_INFO, "http", "tokens_reloaded",
		    "the tokens were read again", LOG_END);
	}
}

/* RFC 6750, section 2.1: the one credential, after a case-blind scheme. */
static enum http_verdict
find_token(
    const struct http_head *head, struct text *token, const char **reason)
{
	size_t n = http_head_count(head, "authorization");
	struct text value = http_head_get(head, "authorization");
	size_t i;

	if (n > 1)
		return VERDICT_MALFORMED;
	if (n == 0 || value.size < 7 ||
	    strncasecmp(value.at, "Bearer ", 7) != 0)
		return VERDICT_MISSING;
	for (i = 7; i < value.size && value.at[i] == ' '; i++)
		;
	*token = (struct text){ value.at + i, value.size - i };
	if (token->size == 0)
		return VERDICT_MISSING;
	if (text_is_visible(*token))
		return VERDICT_OK;
	*reason = "MALFORMED";
	return VERDICT_REFUSED;
}

static enum http_verdict
check_jwt(struct http_auth *auth, struct text token, struct http_caller *caller,
    struct jwt_wait *wait, const char **reason)
{
	enum jwt_verdict verdict;

	switch (jwt_auth_check(auth->jwt, token, caller, wait, &verdict)) {
	case JWT_WAITS:
		return VERDICT_WAIT;
	case JWT_NO_SET:
		return VERDICT_NO_KEYS;
	case JWT_STALE:
		return VERDICT_STALE;
	case JWT_DONE:
		break;
	}
	if (verdict == JWT_OK)
		return VERDICT_OK;
	*reason = jwt_reason(verdict);
	return VERDICT_REFUSED;
}

enum http_verdict
http_auth_check(struct http_auth *auth, const struct http_head *head,
    struct http_caller *caller, struct jwt_wait *wait, const char **reason)
{
	struct text token;
	enum http_verdict verdict;

	memset(caller, 0, sizeof *caller);
	if (auth->jwt == NULL && auth->tokens == NULL) {
		caller->scopes = SCOPE_READ | SCOPE_WRITE;
		caller->expires_ms = INT64_MAX;
		return VERDICT_OK;
	}
	verdict = find_token(head, &token, reason);
	if (verdict != VERDICT_OK)
		return verdict;
	sha256(token, caller->key);
	if (auth->jwt != NULL)
		return check_jwt(auth, token, caller, wait, reason);
	*reason = "UNKNOWN_TOKEN";
	caller->edition = auth->edition;
	return token_file_find(auth->tokens, caller) ? VERDICT_OK
						     : VERDICT_REFUSED;
}

const char *
http_auth_recheck(const struct http_auth *auth, struct http_caller *caller)
{
	struct http_caller now = *caller;

	/* The token is not kept, so who was judged by other keys shows it anew.
	 */
	if (auth->jwt != NULL)
		return jwt_auth_edition(auth->jwt) == caller->edition
		    ? NULL
		    : "KEYS_CHANGED";
	if (auth->tokens == NULL || auth->edition == caller->edition)
		return NULL;
	if (!token_file_find(auth->tokens, &now) ||
	    now.scopes != caller->scopes ||
	    memcmp(now.user, caller->user, sizeof now.user) != 0)
		return "TOKEN_REVOKED";
	caller->edition = auth->edition;
	return NULL;
}
