#ifndef SCHEDRUN_PRODUCER_DRYRUN_OUTCOME_H
#define SCHEDRUN_PRODUCER_DRYRUN_OUTCOME_H

#include "common/base/arena.h"
#include "schemas/message/build_requested.h"
#include "schemas/message/schedule_run.h"
#include "worker/plan/planner.h"

/*
 * A finished run of the view turned back into the planner's outcome, so that it
 * is explained, drawn and printed like a plan that was just made.  Pure.
 *
 * `build` is the run's event, NULL if there is none or if it has left the view:
 * then a submitted outcome has no jobs.  Texts are borrowed from both and from
 * `arena`.
 */
struct outcome run_outcome(const struct schedule_run *run,
    const struct build_requested *build, struct arena *arena);

#endif
