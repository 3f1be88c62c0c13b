#include "schemas/avro/reader.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "schemas/avro/value.h"

struct message_reader *
message_reader_create(
    enum message message, struct text schema, struct rejection *rejection)
{
	struct message_reader *reader = memory_zalloc(1, sizeof *reader);

	reader->message = message;
	reader->layout =
	    layout_compile(schema, message_name(message), rejection);
	if (reader->layout != NULL && layout_is_recursive(reader->layout)) {
		/* avro-c's memory for a value would have no bound. */
		reject(rejection, REJECT_BAD_SCHEMA, "the schema is recursive");
		layout_destroy(reader->layout);
		reader->layout = NULL;
	}
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
	reader->unfit = NULL;
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
	if (reader->unfit == NULL)
		return 0;
	return reject(rejection, REJECT_WRONG_SCHEMA,
	    "field %s of %s is missing, or of another type than ours",
	    reader->unfit, message_name(reader->message));
}

void
value_unfit(struct message_reader *reader, const char *name)
{
	if (reader->unfit == NULL)
		reader->unfit = name;
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

bool
value_needed(struct message_reader *reader, const avro_value_t *record,
    const char *name, avro_value_t *out)
{
	if (value_field(record, name, out))
		return true;
	value_unfit(reader, name);
	return false;
}

static struct text
copy_text(
    struct message_reader *reader, const avro_value_t *value, const char *name)
{
	const void *bytes = NULL;
	const char *string = NULL;
	size_t size = 0;

	switch (avro_value_get_type(value)) {
	case AVRO_STRING:
		avro_value_get_string(value, &string, &size);
		/* avro-c counts the NUL that it puts behind the text. */
		return text_copy(reader->arena,
		    (struct text){ string, size > 0 ? size - 1 : 0 });
	case AVRO_BYTES:
		avro_value_get_bytes(value, &bytes, &size);
		return text_copy(reader->arena, (struct text){ bytes, size });
	default: /* avro-c's types that are no text */
		value_unfit(reader, name);
		return TEXT_NONE;
	}
}

struct text
value_text(
    struct message_reader *reader, const avro_value_t *record, const char *name)
{
	avro_value_t field;

	if (!value_needed(reader, record, name, &field))
		return TEXT_NONE;
	return copy_text(reader, &field, name);
}

struct text
value_text_or_none(
    struct message_reader *reader, const avro_value_t *record, const char *name)
{
	avro_value_t field;

	if (!value_field(record, name, &field))
		return TEXT_NONE;
	return copy_text(reader, &field, name);
}

struct uuid
value_rid(struct message_reader *reader, const avro_value_t *record,
    const char *name, struct text prefix)
{
	struct uuid uuid = { { 0 } };

	if (!rid_parse(value_text(reader, record, name), prefix, &uuid))
		value_unfit(reader, name);
	return uuid;
}

static int32_t
int_of(
    struct message_reader *reader, const avro_value_t *value, const char *name)
{
	int32_t number = 0;

	if (avro_value_get_type(value) != AVRO_INT32 ||
	    avro_value_get_int(value, &number) != 0)
		value_unfit(reader, name);
	return number;
}

int64_t
value_long(
    struct message_reader *reader, const avro_value_t *record, const char *name)
{
	avro_value_t field;
	int64_t number = 0;

	if (!value_needed(reader, record, name, &field))
		return 0;
	if (avro_value_get_type(&field) != AVRO_INT64)
		return int_of(reader, &field, name);
	avro_value_get_long(&field, &number);
	return number;
}

int32_t
value_int(
    struct message_reader *reader, const avro_value_t *record, const char *name)
{
	avro_value_t field;

	if (!value_needed(reader, record, name, &field))
		return 0;
	return int_of(reader, &field, name);
}

int32_t
value_int_or(struct message_reader *reader, const avro_value_t *record,
    const char *name, int32_t fallback)
{
	avro_value_t field;

	if (!value_field(record, name, &field))
		return fallback;
	return int_of(reader, &field, name);
}

static bool
bool_of(
    struct message_reader *reader, const avro_value_t *value, const char *name)
{
	int is_true = 0;

	if (avro_value_get_type(value) != AVRO_BOOLEAN ||
	    avro_value_get_boolean(value, &is_true) != 0)
		value_unfit(reader, name);
	return is_true != 0;
}

bool
value_bool(
    struct message_reader *reader, const avro_value_t *record, const char *name)
{
	avro_value_t field;

	return value_needed(reader, record, name, &field) &&
	    bool_of(reader, &field, name);
}

bool
value_bool_or(struct message_reader *reader, const avro_value_t *record,
    const char *name, bool fallback)
{
	avro_value_t field;

	if (!value_field(record, name, &field))
		return fallback;
	return bool_of(reader, &field, name);
}

struct text
value_symbol(
    struct message_reader *reader, const avro_value_t *record, const char *name)
{
	avro_value_t field;
	int index = 0;

	if (!value_needed(reader, record, name, &field))
		return TEXT_NONE;
	if (avro_value_get_type(&field) != AVRO_ENUM ||
	    avro_value_get_enum(&field, &index) != 0) {
		value_unfit(reader, name);
		return TEXT_NONE;
	}
	return text_from(
	    avro_schema_enum_get(avro_value_get_schema(&field), index));
}

bool
value_is_record(const avro_value_t *value, const char *name)
{
	return avro_value_get_type(value) == AVRO_RECORD &&
	    strcmp(avro_schema_name(avro_value_get_schema(value)), name) == 0;
}

static size_t
size_of(
    struct message_reader *reader, const avro_value_t *list, const char *name)
{
	avro_type_t type = avro_value_get_type(list);
	size_t n = 0;

	if ((type != AVRO_ARRAY && type != AVRO_MAP) ||
	    avro_value_get_size(list, &n) != 0)
		value_unfit(reader, name);
	return n;
}

size_t
value_size(struct message_reader *reader, const avro_value_t *record,
    const char *name, avro_value_t *list)
{
	if (!value_needed(reader, record, name, list))
		return 0;
	return size_of(reader, list, name);
}

size_t
value_size_or_none(struct message_reader *reader, const avro_value_t *record,
    const char *name, avro_value_t *list)
{
	if (!value_field(record, name, list))
		return 0;
	return size_of(reader, list, name);
}

bool
value_at(struct message_reader *reader, const avro_value_t *list, size_t i,
    const char **key, avro_value_t *out)
{
	if (avro_value_get_by_index(list, i, out, key) == 0 && see_through(out))
		return true;
	value_unfit(reader, "an element");
	return false;
}

struct text
value_text_at(struct message_reader *reader, const avro_value_t *list, size_t i)
{
	avro_value_t item;

	if (!value_at(reader, list, i, NULL, &item))
		return TEXT_NONE;
	return copy_text(reader, &item, "an element");
}

int32_t
value_int_at(struct message_reader *reader, const avro_value_t *list, size_t i)
{
	avro_value_t item;

	if (!value_at(reader, list, i, NULL, &item))
		return 0;
	return int_of(reader, &item, "an element");
}
