#include "producer/auth/refusal.h"

#include <stdio.h>

#define REALM "Bearer realm=\"schedrun\""

void
auth_refuse_token(
    struct auth_refusal *refusal, enum http_verdict verdict, const char *reason)
{
	*refusal = (struct auth_refusal){ .error = API_UNAVAILABLE };
	switch (verdict) {
	case VERDICT_MISSING:
		refusal->error = API_MISSING_CREDENTIALS;
		refusal->reason = "MISSING";
		snprintf(refusal->challenge, sizeof refusal->challenge, REALM);
		break;
	case VERDICT_REFUSED:
		refusal->error = API_UNAUTHORIZED;
		refusal->reason = reason;
		refusal->parameters[0] =
		    PARAMETER_T("error", text_from(reason));
		snprintf(refusal->challenge, sizeof refusal->challenge,
		    REALM ", error=\"invalid_token\", error_description=\"%s\"",
		    reason);
		break;
	case VERDICT_MALFORMED:
		refusal->error = API_INVALID_ARGUMENT;
		refusal->parameters[0] =
		    PARAMETER_T("parameter", TEXT("Authorization"));
		refusal->parameters[1] =
		    PARAMETER_T("reason", TEXT("must be given once"));
		break;
	case VERDICT_NO_KEYS:
		refusal->description =
		    "There are no keys to judge tokens by yet.";
		break;
	case VERDICT_STALE:
		refusal->description =
		    "The token's key is unknown; keys will be looked for again "
		    "after Retry-After.";
		break;
	case VERDICT_OK:
	case VERDICT_WAIT:
		break;
	}
}

void
auth_refuse_scope(struct auth_refusal *refusal, enum http_scope scope)
{
	const char *missing = http_scope_name(scope);

	*refusal = (struct auth_refusal){
		.error = API_USAGE_DENIED,
		.reason = "SCOPE",
		.parameters = { PARAMETER_T(
		    "missingScope", text_from(missing)) },
	};
	snprintf(refusal->challenge, sizeof refusal->challenge,
	    REALM ", error=\"insufficient_scope\", scope=\"%s\"", missing);
}
