#ifndef SCHEDRUN_SCHEMAS_MESSAGE_DEAD_LETTER_H
#define SCHEDRUN_SCHEMAS_MESSAGE_DEAD_LETTER_H

#include "common/base/arena.h"
#include "common/kafka/consumer.h"
#include "schemas/message/dead_reason.h"

/*
 * The form of a record in the DLQ: byte by byte as it came, with headers that
 * say why it is there (docs/operation.md, section 6).  Nothing that a record
 * brings decides whether its letter can be written or how long it lives: the
 * letter has no time but that of its burial, and what is too large for the DLQ
 * is cut.
 */
struct dead_letter {
	const struct kafka_record *record;
	enum dead_reason reason;
	struct text
	    detail; /* for people; what is not printable is shown as ? */
};

/*
 * Writes it as a message of at most `max_size` bytes with all that Kafka adds
 * (4 KiB at least is asked for).  Key and value are borrowed from the record,
 * headers are in the arena.
 */
void dead_letter_write(const struct dead_letter *letter, size_t max_size,
    int64_t now_ms, struct arena *arena, struct kafka_message *message);

#endif
