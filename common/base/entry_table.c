#include "common/base/entry_table.h"

#define SLOTS_MIN 64

void
entry_table_reset(struct entry_table *table, struct arena *arena)
{
	size_t slots = SLOTS_MIN;

	while (slots < 2 * table->n)
		slots *= 2;
	table->slots = arena_zalloc(arena, slots, sizeof *table->slots);
	table->mask = slots - 1;
	table->n = 0;
}

static void
grow(struct entry_table *table, struct arena *arena)
{
	struct entry_slot *old = table->slots;
	size_t n = table->mask + 1, i, at;

	table->slots = arena_zalloc(arena, 2 * n, sizeof *table->slots);
	table->mask = 2 * n - 1;
	for (i = 0; i < n; i++) {
		if (old[i].entry == NULL)
			continue;
		at = old[i].hash & table->mask;
		while (table->slots[at].entry != NULL)
			at = (at + 1) & table->mask;
		table->slots[at] = old[i];
	}
}

void
entry_table_fill(struct entry_table *table, struct arena *arena,
    struct entry_slot *slot, size_t hash, void *entry)
{
	slot->hash = hash;
	slot->entry = entry;
	if (++table->n > (table->mask + 1) / 2)
		grow(table, arena);
}
