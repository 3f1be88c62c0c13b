#ifndef SCHEDRUN_PRODUCER_AUTH_REFUSAL_H
#define SCHEDRUN_PRODUCER_AUTH_REFUSAL_H

#include "producer/auth/auth.h"
#include "producer/base/error.h"

/*
 * What a caller is told whose token doesn't do (docs/http.md, sections 5 and 6;
 * RFC 6750, section 3).  Pure.
 */
struct auth_refusal {
	enum api_error error;
	const char *description; /* may be NULL */
	struct api_parameter parameters[3];
	char challenge[120]; /* of WWW-Authenticate; "": none is owed */
	const char *reason;  /* that is counted; NULL: it is not the token's */
};

/*
 * Of a check that ended otherwise than well and needn't wait; `reason` is its
 * literal with VERDICT_REFUSED.
 */
void auth_refuse_token(struct auth_refusal *refusal, enum http_verdict verdict,
    const char *reason);

/* Of a good token without the one scope that is needed. */
void auth_refuse_scope(struct auth_refusal *refusal, enum http_scope scope);

#endif
