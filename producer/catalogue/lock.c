#include "producer/catalogue/lock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "schemas/embedded.h"

#define LOCK_MS "30000"
#define PAUSE_MS 100
#define HOST_MAX 65

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

static void
write_token(struct catalogue_lock *lock)
{
	struct uuid token = uuid_random();
	char host[HOST_MAX] = "unknown", time[CLOCK_TEXT_SIZE];

	uuid_format(&token, lock->token);
	if (gethostname(host, sizeof host - 1) != 0)
		strcpy(host, "unknown");
	clock_format(clock_wall_ms(), time);
	snprintf(lock->token + UUID_TEXT_SIZE,
	    sizeof lock->token - UUID_TEXT_SIZE, " %s, process %ld, since %.*s",
	    host, (long)getpid(), CLOCK_TEXT_SIZE, time);
}

/* Who has it and when it lapses: whoever was killed gives it back by that. */
static int
say_taken(struct catalogue_lock *lock, struct error *err)
{
	const struct text get[2] = { TEXT("GET"), key_of(lock) };
	const struct text ttl[2] = { TEXT("PTTL"), key_of(lock) };
	struct redis_reply *holder = redis_ask(lock->redis, get, 2, "GET", err);
	struct redis_reply *left = redis_ask(lock->redis, ttl, 2, "PTTL", err);
	struct text who = TEXT("somebody");
	int64_t ms = 0;

	if (holder != NULL && redis_reply_text(holder).size > UUID_TEXT_SIZE)
		who = (struct text){ redis_reply_text(holder).at +
			    UUID_TEXT_SIZE + 1,
			redis_reply_text(holder).size - UUID_TEXT_SIZE - 1 };
	if (left != NULL && redis_reply_integer(left) > 0)
		ms = redis_reply_integer(left);
	error_set(err, ERROR_RETRY,
	    "another apply is under way: %.*s has %.*s for %lld.%lld s from "
	    "now, and as long as it goes on; if it was killed, --timeout 35s "
	    "waits for its end",
	    TEXT_ARG(who), TEXT_ARG(key_of(lock)), (long long)(ms / 1000),
	    (long long)(ms % 1000 / 100));
	redis_reply_destroy(holder);
	redis_reply_destroy(left);
	return -1;
}

int
catalogue_lock_take(
    struct catalogue_lock *lock, int64_t deadline_ms, struct error *err)
{
	int taken;

	write_token(lock);
	while ((taken = try(lock, err)) == 0) {
		if (clock_monotonic_ms() >= deadline_ms)
			return say_taken(lock, err);
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
