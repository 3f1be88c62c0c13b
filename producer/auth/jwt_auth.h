#ifndef SCHEDRUN_PRODUCER_AUTH_JWT_AUTH_H
#define SCHEDRUN_PRODUCER_AUTH_JWT_AUTH_H

#include <stdbool.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/config/config.h"
#include "common/http/health.h"
#include "common/http/loop.h"
#include "producer/auth/caller.h"
#include "producer/auth/jwt.h"

/*
 * Tokens judged by the key set of the day: the set is replaced as a whole when
 * its source has another, stays while the source is away, and what was found
 * good is remembered until it expires or the set changes (docs/http.md, section
 * 6).  The loop's thread only.
 */
struct jwt_auth;

/* By the keys of http.auth=jwt.  NULL: ERROR_FATAL, 78. */
struct jwt_auth *jwt_auth_create(const struct config *config, struct loop *loop,
    struct health_check *check, struct error *err);
/* Whether the keys are there that it needs.  -1: the same error. */
int jwt_auth_check_settings(const struct config *config, struct error *err);
/* Whether the file of the key set can be used now.  -1: the same error. */
int jwt_auth_check_keys(const struct config *config, struct error *err);
void jwt_auth_stop(struct jwt_auth *auth); /* before the loop is destroyed */
void jwt_auth_destroy(struct jwt_auth *auth);
void jwt_auth_reload(struct jwt_auth *auth);

/* One who waits for the next look at the key set; `again` is called after it.
 */
struct jwt_wait {
	loop_call *again;
	void *argument;
	struct jwt_wait *next;
	bool over;        /* it has waited: no second time */
	unsigned retry_s; /* of JWT_STALE: when to ask again */
};

enum jwt_outcome {
	JWT_DONE,   /* `*verdict` says how it is */
	JWT_WAITS,  /* the key is unknown and being looked for */
	JWT_NO_SET, /* there are no keys to judge by */
	JWT_STALE,  /* the key is unknown, but may be known to the source */
};

/* `caller->key` is the token's SHA-256; the rest is set with JWT_OK. */
enum jwt_outcome jwt_auth_check(struct jwt_auth *auth, struct text token,
    struct http_caller *caller, struct jwt_wait *wait,
    enum jwt_verdict *verdict);

/* Of the key set: another one after each change; a caller has that of his. */
unsigned jwt_auth_edition(const struct jwt_auth *auth);

#endif
