#ifndef SCHEDRUN_PRODUCER_AUTH_JWT_H
#define SCHEDRUN_PRODUCER_AUTH_JWT_H

#include <stdint.h>

#include "common/base/text.h"
#include "producer/auth/caller.h"
#include "producer/auth/key_set.h"

/*
 * Judges a JSON Web Token (RFC 7519, 7515, 8725) by the rules of docs/http.md,
 * section 6.  Only RS256 and ES256; what the token says of keys (`jwk`, `jku`,
 * `x5u`, `x5c`) is not looked at.  Pure.
 *
 * Our own, on libcrypto: librhonabwy 1.1.11 takes padded base64url, members
 * that stand twice and a `crit` that nobody knows, and needs 127 us for RS256
 * and 639 us for ES256 where the signature alone needs 26 and 90.  It is done
 * on the loop, which waits for it.
 */
enum jwt_verdict {
	JWT_OK,
	JWT_MALFORMED,
	JWT_ALGORITHM, /* not of the list, or the key is of another type */
	JWT_CRIT,
	JWT_UNKNOWN_KEY, /* none of this kid, and none without one that fits */
	JWT_SIGNATURE,
	JWT_NO_EXPIRY, /* none, or not a number */
	JWT_EXPIRED,
	JWT_NOT_YET_VALID,
	JWT_ISSUER,
	JWT_AUDIENCE,
	JWT_SUBJECT, /* nobody is named */
	JWT_VERDICTS
};

struct jwt_rules {
	const char *issuer, *audience; /* what `iss` and `aud` must have */
	int64_t leeway_ms;             /* both ways, for `exp` and `nbf` */
	/*
	 * Where it is said who he is, and (divided by commas or blanks) what
	 * for; "realm_access.roles" is a member of a member.
	 */
	const char *user_claim, *scope_claims;
};

/*
 * `keys` NULL: there is no set yet, every key is unknown.  With JWT_OK the
 * caller's user, scopes and expires_ms (the token's `exp`) are set.  Takes the
 * time of one signature's check, or of four if the keys have no names.
 */
enum jwt_verdict jwt_check(const struct jwt_rules *rules,
    const struct key_set *keys, struct text token, int64_t now_ms,
    struct http_caller *caller);

/* "EXPIRED": as docs/http.md, section 6, writes it. */
const char *jwt_reason(enum jwt_verdict verdict);

#endif
