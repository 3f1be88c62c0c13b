#include "schemas/avro/framing.h"

int
framing_read(struct text value, size_t max, uint32_t *schema_id,
    struct text *body, struct rejection *rejection)
{
	const unsigned char *at = (const unsigned char *)value.at;

	if (value.size == 0)
		return reject(rejection, REJECT_EMPTY, "no value");
	if (value.size > max)
		return reject(rejection, REJECT_TOO_LARGE,
		    "%zu bytes, more than %zu", value.size, max);
	if (at[0] != 0)
		return reject(rejection, REJECT_BAD_MAGIC,
		    "first byte %u, not 0: is it framed with a schema id?",
		    at[0]);
	if (value.size < FRAMING_SIZE)
		return reject(rejection, REJECT_TRUNCATED_HEADER,
		    "%zu bytes, less than the %d of a schema id's frame",
		    value.size, FRAMING_SIZE);
	*schema_id = (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 |
	    (uint32_t)at[3] << 8 | at[4];
	*body =
	    (struct text){ value.at + FRAMING_SIZE, value.size - FRAMING_SIZE };
	return 0;
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
