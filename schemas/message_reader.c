#include "schemas/message_reader.h"

#include <stdlib.h>

#include "common/memory.h"
#include "schemas/message_value.h"

struct message_reader *
message_reader_create(
    enum message message, struct text schema, struct rejection *rejection)
{
	struct message_reader *reader = memory_zalloc(1, sizeof *reader);

	reader->message = message;
	reader->layout =
	    layout_compile(schema, message_name(message), rejection);
	if (reader->layout == NULL) {
		free(reader);
		return NULL;
	}
	/* layout_compile has had it parsed: what fails here is memory. */
	if (avro_schema_from_json_length(
		schema.at, schema.size, &reader->schema) != 0)
		memory_exhausted();
	reader->class = avro_generic_class_from_schema(reader->schema);
	if (reader->class == NULL ||
	    avro_generic_value_new(reader->class, &reader->value) != 0)
		memory_exhausted();
	return reader;
}

void
message_reader_destroy(struct message_reader *reader)
{
	if (reader == NULL)
		return;
	avro_value_decref(&reader->value);
	avro_value_iface_decref(reader->class);
	avro_schema_decref(reader->schema);
	layout_destroy(reader->layout);
	free(reader);
}

int
message_read(struct message_reader *reader, struct text body,
    struct arena *arena, struct rejection *rejection)
{
	avro_reader_t bytes;
	int rc;

	reader->arena = arena;
	reader->failed = false;
	if (layout_walk(reader->layout, body, NULL, rejection) != 0)
		return -1;
	avro_value_reset(&reader->value);
	bytes = avro_reader_memory(body.at, (int64_t)body.size);
	if (bytes == NULL)
		memory_exhausted();
	rc = avro_value_read(bytes, &reader->value);
	avro_reader_free(bytes);
	if (rc != 0)
		return reject(
		    rejection, REJECT_MALFORMED, "%.100s", avro_strerror());
	return 0;
}

int
message_result(const struct message_reader *reader, struct rejection *rejection)
{
	if (!reader->failed)
		return 0;
	return reject(rejection, REJECT_WRONG_SCHEMA,
	    "the writer's schema has another type for a field of %s",
	    message_name(reader->message));
}

/* Through unions; false if the value is null. */
static bool
see_through(avro_value_t *value)
{
	while (avro_value_get_type(value) == AVRO_UNION) {
		avro_value_t branch;

		if (avro_value_get_current_branch(value, &branch) != 0)
			return false;
		*value = branch;
	}
	return avro_value_get_type(value) != AVRO_NULL;
}

bool
value_field(const avro_value_t *record, const char *name, avro_value_t *out)
{
	if (avro_value_get_type(record) != AVRO_RECORD ||
	    avro_value_get_by_name(record, name, out, NULL) != 0)
		return false;
	return see_through(out);
}

static struct text
copy_text(struct message_reader *reader, const avro_value_t *value)
{
	const char *string;
	size_t size;

	if (avro_value_get_type(value) != AVRO_STRING ||
	    avro_value_get_string(value, &string, &size) != 0) {
		reader->failed = true;
		return TEXT_NONE;
	}
	/* avro-c counts the NUL that it puts behind the text. */
	return text_copy(
	    reader->arena, (struct text){ string, size > 0 ? size - 1 : 0 });
}

struct text
value_text(
    struct message_reader *reader, const avro_value_t *record, const char *name)
{
	avro_value_t field;

	if (!value_field(record, name, &field))
		return TEXT_NONE;
	return copy_text(reader, &field);
}

static int64_t
number_of(struct message_reader *reader, const avro_value_t *value)
{
	int64_t wide = 0;
	int32_t narrow = 0;
	int symbol = 0;

	switch (avro_value_get_type(value)) {
	case AVRO_INT64:
		avro_value_get_long(value, &wide);
		return wide;
	case AVRO_INT32:
		avro_value_get_int(value, &narrow);
		return narrow;
	case AVRO_ENUM:
		avro_value_get_enum(value, &symbol);
		return symbol;
	default: /* avro-c's types that are no number */
		reader->failed = true;
		return 0;
	}
}

int64_t
value_long(struct message_reader *reader, const avro_value_t *record,
    const char *name, int64_t fallback)
{
	avro_value_t field;

	if (!value_field(record, name, &field))
		return fallback;
	return number_of(reader, &field);
}

bool
value_bool(
    struct message_reader *reader, const avro_value_t *record, const char *name)
{
	avro_value_t field;
	int value = 0;

	if (!value_field(record, name, &field))
		return false;
	if (avro_value_get_type(&field) != AVRO_BOOLEAN ||
	    avro_value_get_boolean(&field, &value) != 0)
		reader->failed = true;
	return value != 0;
}

size_t
value_size(struct message_reader *reader, const avro_value_t *record,
    const char *name, avro_value_t *list)
{
	avro_type_t type;
	size_t n = 0;

	if (!value_field(record, name, list))
		return 0;
	type = avro_value_get_type(list);
	if ((type != AVRO_ARRAY && type != AVRO_MAP) ||
	    avro_value_get_size(list, &n) != 0)
		reader->failed = true;
	return n;
}

bool
value_at(struct message_reader *reader, const avro_value_t *list, size_t i,
    const char **key, avro_value_t *out)
{
	if (avro_value_get_by_index(list, i, out, key) != 0) {
		reader->failed = true;
		return false;
	}
	return see_through(out);
}

struct text
value_text_at(struct message_reader *reader, const avro_value_t *list, size_t i)
{
	avro_value_t item;

	if (!value_at(reader, list, i, NULL, &item))
		return TEXT_NONE;
	return copy_text(reader, &item);
}
