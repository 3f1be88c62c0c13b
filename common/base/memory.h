#ifndef SCHEDRUN_COMMON_BASE_MEMORY_H
#define SCHEDRUN_COMMON_BASE_MEMORY_H

#include <stddef.h>

/*
 * Memory from the system.  When there is none, the process ends with exit code
 * 71 after one line: a restart is the recovery (docs/delivery.md, section 9).
 * To be given back by free(3).
 */
void *memory_alloc(size_t size);
void *memory_zalloc(size_t n, size_t size); /* n × size bytes of zero */
void *memory_resize(void *memory, size_t n, size_t size);
char *memory_copy_string(const char *string); /* NULL gives NULL */

/* For a caller that finds a size that no memory can have. */
_Noreturn void memory_exhausted(void) __attribute__((noreturn));

#endif
