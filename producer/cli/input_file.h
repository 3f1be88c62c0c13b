#ifndef SCHEDRUN_PRODUCER_CLI_INPUT_FILE_H
#define SCHEDRUN_PRODUCER_CLI_INPUT_FILE_H

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/json/node.h"

#define INPUT_FILE_MAX ((size_t)1 << 30)

/*
 * A whole file, "-" = standard input, of at most INPUT_FILE_MAX bytes, parsed
 * as JSON; to be destroyed by the caller.  NULL: ERROR_INPUT, with path and
 * reason.
 */
struct json_document *input_file_parse(const char *path, struct error *err);
/*
 * The same by json_parse_large, whose elements are to be walked.  A regular
 * file is not read into memory but mapped: it must stay as it is until the
 * document is destroyed, and `input` finished after it.
 */
struct input_file {
	struct buffer content; /* of what can't be mapped */
	struct text mapped;
};
struct json_document *input_file_parse_large(
    struct input_file *input, const char *path, struct error *err);
void input_file_finish(struct input_file *input);

#endif
