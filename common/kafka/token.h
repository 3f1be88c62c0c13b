#ifndef SCHEDRUN_COMMON_KAFKA_TOKEN_H
#define SCHEDRUN_COMMON_KAFKA_TOKEN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/config/config.h"

/*
 * Tokens for SASL OAUTHBEARER, by client credentials (RFC 6749, section 4.4)
 * from the endpoint of an issuer: what the properties say of them, and what an
 * endpoint answers.  Pure; oauth.h asks.
 */

/* Borrowed of the configuration; `endpoint` NULL: no tokens are wanted. */
struct kafka_oauth {
	const char *endpoint, *client_id, *client_secret;
	const char *scope, *extensions, *authority; /* NULL: none */
	/* The endpoint did not answer when it was asked last: no refusal. */
	atomic_bool is_away;
};

/*
 * Takes what sasl.oauthbearer.method=oidc needs out of `n` properties; with
 * another grant type they are librdkafka's.  Returns how many are left, or -1
 * with ERROR_FATAL (78), which names what is missing or wrong.
 */
int kafka_oauth_take(struct kafka_oauth *oauth,
    struct config_property *properties, size_t n, struct error *err);

struct kafka_token {
	char *value;         /* visible ASCII, of the arena */
	int64_t lifetime_ms; /* from now on */
};

/*
 * Reads an endpoint's answer.  -1: ERROR_FATAL (77), it refuses the client;
 * ERROR_RETRY, anything else.
 */
int kafka_token_read(long status, struct text answer, struct arena *arena,
    struct kafka_token *token, struct error *err);

/* "name=value" pairs between commas, cut in two each; returns how many texts.
 */
size_t kafka_token_extensions(
    const char *list, struct arena *arena, const char **out, size_t max);

#endif
