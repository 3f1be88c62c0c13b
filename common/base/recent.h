#ifndef SCHEDRUN_COMMON_BASE_RECENT_H
#define SCHEDRUN_COMMON_BASE_RECENT_H

#include <stddef.h>
#include <stdint.h>

/*
 * A bounded memory of what was used lately: values of one size by keys that are
 * digests.  A key has eight places; when all are taken, the one that was used
 * least lately gives way.  All memory is taken at the start.  One thread.
 */
#define RECENT_KEY_SIZE 32

struct recent;

/* `capacity` is rounded up to a multiple of eight. */
struct recent *recent_create(size_t capacity, size_t value_size);
void recent_destroy(struct recent *recent); /* NULL is fine */

/* Both count as a use; the value is valid until the next put or clear. */
void *recent_find(struct recent *recent, const uint8_t key[RECENT_KEY_SIZE]);
/* The value of a new key is zero. */
void *recent_put(struct recent *recent, const uint8_t key[RECENT_KEY_SIZE]);
void recent_clear(struct recent *recent);

#endif
