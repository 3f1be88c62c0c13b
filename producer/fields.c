#include "producer/fields.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

#define FIRST_CAPACITY 64

/* Open addressing; a removed field keeps its place with no value. */
struct fields {
	struct arena *arena;
	struct field *slots;
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
static struct field *
find(const struct fields *fields, struct text name)
{
	size_t i = text_hash(name) & (fields->capacity - 1);

	while (fields->slots[i].name.at != NULL &&
	    !text_equal(fields->slots[i].name, name))
		i = (i + 1) & (fields->capacity - 1);
	return &fields->slots[i];
}

static void
grow(struct fields *fields)
{
	struct field *old = fields->slots;
	size_t n = fields->capacity, i;

	fields->capacity = n > 0 ? 2 * n : FIRST_CAPACITY;
	fields->slots = memory_zalloc(fields->capacity, sizeof *fields->slots);
	fields->used = 0;
	for (i = 0; i < n; i++) {
		if (old[i].name.at == NULL || old[i].value.at == NULL)
			continue;
		*find(fields, old[i].name) = old[i];
		fields->used++;
	}
	free(old);
}

struct text
fields_get(const struct fields *fields, struct text name)
{
	return fields->capacity > 0 ? find(fields, name)->value : TEXT_NONE;
}

void
fields_put(struct fields *fields, struct text name, struct text value)
{
	struct field *field;

	if (fields->used * 2 >= fields->capacity)
		grow(fields);
	field = find(fields, name);
	if (field->name.at == NULL) {
		field->name = text_copy(fields->arena, name);
		fields->used++;
	}
	if (field->value.at == NULL)
		fields->size++;
	field->value = text_copy(fields->arena, value);
}

void
fields_remove(struct fields *fields, struct text name)
{
	struct field *field;

	if (fields->capacity == 0)
		return;
	field = find(fields, name);
	if (field->value.at == NULL)
		return;
	field->value = TEXT_NONE;
	fields->size--;
}

static int
compare(const void *a, const void *b)
{
	const struct field *x = a, *y = b;

	return text_compare(x->name, y->name);
}

const struct field *
fields_sorted(struct fields *fields)
{
	struct field *sorted =
	    arena_alloc(fields->arena, (fields->size + 1) * sizeof *sorted);
	size_t n = 0, i;

	for (i = 0; i < fields->capacity; i++)
		if (fields->slots[i].value.at != NULL)
			sorted[n++] = fields->slots[i];
	if (n > 0)
		qsort(sorted, n, sizeof *sorted, compare);
	return sorted;
}
