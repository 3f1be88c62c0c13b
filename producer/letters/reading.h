#ifndef SCHEDRUN_PRODUCER_LETTERS_READING_H
#define SCHEDRUN_PRODUCER_LETTERS_READING_H

#include "common/base/arena.h"
#include "common/kafka/client.h"
#include "schemas/avro/framing.h"
#include "schemas/avro/layout.h"
#include "schemas/avro/registry.h"

/*
 * A letter's value as far as it can be read, field by field, and what a worker
 * would say of it now.  For people; nothing here decides.
 */
struct reading {
	bool is_framed; /* `schema_id` is known */
	uint32_t schema_id;
	struct layout_field *fields; /* their places are the value's */
	size_t n_fields;
	size_t fault_at;      /* of the value; its size: none was found */
	size_t rest_from;     /* what wasn't read */
	struct rejection now; /* detail: "" if it can be read, and is valid */
};

/*
 * Fields are in the arena, texts are borrowed from the message, of whose
 * headers the first `n_brought` are the record's.  Asks the registry for the
 * schema, once; where it doesn't answer `now` says so.
 */
void reading_make(const struct kafka_message *message, size_t n_brought,
    struct registry *registry, struct arena *arena, struct reading *reading);

#endif
