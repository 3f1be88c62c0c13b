#ifndef SCHEDRUN_WORKER_PIPELINE_QUESTIONS_H
#define SCHEDRUN_WORKER_PIPELINE_QUESTIONS_H

#include <stddef.h>

#include "common/base/error.h"
#include "worker/base/batch.h"
#include "worker/base/metrics.h"
#include "worker/commit/answer.h"
#include "worker/snapshot/snapshot.h"

/*
 * What a batch asks, answered: requests that ask the same share one plan, and
 * most need none, as the snapshot remembers what was answered before.  Thread:
 * stage A.
 */
struct questions;

/* Never NULL.  Both are borrowed. */
struct questions *questions_create(
    struct snapshot *snapshot, struct metrics *metrics);
void questions_destroy(struct questions *questions); /* NULL is fine */

/*
 * Answers what the records from the `from`-th to before the `to`-th ask, those
 * of FATE_PLAN: each gets the number of its question, which then has its
 * answer, a struct answer, in the snapshot until the next call.  1: several
 * questions together hold more than `max_bytes`, and not all are answered.  -1:
 * errors as snapshot_read.  Blocks for as many round trips as the deepest plan
 * has levels.
 */
int questions_answer(struct questions *questions, struct batch *batch,
    size_t from, size_t to, size_t max_bytes, struct error *err);

#endif
