#ifndef SCHEDRUN_PRODUCER_LETTERS_DEALING_H
#define SCHEDRUN_PRODUCER_LETTERS_DEALING_H

#include "producer/letters/letters.h"
#include "schemas/topics.h"

/*
 * The rules of a redrive, the same for `schedrun dlq redrive` and for the
 * dashboard: which letter is not asked again, and what is said of it.
 */

/*
 * Why a copy of the record's letter to the topic `origin` would be of no use;
 * NULL: it may be.  In the arena.
 */
const char *dealing_refusal(const struct config *config,
    const struct letters *letters, const struct kafka_record *record,
    enum topic origin, struct arena *arena);

/* "it was redriven at ...", of one that doesn't wait any more; in the arena. */
const char *dealing_was_dealt(
    const struct letter_entry *entry, struct arena *arena);

#endif
