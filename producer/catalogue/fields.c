#include "producer/catalogue/fields.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define SLOTS_MIN 16

/*
 * The table is by hand: at a million schedules there are a dozen of them, and
 * here a field takes some 50 bytes beside its texts, where an entry_table with
 * entries of their own and a list of them takes 100.
 */
struct field_slot {
	uint32_t hash;
	uint32_t number; /* of the field, from 1; 0: free */
};

/* The texts lie in the arena, fields side by side and slots on the heap. */
struct fields {
	struct arena *arena;
	struct field *all;
	size_t n, capacity;
	struct field_slot *slots; /* NULL: nothing was ever put */
	size_t mask;
};

struct fields *
fields_create(struct arena *arena)
{
	struct fields *fields = memory_zalloc(1, sizeof *fields);

	fields->arena = arena;
	return fields;
}

void
fields_destroy(struct fields *fields)
{
	if (fields == NULL)
		return;
	free(fields->all);
	free(fields->slots);
	free(fields);
}

size_t
fields_size(const struct fields *fields)
{
	return fields->n;
}

struct arena *
fields_arena(const struct fields *fields)
{
	return fields->arena;
}

/* The name's slot, or the free one for it; there are some. */
static struct field_slot *
find_slot(const struct fields *fields, struct text name, uint32_t hash)
{
	size_t at = hash & fields->mask;

	for (;; at = (at + 1) & fields->mask) {
		struct field_slot *slot = &fields->slots[at];

		if (slot->number == 0 ||
		    (slot->hash == hash &&
			text_equal(fields->all[slot->number - 1].name, name)))
			return slot;
	}
}

struct text
fields_get(const struct fields *fields, struct text name)
{
	const struct field_slot *slot;

	if (fields->n == 0)
		return TEXT_NONE;
	slot = find_slot(fields, name, (uint32_t)text_hash(name));
	return slot->number > 0 ? fields->all[slot->number - 1].value
				: TEXT_NONE;
}

struct text
fields_name(const struct fields *fields, struct text name)
{
	const struct field_slot *slot;

	if (fields->n == 0)
		return TEXT_NONE;
	slot = find_slot(fields, name, (uint32_t)text_hash(name));
	return slot->number > 0 ? fields->all[slot->number - 1].name
				: TEXT_NONE;
}

/* Puts a slot where a probe for its hash finds it. */
static void
place_slot(struct fields *fields, struct field_slot slot)
{
	size_t at = slot.hash & fields->mask;

	while (fields->slots[at].number != 0)
		at = (at + 1) & fields->mask;
	fields->slots[at] = slot;
}

/* Room for one more, a quarter of the slots free. */
static void
make_room(struct fields *fields)
{
	struct field_slot *old = fields->slots;
	size_t slots = old != NULL ? fields->mask + 1 : 0, i;

	if (fields->n == fields->capacity) {
		if (fields->n >= UINT32_MAX / 2)
			memory_exhausted();
		fields->capacity =
		    fields->n > 0 ? 2 * fields->n : SLOTS_MIN / 2;
		fields->all = memory_resize(
		    fields->all, fields->capacity, sizeof *fields->all);
	}
	if (4 * (fields->n + 1) <= 3 * slots)
		return;
	fields->mask = (slots > 0 ? 2 * slots : SLOTS_MIN) - 1;
	fields->slots = memory_zalloc(fields->mask + 1, sizeof *fields->slots);
	for (i = 0; i < slots; i++)
		if (old[i].number != 0)
			place_slot(fields, old[i]);
	free(old);
}

/* The field of this name, made if need be with the name copied or borrowed. */
static struct field *
place_field(struct fields *fields, struct text name, bool is_copied)
{
	uint32_t hash = (uint32_t)text_hash(name);
	struct field_slot *slot;
	struct field *field;

	make_room(fields);
	slot = find_slot(fields, name, hash);
	if (slot->number == 0) {
		field = &fields->all[fields->n++];
		field->name = is_copied ? text_copy(fields->arena, name) : name;
		*slot = (struct field_slot){ hash, (uint32_t)fields->n };
	}
	return &fields->all[slot->number - 1];
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

/* Frees a slot; those behind it that were kept from theirs move up. */
static void
free_slot(struct fields *fields, struct field_slot *slot)
{
	size_t at = (size_t)(slot - fields->slots);
	struct field_slot moved;

	slot->number = 0;
	for (at = (at + 1) & fields->mask; fields->slots[at].number != 0;
	     at = (at + 1) & fields->mask) {
		moved = fields->slots[at];
		fields->slots[at].number = 0;
		place_slot(fields, moved);
	}
}

void
fields_remove(struct fields *fields, struct text name)
{
	struct field_slot *slot;
	const struct field *last;
	size_t i;

	if (fields->n == 0)
		return;
	slot = find_slot(fields, name, (uint32_t)text_hash(name));
	if (slot->number == 0)
		return;
	i = slot->number - 1;
	free_slot(fields, slot);
	/* The last one takes its place. */
	last = &fields->all[--fields->n];
	if (i == fields->n)
		return;
	find_slot(fields, last->name, (uint32_t)text_hash(last->name))->number =
	    (uint32_t)(i + 1);
	fields->all[i] = *last;
}

static int
compare_names(const void *left, const void *right)
{
	const struct field *one = left, *other = right;

	return text_compare(one->name, other->name);
}

const struct field *
fields_list(const struct fields *fields)
{
	return fields->all;
}

const struct field *
fields_sorted(const struct fields *fields)
{
	struct field *sorted =
	    arena_alloc(fields->arena, (fields->n + 1) * sizeof *sorted);

	if (fields->n > 0) {
		memcpy(sorted, fields->all, fields->n * sizeof *sorted);
		qsort(sorted, fields->n, sizeof *sorted, compare_names);
	}
	return sorted;
}
