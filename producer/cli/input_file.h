#ifndef SCHEDRUN_PRODUCER_CLI_INPUT_FILE_H
#define SCHEDRUN_PRODUCER_CLI_INPUT_FILE_H

#include "common/base/error.h"
#include "common/json/node.h"

#define INPUT_FILE_MAX ((size_t)1 << 30)

/*
 * A whole file, "-" = standard input, of at most INPUT_FILE_MAX bytes, parsed
 * as JSON; to be destroyed by the caller.  NULL: ERROR_INPUT, with path and
 * reason.
 */
struct json_document *input_file_parse(const char *path, struct error *err);
/* The same by json_parse_large: its elements are to be walked. */
struct json_document *input_file_parse_large(
    const char *path, struct error *err);

#endif
