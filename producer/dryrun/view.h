#ifndef SCHEDRUN_PRODUCER_DRYRUN_VIEW_H
#define SCHEDRUN_PRODUCER_DRYRUN_VIEW_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "worker/plan/planner.h"

/* A plan for people: what becomes of the run, and its jobs with their reasons.
 */
void plan_explain(
    const struct outcome *outcome, bool colour, struct buffer *out);

/*
 * The build as a Graphviz graph: jobs, and what each reads from which.  Without
 * a build the graph's label says why; a cycle is drawn.
 */
void plan_draw(const struct outcome *outcome, struct buffer *out);

#endif
