#ifndef SCHEDRUN_SCHEMAS_AVRO_BYTES_H
#define SCHEDRUN_SCHEMAS_AVRO_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"

/*
 * Avro's binary encoding of the types that our messages are made of (Avro
 * specification, "Binary Encoding").  Inline: they stand on the worker's path
 * of each request.  A test holds them to avro-c's bytes.
 */
#define AVRO_LONG_SIZE_MAX 10

static inline void
avro_put_long(struct buffer *out, int64_t value)
{
	uint64_t bits = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
	char *at = buffer_reserve(out, AVRO_LONG_SIZE_MAX);
	size_t n = 0;

	while (bits >= 0x80) {
		at[n++] = (char)(bits | 0x80);
		bits >>= 7;
	}
	at[n++] = (char)bits;
	out->size += n;
}

static inline void
avro_put_bool(struct buffer *out, bool value)
{
	buffer_byte(out, value ? 1 : 0);
}

static inline void
avro_put_text(struct buffer *out, struct text text)
{
	avro_put_long(out, (int64_t)text.size);
	buffer_append(out, text);
}

/* A union ["null", "string"]: no text is null. */
static inline void
avro_put_optional(struct buffer *out, struct text text)
{
	avro_put_long(out, text.at != NULL);
	if (text.at != NULL)
		avro_put_text(out, text);
}

/* A string of a RID's prefix and a UUID. */
static inline void
avro_put_rid(struct buffer *out, struct text prefix, const struct uuid *uuid)
{
	size_t size = prefix.size + UUID_TEXT_SIZE;

	avro_put_long(out, (int64_t)size);
	rid_format(prefix, uuid, buffer_reserve(out, size));
	out->size += size;
}

/* What stands encoded between two positions of a block. */
static inline void
avro_put_raw(struct buffer *out, const char *block, size_t from, size_t to)
{
	buffer_append(out, (struct text){ block + from, to - from });
}

/* An array's or map's head: `n` items follow, then avro_put_end. */
static inline void
avro_put_items(struct buffer *out, size_t n)
{
	if (n > 0)
		avro_put_long(out, (int64_t)n);
}

static inline void
avro_put_end(struct buffer *out)
{
	buffer_byte(out, 0);
}

#endif
