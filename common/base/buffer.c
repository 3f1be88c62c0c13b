#include "common/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define CAPACITY_FIRST 256

void
buffer_finish(struct buffer *buffer)
{
	free(buffer->at);
	*buffer = (struct buffer){ 0 };
}

struct text
buffer_keep(struct buffer *buffer, struct arena *arena)
{
	struct text kept = text_copy(arena, buffer_text(buffer));

	buffer_finish(buffer);
	return kept;
}

void
buffer_reset(struct buffer *buffer)
{
	buffer->size = 0;
}

char *
buffer_reserve(struct buffer *buffer, size_t n)
{
	size_t capacity;

	if (buffer->at == NULL || buffer->capacity - buffer->size < n) {
		capacity =
		    buffer->capacity > 0 ? buffer->capacity : CAPACITY_FIRST;
		if (n > SIZE_MAX / 4 - buffer->size)
			memory_exhausted();
		while (capacity < buffer->size + n)
			capacity *= 2;
		buffer->at = memory_resize(buffer->at, capacity, 1);
		buffer->capacity = capacity;
	}
	return buffer->at + buffer->size;
}

void
buffer_append(struct buffer *buffer, struct text text)
{
	if (text.size == 0)
		return;
	memcpy(buffer_reserve(buffer, text.size), text.at, text.size);
	buffer->size += text.size;
}

void
buffer_append_shown(struct buffer *buffer, struct text text)
{
	size_t i, control;

	for (i = 0; i < text.size; i++) {
		control = text_control_size(text, i);
		buffer_byte(buffer, control > 0 ? '?' : text.at[i]);
		if (control > 1)
			i += control - 1;
	}
}

void
buffer_byte(struct buffer *buffer, char byte)
{
	*buffer_reserve(buffer, 1) = byte;
	buffer->size++;
}

void
buffer_format(struct buffer *buffer, const char *format, ...)
{
	va_list args, again;
	int size;

	va_start(args, format);
	va_copy(again, args);
	size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (size > 0) {
		/* The NUL is written behind the text and not counted. */
		vsnprintf(buffer_reserve(buffer, (size_t)size + 1),
		    (size_t)size + 1, format, again);
		buffer->size += (size_t)size;
	}
	va_end(again);
}
