#ifndef SCHEDRUN_TESTS_UNIT_AVRO_VALUE_H
#define SCHEDRUN_TESTS_UNIT_AVRO_VALUE_H

#include <avro.h>
#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/base/text.h"

/*
 * avro-c's generic values, filled field by field: the other way to a message's
 * bytes, which ours is held against.
 */
struct avro_message {
	avro_schema_t schema;
	avro_value_iface_t *class;
	avro_value_t value;
};

bool avro_message_init(struct avro_message *message, struct text schema);
void avro_message_finish(struct avro_message *message);

/* The bytes that avro-c writes, appended. */
void avro_message_write(struct avro_message *message, struct buffer *out);
/* Whether avro-c reads these bytes, all of them, into the value. */
bool avro_message_read(struct avro_message *message, struct text body);

avro_value_t avro_field(const avro_value_t *record, const char *name);
/* The union field's branch, made current. */
avro_value_t avro_branch(
    const avro_value_t *record, const char *name, int branch);
avro_value_t avro_append(const avro_value_t *list);
avro_value_t avro_put(const avro_value_t *map, const char *key);

void avro_set_text(
    const avro_value_t *record, const char *name, struct text text);
void avro_set_text_or_null(
    const avro_value_t *record, const char *name, struct text text);
void avro_set_long(
    const avro_value_t *record, const char *name, int64_t number);
void avro_set_int(const avro_value_t *record, const char *name, int32_t number);
void avro_set_bool(const avro_value_t *record, const char *name, bool is_true);
void avro_set_texts(const avro_value_t *record, const char *name,
    const struct text *texts, size_t n);

#endif
