#include <hiredis/hiredis.h>

#include "common/redis/pipeline.h"

/* A reply is hiredis's own, seen through an opaque pointer. */
static const redisReply *
unwrap(const struct redis_reply *reply)
{
	return (const redisReply *)(const void *)reply;
}

void
redis_reply_destroy(struct redis_reply *reply)
{
	if (reply != NULL)
		freeReplyObject(reply);
}

enum redis_type
redis_reply_type(const struct redis_reply *reply)
{
	switch (unwrap(reply)->type) {
	case REDIS_REPLY_STRING:
		return REDIS_STRING;
	case REDIS_REPLY_STATUS:
		return REDIS_STATUS;
	case REDIS_REPLY_INTEGER:
		return REDIS_INTEGER;
	case REDIS_REPLY_ARRAY:
		return REDIS_ARRAY;
	case REDIS_REPLY_NIL:
		return REDIS_NIL;
	default: /* REDIS_REPLY_ERROR; no other type gets past the reader */
		return REDIS_ERROR;
	}
}

struct text
redis_reply_text(const struct redis_reply *reply)
{
	const redisReply *r = unwrap(reply);

	if (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS ||
	    r->type == REDIS_REPLY_ERROR)
		return (struct text){ r->str, r->len };
	return TEXT_NONE;
}

int64_t
redis_reply_integer(const struct redis_reply *reply)
{
	const redisReply *r = unwrap(reply);

	return r->type == REDIS_REPLY_INTEGER ? r->integer : 0;
}

size_t
redis_reply_size(const struct redis_reply *reply)
{
	const redisReply *r = unwrap(reply);

	return r->type == REDIS_REPLY_ARRAY ? r->elements : 0;
}

const struct redis_reply *
redis_reply_at(const struct redis_reply *reply, size_t i)
{
	return (const struct redis_reply *)unwrap(reply)->element[i];
}

bool
redis_reply_is_noscript(const struct redis_reply *reply)
{
	return redis_reply_type(reply) == REDIS_ERROR &&
	    text_starts_with(redis_reply_text(reply), TEXT("NOSCRIPT"));
}

/* What an error answer's first word asks the caller to do. */
static const struct error_class {
	const char *word;
	enum error_kind kind;
	int exit_code;
} error_classes[] = {
	{ "LOADING", ERROR_RETRY, 0 },
	{ "READONLY", ERROR_RETRY, 0 },
	{ "MASTERDOWN", ERROR_RETRY, 0 },
	{ "MISCONF", ERROR_RETRY, 0 },
	{ "NOREPLICAS", ERROR_RETRY, 0 },
	{ "OOM", ERROR_RETRY, 0 },
	{ "BUSY", ERROR_RETRY, 0 },
	{ "TRYAGAIN", ERROR_RETRY, 0 },
	{ "CLUSTERDOWN", ERROR_RETRY, 0 },
	{ "NOSCRIPT", ERROR_RETRY, 0 },
	{ "ERR max number of clients", ERROR_RETRY, 0 },
	{ "ERR AUTH", ERROR_FATAL, 77 }, /* a password where none is set */
	{ "DENIED", ERROR_FATAL, 77 },   /* protected mode */
	{ "NOAUTH", ERROR_FATAL, 77 },
	{ "WRONGPASS", ERROR_FATAL, 77 },
	{ "NOPERM", ERROR_FATAL, 77 },
	{ "MOVED", ERROR_FATAL, 78 },
	{ "WRONGTYPE", ERROR_RETRY, 0 },
};

static const struct error_class *
find_class(struct text answer)
{
	static const struct error_class other = { "", ERROR_FATAL, 70 };
	size_t i;

	for (i = 0; i < sizeof error_classes / sizeof error_classes[0]; i++)
		if (text_starts_with(answer, text_from(error_classes[i].word)))
			return &error_classes[i];
	return &other;
}

int
redis_reply_error(struct redis *redis, const struct redis_reply *reply,
    const char *what, struct error *err)
{
	struct text answer = redis_reply_text(reply);
	const struct error_class *class;

	if (redis_reply_type(reply) != REDIS_ERROR)
		return 0;
	class = find_class(answer);
	error_set(err, class->kind, "redis %s: %s: %.*s", redis_address(redis),
	    what, TEXT_ARG(answer));
	if (err != NULL)
		err->exit_code = class->exit_code;
	if (text_starts_with(answer, TEXT("READONLY")))
		redis_disconnect(redis);
	return -1;
}
