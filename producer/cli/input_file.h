#ifndef SCHEDRUN_PRODUCER_CLI_INPUT_FILE_H
#define SCHEDRUN_PRODUCER_CLI_INPUT_FILE_H

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/json/node.h"

#define INPUT_FILE_MAX ((size_t)1 << 30)

/*
 * Appends the whole file, "-" = standard input, of at most INPUT_FILE_MAX
 * bytes.  ERROR_INPUT names path and reason.
 */
int input_file_read(
    const char *path, struct buffer *content, struct error *err);

/* The same, parsed as JSON; to be destroyed by the caller.  NULL: ERROR_INPUT.
 */
struct json_document *input_file_parse(const char *path, struct error *err);

#endif
