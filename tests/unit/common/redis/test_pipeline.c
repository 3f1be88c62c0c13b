#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/buffer.h"
#include "tests/unit/check.h"
#include "tests/unit/scripted_redis.h"

/* What the installed hiredis makes of answers that no Redis of ours gives. */

#define LEVELS_MAX 8
#define MANY_LEVELS 1000000

struct speech {
	struct scripted_redis *script;
	struct text bytes;
};

/* More than a socket holds: said while it is heard, as far as it is. */
static void *
say_all(void *argument)
{
	const struct speech *speech = argument;
	size_t said = 0;
	ssize_t n = 1;

	for (; n > 0 && said < speech->bytes.size; said += (size_t)n) {
		n = send(speech->script->fd, speech->bytes.at + said,
		    speech->bytes.size - said, MSG_NOSIGNAL);
		n = n < 0 ? 0 : n;
	}
	return NULL;
}

/* The answer to a command that gets these bytes; the connection is new. */
static struct redis_reply *
hear(struct text bytes, struct error *err)
{
	const struct text ping = TEXT("PING");
	struct scripted_redis script;
	struct speech speech = { &script, bytes };
	struct redis_reply *reply;
	pthread_t thread;

	*err = (struct error){ 0 };
	scripted_redis_open(&script);
	REQUIRE(pthread_create(&thread, NULL, say_all, &speech) == 0);
	reply = redis_command(script.redis, &ping, 1, err);
	CHECK((reply != NULL) == redis_is_connected(script.redis));
	redis_disconnect(script.redis);
	pthread_join(thread, NULL);
	scripted_redis_close(&script);
	return reply;
}

/* An integer in so many arrays. */
static struct text
nest(struct buffer *out, size_t levels)
{
	buffer_reset(out);
	while (levels-- > 0)
		buffer_append(out, TEXT("*1\r\n"));
	buffer_append(out, TEXT(":1\r\n"));
	return buffer_text(out);
}

static void
arrays_nest_as_deep_as_the_cap(void)
{
	const struct redis_reply *at;
	struct redis_reply *reply;
	struct buffer out = { 0 };
	struct error err;
	size_t depth = 0;

	reply = hear(nest(&out, LEVELS_MAX), &err);
	REQUIRE(reply != NULL);
	for (at = reply; redis_reply_type(at) == REDIS_ARRAY; depth++)
		at = redis_reply_at(at, 0);
	CHECK(depth == LEVELS_MAX && redis_reply_integer(at) == 1);
	redis_reply_destroy(reply);
	CHECK(hear(nest(&out, LEVELS_MAX + 1), &err) == NULL);
	CHECK(err.kind == ERROR_RETRY);
	buffer_finish(&out);
}

/* Freed level by level this would overflow the stack. */
static void
a_million_levels_are_refused(void)
{
	struct buffer out = { 0 };
	struct error err;

	CHECK(hear(nest(&out, MANY_LEVELS), &err) == NULL);
	CHECK(err.kind == ERROR_RETRY);
	buffer_finish(&out);
}

static void
what_is_not_of_resp2_is_refused(void)
{
	static const char *const rows[] = {
		"#t\r\n",
		",1.5\r\n",
		"(12\r\n",
		"=7\r\ntxt:abc\r\n",
		"%1\r\n+a\r\n+b\r\n",
		"~1\r\n+a\r\n",
		">1\r\n+a\r\n",
		"*2\r\n:1\r\n#t\r\n",
		"*1\r\n%1\r\n+a\r\n+b\r\n",
	};
	struct error err;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		CHECK_ROW(rows[i], hear(text_from(rows[i]), &err) == NULL);
		CHECK_ROW(rows[i], err.kind == ERROR_RETRY);
	}
}

static void
a_length_allocates_nothing(void)
{
	struct error err;

	CHECK(hear(TEXT("*1000000000\r\n"), &err) == NULL);
	CHECK(err.kind == ERROR_RETRY);
}

static void
each_type_of_resp2_is_told(void)
{
	static const struct {
		const char *bytes;
		enum redis_type type;
	} rows[] = {
		{ "$-1\r\n", REDIS_NIL },
		{ "*-1\r\n", REDIS_NIL },
		{ "$2\r\nab\r\n", REDIS_STRING },
		{ "+OK\r\n", REDIS_STATUS },
		{ ":7\r\n", REDIS_INTEGER },
		{ "*0\r\n", REDIS_ARRAY },
		{ "-ERR no\r\n", REDIS_ERROR },
	};
	struct error err;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct redis_reply *reply =
		    hear(text_from(rows[i].bytes), &err);

		CHECK_ROW(rows[i].bytes, reply != NULL);
		CHECK_ROW(rows[i].bytes,
		    reply != NULL && redis_reply_type(reply) == rows[i].type);
		redis_reply_destroy(reply);
	}
}

CU_TestInfo redis_pipeline_tests[] = {
	{ "depth", arrays_nest_as_deep_as_the_cap },
	{ "a million levels", a_million_levels_are_refused },
	{ "not of RESP2", what_is_not_of_resp2_is_refused },
	{ "a length of a milliard", a_length_allocates_nothing },
	{ "types", each_type_of_resp2_is_told },
	CU_TEST_INFO_NULL,
};
