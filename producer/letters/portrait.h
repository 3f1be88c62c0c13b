#ifndef SCHEDRUN_PRODUCER_LETTERS_PORTRAIT_H
#define SCHEDRUN_PRODUCER_LETTERS_PORTRAIT_H

#include "common/base/buffer.h"
#include "producer/letters/letters.h"
#include "schemas/avro/registry.h"

/*
 * All that can be said of one letter: a line for each thing, or an object
 * (docs/formats.md, section 6).  Bytes that are no UTF-8 are shown in
 * hexadecimal.  Asks the registry, as reading_make does.
 */
void portrait_put(const struct letter_entry *entry,
    const struct kafka_record *record, struct registry *registry,
    bool for_people, struct buffer *out);

#endif
