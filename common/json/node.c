#include "common/json/node.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/json/internal.h"

void
json_destroy(struct json_document *document)
{
	if (document != NULL)
		arena_destroy(document->arena);
}

const struct json *
json_root(const struct json_document *document)
{
	return &document->root;
}

enum json_type
json_type_of(const struct json *node)
{
	return node != NULL ? node->type : JSON_TYPE_NULL;
}

const char *
json_type_name(enum json_type type)
{
	static const char *const names[] = {
		[JSON_TYPE_NULL] = "null",
		[JSON_TYPE_BOOL] = "boolean",
		[JSON_TYPE_INTEGER] = "integer",
		[JSON_TYPE_NUMBER] = "number",
		[JSON_TYPE_STRING] = "string",
		[JSON_TYPE_ARRAY] = "array",
		[JSON_TYPE_OBJECT] = "object",
	};

	return names[type];
}

bool
json_bool(const struct json *node)
{
	return json_type_of(node) == JSON_TYPE_BOOL && node->truth;
}

/* The parser has seen to it that the digits are some, and that they fit. */
int64_t
json_int(const struct json *node)
{
	bool negative;
	int64_t value = 0;
	size_t i;

	if (json_type_of(node) != JSON_TYPE_INTEGER)
		return 0;
	negative = node->is.text[0] == '-';
	for (i = negative; i < node->n; i++)
		value = value * 10 - (node->is.text[i] - '0');
	return negative ? value : -value;
}

static bool
is_number(const struct json *node)
{
	return json_type_of(node) == JSON_TYPE_INTEGER ||
	    json_type_of(node) == JSON_TYPE_NUMBER;
}

double
json_number(const struct json *node)
{
	/* What follows a number in the text does not go on with it. */
	return is_number(node) ? strtod(node->is.text, NULL) : 0;
}

struct text
json_digits(const struct json *node)
{
	if (!is_number(node))
		return TEXT_NONE;
	return (struct text){ node->is.text, node->n };
}

struct text
json_text(const struct json *node)
{
	if (json_type_of(node) != JSON_TYPE_STRING)
		return TEXT_NONE;
	return (struct text){ node->is.text, node->n };
}

size_t
json_size(const struct json *node)
{
	enum json_type type = json_type_of(node);

	return type == JSON_TYPE_ARRAY || type == JSON_TYPE_OBJECT ? node->n
								   : 0;
}

const struct json *
json_at(const struct json *array, size_t i)
{
	if (json_type_of(array) != JSON_TYPE_ARRAY || i >= array->n)
		return NULL;
	return &array->is.items[i];
}

static bool
is_named(const struct json_named *member, struct text name)
{
	return member->name.size == name.size &&
	    memcmp(member->name.at, name.at, name.size) == 0;
}

size_t
json_find(const struct json_object *object, size_t n, struct text name)
{
	size_t i;

	if (object->slots == NULL) {
		for (i = 0; i < n; i++)
			if (is_named(&object->members[i], name))
				break;
		return i;
	}
	i = text_hash(name) & object->mask;
	for (; object->slots[i] != 0; i = (i + 1) & object->mask)
		if (is_named(&object->members[object->slots[i] - 1], name))
			return object->slots[i] - 1;
	return n;
}

const struct json *
json_get(const struct json *object, const char *name)
{
	size_t i;

	if (json_type_of(object) != JSON_TYPE_OBJECT)
		return NULL;
	i = json_find(object->is.object, object->n, text_from(name));
	return i < object->n ? &object->is.object->members[i].value : NULL;
}

bool
json_next(const struct json *object, struct json_member *member)
{
	const struct json_named *named;

	if (json_size(object) == 0 || object->type != JSON_TYPE_OBJECT ||
	    member->position == object->n)
		return false;
	named = &object->is.object->members[member->position++];
	member->name = named->name;
	member->value = &named->value;
	return true;
}
