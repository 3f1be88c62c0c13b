#ifndef SCHEDRUN_PRODUCER_HTTP_AUTH_H
#define SCHEDRUN_PRODUCER_HTTP_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/http_head.h"
#include "common/rid.h"
#include "common/text.h"

/*
 * Who asks, and what for: a bearer token becomes a user and scopes (HTTP
 * contract, section 6).  On the loop's thread; a check never blocks.
 */
enum http_scope { SCOPE_NONE = 0, SCOPE_READ = 1, SCOPE_WRITE = 2 };

struct http_caller {
	bool known; /* false with http.auth=none: nobody's rights are checked */
	char user[UUID_TEXT_SIZE];
	unsigned scopes;       /* of enum http_scope */
	int64_t expires_ms;    /* wall; INT64_MAX: never */
	unsigned char key[32]; /* SHA-256 of the token: for limits per caller */
};

/* The user's UUID; none if there is no known caller. */
struct text http_caller_user(const struct http_caller *caller);

enum http_verdict {
	VERDICT_OK,
	VERDICT_MISSING,   /* 401 MissingCredentials */
	VERDICT_REFUSED,   /* 401 Default:Unauthorized with `reason` */
	VERDICT_MALFORMED, /* 400: two Authorization headers */
};

struct http_auth;

enum http_auth_mode { AUTH_NONE, AUTH_TOKENS, AUTH_JWT };

/* With mode none: everything is allowed.  `listen` must then be loopback. */
struct http_auth *http_auth_create_none(const char *listen, struct error *err);

/*
 * Tokens of a file, a line each: TOKEN USER-UUID SCOPE…; `#` begins a comment
 * line.  Reads it now; NULL: ERROR_FATAL (78) naming file and line, never a
 * token.
 */
struct http_auth *http_auth_create_tokens(const char *file, struct error *err);
void http_auth_destroy(struct http_auth *auth); /* NULL is fine */

/* Reads files again (SIGHUP).  On an error what was valid stays valid. */
int http_auth_reload(struct http_auth *auth, struct error *err);

/*
 * Judges a request.  `*reason` is a literal of the contract's list (MALFORMED,
 * TOO_LONG, SIGNATURE …) with VERDICT_REFUSED.
 */
enum http_verdict http_auth_check(struct http_auth *auth,
    const struct http_head *head, struct http_caller *caller,
    const char **reason);

/* "api:orchestration-read" of one scope. */
const char *http_scope_name(enum http_scope scope);

/*
 * The scopes that a blank-separated list names, others ignored; for token files
 * and claims.
 */
unsigned http_scopes_parse(struct text list);

#endif
