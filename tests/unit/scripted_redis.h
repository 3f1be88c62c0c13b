#ifndef SCHEDRUN_TESTS_UNIT_SCRIPTED_REDIS_H
#define SCHEDRUN_TESTS_UNIT_SCRIPTED_REDIS_H

#include <stddef.h>

#include "common/redis/pipeline.h"

/*
 * A connection to a Redis that answers what a test has told it to, in order,
 * before it is asked; what it was asked is looked at afterwards.
 */
struct scripted_redis {
	struct redis *redis; /* connected */
	int fd;              /* the server's end */
	char *bytes;         /* what was heard and is not yet looked at */
	size_t size, at;
};

#define HEARD_MAX 64
struct heard {
	struct text args[HEARD_MAX];
	size_t n; /* 0: nothing more was asked */
};

void scripted_redis_open(struct scripted_redis *script);
void scripted_redis_close(struct scripted_redis *script);

/* Answers to come, as they go over the wire; `bytes` may have NULs. */
void scripted_redis_say(struct scripted_redis *script, struct text bytes);
#define SAY(script, literal) scripted_redis_say((script), TEXT(literal))
/* An answer that is a string. */
void scripted_redis_say_string(
    struct scripted_redis *script, struct text string);

/* The next command that came; valid until the next call. */
struct heard scripted_redis_heard(struct scripted_redis *script);

/* Whether it is this one: its words, with a blank between them. */
bool heard_is(const struct heard *heard, const char *words);

#endif
