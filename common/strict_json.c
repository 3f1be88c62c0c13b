#include "common/strict_json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/memory.h"

/*
 * A node is jansson's own json_t, seen through an opaque pointer: no copy of
 * the tree is made.  Recursion inside jansson is bounded by the depth that is
 * checked over the bytes before it parses.
 */
struct json_document {
	json_t *root;
};

static const json_t *
unwrap(const struct json *node)
{
	return (const json_t *)(const void *)node;
}

static const struct json *
wrap(const json_t *node)
{
	return (const struct json *)(const void *)node;
}

/* Skips a string whose opening quote stands at `i`; its end or the text's. */
static size_t
skip_string(struct text bytes, size_t i)
{
	for (i++; i < bytes.size && bytes.at[i] != '"'; i++)
		if (bytes.at[i] == '\\')
			i++;
	return i;
}

/* Whether brackets nest no deeper than allowed; what else is wrong, the parser
 * says. */
static bool
is_shallow(struct text bytes, size_t depth_max)
{
	size_t depth = 0, i;

	for (i = 0; i < bytes.size; i++) {
		switch (bytes.at[i]) {
		case '"':
			i = skip_string(bytes, i);
			break;
		case '[':
		case '{':
			if (++depth > depth_max)
				return false;
			break;
		case ']':
		case '}':
			if (depth > 0)
				depth--;
			break;
		default:
			break;
		}
	}
	return true;
}

struct json_document *
json_parse(struct text bytes, size_t depth_max, struct error *err)
{
	struct json_document *document;
	json_error_t fault;
	json_t *root;

	if (bytes.size == 0) {
		error_set(err, ERROR_INPUT, "empty, not a JSON document");
		return NULL;
	}
	if (!is_shallow(bytes, depth_max)) {
		error_set(err, ERROR_INPUT,
		    "JSON nested more than %zu levels deep", depth_max);
		return NULL;
	}
	root = json_loadb(bytes.at, bytes.size,
	    JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
	if (root == NULL) {
		error_set(err, ERROR_INPUT, "line %d, column %d: %s",
		    fault.line, fault.column, fault.text);
		return NULL;
	}
	document = memory_alloc(sizeof *document);
	document->root = root;
	return document;
}

void
json_destroy(struct json_document *document)
{
	if (document == NULL)
		return;
	json_decref(document->root);
	free(document);
}

const struct json *
json_root(const struct json_document *document)
{
	return wrap(document->root);
}

enum json_type
json_type_of(const struct json *node)
{
	switch (json_typeof(unwrap(node))) {
	case JSON_OBJECT:
		return JSON_TYPE_OBJECT;
	case JSON_ARRAY:
		return JSON_TYPE_ARRAY;
	case JSON_STRING:
		return JSON_TYPE_STRING;
	case JSON_INTEGER:
		return JSON_TYPE_INTEGER;
	case JSON_REAL:
		return JSON_TYPE_NUMBER;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSON_TYPE_BOOL;
	case JSON_NULL:
		break;
	}
	return JSON_TYPE_NULL;
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
	return json_is_true(unwrap(node));
}

int64_t
json_int(const struct json *node)
{
	return json_integer_value(unwrap(node));
}

double
json_number(const struct json *node)
{
	return json_number_value(unwrap(node));
}

struct text
json_text(const struct json *node)
{
	const json_t *string = unwrap(node);

	return (struct text){ json_string_value(string),
		json_string_length(string) };
}

size_t
json_size(const struct json *node)
{
	const json_t *list = unwrap(node);

	return json_is_array(list) ? json_array_size(list)
				   : json_object_size(list);
}

const struct json *
json_at(const struct json *array, size_t i)
{
	return wrap(json_array_get(unwrap(array), i));
}

const struct json *
json_get(const struct json *object, const char *name)
{
	return wrap(json_object_get(unwrap(object), name));
}

/* jansson's iteration takes a node that isn't const, and changes nothing. */
static json_t *
for_iteration(const struct json *object)
{
	return (json_t *)(uintptr_t)object;
}

bool
json_next(const struct json *object, struct json_member *member)
{
	json_t *node = for_iteration(object);
	const char *name;

	if (!json_is_object(node))
		return false;
	member->position = member->position == NULL
	    ? json_object_iter(node)
	    : json_object_iter_next(node, member->position);
	if (member->position == NULL)
		return false;
	name = json_object_iter_key(member->position);
	member->name = (struct text){ name, strlen(name) };
	member->value = wrap(json_object_iter_value(member->position));
	return true;
}

char *
json_print(const struct json *node)
{
	char *printed = json_dumps(
	    unwrap(node), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	if (printed == NULL)
		memory_exhausted();
	return printed;
}
