#include "producer/line_reader.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)65536)

void
line_reader_init(struct line_reader *reader, int file, size_t line_max)
{
	*reader = (struct line_reader){ .file = file, .line_max = line_max };
}

void
line_reader_finish(struct line_reader *reader)
{
	buffer_finish(&reader->read);
}

/* Gives out the first `size` bytes that are left, and `skip` more are gone. */
static void
give(struct line_reader *reader, size_t size, size_t skip, struct text *line)
{
	*line = (struct text){ reader->read.at + reader->start, size };
	reader->start += size + skip;
	while (line->size > 0 && line->at[line->size - 1] == '\r')
		line->size--;
	reader->number++;
}

/* A whole line of what was read; the rest of a line that was cut is dropped. */
static bool
take(struct line_reader *reader, struct text *line)
{
	const char *at = reader->read.at + reader->start;
	size_t left = reader->read.size - reader->start;
	const char *end = left > 0 ? memchr(at, '\n', left) : NULL;
	size_t size = end != NULL ? (size_t)(end - at) : left;

	if (reader->is_cut) {
		reader->start += size + (end != NULL);
		reader->is_cut = end == NULL;
		return !reader->is_cut && take(reader, line);
	}
	if (size > reader->line_max) {
		give(reader, reader->line_max + 1, 0, line);
		reader->is_cut = true;
		return true;
	}
	if (end == NULL && !(reader->at_end && left > 0))
		return false;
	give(reader, size, end != NULL, line);
	return true;
}

/* Room for more: what was given out goes. */
static void
tidy(struct line_reader *reader)
{
	size_t left = reader->read.size - reader->start;

	if (reader->start > 0 && left > 0)
		memmove(reader->read.at, reader->read.at + reader->start, left);
	reader->read.size = left;
	reader->start = 0;
}

enum line_result
line_reader_next(struct line_reader *reader, int timeout_ms, struct text *line,
    struct error *err)
{
	struct pollfd ready = { .fd = reader->file, .events = POLLIN };
	ssize_t size;

	for (;;) {
		if (take(reader, line))
			return LINE_READ;
		if (reader->at_end)
			return LINE_END;
		if (poll(&ready, 1, timeout_ms) <= 0)
			return LINE_NONE_YET; /* or a signal came */
		tidy(reader);
		size = read(
		    reader->file, buffer_reserve(&reader->read, PIECE), PIECE);
		if (size < 0 && errno == EINTR)
			return LINE_NONE_YET;
		if (size < 0) {
			error_set(err, ERROR_INPUT, "%s", strerror(errno));
			return LINE_FAILED;
		}
		reader->read.size += (size_t)size;
		reader->at_end = size == 0;
	}
}
