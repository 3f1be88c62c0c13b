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

/* A header: a byte 0x00 and 4 bytes of id, or 0x01 and a GUID. */
#define FRAMING_HEADER "__value_schema_id"
/*
 * The same for a value without a frame, whose schema's id stands in that
 * header; a GUID is not read.
 */
int framing_read_header(struct text header, struct text value, size_t max,
    uint32_t *schema_id, struct text *body, struct rejection *rejection);

/*
 * What a value that could not be read looks like, for people; NULL: like
 * nothing that is known.
 */
const char *framing_guess(struct text value);

/* Appends the five bytes; the body follows. */
void framing_write(uint32_t schema_id, struct buffer *out);

#endif
