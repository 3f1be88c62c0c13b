#include "tests/unit/avro_value.h"

#include <assert.h>
#include <string.h>

bool
avro_message_init(struct avro_message *message, struct text schema)
{
	memset(message, 0, sizeof *message);
	if (avro_schema_from_json_length(
		schema.at, schema.size, &message->schema) != 0)
		return false;
	message->class = avro_generic_class_from_schema(message->schema);
	return message->class != NULL &&
	    avro_generic_value_new(message->class, &message->value) == 0;
}

void
avro_message_finish(struct avro_message *message)
{
	avro_value_decref(&message->value);
	avro_value_iface_decref(message->class);
	avro_schema_decref(message->schema);
}

void
avro_message_write(struct avro_message *message, struct buffer *out)
{
	avro_writer_t writer;
	size_t size = 0;
	int rc;

	rc = avro_value_sizeof(&message->value, &size);
	assert(rc == 0);
	writer = avro_writer_memory(
	    buffer_reserve(out, size + 1), (int64_t)size + 1);
	rc = avro_value_write(writer, &message->value);
	assert(rc == 0);
	out->size += (size_t)avro_writer_tell(writer);
	avro_writer_free(writer);
}

bool
avro_message_read(struct avro_message *message, struct text body)
{
	avro_reader_t reader = avro_reader_memory(body.at, (int64_t)body.size);
	char byte;
	bool is_read;

	avro_value_reset(&message->value);
	is_read = avro_value_read(reader, &message->value) == 0 &&
	    avro_read(reader, &byte, 1) != 0;
	avro_reader_free(reader);
	return is_read;
}

avro_value_t
avro_field(const avro_value_t *record, const char *name)
{
	avro_value_t field;
	int rc = avro_value_get_by_name(record, name, &field, NULL);

	assert(rc == 0);
	return field;
}

avro_value_t
avro_branch(const avro_value_t *record, const char *name, int branch)
{
	avro_value_t field = avro_field(record, name), value;
	int rc = avro_value_set_branch(&field, branch, &value);

	assert(rc == 0);
	return value;
}

avro_value_t
avro_append(const avro_value_t *list)
{
	avro_value_t value;
	int rc = avro_value_append(list, &value, NULL);

	assert(rc == 0);
	return value;
}

avro_value_t
avro_put(const avro_value_t *map, const char *key)
{
	avro_value_t value;
	int rc = avro_value_add(map, key, &value, NULL, NULL);

	assert(rc == 0);
	return value;
}

/* avro-c's size counts a NUL behind the text, which it then finds there. */
static void
set_text(avro_value_t value, struct text text)
{
	char copy[4096];
	int rc;

	assert(text.size < sizeof copy);
	if (text.size > 0)
		memcpy(copy, text.at, text.size);
	copy[text.size] = '\0';
	rc = avro_value_set_string_len(&value, copy, text.size + 1);
	assert(rc == 0);
}

void
avro_set_text(const avro_value_t *record, const char *name, struct text text)
{
	set_text(avro_field(record, name), text);
}

void
avro_set_text_or_null(
    const avro_value_t *record, const char *name, struct text text)
{
	avro_value_t value = avro_branch(record, name, text.at != NULL);

	if (text.at != NULL)
		set_text(value, text);
}

void
avro_set_long(const avro_value_t *record, const char *name, int64_t number)
{
	avro_value_t field = avro_field(record, name);

	avro_value_set_long(&field, number);
}

void
avro_set_int(const avro_value_t *record, const char *name, int32_t number)
{
	avro_value_t field = avro_field(record, name);

	avro_value_set_int(&field, number);
}

void
avro_set_bool(const avro_value_t *record, const char *name, bool is_true)
{
	avro_value_t field = avro_field(record, name);

	avro_value_set_boolean(&field, is_true);
}

void
avro_set_texts(const avro_value_t *record, const char *name,
    const struct text *texts, size_t n)
{
	avro_value_t list = avro_field(record, name);
	size_t i;

	for (i = 0; i < n; i++)
		set_text(avro_append(&list), texts[i]);
}
