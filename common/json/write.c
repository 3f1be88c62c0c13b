#include "common/json/write.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

/* A comma belongs before a value unless it is the first, or follows a name. */
static void
separate(struct buffer *buffer)
{
	char last = buffer->size > 0 ? buffer->at[buffer->size - 1] : '\n';

	if (last != '{' && last != '[' && last != ':' && last != '\n')
		buffer_byte(buffer, ',');
}

void
json_open(struct buffer *buffer, char bracket)
{
	separate(buffer);
	buffer_byte(buffer, bracket);
}

void
json_close(struct buffer *buffer, char bracket)
{
	buffer_byte(buffer, bracket);
}

static void
put_escaped(struct buffer *buffer, char byte)
{
	switch (byte) {
	case '"':
	case '\\':
		buffer_byte(buffer, '\\');
		buffer_byte(buffer, byte);
		break;
	case '\n':
		buffer_append(buffer, TEXT("\\n"));
		break;
	case '\r':
		buffer_append(buffer, TEXT("\\r"));
		break;
	case '\t':
		buffer_append(buffer, TEXT("\\t"));
		break;
	case '\b':
		buffer_append(buffer, TEXT("\\b"));
		break;
	case '\f':
		buffer_append(buffer, TEXT("\\f"));
		break;
	default:
		buffer_format(buffer, "\\u%04x", (unsigned)(unsigned char)byte);
		break;
	}
}

static void
put_quoted(struct buffer *buffer, struct text text)
{
	size_t start = 0, i;

	buffer_byte(buffer, '"');
	for (i = 0; i < text.size; i++) {
		if ((unsigned char)text.at[i] >= 0x20 && text.at[i] != '"' &&
		    text.at[i] != '\\')
			continue;
		buffer_append(
		    buffer, (struct text){ text.at + start, i - start });
		put_escaped(buffer, text.at[i]);
		start = i + 1;
	}
	if (text.size > start)
		buffer_append(buffer,
		    (struct text){ text.at + start, text.size - start });
	buffer_byte(buffer, '"');
}

void
json_name_text(struct buffer *buffer, struct text name)
{
	separate(buffer);
	put_quoted(buffer, name);
	buffer_byte(buffer, ':');
}

void
json_name(struct buffer *buffer, const char *name)
{
	json_name_text(buffer, text_from(name));
}

void
json_put_text(struct buffer *buffer, struct text text)
{
	if (text.at == NULL) {
		json_put_null(buffer);
		return;
	}
	separate(buffer);
	put_quoted(buffer, text);
}

void
json_put_string(struct buffer *buffer, const char *string)
{
	json_put_text(buffer, text_from(string));
}

void
json_put_integer(struct buffer *buffer, int64_t value)
{
	separate(buffer);
	buffer_format(buffer, "%lld", (long long)value);
}

void
json_put_bool(struct buffer *buffer, bool value)
{
	separate(buffer);
	buffer_append(buffer, value ? TEXT("true") : TEXT("false"));
}

void
json_put_null(struct buffer *buffer)
{
	separate(buffer);
	buffer_append(buffer, TEXT("null"));
}

void
json_member_text(struct buffer *buffer, const char *name, struct text text)
{
	json_name(buffer, name);
	json_put_text(buffer, text);
}

void
json_member_known(struct buffer *buffer, const char *name, struct text text)
{
	if (text.at != NULL)
		json_member_text(buffer, name, text);
}

void
json_member_time(struct buffer *buffer, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format(ms, text);
	json_member_text(buffer, name, (struct text){ text, sizeof text });
}

void
json_member_open(struct buffer *buffer, const char *name, char bracket)
{
	json_name(buffer, name);
	json_open(buffer, bracket);
}

void
json_member_integer(struct buffer *buffer, const char *name, int64_t value)
{
	json_name(buffer, name);
	json_put_integer(buffer, value);
}

void
json_member_bool(struct buffer *buffer, const char *name, bool value)
{
	json_name(buffer, name);
	json_put_bool(buffer, value);
}

void
json_member_string(struct buffer *buffer, const char *name, const char *string)
{
	json_member_text(buffer, name, text_from(string));
}

static int
compare_members(const void *left, const void *right)
{
	const struct json_member *x = left, *y = right;

	return text_compare(x->name, y->name);
}

/*
 * Recursive: a node comes from a document whose depth json_parse has bounded.
 */
/* NOLINTBEGIN(misc-no-recursion) */
static void
put_object(struct buffer *buffer, const struct json *object)
{
	size_t n = json_size(object), i;
	struct json_member *members = memory_zalloc(n + 1, sizeof *members);

	/* Each goes on from where the one before it stood. */
	for (i = 0; i < n; i++) {
		members[i].position = i;
		json_next(object, &members[i]);
	}
	qsort(members, n, sizeof *members, compare_members);
	json_open(buffer, '{');
	for (i = 0; i < n; i++) {
		json_name_text(buffer, members[i].name);
		json_put_node(buffer, members[i].value);
	}
	json_close(buffer, '}');
	free(members);
}

void
json_put_node(struct buffer *buffer, const struct json *node)
{
	size_t n, i;

	switch (json_type_of(node)) {
	case JSON_TYPE_NULL:
		json_put_null(buffer);
		break;
	case JSON_TYPE_BOOL:
		json_put_bool(buffer, json_bool(node));
		break;
	case JSON_TYPE_INTEGER:
	case JSON_TYPE_NUMBER:
		separate(buffer);
		buffer_append(buffer, json_digits(node));
		break;
	case JSON_TYPE_STRING:
		json_put_text(buffer, json_text(node));
		break;
	case JSON_TYPE_ARRAY:
		n = json_size(node);
		json_open(buffer, '[');
		for (i = 0; i < n; i++)
			json_put_node(buffer, json_at(node, i));
		json_close(buffer, ']');
		break;
	case JSON_TYPE_OBJECT:
		put_object(buffer, node);
		break;
	}
}
/* NOLINTEND(misc-no-recursion) */

void
json_put_harmless(struct buffer *buffer, struct text json)
{
	const char *end = json.at + json.size, *at = json.at, *less;

	for (; (less = memchr(at, '<', (size_t)(end - at))) != NULL;
	     at = less + 1) {
		buffer_append(buffer, (struct text){ at, (size_t)(less - at) });
		buffer_append(buffer, TEXT("\\u003c"));
	}
	buffer_append(buffer, (struct text){ at, (size_t)(end - at) });
}
