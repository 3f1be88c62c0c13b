#ifndef SCHEDRUN_SCHEMAS_MESSAGE_VALUE_H
#define SCHEDRUN_SCHEMAS_MESSAGE_VALUE_H

#include <avro.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "schemas/avro_layout.h"
#include "schemas/message_reader.h"

/*
 * avro-c values by field name, unions seen through, for the decoders of this
 * room.  A field that the writer's schema lacks gives the fallback; one of
 * another type sets `failed`, so that a decoder checks once, at its end.
 */
struct message_reader {
	enum message message;
	struct layout *layout;
	avro_schema_t schema;
	avro_value_iface_t *class;
	avro_value_t value; /* the message that was read last */
	struct arena *arena;
	bool failed;
};

/* Walks and reads a body into reader->value. */
int message_read(struct message_reader *reader, struct text body,
    struct arena *arena, struct rejection *rejection);

/* 0, or -1 with REJECT_WRONG_SCHEMA if a field had another type. */
int message_result(
    const struct message_reader *reader, struct rejection *rejection);

/* The field's value with its union seen through; false: none or null. */
bool value_field(
    const avro_value_t *record, const char *name, avro_value_t *out);
struct text value_text(struct message_reader *reader,
    const avro_value_t *record, const char *name);
int64_t value_long(struct message_reader *reader, const avro_value_t *record,
    const char *name, int64_t fallback);
bool value_bool(struct message_reader *reader, const avro_value_t *record,
    const char *name);

/* Elements of an array or map field, 0 if there is none. */
size_t value_size(struct message_reader *reader, const avro_value_t *record,
    const char *name, avro_value_t *list);
/* The i-th, its union seen through; `key` of a map, else NULL. */
bool value_at(struct message_reader *reader, const avro_value_t *list, size_t i,
    const char **key, avro_value_t *out);
struct text value_text_at(
    struct message_reader *reader, const avro_value_t *list, size_t i);

#endif
