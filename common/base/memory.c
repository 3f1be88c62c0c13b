#include "common/base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void
memory_exhausted(void)
{
	/* Ready made: nothing can be allocated on this way out. */
	static const char line[] = "schedrun: out of memory, exit 71\n";
	ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);

	(void)written;
	_exit(71);
}

void *
memory_alloc(size_t size)
{
	void *memory = malloc(size > 0 ? size : 1);

	if (memory == NULL)
		memory_exhausted();
	return memory;
}

void *
memory_zalloc(size_t n, size_t size)
{
	void *memory = calloc(n > 0 ? n : 1, size > 0 ? size : 1);

	if (memory == NULL)
		memory_exhausted();
	return memory;
}

void *
memory_resize(void *memory, size_t n, size_t size)
{
	if (size > 0 && n > SIZE_MAX / size)
		memory_exhausted();
	memory = realloc(memory, n * size > 0 ? n * size : 1);
	if (memory == NULL)
		memory_exhausted();
	return memory;
}

char *
memory_copy_string(const char *string)
{
	size_t size;
	char *copy;

	if (string == NULL)
		return NULL;
	size = strlen(string) + 1;
	copy = memory_alloc(size);
	memcpy(copy, string, size);
	return copy;
}
