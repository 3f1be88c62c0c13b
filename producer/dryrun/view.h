#ifndef SCHEDRUN_PRODUCER_DRYRUN_VIEW_H
#define SCHEDRUN_PRODUCER_DRYRUN_VIEW_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "worker/plan/planner.h"

/*
 * Appends a plan for people: what becomes of the run, and its jobs with their
 * reasons.  `colour`: with a terminal's escapes, which nothing that was stored
 * can bring in.  Callers have an outcome that isn't pending.
 */
void plan_explain(
    const struct outcome *outcome, bool colour, struct buffer *out);

/*
 * Appends the build as a Graphviz graph: jobs, and what each reads from which.
 * Without a build the graph's label says why; a cycle is drawn.
 */
void plan_draw(const struct outcome *outcome, struct buffer *out);

#endif
