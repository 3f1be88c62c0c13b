#ifndef SCHEDRUN_PRODUCER_WORK_POOL_H
#define SCHEDRUN_PRODUCER_WORK_POOL_H

#include <stddef.h>

#include "common/config.h"
#include "common/error.h"
#include "common/loop.h"
#include "common/redis_pipeline.h"
#include "producer/run_view.h"
#include "producer/schedule_store.h"

/*
 * The adapter's way to Redis.  hiredis blocks and the event loop must not, so a
 * few threads, each with connections of its own, take jobs from one queue; a
 * job's end comes back to the loop.  A job is a function that may block for the
 * command time-out; what it works on is its own until then.
 *
 *     loop: handler -> work_pool_submit ... done -> answer
 *                           │                 ^
 *     thread:               └─> work(redis) ──┘ loop_post
 */
struct work_pool;
struct live_plan;
struct build_reader;

/* What a job gets: the thread's connections, connected when used. */
struct work_redis {
	struct redis *schedules; /* redis.url: schedules, catalogue, rights */
	struct redis *runs;      /* view.redis.url; often the same server */
	struct run_view view;    /* on `runs` */
	struct schedule_store store; /* on `schedules` */
	struct live_plan *planner;   /* on `schedules` */
	struct build_reader *builds;
};

struct work_job {
	/* On a pool thread.  What failed is kept by the job itself. */
	void (*work)(struct work_job *job, struct work_redis *redis);
	/* On the loop's thread, afterwards. */
	void (*done)(struct work_job *job);
	struct work_job *next; /* the pool's */
};

struct work_pool_settings {
	struct loop *loop;
	const struct config *config; /* borrowed */
	size_t n_threads;
	size_t queue_max; /* jobs that wait; over it submit refuses */
	struct redis_settings schedules, runs;
	const struct keyspace *keyspace; /* borrowed */
	int64_t view_ttl_ms;             /* view.ttl */
};

/* Starts the threads; connects later.  NULL: ERROR_FATAL. */
struct work_pool *work_pool_create(
    const struct work_pool_settings *settings, struct error *err);

/*
 * Hands a job over; on the loop's thread.  -1: the queue is full, nothing will
 * happen.
 */
int work_pool_submit(struct work_pool *pool, struct work_job *job);
size_t work_pool_waiting(struct work_pool *pool);

/*
 * Does what is queued, then ends the threads; from then on nothing is taken.
 * Jobs' ends are left on the loop.  NULL is fine.
 */
void work_pool_stop(struct work_pool *pool);
void work_pool_destroy(struct work_pool *pool);

#endif
