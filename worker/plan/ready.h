#ifndef SCHEDRUN_WORKER_PLAN_READY_H
#define SCHEDRUN_WORKER_PLAN_READY_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/plan/graph.h"

/*
 * The jobs of a build that wait for nothing any more, taken out by key,
 * smallest first.  What comes in ascending order, which a wide plan's jobs
 * mostly do, stands in a queue; the rest is in a heap: a fan of 100,000 jobs is
 * ordered without one.
 */
struct ready_job {
	uint64_t head; /* of its key, behind what all keys begin with */
	uint32_t job;
};

struct ready {
	const struct graph *graph;
	size_t shared; /* bytes that all keys begin with */
	struct ready_job *queue, *heap;
	uint32_t first, end; /* of the queue */
	uint32_t n;          /* in the heap */
	uint32_t capacity;   /* jobs that run: each is put once */
};

/* For the jobs of `graph` that run.  Its memory is the graph's. */
void ready_init(struct ready *ready, const struct graph *graph);
void ready_put(struct ready *ready, uint32_t job);
/* False: there is none. */
bool ready_take(struct ready *ready, uint32_t *job);

#endif
