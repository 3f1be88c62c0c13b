#ifndef SCHEDRUN_PRODUCER_LETTERS_LETTER_H
#define SCHEDRUN_PRODUCER_LETTERS_LETTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/kafka/client.h"
#include "common/kafka/consumer.h"
#include "schemas/message/dead_reason.h"

/*
 * A record of the DLQ, judged by its headers (docs/operation.md, section 6):
 * only those that the worker appended speak of it, whatever names its record
 * brought.  Pure.
 */
enum letter_kind {
	LETTER_BURIED,
	LETTER_MARKER,  /* says what became of a letter */
	LETTER_FOREIGN, /* neither: somebody else has written it */
};

enum letter_state { LETTER_WAITS, LETTER_REDRIVEN, LETTER_DROPPED };
const char *letter_state_text(enum letter_state state); /* "waiting" */

/* Texts are borrowed from its record. */
struct letter {
	enum letter_kind kind;

	/* Of a buried one: */
	enum dead_reason reason; /* DEAD_REASONS: one of a newer worker */
	struct text reason_text, message, time;
	struct text topic; /* where the record stood */
	int64_t partition, offset;
	int64_t timestamp_ms; /* the record's own; -1: none */
	int64_t redrives;
	struct text cut;         /* how much the value had; none: it is whole */
	struct text cut_key;     /* the same of the key */
	struct text cut_headers; /* how many are left out */
	size_t n_brought;        /* headers of the record: the first ones */

	/* Of a marker: */
	enum letter_state became;
	struct kafka_offset of; /* the letter */
};

/* A Kafka record with its headers, those in the arena, as a message. */
void letter_message(const struct kafka_record *record, struct arena *arena,
    struct kafka_message *message);

/* Judges it, by its headers alone but for a marker's key. */
void letter_read(const struct kafka_message *message, struct letter *letter);

/*
 * Why a copy of it can't be answered, in the arena; NULL: it may be.  `topic`
 * is where copies go, of which a record has at most `max_size` bytes (-1: not
 * known).
 */
const char *letter_refusal(const struct kafka_message *message,
    const struct letter *letter, const char *topic, int64_t max_size,
    struct arena *arena);

/*
 * The record as it was, with one redrive more and without a header of the
 * DLQ's; borrows from the message and the arena.
 */
void letter_copy(const struct kafka_message *message,
    const struct letter *letter, struct arena *arena,
    struct kafka_message *copy);

/*
 * The record that says what became of the letter at `place`, for the same
 * partition: so retention takes it later than the letter.
 */
void letter_mark(struct kafka_offset place, enum letter_state became,
    int64_t now_ms, struct arena *arena, struct kafka_message *marker);

/* "12:34", a partition and an offset.  False: it is none. */
bool letter_place_read(struct text text, struct kafka_offset *place);
#define LETTER_PLACE_SIZE 32
/* The other way; borrows `out`. */
struct text letter_place_write(
    struct kafka_offset place, char out[LETTER_PLACE_SIZE]);

#endif
