#ifndef SCHEDRUN_PRODUCER_LETTERS_LETTERS_H
#define SCHEDRUN_PRODUCER_LETTERS_LETTERS_H

#include "common/base/error.h"
#include "common/config/config.h"
#include "producer/letters/letter.h"

/*
 * The DLQ as a list of letters: which are there, and what became of each.  Two
 * passes: the first one keeps a few bytes of each letter that is looked for,
 * since what became of it stands behind it; the second one gives the records of
 * those that are wanted.  One thread.
 */
struct letters;

struct letter_filter {
	enum dead_reason reason; /* DEAD_REASONS: any */
	int64_t since_ms;        /* buried then or later; 0: any time */
	struct text schedule;    /* its RID is key or field; none: any */
	int32_t partition;       /* of the DLQ; -1: any */
	const struct kafka_offset *places; /* only these; NULL: any */
	size_t n_places;
};

struct letter_entry {
	struct kafka_offset place;
	int64_t time_ms;  /* of its burial, as Kafka has it */
	int64_t state_ms; /* when it was redriven or dropped */
	enum letter_state state;
	enum dead_reason reason; /* DEAD_REASONS: unknown, or it is foreign */
	bool is_wanted;          /* the second pass gives it */
	void *opaque;            /* the caller's */
};

/*
 * `timeout_ms` is for each step: the broker's answer, and the next record.
 * NULL: ERROR_FATAL 3 there is no DLQ, 77, 78; ERROR_RETRY.  Blocks.
 */
struct letters *letters_create(
    const struct config *config, int timeout_ms, struct error *err);
void letters_destroy(struct letters *letters); /* NULL is fine */

/* Partitions of the DLQ; the requests' max.message.bytes, -1: not known. */
int32_t letters_partitions(const struct letters *letters);
int64_t letters_request_max(const struct letters *letters);

/*
 * The first pass.  `whole`: also what open transactions hold back now, which
 * it waits for; without it the letters up to the first of these.  ERROR_RETRY:
 * Kafka doesn't answer, or such a transaction stays open.  A positive
 * `budget_ms` ends the pass by then: 1, and the list is a part.  Else 0.
 */
int letters_index(struct letters *letters, const struct letter_filter *filter,
    bool whole, int budget_ms, struct error *err);

/* The i-th entry, by partition and offset; NULL: there are no more. */
struct letter_entry *letters_at(const struct letters *letters, size_t i);
/* NULL: none is there, and `err` says why (ERROR_FATAL 3). */
struct letter_entry *letters_find(const struct letters *letters,
    struct kafka_offset place, struct error *err);

/*
 * The second pass: start, then the next wanted one with its record, which the
 * caller releases: 1; 0 no more; -1 as above.  One that retention took
 * meanwhile doesn't come.
 */
int letters_start(struct letters *letters, struct error *err);
int letters_next(struct letters *letters, struct letter_entry **entry,
    struct kafka_record *record, struct error *err);

#endif
