#include "producer/http/work_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "producer/auth/role_cache.h"
#include "producer/dryrun/live.h"
#include "producer/runs/decoder.h"

#define THREADS_MAX 16
#define BATCH_MAX 256 /* jobs that share their round trips */
#define WAIT_MS 1000  /* in the queue; then a job is late */
#define TRY_MS 250    /* between tries while Redis does not answer */
#define PLANNER_CACHE ((size_t)4 * 1024 * 1024) /* bytes, of each thread */

struct job_list {
	struct work_job *first, **last;
	size_t n;
};

/*
 * A thread and its connections, which no other one touches; which of the two
 * queues it takes from is fixed, so long jobs can't take the thread that small
 * questions wait for.
 */
struct worker {
	struct work_pool *pool;
	struct work_redis redis;
	struct job_list *queue;
	pthread_t thread;
	bool started;
};

struct work_pool {
	struct loop *loop;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t filled, filled_shared;
	struct job_list jobs, shared; /* taken one, and many at a time */
	size_t queue_max;
	bool ending;
	bool down;         /* as we were told */
	bool failed;       /* the last job had no answer from Redis */
	int64_t trying_ms; /* when one was last let through to try */
	struct worker workers[THREADS_MAX + 1];
	size_t n_workers;
	struct metrics *metrics;
};

static void
list_add(struct job_list *list, struct work_job *job)
{
	if (list->n++ == 0)
		list->last = &list->first;
	job->next = NULL;
	*list->last = job;
	list->last = &job->next;
}

static struct work_job *
list_take(struct job_list *list)
{
	struct work_job *job = list->first;

	list->first = job->next;
	list->n--;
	return job;
}

static bool
shares_rounds(const struct worker *worker)
{
	return worker->queue == &worker->pool->shared;
}

/*
 * Waits for jobs, then takes up to `max`; none: the end.  One that has waited
 * for long is told so instead of trying: Redis hangs, and if each tried, each
 * would wait for all before it.
 */
static struct job_list
take_jobs(struct worker *worker, size_t max)
{
	struct work_pool *pool = worker->pool;
	struct job_list *queue = worker->queue, taken = { 0 };
	int64_t now;

	pthread_mutex_lock(&pool->lock);
	while (queue->n == 0 && !pool->ending)
		pthread_cond_wait(shares_rounds(worker) ? &pool->filled_shared
							: &pool->filled,
		    &pool->lock);
	now = clock_monotonic_ms();
	while (queue->n > 0 && taken.n < max) {
		struct work_job *job = list_take(queue);

		job->late = now - job->since_ms > WAIT_MS;
		if (job->late)
			error_set(&job->error, ERROR_RETRY,
			    "the request waited too long for Redis");
		list_add(&taken, job);
	}
	pthread_mutex_unlock(&pool->lock);
	return taken;
}

/* A list's ends, on the loop: one post for all that shared round trips. */
static void
finish_jobs(void *argument)
{
	struct work_job *job = argument, *next;

	for (; job != NULL; job = next) {
		next = job->next;
		job->done(job->owner);
	}
}

static bool
is_redis_away(const struct worker *worker)
{
	return redis_is_away(worker->redis.schedules) ||
	    redis_is_away(worker->redis.runs);
}

/*
 * Whether Redis answers is seen by who asks it.  A job's failure alone says
 * little (there may be no catalogue): the connection must be away as well.
 */
static void
note_end(struct worker *worker, const struct job_list *jobs, int64_t started_ms)
{
	struct work_pool *pool = worker->pool;
	const struct work_job *job;
	bool failed = false, tried = false;

	for (job = jobs->first; job != NULL; job = job->next) {
		failed |= job->error.kind == ERROR_RETRY;
		tried |= !job->late;
	}
	failed = failed && is_redis_away(worker);
	if (!tried)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->failed = failed;
	pthread_mutex_unlock(&pool->lock);
	metrics_observe(pool->metrics, HTTP_REDIS, REDIS_OP_CALL,
	    (double)(clock_monotonic_ms() - started_ms) / 1000.0, jobs->n);
	if (failed)
		metrics_add(pool->metrics, HTTP_REDIS_ERRORS, 0, 1);
}

/*
 * Round trips for all that have something to ask, until nobody has.  A job that
 * fails leaves the others what they have asked: each hears exactly its own
 * answers, also after an error, or theirs would be taken for his.
 *
 * Without schedules there is nothing to ask.  Without the view there is: who
 * may not have it hears that, and not that the view is away.
 */
static void
share_rounds(struct worker *worker, struct job_list *jobs)
{
	struct work_redis *redis = &worker->redis;
	struct work_job *asking[BATCH_MAX], *job;
	struct error away, ignored;
	size_t n = 0, left, i;

	for (job = jobs->first; job != NULL; job = job->next)
		if (!job->late)
			asking[n++] = job;
	if (n > 0 && redis_connect(redis->schedules, &away) != 0)
		while (n > 0)
			asking[--n]->error = away;
	if (n > 0)
		redis_connect(redis->runs, &ignored);
	for (; n > 0; n = left) {
		/* While no answer is awaited; what fails here fails below. */
		if (redis_is_connected(redis->runs))
			run_view_load(&redis->view, &ignored);
		for (i = left = 0; i < n; i++)
			if (asking[i]->error.kind == ERROR_NONE &&
			    asking[i]->ask(asking[i]->owner, redis))
				asking[left++] = asking[i];
		/* Both are under way before either is waited for. */
		redis_send(redis->schedules, &ignored);
		redis_send(redis->runs, &ignored);
		for (i = 0; i < left; i++)
			asking[i]->hear(asking[i]->owner, redis);
	}
}

