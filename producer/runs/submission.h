#ifndef SCHEDRUN_PRODUCER_RUNS_SUBMISSION_H
#define SCHEDRUN_PRODUCER_RUNS_SUBMISSION_H

#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/json/node.h"
#include "schemas/message/run_request.h"

/*
 * Makes run requests out of what a person or a file says: the command line's
 * way to the topic.
 */

/* A new request id: a random UUID, in `arena`. */
struct text submission_new_id(struct arena *arena);

/*
 * Reads one line of a file of requests: an object of RunRequest's fields
 * without runRid; only scheduleRid is required, requestId becomes a new UUID
 * and createdTime (text as in documents) `now_ms`.  Texts go to `arena`, the
 * run's id to `run`.  1 if the line has a requestId of its own, 0 if not;
 * ERROR_INPUT says what is wrong.
 */
int submission_parse(struct text line, int64_t now_ms, struct arena *arena,
    struct run_request *request, struct uuid *run, struct error *err);

/* Checks a request as a worker will; ERROR_INPUT. */
int submission_check(
    const struct run_request *request, struct uuid *run, struct error *err);

#endif
