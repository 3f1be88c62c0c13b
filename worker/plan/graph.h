#ifndef SCHEDRUN_WORKER_PLAN_GRAPH_H
#define SCHEDRUN_WORKER_PLAN_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/text.h"
#include "schemas/stored/schedule.h"
#include "schemas/stored/world.h"

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

enum dataset_flag {
	DATASET_KNOWN =
	    1 << 0, /* the world's entry is known; the next three: */
	DATASET_PRESENT = 1 << 1,  /* it exists */
	DATASET_TRASHED = 1 << 2,  /* and is in the trash */
	DATASET_RESOLVED = 1 << 3, /* `job` is valid */
	DATASET_FOLLOWED = 1
	    << 4, /* the walk asks, or has asked, who writes it */
	DATASET_IS_INPUT = 1 << 5,  /* in inputRids */
	DATASET_IGNORED = 1 << 6,   /* in ignoredRids */
	DATASET_WRITTEN = 1 << 7,   /* a selected job's output */
	DATASET_BUILDABLE = 1 << 8, /* the scope may build it */
	DATASET_READABLE = 1 << 9,  /* the scope may read it */
	DATASET_LISTED = 1 << 10,   /* of the check in progress: an offender */
	DATASET_HAS_PARENT = 1 << 11, /* the branch read names a parent */
};

struct graph_dataset {
	struct world_dataset *world;
	const struct branch *read; /* the first of the chain, NULL: none */
	uint32_t job;              /* of spec(); GRAPH_NONE: a source */
	uint32_t keyed;            /* the last job met whose key it is */
	uint16_t flags;
	uint16_t place; /* of `read` in the chain; n_chain: none */
};

enum job_flag {
	JOB_MET = 1 << 0,      /* by the walk, which judges it once */
	JOB_TARGET = 1 << 1,   /* spec() of a target */
	JOB_REACHED = 1 << 2,  /* its inputs are in the graph */
	JOB_DENIED = 1 << 3,   /* kept out: the scope may not build it */
	JOB_SELECTED = 1 << 4, /* is in the plan */
	JOB_RUNS = 1 << 5,     /* is in the build */
	JOB_STANDS =
	    1 << 6, /* never stale, not forced, and has data: won't run */
	JOB_LISTED = 1 << 7, /* as an offender, or seen on the way to a cycle */
};

/* A job's input: the dataset's number, whether it's an edge, and pinned. */
#define INPUT_ON_BRANCH 0x80000000u
#define INPUT_PINNED 0x40000000u
#define INPUT_DATASET(input) ((input) & ~(INPUT_ON_BRANCH | INPUT_PINNED))

/*
 * With 100,000 jobs nearly every look at something else is a cache miss, so
 * what the passes over all jobs want is kept here.
 */
struct graph_job {
	const struct job_spec *spec;
	uint32_t *inputs;    /* once reached */
	uint32_t *producers; /* of its inputs; what it waits for, once linked */
	uint32_t *outputs;
	struct text key;              /* its smallest output */
	uint32_t n_inputs, n_outputs; /* the spec's */
	union {
		uint32_t next;    /* another of the same key: while it grows */
		uint32_t changes; /* number of its list, if inputs changed */
	};
	uint32_t waits;   /* for how many producers it still waits */
	int32_t position; /* in the build, if it runs */
	uint8_t flags;
	int8_t reason;    /* enum reason_cause, if it runs */
	int8_t staleness; /* enum staleness, the spec's */
};

/* An array in pieces of 8, 16, 32, ... elements. */
struct pieces {
	void *piece[28];
	uint32_t n;
};

/*
 * Dataset -> number; unused while there are few enough to look through.  By
 * hand: a slot has four bytes, where one of an entry_table has sixteen.
 */
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
	struct numbers numbers; /* of datasets */
	uint32_t *pool;         /* where short arrays of numbers are cut from */
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

/* The number of a dataset, given to it if it has none yet. */
uint32_t graph_add_dataset(struct graph *graph, struct text rid);
/* GRAPH_NONE if the graph hasn't met it. */
uint32_t graph_find_dataset(const struct graph *graph, struct text rid);

/*
 * Gives numbers to a few inputs of a job from the one at `from` on, first those
 * at 0; returns to how many.
 */
uint32_t graph_add_inputs(
    struct graph *graph, struct graph_job *job, uint32_t from);

/*
 * Fetches the specs of the jobs that come soon after `place` in a list.  Where
 * a catalogue is spread about the memory, one thing leads to the next, and
 * every step is a cache miss: with all that is fetched ahead, here and in
 * world_inputs, a scattered fan of 100,000 jobs takes 120 ms instead of 300.
 *
 * Always inline: gcc takes a function that only prefetches for one without
 * effect, and drops the calls.
 */
#define LOOK_AHEAD 4 /* jobs a step */
static inline __attribute__((always_inline)) void
graph_look_ahead(
    const struct graph *graph, const struct list *jobs, uint32_t place)
{
	if (place + 2 * LOOK_AHEAD < jobs->n)
		__builtin_prefetch(
		    &graph_job(graph, jobs->at[place + 2 * LOOK_AHEAD])
			 ->spec->inputs);
	if (place + LOOK_AHEAD < jobs->n)
		__builtin_prefetch(
		    graph_job(graph, jobs->at[place + LOOK_AHEAD])
			->spec->inputs);
}

/*
 * Whether the world knows the dataset, so that flags, read and place are valid,
 * and it is DATASET_KNOWN unless it is damaged; else it has become a need.
 */
bool graph_knows(struct graph *graph, struct graph_dataset *dataset);
/*
 * Finds spec(dataset) on the chain and its job, which gets a number, as do its
 * outputs.  False: not known yet, and every member of the chain that matters
 * has become a need.  If one that matters is damaged, spec(dataset) stays
 * unresolved.
 */
bool graph_resolves(
    struct graph *graph, uint32_t dataset, const struct world_spec **damaged);

/* The branch that an input reads (docs/semantics.md, section 1); NULL: none. */
const struct branch *graph_read(
    const struct graph *graph, const struct graph_job *job, uint32_t input);

/* Room for `n` at once. */
void list_reserve(struct graph *graph, struct list *list, uint32_t n);
void list_push(struct graph *graph, struct list *list, uint32_t number);

#endif
