#ifndef SCHEDRUN_PRODUCER_DRYRUN_OUTCOME_H
#define SCHEDRUN_PRODUCER_DRYRUN_OUTCOME_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "producer/runs/record.h"
#include "schemas/message/build_requested.h"
#include "worker/plan/planner.h"

/*
 * A finished run of the view turned back into the planner's outcome, so that it
 * is explained, drawn and printed like a plan that was just made.  Pure.
 *
 * `build` is the run's event, NULL if there is none or if it has left the view:
 * then a submitted outcome has no jobs.  Texts are borrowed from both and from
 * `arena`.  ERROR_INPUT: the record's `why` is not of our form.
 */
int run_outcome(const struct run_record *record,
    const struct build_requested *build, struct arena *arena,
    struct outcome *outcome, struct error *err);

#endif
