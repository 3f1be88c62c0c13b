#include "common/base/zones.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/entry_table.h"
#include "common/base/memory.h"

struct zones {
	struct entry_table table;
	struct named_zone **list; /* their names stand behind them */
	size_t n;
};

static bool
is_named(const void *entry, const void *key)
{
	const struct named_zone *zone = entry;

	return text_equal(zone->name, *(const struct text *)key);
}

struct zones *
zones_create(void)
{
	struct zones *zones = memory_zalloc(1, sizeof *zones);

	entry_table_reset(&zones->table, NULL);
	return zones;
}

void
zones_destroy(struct zones *zones)
{
	if (zones == NULL)
		return;
	while (zones->n > 0) {
		struct named_zone *zone = zones->list[--zones->n];

		zone_destroy(zone->zone);
		free(zone);
	}
	free(zones->list);
	entry_table_finish(&zones->table);
	free(zones);
}

const struct named_zone *
zones_find(struct zones *zones, struct text name, struct error *err)
{
	size_t hash = text_hash(name);
	struct entry_slot *slot =
	    entry_table_find(&zones->table, hash, &name, is_named);
	struct named_zone *found = slot->entry;
	struct zone *zone;
	char *copy;

	if (found != NULL)
		return found;
	zone = zone_load(name, err);
	if (zone == NULL)
		return NULL;
	found = memory_alloc(sizeof *found + name.size);
	copy = (char *)(found + 1);
	memcpy(copy, name.at, name.size);
	*found = (struct named_zone){ zone, { copy, name.size } };
	entry_table_fill(&zones->table, NULL, slot, hash, found);
	zones->list = memory_resize(
	    zones->list, zones->n + 1, sizeof(struct named_zone *));
	zones->list[zones->n++] = found;
	return found;
}
