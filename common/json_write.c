#include "common/json_write.h"

#include <stdlib.h>
#include <string.h>

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
put_escaped(struct buffer *buffer, char c)
{
	switch (c) {
	case '"':
	case '\\':
		buffer_byte(buffer, '\\');
		buffer_byte(buffer, c);
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
		buffer_format(buffer, "\\u%04x", (unsigned)(unsigned char)c);
		break;
	}
}

static bool
needs_escape(char c)
{
	return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

static void
put_quoted(struct buffer *buffer, struct text text)
{
	size_t start = 0, i;

	buffer_byte(buffer, '"');
	for (i = 0; i < text.size; i++) {
		if (!needs_escape(text.at[i]))
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
json_put_node(struct buffer *buffer, const struct json *node)
{
	char *printed = json_print(node);

	separate(buffer);
	buffer_append(buffer, text_from(printed));
	free(printed);
}

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
