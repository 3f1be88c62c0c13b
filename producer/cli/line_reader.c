#include "producer/cli/line_reader.h"

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
	reader->searched = 0;
	while (line->size > 0 && line->at[line->size - 1] == '\r')
		line->size--;
	reader->number++;
}

/* The end of the first line of what was read; NULL: it isn't there yet. */
static const char *
find_end(struct line_reader *reader, size_t *size)
{
	const char *at = reader->read.at + reader->start;
	size_t left = reader->read.size - reader->start;
	size_t searched = reader->searched;
	const char *end = left > searched
	    ? memchr(at + searched, '\n', left - searched)
	    : NULL;

	*size = end != NULL ? (size_t)(end - at) : left;
	reader->searched = *size;
	return end;
}

/* The rest of a line that was given out cut. */
static void
drop_rest(struct line_reader *reader)
{
	size_t size;
	const char *end = find_end(reader, &size);

	reader->start += size + (end != NULL);
	reader->searched = 0;
	reader->is_cut = end == NULL;
}

/* A byte order mark before the first line is none of it. */
static void
skip_mark(struct line_reader *reader)
{
	struct text read = buffer_text(&reader->read);

	if (reader->number == 0 && reader->start == 0)
		reader->start = read.size - text_skip_mark(read).size;
}

/* A whole line of what was read. */
static bool
take_line(struct line_reader *reader, struct text *line)
{
	size_t size;
	const char *end;

	if (reader->read.at == NULL)
		return false;
	skip_mark(reader);
	if (reader->is_cut)
		drop_rest(reader);
	if (reader->is_cut)
		return false;
	end = find_end(reader, &size);
	if (size > reader->line_max) {
		give(reader, reader->line_max + 1, 0, line);
		reader->is_cut = true;
		return true;
	}
	if (end == NULL && !(reader->at_end && size > 0))
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
		if (take_line(reader, line))
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
		if (reader->is_cut && !reader->at_end)
			return LINE_NONE_YET; /* its rest may have no end */
	}
}
