#ifndef SCHEDRUN_COMMON_BASE_SMALL_FILE_H
#define SCHEDRUN_COMMON_BASE_SMALL_FILE_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

/*
 * Reads a regular file of at most `size_max` bytes whole into an empty buffer;
 * `*exposed`: everybody may read it.  No copy of it is left elsewhere in
 * memory, so a secret can be wiped.  -1: ERROR_INPUT naming path and reason.
 * Blocks for the disk.
 */
int small_file_read(const char *path, size_t size_max, struct buffer *out,
    bool *exposed, struct error *err);

#endif
