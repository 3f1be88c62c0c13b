#include "producer/cli/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* 1 mapped, 0: nothing that can be, -1 failed. */
static int
map_whole(const char *path, struct text *mapped, struct error *err)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	struct stat about;
	void *at = MAP_FAILED;

	if (file < 0)
		return error_set(
		    err, ERROR_INPUT, "%s: %s", path, strerror(errno));
	if (fstat(file, &about) == 0 && S_ISREG(about.st_mode) &&
	    about.st_size > 0 && (size_t)about.st_size <= INPUT_FILE_MAX)
		at = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE,
		    file, 0);
	close(file);
	if (at == MAP_FAILED)
		return 0;
	*mapped = (struct text){ at, (size_t)about.st_size };
	return 1;
}

struct json_document *
input_file_parse_large(
    struct input_file *input, const char *path, struct error *err)
{
	struct json_document *document;
	int rc = 0;

	*input = (struct input_file){ 0 };
	if (strcmp(path, "-") != 0)
		rc = map_whole(path, &input->mapped, err);
	if (rc == 0)
		rc = read_whole(path, &input->content, err);
	if (rc < 0)
		return NULL;
	document = json_parse_large(
	    rc > 0 ? input->mapped : buffer_text(&input->content), rc > 0,
	    DOCUMENT_DEPTH_MAX, err);
	if (document == NULL)
		error_prefix(err, "%s", path);
	return document;
}

void
input_file_finish(struct input_file *input)
{
	if (input->mapped.at != NULL)
		munmap((void *)(uintptr_t)input->mapped.at, input->mapped.size);
	buffer_finish(&input->content);
}
