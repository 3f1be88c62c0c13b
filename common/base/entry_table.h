#ifndef SCHEDRUN_COMMON_BASE_ENTRY_TABLE_H
#define SCHEDRUN_COMMON_BASE_ENTRY_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"

/*
 * A table of entries by open addressing: a slot keeps the hash, so that a probe
 * touches the entry only when it is (nearly surely) the right one.  Entries are
 * the caller's and never move.  The slots live in the caller's arena, where
 * those that were outgrown stay until its reset, at most as many again as the
 * last ones; or, where an arena of NULL is given each time, on the heap.  Not
 * for several threads at once.
 *
 * By hand have it still, with why in their files: plan_graph and the JSON
 * reader (slots of four bytes), the catalogue's fields (of eight), the
 * snapshot's cache (chains cost it less memory), the waiters (several of one
 * id).
 */
struct entry_slot {
	size_t hash;
	void *entry; /* NULL: free */
};

struct entry_table {
	struct entry_slot *slots;
	size_t mask; /* slots - 1; slots are a power of two */
	size_t n;    /* entries */
};

/*
 * Empties a table, or makes a zeroed one, in an arena that was reset or on the
 * heap: with room for as many as were in it before, so that batches alike don't
 * regrow.
 */
void entry_table_reset(struct entry_table *table, struct arena *arena);

/* Fills a free slot; the pointer to it is worth nothing afterwards. */
void entry_table_fill(struct entry_table *table, struct arena *arena,
    struct entry_slot *slot, size_t hash, void *entry);

/* Empties a slot; others may move, pointers to them are worth nothing. */
void entry_table_remove(struct entry_table *table, struct entry_slot *slot);

/* Frees the slots of a table on the heap; `{0}` after it. */
void entry_table_finish(struct entry_table *table);

/* The slot whose entry of this hash `is` the key's, or the free one for it. */
static inline struct entry_slot *
entry_table_find(const struct entry_table *table, size_t hash, const void *key,
    bool (*is)(const void *entry, const void *key))
{
	size_t at = hash & table->mask;

	for (;; at = (at + 1) & table->mask) {
		struct entry_slot *slot = &table->slots[at];

		if (slot->entry == NULL)
			return slot;
		if (slot->hash == hash && is(slot->entry, key))
			return slot;
	}
}

#endif
