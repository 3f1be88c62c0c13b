#ifndef SCHEDRUN_COMMON_BASE_ARENA_H
#define SCHEDRUN_COMMON_BASE_ARENA_H

#include <stddef.h>

/*
 * An arena: memory of one batch or document, taken in steps and given back at
 * once.  Blocks are kept by a reset, so a warm arena does not call malloc.
 * One thread at a time.
 */
struct arena;

/* Built with ASan, by gcc or clang. */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_WATCHED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_WATCHED
#endif
#endif

/* `block_size` bytes are taken from the system at a time (0: 64 KiB). */
struct arena *arena_create(size_t block_size);
void arena_destroy(struct arena *arena); /* NULL is fine */

/*
 * `size` bytes, aligned for any type, not cleared; never NULL: when the system
 * has no memory left the process ends with exit code 71 after one line (the
 * restart is the recovery).  Valid until the arena is reset or destroyed.
 */
void *arena_alloc(struct arena *arena, size_t size);

/* n × size bytes of zero; an overflow ends the process like no memory does. */
void *arena_zalloc(struct arena *arena, size_t n, size_t size);

/* Gives everything back and keeps up to `keep` bytes of blocks for reuse; with
 * ASan none, so that it sees who still reads what was given back. */
void arena_reset(struct arena *arena, size_t keep);

/* Bytes handed out since the last reset: what a caller bounds a batch by. */
size_t arena_used(const struct arena *arena);

#endif
