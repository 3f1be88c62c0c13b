#include "common/base/entry_table.h"

#include <stdlib.h>

#include "common/base/memory.h"

#define SLOTS_MIN 64

static struct entry_slot *
make_slots(struct arena *arena, size_t n)
{
	return arena != NULL ? arena_zalloc(arena, n, sizeof(struct entry_slot))
			     : memory_zalloc(n, sizeof(struct entry_slot));
}

void
entry_table_reset(struct entry_table *table, struct arena *arena)
{
	size_t slots = SLOTS_MIN;

	while (slots < 2 * table->n)
		slots *= 2;
	if (arena == NULL)
		free(table->slots);
	table->slots = make_slots(arena, slots);
	table->mask = slots - 1;
	table->n = 0;
}

static void
grow_slots(struct entry_table *table, struct arena *arena)
{
	struct entry_slot *old = table->slots;
	size_t n = table->mask + 1, i, at;

	table->slots = make_slots(arena, 2 * n);
	table->mask = 2 * n - 1;
	for (i = 0; i < n; i++) {
		if (old[i].entry == NULL)
			continue;
		at = old[i].hash & table->mask;
		while (table->slots[at].entry != NULL)
			at = (at + 1) & table->mask;
		table->slots[at] = old[i];
	}
	if (arena == NULL)
		free(old);
}

void
entry_table_fill(struct entry_table *table, struct arena *arena,
    struct entry_slot *slot, size_t hash, void *entry)
{
	slot->hash = hash;
	slot->entry = entry;
	if (++table->n > (table->mask + 1) / 2)
		grow_slots(table, arena);
}

/*
 * A probe ends at a free slot, so none may come to stand before an entry that
 * was pushed beyond it: each entry behind whose own place is not behind the
 * hole moves into it, and leaves the next one.
 */
void
entry_table_remove(struct entry_table *table, struct entry_slot *slot)
{
	size_t hole = (size_t)(slot - table->slots), at = hole, from_home;

	for (;;) {
		at = (at + 1) & table->mask;
		if (table->slots[at].entry == NULL)
			break;
		from_home = (at - table->slots[at].hash) & table->mask;
		if (from_home < ((at - hole) & table->mask))
			continue;
		table->slots[hole] = table->slots[at];
		hole = at;
	}
	table->slots[hole].entry = NULL;
	table->n--;
}

void
entry_table_finish(struct entry_table *table)
{
	free(table->slots);
	*table = (struct entry_table){ 0 };
}
