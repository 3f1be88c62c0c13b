#include "common/config/file.h"

#include <string.h>

#define LINE_SIZE_MAX ((size_t)64 * 1024)

/* Where the reader is, for messages. */
struct place {
	const char *path;
	int line;
};

/* The bytes up to the line's end, which is LF or CR LF or the file's end. */
static struct text
cut_line(struct text *rest)
{
	const char *end = memchr(rest->at, '\n', rest->size);
	struct text line = { rest->at, rest->size };

	if (end != NULL)
		line.size = (size_t)(end - rest->at);
	rest->at += line.size + (end != NULL);
	rest->size -= line.size + (end != NULL);
	if (end != NULL && line.size > 0 && line.at[line.size - 1] == '\r')
		line.size--;
	return line;
}

/* What holds for every line, a comment too. */
static int
check_bytes(struct place at, struct text line, struct error *err)
{
	size_t i;

	if (line.size > LINE_SIZE_MAX)
		return error_set(err, ERROR_FATAL,
		    "%s:%d: a line of %zu bytes, more than %zu", at.path,
		    at.line, line.size, LINE_SIZE_MAX);
	if (!text_is_utf8(line))
		return error_set(
		    err, ERROR_FATAL, "%s:%d: not UTF-8", at.path, at.line);
	for (i = 0; i < line.size; i++)
		if (line.at[i] != '\t' && text_control_size(line, i) > 0)
			return error_set(err, ERROR_FATAL,
			    "%s:%d: a control character (byte %zu of the line)",
			    at.path, at.line, i + 1);
	return 0;
}

static bool
has(struct text text, char sign)
{
	return text.size > 0 && memchr(text.at, sign, text.size) != NULL;
}

/* Cuts "key = value". */
static int
take_line(struct place at, struct text line, struct config_line *out,
    struct error *err)
{
	const char *equals = memchr(line.at, '=', line.size);
	size_t size = equals != NULL ? (size_t)(equals - line.at) : line.size;

	out->number = at.line;
	out->key = text_trim((struct text){ line.at, size });
	if (equals == NULL || out->key.size == 0 || has(out->key, ' ') ||
	    has(out->key, '\t') || has(out->key, '{')) {
		if (has(out->key, '{') || text_equal(out->key, TEXT("}")))
			return error_set(err, ERROR_FATAL,
			    "%s:%d: there are no blocks; write kafka.NAME = "
			    "VALUE, a line for each",
			    at.path, at.line);
		return error_set(err, ERROR_FATAL,
		    "%s:%d: not of the form KEY = VALUE", at.path, at.line);
	}
	out->value =
	    text_trim((struct text){ equals + 1, line.size - size - 1 });
	/*
	 * Values stand for themselves.  What other readers of such files would
	 * take otherwise (quotes as the files of earlier versions had them, a
	 * line that goes on in the next) is refused instead of being read in
	 * one of two ways.
	 */
	if (out->value.size >= 2 && out->value.at[0] == '"' &&
	    out->value.at[out->value.size - 1] == '"')
		return error_set(err, ERROR_FATAL,
		    "%s:%d: %.*s: a value stands without quotes; write KEY = "
		    "VALUE",
		    at.path, at.line, TEXT_ARG(out->key));
	if (out->value.size > 0 && out->value.at[out->value.size - 1] == '\\')
		return error_set(err, ERROR_FATAL,
		    "%s:%d: %.*s: a value can't end in a backslash, no line "
		    "goes on in the next",
		    at.path, at.line, TEXT_ARG(out->key));
	return 0;
}

/* A secret and its KEY.file are one key. */
static bool
is_same_key(struct text left, struct text right)
{
	struct text longer = left.size > right.size ? left : right;
	struct text shorter = left.size > right.size ? right : left;

	if (!text_starts_with(longer, shorter))
		return false;
	longer.at += shorter.size;
	longer.size -= shorter.size;
	return longer.size == 0 || text_equal(longer, TEXT(".file"));
}

static int
check_twice(
    struct place at, const struct config_line *lines, int n, struct error *err)
{
	int i;

	for (i = 0; i < n; i++)
		if (is_same_key(lines[i].key, lines[n].key))
			return error_set(err, ERROR_FATAL,
			    "%s:%d: %.*s: set twice, first in line %d", at.path,
			    at.line, TEXT_ARG(lines[n].key), lines[i].number);
	return 0;
}

int
config_file_parse(const char *path, struct text bytes,
    struct config_line lines[CONFIG_LINES_MAX], struct error *err)
{
	struct place at = { path, 0 };
	struct text line;
	int n = 0;

	bytes = text_skip_mark(bytes);
	while (bytes.size > 0) {
		line = cut_line(&bytes);
		at.line++;
		if (check_bytes(at, line, err) != 0)
			return -1;
		line = text_trim(line);
		if (line.size == 0 || line.at[0] == '#')
			continue;
		if (n == CONFIG_LINES_MAX)
			return error_set(err, ERROR_FATAL,
			    "%s:%d: more than %d settings", path, at.line,
			    CONFIG_LINES_MAX);
		if (take_line(at, line, &lines[n], err) != 0 ||
		    check_twice(at, lines, n, err) != 0)
			return -1;
		n++;
	}
	return n;
}
