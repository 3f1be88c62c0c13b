#ifndef SCHEDRUN_WORKER_PIPELINE_QUESTIONS_H
#define SCHEDRUN_WORKER_PIPELINE_QUESTIONS_H

#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "schemas/message/run_request.h"
#include "worker/base/metrics.h"
#include "worker/commit/answer.h"
#include "worker/snapshot/snapshot.h"

/*
 * What a batch asks: a question is a schedule, a pinned version, and who asks.
 * Requests that ask the same share one plan; its answer is remembered, in the
 * snapshot's cache, for as long as nothing that the plan has looked at changes,
 * so that most requests need no plan at all.  Thread: stage A.
 *
 *   questions_begin; questions_ask (per request); questions_answer;
 *   questions_answer_of (per number)
 */
struct questions;

/* Both are borrowed; the snapshot is nobody else's from begin to the answers.
 */
struct questions *questions_create(
    struct snapshot *snapshot, struct telemetry *telemetry);
void questions_destroy(struct questions *questions); /* NULL is fine */

/* A batch begins; the answers of the one before are gone. */
void questions_begin(struct questions *questions);

/*
 * The number of a request's question, from 0; `request` must stay until it is
 * answered.
 */
uint32_t questions_ask(
    struct questions *questions, const struct run_request *request);

/*
 * Answers all; plans are made in `arena`.  1: several questions together hold
 * more than `max_bytes`, and none is answered.  Errors as snapshot_read.
 */
int questions_answer(struct questions *questions, struct arena *arena,
    size_t max_bytes, struct error *err);
const struct answer *questions_answer_of(
    const struct questions *questions, uint32_t number);

#endif
