#ifndef SCHEDRUN_SCHEMAS_AVRO_FRAMING_H
#define SCHEDRUN_SCHEMAS_AVRO_FRAMING_H

#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/text.h"
#include "schemas/avro/reject.h"

/*
 * Confluent's wire format: a byte 0x00, the schema's id as 4 bytes big-endian,
 * the Avro binary.
 */
#define FRAMING_SIZE 5
#define MESSAGE_SIZE_MAX ((size_t)64 * 1024) /* of a request */

/*
 * Cuts a record's value.  `max`: bytes that it may have in all.  0, or -1 with
 * a rejection.
 */
int framing_read(struct text value, size_t max, uint32_t *schema_id,
    struct text *body, struct rejection *rejection);

/* Appends the five bytes; the body follows. */
void framing_write(uint32_t schema_id, struct buffer *out);

#endif
