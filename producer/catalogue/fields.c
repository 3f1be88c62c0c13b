#include "producer/catalogue/fields.h"

#include <stdlib.h>

#include "common/base/entry_table.h"
#include "common/base/memory.h"

/* Its fields and their texts lie in the arena, the slots on the heap. */
struct fields {
	struct arena *arena;
	struct entry_table table;
	const struct field *list; /* as of the last change; NULL: there was one
				     since */
};

struct fields *
fields_create(struct arena *arena)
{
	struct fields *fields = memory_zalloc(1, sizeof *fields);

	fields->arena = arena;
	entry_table_reset(&fields->table, NULL);
	return fields;
}

void
fields_destroy(struct fields *fields)
{
	if (fields == NULL)
		return;
	entry_table_finish(&fields->table);
	free(fields);
}

size_t
fields_size(const struct fields *fields)
{
	return fields->table.n;
}

struct arena *
fields_arena(const struct fields *fields)
{
	return fields->arena;
}

static bool
has_name(const void *entry, const void *key)
{
	const struct field *field = entry;
	const struct text *name = key;

	return text_equal(field->name, *name);
}

static struct entry_slot *
find_slot(const struct fields *fields, struct text name, size_t hash)
{
	return entry_table_find(&fields->table, hash, &name, has_name);
}

struct text
fields_get(const struct fields *fields, struct text name)
{
	const struct field *field =
	    find_slot(fields, name, text_hash(name))->entry;

	return field != NULL ? field->value : TEXT_NONE;
}

/* The field of this name, made if need be with the name copied or borrowed. */
static struct field *
place_field(struct fields *fields, struct text name, bool is_copied)
{
	size_t hash = text_hash(name);
	struct entry_slot *slot = find_slot(fields, name, hash);
	struct field *field = slot->entry;

	fields->list = NULL;
	if (field != NULL)
		return field;
	field = arena_alloc(fields->arena, sizeof *field);
	field->name = is_copied ? text_copy(fields->arena, name) : name;
	entry_table_fill(&fields->table, NULL, slot, hash, field);
	return field;
}

void
fields_put(struct fields *fields, struct text name, struct text value)
{
	place_field(fields, name, true)->value =
	    text_copy(fields->arena, value);
}

void
fields_share(struct fields *fields, struct field field)
{
	place_field(fields, field.name, false)->value = field.value;
}

void
fields_remove(struct fields *fields, struct text name)
{
	struct entry_slot *slot = find_slot(fields, name, text_hash(name));

	fields->list = NULL;
	if (slot->entry != NULL)
		entry_table_remove(&fields->table, slot);
}

static int
compare_names(const void *left, const void *right)
{
	const struct field *one = left, *other = right;

	return text_compare(one->name, other->name);
}

static struct field *
list_all(struct fields *fields)
{
	const struct entry_table *table = &fields->table;
	struct field *list =
	    arena_alloc(fields->arena, (table->n + 1) * sizeof *list);
	const struct field *field;
	size_t n = 0, i;

	for (i = 0; i <= table->mask; i++) {
		field = table->slots[i].entry;
		if (field != NULL)
			list[n++] = *field;
	}
	return list;
}

const struct field *
fields_list(struct fields *fields)
{
	if (fields->list == NULL)
		fields->list = list_all(fields);
	return fields->list;
}

const struct field *
fields_sorted(struct fields *fields)
{
	struct field *sorted = list_all(fields);

	if (fields->table.n > 0)
		qsort(sorted, fields->table.n, sizeof *sorted, compare_names);
	return sorted;
}
