#ifndef SCHEDRUN_WORKER_PLAN_ORDER_H
#define SCHEDRUN_WORKER_PLAN_ORDER_H

#include <stdint.h>

#include "worker/plan/graph.h"

/*
 * Orders over a plan's graph: which job waits for which, what goes first, and
 * why some can't go at all (docs/semantics.md, sections 2 and 3).  All of
 * it is linear in jobs and edges but for the heap of the build order; nothing
 * recurses.
 */
/* For each job those that read from it: readers[from[j]] to [from[j + 1]]. */
struct links {
	uint32_t *from;
	uint32_t *readers;
};

/*
 * The job that `input` makes its reader wait for: the producer of an on-branch
 * input; GRAPH_NONE if there is none.
 */
typedef uint32_t order_edge(const struct graph *graph, uint32_t input);
/* Before compatibility is known: reached producers, not through ignored ones.
 */
uint32_t order_edge_reached(const struct graph *graph, uint32_t input);
/* After that: selected producers. */
uint32_t order_edge_selected(const struct graph *graph, uint32_t input);

/*
 * Finds the producers that jobs with `flag` wait for, and turns these edges
 * round.
 */
void order_link(
    struct graph *graph, uint32_t flag, order_edge *edge, struct links *links);

/*
 * Kahn: puts the selected jobs into `order`, producers first.  Jobs that can't
 * be ordered are left out of it; they keep waits > 0.
 */
void order_jobs(
    struct graph *graph, const struct links *links, struct list *order);

/*
 * The cycle of docs/semantics.md, P8, from jobs that order_jobs left: their
 * numbers, the smallest key first, each reading from the next.
 */
void order_cycle(struct graph *graph, struct list *cycle);

/*
 * Numbers the jobs that run in build order; `order` gets them.  Each must wait
 * for as many producers as run.
 */
void order_build(
    struct graph *graph, const struct links *links, struct list *order);

#endif
