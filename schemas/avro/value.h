#ifndef SCHEDRUN_SCHEMAS_AVRO_VALUE_H
#define SCHEDRUN_SCHEMAS_AVRO_VALUE_H

#include <avro.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/crypto/rid.h"
#include "schemas/avro/layout.h"
#include "schemas/avro/reader.h"

/*
 * avro-c values by field name, unions seen through, for the decoders of this
 * room.  Rules are those of Avro's schema resolution: a field may be missing
 * only if the reader's schema has a default for it (`_or` and `_or_none`); int
 * becomes long, bytes become a string.  What doesn't fit sets `unfit`, so that
 * a decoder checks once, at its end.
 */
struct message_reader {
	enum message message;
	struct layout *layout;
	avro_schema_t schema;
	avro_value_iface_t *class;
	avro_value_t value; /* the message that was read last */
	struct arena *arena;
	const char *unfit; /* the first field that could not be had; or NULL */
};

/* Walks and reads a body into reader->value. */
int message_read(struct message_reader *reader, struct text body,
    struct arena *arena, struct rejection *rejection);

/* 0, or -1 with REJECT_WRONG_SCHEMA if a field was unfit. */
int message_result(
    const struct message_reader *reader, struct rejection *rejection);

/* The field's value with its union seen through; false: none or null. */
bool value_field(
    const avro_value_t *record, const char *name, avro_value_t *out);
/* The same of a field without default: unfit if it isn't there. */
bool value_needed(struct message_reader *reader, const avro_value_t *record,
    const char *name, avro_value_t *out);

/* A string; its text is in the arena of message_read. */
struct text value_text(struct message_reader *reader,
    const avro_value_t *record, const char *name);
/* The same, or no text where it is missing or null. */
struct text value_text_or_none(struct message_reader *reader,
    const avro_value_t *record, const char *name);
/* The UUID of a RID that begins with `prefix`; any other one is unfit. */
struct uuid value_rid(struct message_reader *reader, const avro_value_t *record,
    const char *name, struct text prefix);
/* Numbers and switches; `_or` of a field that may be missing. */
int64_t value_long(struct message_reader *reader, const avro_value_t *record,
    const char *name);
int32_t value_int(struct message_reader *reader, const avro_value_t *record,
    const char *name);
int32_t value_int_or(struct message_reader *reader, const avro_value_t *record,
    const char *name, int32_t fallback);
bool value_bool(struct message_reader *reader, const avro_value_t *record,
    const char *name);
bool value_bool_or(struct message_reader *reader, const avro_value_t *record,
    const char *name, bool fallback);

/* The name of an enum's symbol: writers may number them differently. */
struct text value_symbol(struct message_reader *reader,
    const avro_value_t *record, const char *name);
/* Whether a record is of this type: which branch of a union it is. */
bool value_is_record(const avro_value_t *value, const char *name);

/* Elements of an array or map field; value_size_or_none: 0 if it is missing. */
size_t value_size(struct message_reader *reader, const avro_value_t *record,
    const char *name, avro_value_t *list);
size_t value_size_or_none(struct message_reader *reader,
    const avro_value_t *record, const char *name, avro_value_t *list);
/* The i-th, its union seen through; `key` of a map, else NULL. */
bool value_at(struct message_reader *reader, const avro_value_t *list, size_t i,
    const char **key, avro_value_t *out);
/* The i-th of a list of strings or numbers; unfit if it is none. */
struct text value_text_at(
    struct message_reader *reader, const avro_value_t *list, size_t i);
int32_t value_int_at(
    struct message_reader *reader, const avro_value_t *list, size_t i);

/* For a decoder that finds a field unfit itself. */
void value_unfit(struct message_reader *reader, const char *name);

#endif
