#ifndef SCHEDRUN_COMMON_BASE_BUFFER_H
#define SCHEDRUN_COMMON_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/text.h"

/*
 * Bytes that grow at the end: what encoders and writers write into.  Growth
 * that the system refuses ends the process with exit code 71, as the arena
 * does.  `{0}` is an empty buffer.
 */
struct buffer {
	char *at;
	size_t size;
	size_t capacity;
};

void buffer_finish(struct buffer *buffer); /* frees; `{0}` after it */
/* What it holds, in the arena; `{0}` after it. */
struct text buffer_keep(struct buffer *buffer, struct arena *arena);
void buffer_reset(struct buffer *buffer);              /* empty, memory kept */
char *buffer_reserve(struct buffer *buffer, size_t n); /* room for n more */
void buffer_append(struct buffer *buffer, struct text text); /* a copy */
/* For people's eyes: each control character as "?". */
void buffer_append_shown(struct buffer *buffer, struct text text);
void buffer_byte(struct buffer *buffer, char byte);
void buffer_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline struct text
buffer_text(const struct buffer *buffer)
{
	return (
	    struct text){ buffer->at != NULL ? buffer->at : "", buffer->size };
}

#endif
