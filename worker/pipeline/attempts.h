#ifndef SCHEDRUN_WORKER_PIPELINE_ATTEMPTS_H
#define SCHEDRUN_WORKER_PIPELINE_ATTEMPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/kafka/consumer.h"
#include "worker/base/batch.h"
#include "worker/claims/marks.h"

/*
 * Finds the record that kills its worker.  A batch whose records have their
 * claims already was entered before: a note in Redis, one per partition, says
 * that it is being planned, and goes when it is through, so that an abort, a
 * rebalance or somebody's SIGKILL at another moment counts for nothing.  Who
 * finds the note of a second try plans record by record and notes each before
 * it is looked at; the one that is found noted for the sixth time is given up.
 * So a crash loop ends after five restarts, wherever in a batch its cause is.
 * Notes say what was survived, so such a batch is planned only when the one
 * before it is committed.  Thread: stage A only.  Source: docs/delivery.md,
 * section 7.
 *
 * Errors: those of worker/claims/marks.
 */
#define ATTEMPTS_CAREFUL 3 /* from this try on, record by record */
#define ATTEMPTS_MAX 6     /* the try that is not made any more */

struct attempts;

/*
 * Looks for the notes of the batch's partitions and leaves those of a second
 * try.  `survived`: what left them was no crash, this is the same try again.
 * In the batch's arena.  NULL: Redis failed.
 */
struct attempts *attempts_begin(const struct marks *marks, struct batch *batch,
    bool survived, struct error *err);

/* Whether the batch is to be planned record by record. */
bool attempts_are_many(const struct attempts *attempts);

/*
 * Notes that a record is looked at next.  `is_killer`: it was too often, and
 * must not be; it ends the batch, since its note stays until it is committed.
 */
int attempts_note(struct attempts *attempts, const struct kafka_record *record,
    bool *is_killer, struct error *err);

/* The batch is planned: takes the notes back. */
int attempts_end(struct attempts *attempts, struct error *err);

/* Pure: which try it is of a batch that holds own claims of `first` to `last`;
 * 0: a later batch's note, which stays as it is. */
int32_t attempts_of_batch(struct attempt noted, int64_t first, int64_t last);

/* Pure: which try it is of a record that is planned alone; 0: it was planned in
 * the try that is noted, which came further. */
int32_t attempts_of_record(struct attempt noted, int64_t offset);

#endif
