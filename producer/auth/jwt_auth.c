#include "producer/auth/jwt_auth.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/recent.h"
#include "common/http/fetch.h"
#include "producer/auth/key_source.h"

#define VERIFIED_MAX 10000 /* tokens that are remembered */
#define WAITING_MAX 1000   /* requests that wait for a look */

/* What a token that was verified stands for. */
struct verified {
	struct http_caller caller;
	int64_t until_ms;
};

struct jwt_auth {
	struct jwt_rules rules;
	const char *location;
	struct health_check *check;
	struct key_source *source;
	struct key_set *keys; /* NULL: none was loaded yet */
	unsigned edition;     /* of `keys` */
	bool is_away;         /* the last look failed: there may be others */
	struct recent *verified;
	struct jwt_wait *waiting;
	size_t n_waiting;
};

static void
release_waiting(struct jwt_auth *auth)
{
	struct jwt_wait *wait = auth->waiting, *next;

	auth->waiting = NULL;
	auth->n_waiting = 0;
	for (; wait != NULL; wait = next) {
		next = wait->next;
		wait->again(wait->argument);
	}
}

static void
on_looked(void *argument, struct key_set *set, const char *failure, bool asked)
{
	struct jwt_auth *auth = argument;
	const char *passed_over;

	auth->is_away = failure != NULL;
	if (set != NULL) {
		passed_over = key_set_passed_over(set);
		key_set_destroy(auth->keys);
		auth->keys = set;
		auth->edition++;
		recent_clear(auth->verified);
		health_ok(auth->check);
		log_event(LOG_INFO, "http", "keys_loaded",
		    "tokens are judged by this key set from now on",
		    LOG_S("source", auth->location),
		    LOG_I("keys", key_set_size(set)),
		    LOG_S("passed_over",
			passed_over != NULL ? passed_over : "none"),
		    LOG_END);
	}
	if (failure != NULL) {
		if (auth->keys == NULL)
			health_bad(auth->check, "%s", failure);
		log_event(auth->keys == NULL ? LOG_ERROR : LOG_WARN, "http",
		    "keys_not_loaded", failure,
		    LOG_S("until_then",
			auth->keys == NULL
			    ? "no token can be judged"
			    : "the set that was loaded stays valid"),
		    LOG_END);
	}
	if (asked || set != NULL)
		release_waiting(auth);
}

int
jwt_auth_check_settings(const struct config *config, struct error *err)
{
	static const char *const wanted[] = { "http.jwks", "http.issuer",
		"http.audience", "http.user.claim", "http.scope.claims" };
	const char *location;
	size_t i;

	for (i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		struct text value = text_from(config_text(config, wanted[i]));
		struct text word;

		if (!text_take_word(&value, ", ", &word))
			return error_fatal(err, 78,
			    "http.auth=jwt needs %s (or set http.auth to "
			    "token-file, none)",
			    wanted[i]);
	}
	location = config_text(config, "http.jwks");
	if (strstr(location, "://") != NULL &&
	    fetch_check_url(location, err) != 0) {
		error_prefix(err, "http.jwks");
		return -1;
	}
	location = config_text(config, "http.jwks.ca");
	if (location == NULL || config_is_loaded_later(location) ||
	    fetch_check_authority(location, err) == 0)
		return 0;
	error_prefix(err, "http.jwks.ca");
	return -1;
}

int
jwt_auth_check_keys(const struct config *config, struct error *err)
{
	const char *location = config_text(config, "http.jwks");

	if (config_is_loaded_later(location) ||
	    key_source_check(location, err) == 0)
		return 0;
	error_prefix(err, "http.jwks");
	return -1;
}

struct jwt_auth *
jwt_auth_create(const struct config *config, struct loop *loop,
    struct health_check *check, struct error *err)
{
	struct jwt_auth *auth = memory_zalloc(1, sizeof *auth);
	struct key_source_settings source = {
		.loop = loop,
		.ca_file = config_text(config, "http.jwks.ca"),
		.looked = on_looked,
		.argument = auth,
	};

	auth->check = check;
	auth->verified = recent_create(VERIFIED_MAX, sizeof(struct verified));
	if (jwt_auth_check_settings(config, err) == 0) {
		auth->location = config_text(config, "http.jwks");
		auth->rules.issuer = config_text(config, "http.issuer");
		auth->rules.audience = config_text(config, "http.audience");
		auth->rules.leeway_ms =
		    config_number(config, "http.auth.leeway");
		auth->rules.user_claim = config_text(config, "http.user.claim");
		auth->rules.scope_claims =
		    config_text(config, "http.scope.claims");
		source.location = auth->location;
		auth->source = key_source_start(&source, err);
		if (auth->source != NULL)
			return auth;
		error_prefix(err, "http.jwks");
	}
	jwt_auth_destroy(auth);
	return NULL;
}

void
jwt_auth_stop(struct jwt_auth *auth)
{
	key_source_stop(auth->source);
}

void
jwt_auth_destroy(struct jwt_auth *auth)
{
	if (auth == NULL)
		return;
	release_waiting(auth);
	key_source_destroy(auth->source);
	key_set_destroy(auth->keys);
	recent_destroy(auth->verified);
	free(auth);
}

void
jwt_auth_reload(struct jwt_auth *auth)
{
	key_source_reload(auth->source);
}

static bool
recall_token(struct jwt_auth *auth, struct http_caller *caller, int64_t now_ms)
{
	const struct verified *verified =
	    recent_find(auth->verified, caller->key);

	if (verified == NULL || now_ms >= verified->until_ms)
		return false;
	*caller = verified->caller;
	return true;
}

/*
 * Of a token whose key the set doesn't have.  Only a look at the source that
 * comes after the token says that there is no such key; until one may be had,
 * because others asked lately (for what keys ever), it isn't known.
 */
static enum jwt_outcome
look_for_key(struct jwt_auth *auth, struct jwt_wait *wait)
{
	int64_t ms = 0;

	if (wait->over && !auth->is_away && auth->keys != NULL)
		return JWT_DONE;
	if (!wait->over && auth->n_waiting < WAITING_MAX)
		ms = key_source_look(auth->source);
	if (ms == 0 && !wait->over && auth->n_waiting < WAITING_MAX) {
		wait->over = true;
		wait->next = auth->waiting;
		auth->waiting = wait;
		auth->n_waiting++;
		return JWT_WAITS;
	}
	wait->retry_s = (unsigned)(ms / 1000 + 1);
	return auth->keys == NULL ? JWT_NO_SET : JWT_STALE;
}

enum jwt_outcome
jwt_auth_check(struct jwt_auth *auth, struct text token,
    struct http_caller *caller, struct jwt_wait *wait,
    enum jwt_verdict *verdict)
{
	int64_t now_ms = clock_wall_ms();
	struct verified *verified;

	*verdict = JWT_OK;
	if (recall_token(auth, caller, now_ms))
		return JWT_DONE;
	*verdict = jwt_check(&auth->rules, auth->keys, token, now_ms, caller);
	if (*verdict == JWT_OK) {
		caller->edition = auth->edition;
		verified = recent_put(auth->verified, caller->key);
		verified->caller = *caller;
		verified->until_ms = caller->expires_ms + auth->rules.leeway_ms;
	}
	if (*verdict != JWT_UNKNOWN_KEY)
		return JWT_DONE;
	return look_for_key(auth, wait);
}

unsigned
jwt_auth_edition(const struct jwt_auth *auth)
{
	return auth->edition;
}
