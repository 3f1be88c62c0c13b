#ifndef SCHEDRUN_PRODUCER_DRYRUN_AFFECTED_H
#define SCHEDRUN_PRODUCER_DRYRUN_AFFECTED_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "schemas/stored/schedule.h"

struct live_plan;

/*
 * The datasets that a schedule's run may write: the outputs of every job that a
 * forced run would start now, by the worker's own planner.  If such a run would
 * end in an error, the targets.  Ascending, once each, in `arena`.  Blocks as
 * live_plan_run does, whose errors it has:
 *   ERROR_RETRY  Redis does not answer, or has no catalogue
 *   ERROR_FATAL  what is stored is not of our form
 */
int affected_find(struct live_plan *planner, struct text schedule_rid,
    struct arena *arena, struct text_list *datasets, struct error *err);

#endif
