#ifndef SCHEDRUN_WORKER_PLAN_GRAPH_H
#define SCHEDRUN_WORKER_PLAN_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/text.h"
#include "schemas/schedule.h"
#include "schemas/world.h"

/*
 * The part of the world that one plan has met: datasets, and the job specs
 * that read and write them, numbered in the order they were met.
 *
 *      raw ──> [job of a] ──> a ──> [job of b, c] ──> b, c
 *
 * Numbers instead of pointers: 4 bytes an edge, and several plans can look at
 * one world.  Memory comes from the arena in steps that double and are never
 * copied.  Only the planner's own files use this.
 */
#define GRAPH_NONE UINT32_MAX
#define CHAIN_MAX 17 /* the branch and at most 16 fallbacks */

enum dataset_flag {
	DATASET_IS_INPUT = 1 << 0, /* in inputRids */
	DATASET_IGNORED = 1 << 1,  /* in ignoredRids */
	DATASET_FOLLOWED = 1
	    << 2, /* the walk asks, or has asked, who writes it */
	DATASET_RESOLVED = 1 << 3,  /* `spec` and `job` are valid */
	DATASET_WRITTEN = 1 << 4,   /* a selected job's output */
	DATASET_BUILDABLE = 1 << 5, /* the scope may build it */
	DATASET_READABLE = 1 << 6,  /* the scope may read it */
	DATASET_LISTED = 1 << 7,    /* of the check in progress: an offender */
};

struct graph_dataset {
	struct world_dataset *world;
	const struct job_spec *spec; /* spec() on the chain; NULL: a source */
	uint32_t job;                /* of `spec`, if the graph has it */
	uint32_t flags;
};

enum job_flag {
	JOB_TARGET = 1 << 0,   /* spec() of a target */
	JOB_REACHED = 1 << 1,  /* by the walk; its inputs are in the graph */
	JOB_DENIED = 1 << 2,   /* kept out: the scope may not build it */
	JOB_SELECTED = 1 << 3, /* is in the plan */
	JOB_RUNS = 1 << 4,     /* is in the build */
	JOB_STANDS =
	    1 << 5, /* never stale, unforced, and all its outputs have data */
	JOB_LISTED = 1 << 6, /* as an offender, or seen on the way to a cycle */
};

/* A job's input: the dataset's number, and whether it's an edge. */
#define INPUT_ON_BRANCH 0x80000000u
#define INPUT_DATASET(input) ((input) & ~INPUT_ON_BRANCH)

struct graph_job {
	const struct job_spec *spec;
	uint32_t *inputs;  /* spec->n_inputs, once reached */
	uint32_t *outputs; /* spec->n_outputs */
	uint32_t flags;
	uint32_t waits; /* for how many edges it still waits, while ordering */
	int32_t position; /* in the build, if it runs */
	int reason;       /* enum reason_cause, if it runs */
};

/* An array in pieces of 8, 16, 32, ... elements. */
struct pieces {
	void *piece[28];
	uint32_t n;
};

/* Pointer -> number; unused while there are few enough to look through. */
struct numbers {
	uint32_t *slots; /* number + 1; 0 is free */
	uint32_t mask;
};

struct list { /* of numbers */
	uint32_t *at;
	uint32_t n, capacity;
};

struct graph {
	struct arena *arena;
	struct world *world;
	const struct text *chain;
	uint32_t n_chain;
	struct pieces datasets, jobs;
	struct numbers dataset_numbers, job_numbers;
	uint32_t *pool; /* where short arrays of numbers are cut from */
	uint32_t pool_left, pool_size;
};

/* `chain` is borrowed; its first member is the build branch. */
void graph_init(struct graph *graph, struct arena *arena, struct world *world,
    const struct text *chain, uint32_t n_chain);

static inline void *
pieces_at(const struct pieces *pieces, uint32_t i, size_t size)
{
	uint32_t shifted = i + 8;
	int log = 31 - __builtin_clz(shifted);

	return (char *)pieces->piece[log - 3] + (shifted - (1u << log)) * size;
}

static inline struct graph_dataset *
graph_dataset(const struct graph *graph, uint32_t number)
{
	return pieces_at(
	    &graph->datasets, number, sizeof(struct graph_dataset));
}

static inline struct graph_job *
graph_job(const struct graph *graph, uint32_t number)
{
	return pieces_at(&graph->jobs, number, sizeof(struct graph_job));
}

static inline struct text
graph_job_key(const struct graph_job *job)
{
	return job->spec->outputs[0];
}

/* The number of a dataset, given to it if it has none yet. */
uint32_t graph_add_dataset(struct graph *graph, struct text rid);
/* GRAPH_NONE if the graph hasn't met it. */
uint32_t graph_find_dataset(const struct graph *graph, struct text rid);

/* The number of a job and its outputs, given to them if need be. */
uint32_t graph_add_job(struct graph *graph, const struct job_spec *spec);
/* Its inputs as well; repeating it is harmless. */
void graph_add_inputs(struct graph *graph, struct graph_job *job);

/*
 * Finds spec(dataset) on the chain.  False: not known yet, and every member of
 * the chain that matters has become a need.
 */
bool graph_resolve(struct graph *graph, uint32_t dataset);

/* The branch that an input reads (semantics, section 1); NULL: none. */
const struct branch *graph_read(const struct graph *graph,
    const struct world_dataset *dataset, struct text pinned);
/* The place in the chain of the first branch it has; n_chain if none. */
uint32_t graph_first_branch(
    const struct graph *graph, const struct world_dataset *dataset);

void list_push(struct graph *graph, struct list *list, uint32_t number);

#endif