static void *
run_worker(void *argument)
{
	struct worker *worker = argument;
	size_t max = shares_rounds(worker) ? BATCH_MAX : 1;
	struct job_list jobs;
	sigset_t all;

	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	while ((jobs = take_jobs(worker, max)).n > 0) {
		int64_t started_ms = clock_monotonic_ms();

		redis_drop_closed(worker->redis.schedules);
		redis_drop_closed(worker->redis.runs);
		if (shares_rounds(worker))
			share_rounds(worker, &jobs);
		else if (!jobs.first->late)
			jobs.first->work(jobs.first->owner, &worker->redis);
		note_end(worker, &jobs, started_ms);
		loop_post(worker->pool->loop, finish_jobs, jobs.first);
	}
	return NULL;
}

static int
start_worker(struct work_pool *pool, const struct work_pool_settings *settings,
    struct error *err)
{
	struct worker *worker = &pool->workers[pool->n_workers++];

	worker->pool = pool;
	worker->queue = pool->n_workers == 1 ? &pool->shared : &pool->jobs;
	worker->redis.roles = role_cache_create();
	worker->redis.schedules = redis_create(&settings->schedules, err);
	if (worker->redis.schedules == NULL)
		return -1;
	worker->redis.runs = redis_create(&settings->runs, err);
	if (worker->redis.runs == NULL)
		return -1;
	run_view_init(&worker->redis.view, worker->redis.runs,
	    settings->keyspace, settings->view_ttl_ms);
	schedule_store_init(
	    &worker->redis.store, worker->redis.schedules, settings->keyspace);
	worker->redis.planner = live_plan_create(
	    worker->redis.schedules, settings->keyspace, PLANNER_CACHE);
	worker->redis.builds = message_decoder_create(
	    MESSAGE_BUILD_REQUESTED, settings->config, err);
	if (worker->redis.builds == NULL)
		return -1;
	if (pthread_create(&worker->thread, NULL, run_worker, worker) != 0)
		return error_fatal(err, 71, "no thread for Redis");
	worker->started = true;
	return 0;
}

struct work_pool *
work_pool_create(const struct work_pool_settings *settings, struct error *err)
{
	struct work_pool *pool = memory_zalloc(1, sizeof *pool);
	size_t i;

	pool->loop = settings->loop;
	pool->queue_max = settings->queue_max;
	pool->metrics = settings->metrics;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->filled, NULL);
	pthread_cond_init(&pool->filled_shared, NULL);
	for (i = 0; i <= settings->n_threads && i <= THREADS_MAX; i++)
		if (start_worker(pool, settings, err) != 0) {
			work_pool_destroy(pool);
			return NULL;
		}
	return pool;
}

/*
 * With the lock held.  What is known to fail is refused at once: clients are
 * told to come again, and the queue stays free for when Redis is back.  As
 * nobody else may look (the probe asks redis.url only), one job at a time finds
 * out whether it is.
 */
static bool
is_open(struct work_pool *pool, int64_t now)
{
	if (pool->ending || pool->down ||
	    pool->jobs.n + pool->shared.n >= pool->queue_max)
		return false;
	if (!pool->failed)
		return true;
	if (now - pool->trying_ms < TRY_MS)
		return false;
	pool->trying_ms = now;
	return true;
}

int
work_pool_submit(struct work_pool *pool, struct work_job *job)
{
	bool shares = job->ask != NULL;
	int rc = -1;

	job->error.kind = ERROR_NONE;
	job->since_ms = clock_monotonic_ms();
	pthread_mutex_lock(&pool->lock);
	if (is_open(pool, job->since_ms)) {
		list_add(shares ? &pool->shared : &pool->jobs, job);
		pthread_cond_signal(
		    shares ? &pool->filled_shared : &pool->filled);
		rc = 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

void
work_pool_tell(struct work_pool *pool, bool redis_is_up)
{
	pthread_mutex_lock(&pool->lock);
	pool->down = !redis_is_up;
	pthread_mutex_unlock(&pool->lock);
}

void
work_pool_stop(struct work_pool *pool)
{
	size_t i;

	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->filled);
	pthread_cond_broadcast(&pool->filled_shared);
	pthread_mutex_unlock(&pool->lock);
	for (i = 0; i < pool->n_workers; i++) {
		if (pool->workers[i].started)
			pthread_join(pool->workers[i].thread, NULL);
		pool->workers[i].started = false;
	}
}

void
work_pool_destroy(struct work_pool *pool)
{
	size_t i;

	if (pool == NULL)
		return;
	work_pool_stop(pool);
	for (i = 0; i < pool->n_workers; i++) {
		struct work_redis *redis = &pool->workers[i].redis;

		message_decoder_destroy(redis->builds);
		live_plan_destroy(redis->planner);
		role_cache_destroy(redis->roles);
		redis_destroy(redis->schedules);
		redis_destroy(redis->runs);
	}
	pthread_cond_destroy(&pool->filled);
	pthread_cond_destroy(&pool->filled_shared);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
