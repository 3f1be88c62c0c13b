#ifndef SCHEDRUN_PRODUCER_CLI_LINE_READER_H
#define SCHEDRUN_PRODUCER_CLI_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/base/text.h"

/*
 * Lines of a file or a pipe, without waiting longer than asked: who reads a
 * pipe has other things to do meanwhile.  A line that is too long is cut, and
 * costs no more memory than one that is not.  A byte order mark before the
 * first is skipped.
 */
struct line_reader {
	int file;
	size_t line_max;
	struct buffer read; /* bytes that are not given out yet */
	size_t start;       /* of them, those that were */
	size_t searched;    /* from there on: no line break in so many */
	size_t number;      /* of the last line, from 1 */
	bool at_end, is_cut;
};

/* `file` is borrowed. */
void line_reader_init(struct line_reader *reader, int file, size_t line_max);
void line_reader_finish(struct line_reader *reader);

enum line_result { LINE_NONE_YET, LINE_READ, LINE_END, LINE_FAILED };

/*
 * The next line without its line break, valid until the next call; one longer
 * than line_max has line_max + 1 bytes.  LINE_NONE_YET after `timeout_ms`;
 * LINE_FAILED with ERROR_INPUT.
 */
enum line_result line_reader_next(struct line_reader *reader, int timeout_ms,
    struct text *line, struct error *err);

#endif
