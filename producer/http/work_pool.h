#ifndef SCHEDRUN_PRODUCER_HTTP_WORK_POOL_H
#define SCHEDRUN_PRODUCER_HTTP_WORK_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/http/loop.h"
#include "common/redis/pipeline.h"
#include "producer/base/metrics.h"
#include "producer/catalogue/schedule_store.h"
#include "producer/runs/view.h"

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
struct role_cache;
struct work_job;

/* What a job gets: the thread's connections, connected when used. */
struct work_redis {
	struct redis *schedules; /* redis.url: schedules, catalogue, rights */
	struct redis *runs;      /* view.redis.url; often the same server */
	struct run_view view;    /* on `runs` */
	struct schedule_store store; /* on `schedules` */
	struct live_plan *planner;   /* on `schedules` */
	struct build_reader *builds;
	struct role_cache *roles; /* of the thread that works in rounds */
};

/*
 * Small questions that many jobs have at once: one thread asks for all of them
 * together, so a round of Redis is shared by whatever has come by then.  Both
 * functions run on that thread, in turns, until `ask` has nothing more.
 */
struct work_rounds {
	/* Queues commands, receives nothing.  False: the job is done. */
	bool (*ask)(struct work_job *job, struct work_redis *redis);
	/* Receives the answers to exactly these commands. */
	void (*hear)(struct work_job *job, struct work_redis *redis);
};

struct work_job {
	/* NULL: `work` does it all; else only what has set `alone`. */
	const struct work_rounds *rounds;
	bool alone; /* by `ask` or `hear`: `work` is to do it anew, by itself */
	/* On a pool thread.  What failed is kept by the job itself. */
	void (*work)(struct work_job *job, struct work_redis *redis);
	/* On the loop's thread, afterwards. */
	void (*done)(struct work_job *job);
	/*
	 * It has waited too long, since Redis hangs: `work` is to say so at
	 * once instead of trying, or all would wait for all.
	 */
	bool late;
	bool failed;           /* out: `work` had no answer from Redis */
	int64_t since_ms;      /* the pool's */
	struct work_job *next; /* the pool's */
};
#define WORK_WAIT_MS 1000 /* in the queue; then it is late */

struct work_pool_settings {
	struct loop *loop;
	const struct config *config; /* borrowed */
	size_t n_threads; /* for jobs without rounds; one more does those */
	size_t queue_max; /* jobs that wait; over it submit refuses */
	struct redis_settings schedules, runs;
	const struct keyspace *keyspace; /* borrowed */
	int64_t view_ttl_ms;             /* view.ttl */
	const struct redis_counters *counters;
};

/* Starts the threads; connects later.  NULL: ERROR_FATAL. */
struct work_pool *work_pool_create(
    const struct work_pool_settings *settings, struct error *err);

/*
 * Hands a job over; on the loop's thread.  -1: the queue is full or Redis is
 * known to be away; nothing will happen.  After a failure one job at a time is
 * let through to try.
 */
int work_pool_submit(struct work_pool *pool, struct work_job *job);

/* Whoever asks redis.url how it is says so here.  Any thread. */
void work_pool_tell(struct work_pool *pool, bool redis_is_up);

/*
 * Does what is queued, then ends the threads; from then on nothing is taken.
 * Jobs' ends are left on the loop.  NULL is fine.
 */
void work_pool_stop(struct work_pool *pool);
void work_pool_destroy(struct work_pool *pool);

#endif
