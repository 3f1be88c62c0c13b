#include "common/base/arena.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/check.h"

#ifdef ARENA_WATCHED
int __asan_address_is_poisoned(const volatile void *at);
void *__asan_region_is_poisoned(void *at, size_t size);
#endif

static void
hands_out_bytes_that_do_not_overlap(void)
{
	static const size_t sizes[] = { 1, 0, 3, 16, 100, 1000, 5000, 7 };
	struct arena *arena = arena_create(256);
	unsigned char *at[sizeof sizes / sizeof sizes[0]];
	size_t i, j;

	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		at[i] = arena_alloc(arena, sizes[i]);
		CHECK(at[i] != NULL);
		if (at[i] == NULL)
			return;
		CHECK((uintptr_t)at[i] % alignof(max_align_t) == 0);
		memset(at[i], (int)i + 1, sizes[i]);
	}
	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		for (j = 0; j < sizes[i]; j++)
			if (at[i][j] != i + 1)
				CHECK(at[i][j] == i + 1);
	arena_destroy(arena);
}

static void
clears_what_is_asked_to_be_zero(void)
{
	static const unsigned char zeros[300];
	struct arena *arena = arena_create(0);

	memset(arena_alloc(arena, 300), 0xFF, 300);
	arena_reset(arena, SIZE_MAX);
	CHECK(memcmp(arena_zalloc(arena, 100, 3), zeros, 300) == 0);
	CHECK(arena_zalloc(arena, 0, SIZE_MAX) != NULL);
	arena_destroy(arena);
}

static void
counts_since_the_last_reset(void)
{
	struct arena *arena = arena_create(256);
	size_t used;

	CHECK(arena_used(arena) == 0);
	arena_alloc(arena, 100);
	arena_alloc(arena, 1000);
	used = arena_used(arena);
	CHECK(used >= 1100 && used < 1100 + 2 * alignof(max_align_t));
	arena_reset(arena, 0);
	CHECK(arena_used(arena) == 0);
	arena_alloc(arena, 1);
	CHECK(arena_used(arena) >= 1 &&
	    arena_used(arena) <= alignof(max_align_t));
	arena_destroy(arena);
}

#ifdef ARENA_WATCHED
/* What was given back stays unreadable, and so does what lies behind each. */
static void
hides_what_is_not_handed_out(void)
{
	struct arena *arena = arena_create(4096);
	char *first = arena_alloc(arena, 100);
	char *second = arena_alloc(arena, 16);

	CHECK(__asan_region_is_poisoned(first, 100) == NULL);
	CHECK(__asan_address_is_poisoned(first + 104));
	CHECK(__asan_region_is_poisoned(second, 16) == NULL);
	CHECK(__asan_address_is_poisoned(second + 16));
	arena_reset(arena, SIZE_MAX);
	CHECK(arena_alloc(arena, 100) != first);
	CHECK(__asan_address_is_poisoned(first));
	CHECK(__asan_address_is_poisoned(second));
	arena_destroy(arena);
	arena_destroy(NULL);
}
#else
/* A warm arena asks the system for nothing: the same place comes again. */
static void
keeps_blocks_for_reuse(void)
{
	struct arena *arena = arena_create(4096);
	void *first = arena_alloc(arena, 100);

	arena_reset(arena, 4096);
	CHECK(arena_alloc(arena, 100) == first);
	arena_destroy(arena);
	arena_destroy(NULL);
}
#endif

CU_TestInfo arena_tests[] = {
	{ "hands out bytes that do not overlap",
	    hands_out_bytes_that_do_not_overlap },
	{ "clears what is asked to be zero", clears_what_is_asked_to_be_zero },
	{ "counts since the last reset", counts_since_the_last_reset },
#ifdef ARENA_WATCHED
	{ "hides what is not handed out", hides_what_is_not_handed_out },
#else
	{ "keeps blocks for reuse", keeps_blocks_for_reuse },
#endif
	CU_TEST_INFO_NULL,
};
