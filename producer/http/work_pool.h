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
 * job's end comes back to the loop.
 *
 *     loop: handler -> work_pool_submit ... done -> answer
 *                           │                 ^
 *     thread:               └─> work(redis) ──┘ loop_post
 *
 * Small questions that many jobs have at once are asked together: one more
 * thread takes all such jobs that have come by then, lets each queue its
 * commands, sends them as one round trip, and lets each hear its answers.
 */
struct work_pool;
struct live_plan;
struct message_decoder;
struct role_cache;

/* What a job gets: its thread's connections. */
struct work_redis {
	struct redis *schedules; /* redis.url: schedules, catalogue, rights */
	struct redis *runs;      /* view.redis.url; often the same server */
	struct run_view view;    /* on `runs` */
	struct schedule_store store; /* on `schedules` */
	struct live_plan *planner;   /* on `schedules` */
	struct message_decoder *builds;
	struct role_cache *roles;
};

/*
 * A job: either `work`, or `ask` and `hear`.  From the submit to `done` the
 * owner is the job's alone.
 */
struct work_job {
	void *owner; /* what all slots take */
	/* All of it, blocking for as long as Redis takes. */
	void (*work)(void *owner, struct work_redis *redis);
	/*
	 * Queues commands on connections of `redis`, receives nothing.  False:
	 * the job is done.  Else `hear` receives the answers to exactly these
	 * commands, and it goes on, until there is nothing to ask or an error.
	 */
	bool (*ask)(void *owner, struct work_redis *redis);
	void (*hear)(void *owner, struct work_redis *redis);
	loop_call *done; /* on the loop's thread, afterwards */
	/*
	 * Set by the slots, or by the pool instead of calling them; ERROR_RETRY
	 * is what Redis is to blame for.
	 */
	struct error error;
	/* The pool's: */
	bool late;
	int64_t since_ms;
	struct work_job *next;
};

struct work_pool_settings {
	struct loop *loop;
	const struct config *config; /* borrowed */
	size_t n_threads; /* for jobs by `work`; one more does the others */
	size_t queue_max; /* jobs that wait; over it submit refuses */
	struct redis_settings schedules, runs;
	const struct keyspace *keyspace; /* borrowed */
	int64_t view_ttl_ms;             /* view.ttl */
	struct metrics *metrics;
};

/* Starts the threads; connects later.  NULL: ERROR_FATAL. */
struct work_pool *work_pool_create(
    const struct work_pool_settings *settings, struct error *err);

/*
 * Hands a job over, its error cleared; on the loop's thread.  -1: the queue is
 * full or Redis is known to be away; nothing will happen.  After a failure one
 * job at a time is let through to try.
 */
int work_pool_submit(struct work_pool *pool, struct work_job *job);

/* Whoever asks redis.url how it is says so here.  Any thread. */
void work_pool_tell(struct work_pool *pool, bool redis_is_up);

/*
 * Does what is queued, then ends the threads; from then on nothing is taken.
 * Jobs' ends are left on the loop.  Blocks; NULL is fine.
 */
void work_pool_stop(struct work_pool *pool);
void work_pool_destroy(struct work_pool *pool); /* stops it; NULL is fine */

#endif
