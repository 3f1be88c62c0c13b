#ifndef SCHEDRUN_COMMON_REDIS_BOUNDED_H
#define SCHEDRUN_COMMON_REDIS_BOUNDED_H

#include <stddef.h>

#include "common/base/text.h"
#include "common/redis/pipeline.h"

/*
 * Fields of a hash, read by scripts that answer no more than REDIS_VALUE_MAX
 * bytes of values at once: an answer may have 12 MiB, and what is honest but
 * large must not look like a fault.
 */
#define REDIS_VALUE_MAX (8 * 1024 * 1024)

/*
 * Queues the read of `n` fields.  The answer is an array of values (nil: not
 * there) as far as they fit, at least one; of a value over REDIS_VALUE_MAX its
 * size, an integer.
 */
void redis_append_fields(
    struct redis *redis, struct text key, const struct text *fields, size_t n);

/*
 * Queues a step of HSCAN.  The answer is the next cursor, and names and values
 * in turn; nil instead of a value that did not fit: ask for it by name.
 */
void redis_append_scan(struct redis *redis, struct text key, struct text cursor,
    struct text count);

#endif
