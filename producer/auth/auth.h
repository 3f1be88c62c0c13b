#ifndef SCHEDRUN_PRODUCER_AUTH_AUTH_H
#define SCHEDRUN_PRODUCER_AUTH_AUTH_H

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/http/head.h"
#include "common/http/health.h"
#include "common/http/loop.h"
#include "producer/auth/caller.h"
#include "producer/auth/jwt_auth.h"

/*
 * Who asks: the request's one bearer token (RFC 6750) becomes a caller, by
 * http.auth: key set, token file or nobody at all (docs/http.md, section 6).
 * On the loop's thread; a check never blocks.
 */
struct http_auth;

/*
 * By http.auth and its keys; looks at http.cors.origins, too.  `check` is told
 * whether tokens can be judged. NULL: ERROR_FATAL (78); none on another address
 * than loopback is one, too.
 */
struct http_auth *http_auth_create(const struct config *config,
    struct loop *loop, struct health_check *check, struct error *err);
/*
 * Whether http_auth_create would take the settings, and the file of tokens or
 * of keys that they name is in order, which an adapter that runs would wait
 * for; but for one that a unit is yet to load.  -1: ERROR_FATAL (78).
 */
int http_auth_check_settings(const struct config *config, struct error *err);

void http_auth_stop(struct http_auth *auth); /* before the loop is destroyed */
void http_auth_destroy(struct http_auth *auth); /* both: NULL is fine */

/* Reads files again (SIGHUP).  What can't be read leaves all as it was. */
void http_auth_reload(struct http_auth *auth);

enum http_verdict {
	VERDICT_OK,
	VERDICT_MISSING,   /* 401 MissingCredentials */
	VERDICT_REFUSED,   /* 401 Default:Unauthorized with `reason` */
	VERDICT_MALFORMED, /* 400: two Authorization headers */
	VERDICT_WAIT,      /* `wait->again` is called later: check then */
	VERDICT_NO_KEYS,   /* 503: no key set has been loaded */
	VERDICT_STALE,     /* 503: this one may lack the key, `wait->retry_s` */
};

/*
 * Judges a request.  `*reason` is a literal of the list in docs/http.md,
 * section 6 (MALFORMED, SIGNATURE …), with VERDICT_REFUSED.  `wait`
 * must live until its call if it comes to VERDICT_WAIT, and be the same for the
 * second check.
 */
enum http_verdict http_auth_check(struct http_auth *auth,
    const struct http_head *head, struct http_caller *caller,
    struct jwt_wait *wait, const char **reason);

/*
 * Whether who was let in may still be: NULL, and his edition is now's; else why
 * not, a literal of docs/http.md, section 9.  Cheap while nothing has changed;
 * when he expires is the caller's to look at.
 */
const char *http_auth_recheck(
    const struct http_auth *auth, struct http_caller *caller);

#endif
