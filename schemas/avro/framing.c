#include "schemas/avro/framing.h"

#include <string.h>

#define GUID_SIZE 17 /* with its first byte, 1 */

static uint32_t
read_id(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	    (uint32_t)at[2] << 8 | at[3];
}

static int
check_size(struct text value, size_t max, struct rejection *rejection)
{
	if (value.size == 0)
		return reject(rejection, REJECT_EMPTY, "no value");
	if (value.size > max)
		return reject(rejection, REJECT_TOO_LARGE,
		    "%zu bytes, more than %zu", value.size, max);
	return 0;
}

int
framing_read(struct text value, size_t max, uint32_t *schema_id,
    struct text *body, struct rejection *rejection)
{
	if (check_size(value, max, rejection) != 0)
		return -1;
	if (value.at[0] != 0)
		return reject(rejection, REJECT_BAD_MAGIC,
		    "first byte %u, not 0: is it framed with a schema id?",
		    (unsigned char)value.at[0]);
	if (value.size < FRAMING_SIZE)
		return reject(rejection, REJECT_TRUNCATED_HEADER,
		    "%zu bytes, less than the %d of a schema id's frame",
		    value.size, FRAMING_SIZE);
	*schema_id = read_id(value.at + 1);
	*body =
	    (struct text){ value.at + FRAMING_SIZE, value.size - FRAMING_SIZE };
	return 0;
}

int
framing_read_header(struct text header, struct text value, size_t max,
    uint32_t *schema_id, struct text *body, struct rejection *rejection)
{
	if (check_size(value, max, rejection) != 0)
		return -1;
	if (header.size == GUID_SIZE && header.at[0] == 1)
		return reject(rejection, REJECT_BAD_MAGIC,
		    "the header " FRAMING_HEADER
		    " holds a GUID, which is not read: send the schema's id");
	if (header.size != FRAMING_SIZE || header.at[0] != 0)
		return reject(rejection, REJECT_BAD_MAGIC,
		    "the header " FRAMING_HEADER
		    " is no schema id: a byte 0 and 4 bytes of id");
	*schema_id = read_id(header.at + 1);
	*body = value;
	return 0;
}

const char *
framing_guess(struct text value)
{
	static const struct {
		struct text with;
		const char *guess;
	} rows[] = {
		{ { "{", 1 }, "it looks like JSON" },
		{ { "Obj\1", 4 }, "it looks like an Avro container file" },
		{ { "\xc3\1", 2 },
		    "it looks like Avro's single-object encoding" },
		{ { "\0\0\0\0\0\0\0", 7 },
		    "it looks like an id of 8 bytes: 4 are read" },
		{ { "\x28\xb5\x2f\xfd", 4 }, "it looks compressed by zstd" },
		{ { "\x1f\x8b", 2 }, "it looks compressed by gzip" },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (value.size >= rows[i].with.size &&
		    memcmp(value.at, rows[i].with.at, rows[i].with.size) == 0)
			return rows[i].guess;
	if (value.size > FRAMING_SIZE && value.at[FRAMING_SIZE] == '{')
		return "it looks like JSON behind the frame";
	return NULL;
}

void
framing_write(uint32_t schema_id, struct buffer *out)
{
	char *at = buffer_reserve(out, FRAMING_SIZE);

	at[0] = 0;
	at[1] = (char)(schema_id >> 24);
	at[2] = (char)(schema_id >> 16);
	at[3] = (char)(schema_id >> 8);
	at[4] = (char)schema_id;
	out->size += FRAMING_SIZE;
}
