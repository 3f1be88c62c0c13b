#include "producer/runs/position.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/crypto/digest.h"

#define VERSION 1
#define VARINT_MAX 9 /* bytes: 63 bits */

void
event_position_finish(struct event_position *position)
{
	free(position->next);
	*position = (struct event_position){ 0 };
}

void
event_position_resize(struct event_position *position, int32_t n)
{
	if (n > position->n) {
		position->next = memory_resize(
		    position->next, (size_t)n, sizeof *position->next);
		memset(position->next + position->n, 0,
		    (size_t)(n - position->n) * sizeof *position->next);
	}
	position->n = n;
}

void
event_position_copy(
    struct event_position *to, const struct event_position *from)
{
	event_position_resize(to, from->n);
	if (from->n > 0)
		memcpy(
		    to->next, from->next, (size_t)from->n * sizeof *from->next);
}

bool
event_position_covers(
    const struct event_position *position, const struct event_position *other)
{
	int32_t i;

	for (i = 0; i < other->n; i++)
		if (other->next[i] > (i < position->n ? position->next[i] : 0))
			return false;
	return true;
}

void
event_position_pass(
    struct event_position *position, int32_t partition, int64_t next)
{
	if (partition < 0 || partition >= EVENT_PARTITIONS_MAX)
		return;
	if (partition >= position->n)
		event_position_resize(position, partition + 1);
	if (position->next[partition] < next)
		position->next[partition] = next;
}

static void
put_varint(struct buffer *out, uint64_t value)
{
	for (; value > 127; value >>= 7)
		buffer_byte(out, (char)(value | 128));
	buffer_byte(out, (char)value);
}

void
event_position_write(const struct event_position *position, struct buffer *out)
{
	struct buffer bytes = { 0 };
	int32_t i;

	buffer_byte(&bytes, VERSION);
	put_varint(&bytes, (uint64_t)position->n);
	for (i = 0; i < position->n; i++)
		put_varint(&bytes, (uint64_t)position->next[i]);
	base64url_write(buffer_text(&bytes), out);
	buffer_finish(&bytes);
}

/* The shortest form only: an id has one text. */
static bool
take_varint(struct text *bytes, int64_t *value)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < bytes->size && i < VARINT_MAX; i++) {
		unsigned char byte = (unsigned char)bytes->at[i];

		sum |= (uint64_t)(byte & 127) << (7 * i);
		if (byte > 127)
			continue;
		if (byte == 0 && i > 0)
			return false;
		bytes->at += i + 1;
		bytes->size -= i + 1;
		*value = (int64_t)sum;
		return true;
	}
	return false;
}

static bool
read_bytes(struct event_position *position, struct text bytes)
{
	int64_t n;
	int32_t i;

	if (!text_take_byte(&bytes, VERSION) || !take_varint(&bytes, &n) ||
	    n < 1 || n > EVENT_PARTITIONS_MAX || (size_t)n > bytes.size)
		return false;
	event_position_resize(position, (int32_t)n);
	for (i = 0; i < position->n; i++)
		if (!take_varint(&bytes, &position->next[i]))
			return false;
	return bytes.size == 0;
}

bool
event_position_read(struct event_position *position, struct text id)
{
	struct event_position found = { 0 };
	struct buffer bytes = { 0 };
	bool good = base64url_read(id, &bytes) &&
	    read_bytes(&found, buffer_text(&bytes));

	buffer_finish(&bytes);
	if (!good) {
		event_position_finish(&found);
		return false;
	}
	event_position_finish(position);
	*position = found;
	return true;
}
