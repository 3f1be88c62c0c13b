#ifndef SCHEDRUN_PRODUCER_AUTH_CALLER_H
#define SCHEDRUN_PRODUCER_AUTH_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/text.h"
#include "common/crypto/rid.h"

/*
 * Who calls and what for: what a bearer token stands for (docs/http.md, section
 * 6).  Pure.
 */
enum http_scope { SCOPE_NONE = 0, SCOPE_READ = 1, SCOPE_WRITE = 2 };

struct http_caller {
	bool known; /* false with http.auth=none: nobody's rights are checked */
	char user[UUID_TEXT_SIZE];
	unsigned scopes;       /* of enum http_scope */
	int64_t expires_ms;    /* wall; INT64_MAX: never */
	unsigned char key[32]; /* SHA-256 of the token */
	unsigned edition;      /* of the tokens or keys that it was judged by */
};

/* The user's UUID; none if there is no known caller. */
struct text http_caller_user(const struct http_caller *caller);

/*
 * Makes him known as the user of a token's subject: a UUID of either case, or
 * another text by rid_user.
 */
void http_caller_name(struct http_caller *caller, struct text subject);

/* "api:orchestration-read" of one scope. */
const char *http_scope_name(enum http_scope scope);

/* The scope of exactly this name; 0 if it is none of ours. */
unsigned http_scope_parse(struct text name);

#endif
