#ifndef SCHEDRUN_TESTS_UNIT_STUB_REDIS_H
#define SCHEDRUN_TESTS_UNIT_STUB_REDIS_H

#include <stddef.h>

#include "common/base/text.h"

/*
 * A Redis on a socket that answers each command by a table, for what connects
 * by itself; it is the master and knows every script.  Threads of its own.
 */
struct stub_redis;

struct stub_redis *stub_redis_start(void);
void stub_redis_stop(struct stub_redis *stub); /* NULL is fine */

const char *stub_redis_url(const struct stub_redis *stub);

/*
 * From now on a command that begins with these words, one blank between them,
 * gets this answer, as it goes over the wire.  The last one that was said and
 * fits counts; without one it is +OK.  `words` is borrowed.
 */
void stub_redis_say(
    struct stub_redis *stub, const char *words, struct text answer);
/* The same of an answer that is a string. */
void stub_redis_say_string(
    struct stub_redis *stub, const char *words, struct text string);

/* How many commands came that begin so. */
size_t stub_redis_count(struct stub_redis *stub, const char *words);

#endif
