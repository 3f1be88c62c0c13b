#include "producer/work_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/memory.h"
#include "producer/build_event.h"
#include "producer/live_plan.h"

#define THREADS_MAX 16
#define PLANNER_CACHE ((size_t)4 * 1024 * 1024) /* bytes, of each thread */

struct worker {
	struct work_pool *pool;
	struct work_redis redis;
	pthread_t thread;
	bool started;
};

struct work_pool {
	struct loop *loop;
	pthread_mutex_t lock; /* of the queue and `ending` */
	pthread_cond_t filled;
	struct work_job *first, **last;
	size_t n_waiting, queue_max;
	bool ending;
	struct worker workers[THREADS_MAX];
	size_t n_workers;
};

static struct work_job *
take_job(struct work_pool *pool)
{
	struct work_job *job;

	pthread_mutex_lock(&pool->lock);
	while (pool->first == NULL && !pool->ending)
		pthread_cond_wait(&pool->filled, &pool->lock);
	job = pool->first;
	if (job != NULL) {
		pool->first = job->next;
		pool->n_waiting--;
		if (pool->first == NULL)
			pool->last = &pool->first;
	}
	pthread_mutex_unlock(&pool->lock);
	return job;
}

static void
finish_job(void *argument)
{
	struct work_job *job = argument;

	job->done(job);
}

static void *
run(void *argument)
{
	struct worker *worker = argument;
	struct work_job *job;
	sigset_t all;

	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	while ((job = take_job(worker->pool)) != NULL) {
		redis_drop_closed(worker->redis.schedules);
		redis_drop_closed(worker->redis.runs);
		job->work(job, &worker->redis);
		loop_post(worker->pool->loop, finish_job, job);
	}
	return NULL;
}

static int
start_worker(struct work_pool *pool, const struct work_pool_settings *settings,
    struct error *err)
{
	struct worker *worker = &pool->workers[pool->n_workers++];

	worker->pool = pool;
	worker->redis.schedules = redis_create(&settings->schedules, err);
	if (worker->redis.schedules == NULL)
		return -1;
	worker->redis.runs = redis_create(&settings->runs, err);
	if (worker->redis.runs == NULL)
		return -1;
	run_view_init(&worker->redis.view, worker->redis.runs,
	    keyspace_prefix(settings->keyspace), settings->view_ttl_ms);
	schedule_store_init(
	    &worker->redis.store, worker->redis.schedules, settings->keyspace);
	worker->redis.planner = live_plan_create(worker->redis.schedules,
	    keyspace_prefix(settings->keyspace), PLANNER_CACHE);
	worker->redis.builds = build_reader_create(settings->config, err);
	if (worker->redis.builds == NULL)
		return -1;
	if (pthread_create(&worker->thread, NULL, run, worker) != 0)
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
	pool->last = &pool->first;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->filled, NULL);
	for (i = 0; i < settings->n_threads && i < THREADS_MAX; i++)
		if (start_worker(pool, settings, err) != 0) {
			work_pool_destroy(pool);
			return NULL;
		}
	return pool;
}

int
work_pool_submit(struct work_pool *pool, struct work_job *job)
{
	int rc = -1;

	job->next = NULL;
	pthread_mutex_lock(&pool->lock);
	if (pool->n_waiting < pool->queue_max && !pool->ending) {
		*pool->last = job;
		pool->last = &job->next;
		pool->n_waiting++;
		pthread_cond_signal(&pool->filled);
		rc = 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

size_t
work_pool_waiting(struct work_pool *pool)
{
	size_t n;

	pthread_mutex_lock(&pool->lock);
	n = pool->n_waiting;
	pthread_mutex_unlock(&pool->lock);
	return n;
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

		build_reader_destroy(redis->builds);
		live_plan_destroy(redis->planner);
		redis_destroy(redis->schedules);
		redis_destroy(redis->runs);
	}
	pthread_cond_destroy(&pool->filled);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
