#include "tests/codec/hex.h"

#include <stdio.h>

void
hex_read(const char *line, struct buffer *out)
{
	buffer_reset(out);
	for (; line[0] != '\0' && line[0] != '\n'; line += 2)
		buffer_byte(out,
		    (char)(text_hex_digit(line[0]) * 16 +
			text_hex_digit(line[1])));
}

void
hex_print(struct text text)
{
	size_t i;

	for (i = 0; i < text.size; i++)
		printf("%02x", (unsigned char)text.at[i]);
}
