#include "producer/catalogue/fields.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define FIRST_CAPACITY 64

/* A removed field keeps its place with no value. */
struct slot {
	size_t hash; /* so that most names need no comparison */
	struct field field;
};

/* Open addressing. */
struct fields {
	struct arena *arena;
	struct slot *slots;
	size_t capacity, used, size;
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
	free(fields->slots);
	free(fields);
}

size_t
fields_size(const struct fields *fields)
{
	return fields->size;
}

struct arena *
fields_arena(const struct fields *fields)
{
	return fields->arena;
}

/* The field's slot, or the free one where it would be. */
static struct slot *
find(const struct fields *fields, struct text name, size_t hash)
{
	size_t i = hash & (fields->capacity - 1);

	while (fields->slots[i].field.name.at != NULL &&
	    (fields->slots[i].hash != hash ||
		!text_equal(fields->slots[i].field.name, name)))
		i = (i + 1) & (fields->capacity - 1);
	return &fields->slots[i];
}

static void
grow(struct fields *fields)
{
	struct slot *old = fields->slots;
	size_t n = fields->capacity, i;

	fields->capacity = n > 0 ? 2 * n : FIRST_CAPACITY;
	fields->slots = memory_zalloc(fields->capacity, sizeof *fields->slots);
	fields->used = 0;
	for (i = 0; i < n; i++) {
		if (old[i].field.value.at == NULL)
			continue;
		*find(fields, old[i].field.name, old[i].hash) = old[i];
		fields->used++;
	}
	free(old);
}

struct text
fields_get(const struct fields *fields, struct text name)
{
	if (fields->capacity == 0)
		return TEXT_NONE;
	return find(fields, name, text_hash(name))->field.value;
}

/* The field's slot, made if need be; its name is borrowed. */
static struct field *
place(struct fields *fields, struct text name)
{
	size_t hash = text_hash(name);
	struct slot *slot;

	if (fields->used * 2 >= fields->capacity)
		grow(fields);
	slot = find(fields, name, hash);
	if (slot->field.name.at == NULL) {
		slot->hash = hash;
		slot->field.name = name;
		fields->used++;
	}
	if (slot->field.value.at == NULL)
		fields->size++;
	return &slot->field;
}

void
fields_put(struct fields *fields, struct text name, struct text value)
{
	struct field *field = place(fields, name);

	if (field->name.at == name.at)
		field->name = text_copy(fields->arena, name);
	field->value = text_copy(fields->arena, value);
}

void
fields_share(struct fields *fields, struct field field)
{
	place(fields, field.name)->value = field.value;
}

void
fields_remove(struct fields *fields, struct text name)
{
	struct slot *slot;

	if (fields->capacity == 0)
		return;
	slot = find(fields, name, text_hash(name));
	if (slot->field.value.at == NULL)
		return;
	slot->field.value = TEXT_NONE;
	fields->size--;
}

static int
compare(const void *a, const void *b)
{
	const struct field *x = a, *y = b;

	return text_compare(x->name, y->name);
}

static struct field *
list_all(struct fields *fields)
{
	struct field *list =
	    arena_alloc(fields->arena, (fields->size + 1) * sizeof *list);
	size_t n = 0, i;

	for (i = 0; i < fields->capacity; i++)
		if (fields->slots[i].field.value.at != NULL)
			list[n++] = fields->slots[i].field;
	return list;
}

const struct field *
fields_list(struct fields *fields)
{
	return list_all(fields);
}

const struct field *
fields_sorted(struct fields *fields)
{
	struct field *sorted = list_all(fields);

	if (fields->size > 0)
		qsort(sorted, fields->size, sizeof *sorted, compare);
	return sorted;
}
