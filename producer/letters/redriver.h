#ifndef SCHEDRUN_PRODUCER_LETTERS_REDRIVER_H
#define SCHEDRUN_PRODUCER_LETTERS_REDRIVER_H

#include "producer/letters/letters.h"
#include "schemas/topics.h"

/*
 * Redrives and drops letters: copy and marker in one transaction, under a
 * transactional.id that all share who deal with this DLQ.  Whoever opens last
 * has it, and nothing of the one before is under way any more; so what the
 * letters' list, made after that, says of each still holds when it is dealt
 * with, or the transaction is refused.  One thread.
 */
struct redriver;

/*
 * Call it before letters_index.  Fences whoever else deals with letters.
 * Copies go to `topic`, of requests or events.  NULL: as of letters_create.
 * Blocks for up to `timeout_ms`.
 */
struct redriver *redriver_open(const struct config *config,
    const struct letters *letters, enum topic topic, int timeout_ms,
    struct error *err);
void redriver_close(struct redriver *redriver); /* NULL is fine */

/*
 * What is dealt with together, and how.  Takes over the record; those are
 * released, and the entries have their new state, by redriver_commit.
 */
void redriver_add(struct redriver *redriver, struct letter_entry *entry,
    const struct kafka_record *record, enum letter_state becomes);

/* Whether it is time for a commit, and how many wait for it. */
bool redriver_is_full(const struct redriver *redriver);
size_t redriver_pending(const struct redriver *redriver);

/*
 * All or nothing of what was added.  -1 and nothing more may be added:
 * ERROR_RETRY Kafka doesn't answer, whether it is done is said by the next
 * list; ERROR_FATAL 1 another one has begun to deal with letters; else as of
 * kafka_transaction.
 */
int redriver_commit(struct redriver *redriver, struct error *err);

/*
 * Whether nothing more may be added after this commit: what was sent may still
 * be on its way, and could hit the next transaction (docs/delivery.md, section
 * 5).
 */
bool redriver_is_suspect(struct redriver *redriver);

/* What the last commit dealt with, until the next add. */
struct letter_entry *const *redriver_done(
    const struct redriver *redriver, size_t *n);

#endif
