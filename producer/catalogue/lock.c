#include "producer/catalogue/lock.h"

#include <stdbool.h>

#include "common/base/clock.h"
#include "schemas/embedded.h"

#define LOCK_MS "30000"
#define PAUSE_MS 100

static struct redis_script unlock = { .source = lua_unlock };
static struct redis_script renew = { .source = lua_renew };

static struct text
key_of(const struct catalogue_lock *lock)
{
	return keyspace_key(lock->keyspace, KEY_APPLY_LOCK);
}

/* Whether nobody else had it; -1: failed. */
static int
try(struct catalogue_lock *lock, struct error *err)
{
	const struct text set[6] = { TEXT("SET"), key_of(lock),
		text_from(lock->token), TEXT("NX"), TEXT("PX"), TEXT(LOCK_MS) };
	struct redis_reply *reply =
	    redis_ask(lock->redis, set, 6, "SET NX", err);
	int taken =
	    reply != NULL ? redis_reply_type(reply) == REDIS_STATUS : -1;

	redis_reply_destroy(reply);
	return taken;
}

int
catalogue_lock_take(
    struct catalogue_lock *lock, int64_t deadline_ms, struct error *err)
{
	struct uuid token = uuid_random();
	int taken;

	uuid_format(&token, lock->token);
	lock->token[UUID_TEXT_SIZE] = '\0';
	while ((taken = try(lock, err)) == 0) {
		if (clock_monotonic_ms() >= deadline_ms)
			return error_set(err, ERROR_RETRY,
			    "another apply is under way (%.*s); one that was "
			    "killed holds it up for 30 s: try again",
			    TEXT_ARG(key_of(lock)));
		clock_wait(PAUSE_MS);
	}
	return taken > 0 ? 0 : -1;
}

/* Runs a script on the lock; 1: it was still ours, 0: not, -1: failed. */
static int
touch(
    struct catalogue_lock *lock, struct redis_script *script, struct error *err)
{
	const struct text key = key_of(lock);
	enum { LOCK_TOKEN, LOCK_TTL, LOCK_ARGS }; /* unlock.lua needs no ttl */
	const struct text args[LOCK_ARGS] = {
		[LOCK_TOKEN] = text_from(lock->token),
		[LOCK_TTL] = TEXT(LOCK_MS),
	};
	struct redis_reply *reply = redis_ask_script(lock->redis, script,
	    &(struct redis_arguments){ &key, 1, args, LOCK_ARGS },
	    "apply's lock", err);
	int held = reply != NULL ? redis_reply_integer(reply) == 1 : -1;

	redis_reply_destroy(reply);
	return held;
}

int
catalogue_lock_renew(struct catalogue_lock *lock, struct error *err)
{
	int held = touch(lock, &renew, err);

	if (held == 0)
		return error_set(err, ERROR_RETRY,
		    "the lock was lost to another apply; try again");
	return held > 0 ? 0 : -1;
}

void
catalogue_lock_release(struct catalogue_lock *lock)
{
	if (redis_connect(lock->redis, NULL) == 0)
		touch(lock, &unlock, NULL);
}
