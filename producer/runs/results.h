#ifndef SCHEDRUN_PRODUCER_RUNS_RESULTS_H
#define SCHEDRUN_PRODUCER_RUNS_RESULTS_H

#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/config/config.h"
#include "common/kafka/consumer.h"
#include "schemas/message/schedule_run.h"

/*
 * The results topic as a subscriber sees it: read_committed, decoded by each
 * record's own schema.  Used by `watch` and `submit --wait`.
 */
struct results;

/*
 * Reads all partitions from `from`, an enum kafka_from, and time `at_ms` for
 * KAFKA_FROM_TIME.  Blocks until the broker has said which there are, or the
 * monotonic `deadline_ms`.  NULL: ERROR_RETRY it does not answer; ERROR_FATAL
 * (3) there is no such topic.
 */
struct results *results_open(const struct config *config, int from,
    int64_t at_ms, int64_t deadline_ms, struct error *err);
void results_close(struct results *results); /* NULL is fine */

/*
 * The next result within `timeout_ms`: 1; 0 none came; -1 ERROR_RETRY or
 * ERROR_INPUT (a record that isn't a ScheduleRun; the next call goes on).
 * `run` is valid until the next call.
 */
int results_next(struct results *results, int timeout_ms,
    struct schedule_run *run, struct error *err);

#endif
