#include "common/base/clock.h"
#include "common/redis/pipeline.h"

/* What pipeline.h has for those who want an answer, or to know why not. */

struct redis_reply *
redis_reply_checked(struct redis *redis, struct redis_reply *reply,
    const char *what, struct error *err)
{
	if (reply == NULL || redis_reply_error(redis, reply, what, err) == 0)
		return reply;
	redis_reply_destroy(reply);
	return NULL;
}

struct redis_reply *
redis_ask(struct redis *redis, const struct text *argv, size_t n,
    const char *what, struct error *err)
{
	return redis_reply_checked(
	    redis, redis_command(redis, argv, n, err), what, err);
}

struct redis_reply *
redis_ask_script(struct redis *redis, struct redis_script *script,
    const struct redis_arguments *with, const char *what, struct error *err)
{
	return redis_reply_checked(
	    redis, redis_run_script(redis, script, with, err), what, err);
}

int
redis_do(struct redis *redis, const struct text *argv, size_t n,
    const char *what, struct error *err)
{
	struct redis_reply *reply = redis_ask(redis, argv, n, what, err);
	int rc = reply != NULL ? 0 : -1;

	redis_reply_destroy(reply);
	return rc;
}

int
redis_clock(struct redis *redis, int64_t *now_ms, struct error *err)
{
	const struct text time = TEXT("TIME");
	struct redis_reply *reply = redis_ask(redis, &time, 1, "TIME", err);
	int64_t seconds, micros;
	int rc = 0;

	if (reply == NULL)
		return -1;
	if (redis_reply_size(reply) == 2 &&
	    text_to_number(redis_reply_text(redis_reply_at(reply, 0)),
		CLOCK_MAX_MS / 1000, &seconds) &&
	    text_to_number(
		redis_reply_text(redis_reply_at(reply, 1)), 999999, &micros))
		*now_ms = seconds * 1000 + micros / 1000;
	else
		rc = error_set(err, ERROR_RETRY, "redis %s: TIME gave no time",
		    redis_address(redis));
	redis_reply_destroy(reply);
	return rc;
}
