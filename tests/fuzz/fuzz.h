#ifndef SCHEDRUN_TESTS_FUZZ_FUZZ_H
#define SCHEDRUN_TESTS_FUZZ_FUZZ_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/text.h"

/*
 * What each target of this room has: libFuzzer's entry.  The bytes are any;
 * what must hold is asserted, what must not be touched the sanitizers see.
 */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Cuts off the first `n` bytes, or as many as there are. */
static inline struct text
fuzz_take(struct text *rest, size_t n)
{
	struct text taken = { rest->at, n < rest->size ? n : rest->size };

	rest->at += taken.size;
	rest->size -= taken.size;
	return taken;
}

/* Cuts off what stands before the next `c`, and drops it; or all. */
static inline struct text
fuzz_take_until(struct text *rest, char c)
{
	size_t n = 0;
	struct text taken;

	while (n < rest->size && rest->at[n] != c)
		n++;
	taken = fuzz_take(rest, n);
	fuzz_take(rest, 1);
	return taken;
}

#endif
