#include "common/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define BLOCK_SIZE_DEFAULT (64 * 1024)
#define ALIGNMENT alignof(max_align_t)

/* ASan is told what is handed out: it sees what reads on behind that. */
#ifdef ARENA_WATCHED
/* As <sanitizer/asan_interface.h> has them, which clang's packages lack. */
void __asan_poison_memory_region(const volatile void *at, size_t size);
void __asan_unpoison_memory_region(const volatile void *at, size_t size);
#define GAP ALIGNMENT
#define hide(at, size) __asan_poison_memory_region(at, size)
#define show(at, size) __asan_unpoison_memory_region(at, size)
#else
#define GAP 0
#define hide(at, size) ((void)(at), (void)(size))
#define show(at, size) ((void)(at), (void)(size))
#endif

struct block {
	struct block *next;
	size_t capacity;
	alignas(max_align_t) char bytes[];
};

struct arena {
	size_t block_size;
	size_t used;          /* handed out since the reset */
	size_t filled;        /* of the current block */
	struct block *blocks; /* all, in the order of their use */
	struct block *current;
};

struct arena *
arena_create(size_t block_size)
{
	struct arena *arena = memory_zalloc(1, sizeof *arena);

	arena->block_size = block_size > 0 ? block_size : BLOCK_SIZE_DEFAULT;
	return arena;
}

static void
free_blocks(struct block *block)
{
	while (block != NULL) {
		struct block *next = block->next;

		free(block);
		block = next;
	}
}

void
arena_destroy(struct arena *arena)
{
	if (arena == NULL)
		return;
	free_blocks(arena->blocks);
	free(arena);
}

void *
arena_alloc(struct arena *arena, size_t size)
{
	struct block **link;
	void *memory;
	size_t asked = size;

	if (size > SIZE_MAX / 2)
		memory_exhausted();
	size = (size + GAP + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	if (arena->current == NULL ||
	    arena->current->capacity - arena->filled < size) {
		/* The next block that holds `size`: a kept one if it is large
		 * enough. */
		link = arena->current != NULL ? &arena->current->next
					      : &arena->blocks;
		if (*link == NULL || (*link)->capacity < size) {
			size_t capacity =
			    size > arena->block_size ? size : arena->block_size;
			struct block *block;

			if (capacity > SIZE_MAX - sizeof *block)
				memory_exhausted();
			block = memory_alloc(sizeof *block + capacity);
			block->next = *link;
			block->capacity = capacity;
			hide(block->bytes, capacity);
			*link = block;
		}
		arena->current = *link;
		arena->filled = 0;
	}
	memory = arena->current->bytes + arena->filled;
	arena->filled += size;
	arena->used += size - GAP;
	show(memory, asked);
	return memory;
}

void *
arena_zalloc(struct arena *arena, size_t n, size_t size)
{
	void *memory;

	if (size > 0 && n > SIZE_MAX / size)
		memory_exhausted();
	memory = arena_alloc(arena, n * size);
	memset(memory, 0, n * size);
	return memory;
}

void
arena_reset(struct arena *arena, size_t keep)
{
	struct block **link = &arena->blocks;
	size_t kept = 0;

#ifdef ARENA_WATCHED
	/* A block that is given back is not soon memory of another batch: ASan
	 * sees who still reads it. */
	keep = 0;
#endif
	while (*link != NULL && (*link)->capacity <= keep - kept) {
		kept += (*link)->capacity;
		link = &(*link)->next;
	}
	free_blocks(*link);
	*link = NULL;
	arena->current = NULL;
	arena->filled = 0;
	arena->used = 0;
}

size_t
arena_used(const struct arena *arena)
{
	return arena->used;
}
