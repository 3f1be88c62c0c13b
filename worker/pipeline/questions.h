#ifndef SCHEDRUN_WORKER_PIPELINE_QUESTIONS_H
#define SCHEDRUN_WORKER_PIPELINE_QUESTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "schemas/message/run_request.h"
#include "worker/base/metrics.h"
#include "worker/commit/answer.h"
#include "worker/snapshot/snapshot.h"

/*
 * What a batch asks of the snapshot, answered: a plan for each question whose
 * answer is not remembered, most have none.  Thread: stage A.
 *
 *   snapshot_begin; snapshot_ask (per request); questions_answer;
 *   then each snapshot_question has its `answer`, a struct answer
 */
struct questions;

/* Never NULL.  Both are borrowed. */
struct questions *questions_create(
    struct snapshot *snapshot, struct telemetry *telemetry);
void questions_destroy(struct questions *questions); /* NULL is fine */

/*
 * Answers all that were asked since snapshot_begin; plans are made in `arena`,
 * answers in the snapshot's memory.  1: several questions together hold more
 * than `max_bytes`, and not all are answered.  Errors as snapshot_read.  Blocks
 * for as many round trips as the deepest plan has levels.
 */
int questions_answer(struct questions *questions, struct arena *arena,
    size_t max_bytes, struct error *err);

#endif
