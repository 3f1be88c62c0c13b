#include "producer/cli/input_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/json/large.h"
#include "schemas/stored/document.h"

#define PIECE ((size_t)65536)

/* Appends the whole file. */
static int
read_whole(const char *path, struct buffer *content, struct error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(path, "re");
	size_t n;
	int rc = 0;

	if (file == NULL)
		return error_set(
		    err, ERROR_INPUT, "%s: %s", path, strerror(errno));
	do {
		n = fread(buffer_reserve(content, PIECE), 1, PIECE, file);
		content->size += n;
	} while (n > 0 && content->size <= INPUT_FILE_MAX);
	if (ferror(file))
		rc = error_set(
		    err, ERROR_INPUT, "%s: %s", path, strerror(errno));
	else if (content->size > INPUT_FILE_MAX)
		rc = error_set(err, ERROR_INPUT,
		    "%s: more than %zu bytes; split the file", path,
		    INPUT_FILE_MAX);
	if (!is_stdin)
		fclose(file);
	return rc;
}

struct json_document *
input_file_parse(const char *path, struct error *err)
{
	struct json_document *document = NULL;
	struct buffer content = { 0 };

	if (read_whole(path, &content, err) == 0) {
		document = json_parse(text_skip_mark(buffer_text(&content)),
		    DOCUMENT_DEPTH_MAX, err);
		if (document == NULL)
			error_prefix(err, "%s", path);
	}
	buffer_finish(&content);
	return document;
}

struct json_document *
input_file_parse_large(const char *path, struct error *err)
{
	struct json_document *document;
	struct buffer content = { 0 };

	if (read_whole(path, &content, err) != 0) {
		buffer_finish(&content);
		return NULL;
	}
	document = json_parse_large(&content, DOCUMENT_DEPTH_MAX, err);
	if (document == NULL)
		error_prefix(err, "%s", path);
	return document;
}
