#ifndef SCHEDRUN_COMMON_BASE_NEAREST_H
#define SCHEDRUN_COMMON_BASE_NEAREST_H

#include <stddef.h>

/*
 * The name of the list that `wrong` was probably meant to be: the least number
 * of insertions, deletions and replacements, at most a third of its length and
 * one. `names` is an array of `n` strings, one every `stride` bytes (the name
 * must be the first member of a table's row).  NULL: none is near.
 */
const char *nearest_name(
    const char *wrong, const void *names, size_t n, size_t stride);

#endif
