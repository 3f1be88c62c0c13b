#ifndef SCHEDRUN_TESTS_CODEC_HEX_H
#define SCHEDRUN_TESTS_CODEC_HEX_H

#include "common/base/buffer.h"

/* Reads a line's digits, two a byte, in place of what `out` had. */
void hex_read(const char *line, struct buffer *out);

/* Prints a text's bytes to standard output. */
void hex_print(struct text text);

#endif
