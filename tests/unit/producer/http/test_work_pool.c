#include "producer/http/work_pool.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "producer/base/metrics.h"
#include "tests/unit/check.h"
#include "tests/unit/settings.h"
#include "tests/unit/stub_redis.h"

/* A pool with one thread for jobs by `work`, and what its jobs did. */
struct site {
	struct stub_redis *redis;
	struct loop *loop;
	struct config *config;
	struct keyspace *keyspace;
	struct metrics *metrics;
	struct http_counters *counters;
	struct work_pool *pool;
	char said[128];  /* by the pool's threads, never two at once */
	char ended[128]; /* by the loop */
	int left;        /* jobs that are not done */
};

struct task {
	struct work_job job;
	struct site *site;
	char name;
	int rounds;            /* that it asks for */
	bool fails;            /* by asking */
	sem_t *reached, *wait; /* posted, then waited for, at first */
};

static void
say(char *into, char what, char name)
{
	snprintf(into + strlen(into), 4, "%c%c ", what, name);
}

static void
hold(struct task *task)
{
	if (task->wait == NULL)
		return;
	sem_post(task->reached);
	sem_wait(task->wait);
	task->wait = NULL;
}

static bool
ask(void *owner, struct work_redis *redis)
{
	struct task *task = owner;

	hold(task);
	if (task->fails)
		error_set(&task->job.error, ERROR_INPUT, "not so");
	if (task->rounds-- <= 0)
		return false;
	say(task->site->said, 'a', task->name);
	redis_append(redis->schedules, (struct text[]){ TEXT("PING") }, 1);
	return true;
}

static void
hear(void *owner, struct work_redis *redis)
{
	struct task *task = owner;
	struct redis_reply *reply =
	    redis_receive(redis->schedules, &task->job.error);

	say(task->site->said, 'h', task->name);
	redis_reply_destroy(reply);
}

static void
work(void *owner, struct work_redis *redis)
{
	struct task *task = owner;

	(void)redis;
	hold(task);
	say(task->site->said, 'w', task->name);
}

static void
done(void *owner)
{
	struct task *task = owner;

	say(task->site->ended, 'd', task->name);
	if (--task->site->left == 0)
		loop_stop(task->site->loop);
}

static void
open_site(struct site *site, const char *url, size_t queue_max)
{
	const struct redis_settings redis = { .url = url,
		.connect_timeout_ms = 5000,
		.command_timeout_ms = 5000 };
	struct error err = { 0 };
	struct work_pool_settings settings = {
		.n_threads = 1,
		.queue_max = queue_max,
		.schedules = redis,
		.runs = redis,
		.view_ttl_ms = 1000,
	};

	memset(site, 0, sizeof *site);
	if (url == NULL) {
		site->redis = stub_redis_start();
		settings.schedules.url = settings.runs.url =
		    stub_redis_url(site->redis);
	}
	settings.loop = site->loop = loop_create(&err);
	settings.config = site->config = settings_load("", &err);
	REQUIRE(site->config != NULL);
	settings.keyspace = site->keyspace = keyspace_create("t:");
	site->metrics = metrics_create("0");
	site->counters = http_counters_create(site->metrics, 0);
	settings.metrics = site->metrics;
	site->pool = work_pool_create(&settings, &err);
	REQUIRE(site->pool != NULL);
}

static void
close_site(struct site *site)
{
	work_pool_stop(site->pool);
	loop_flush(site->loop);
	work_pool_destroy(site->pool);
	loop_destroy(site->loop);
	http_counters_destroy(site->counters);
	metrics_destroy(site->metrics);
	keyspace_destroy(site->keyspace);
	config_destroy(site->config);
	stub_redis_stop(site->redis);
}

static int
submit(struct site *site, struct task *task, bool shares)
{
	int rc;

	task->site = site;
	task->job.owner = task;
	task->job.done = done;
	task->job.work = shares ? NULL : work;
	task->job.ask = shares ? ask : NULL;
	task->job.hear = shares ? hear : NULL;
	rc = work_pool_submit(site->pool, &task->job);
	site->left += rc == 0;
	return rc;
}

/* What has come by the time that a thread is free is asked together. */
static void
jobs_share_round_trips(void)
{
	sem_t reached, wait;
	struct task jobs[] = {
		{ .name = '1',
		    .rounds = 1,
		    .reached = &reached,
		    .wait = &wait },
		{ .name = '2', .rounds = 2 },
		{ .name = '3', .rounds = 1 },
		{ .name = '4', .rounds = 2, .fails = true },
		{ .name = '5' },
	};
	struct site site;
	size_t i;

	sem_init(&reached, 0, 0);
	sem_init(&wait, 0, 0);
	open_site(&site, NULL, 100);
	CHECK(submit(&site, &jobs[0], true) == 0);
	sem_wait(&reached);
	for (i = 1; i < 5; i++)
		CHECK(submit(&site, &jobs[i], true) == 0);
	sem_post(&wait);
	loop_run(site.loop);
	/* One that has failed is asked no more, one without questions never. */
	CHECK(strcmp(site.said, "a1 h1 a2 a3 a4 h2 h3 h4 a2 h2 ") == 0);
	CHECK(strcmp(site.ended, "d1 d2 d3 d4 d5 ") == 0);
	CHECK(jobs[3].job.error.kind == ERROR_INPUT);
	CHECK(jobs[1].job.error.kind == ERROR_NONE);
	close_site(&site);
}

/* Small questions don't wait behind a job that takes long. */
static void
a_long_job_keeps_no_question_waiting(void)
{
	sem_t reached, wait;
	struct task slow = { .name = 's', .reached = &reached, .wait = &wait };
	struct task quick = { .name = 'q', .rounds = 1 };
	struct site site;

	sem_init(&reached, 0, 0);
	sem_init(&wait, 0, 0);
	open_site(&site, NULL, 100);
	CHECK(submit(&site, &slow, false) == 0);
	sem_wait(&reached);
	site.left = 0;
	CHECK(submit(&site, &quick, true) == 0);
	loop_run(site.loop);
	CHECK(strcmp(site.said, "aq hq ") == 0);
	site.left = 1;
	sem_post(&wait);
	loop_run(site.loop);
	CHECK(strcmp(site.said, "aq hq ws ") == 0);
	CHECK(strcmp(site.ended, "dq ds ") == 0);
	close_site(&site);
}

static void
a_full_queue_takes_no_more(void)
{
	sem_t reached, wait;
	struct task jobs[] = {
		{ .name = '1', .reached = &reached, .wait = &wait },
		{ .name = '2' },
		{ .name = '3' },
		{ .name = '4' },
	};
	struct site site;

	sem_init(&reached, 0, 0);
	sem_init(&wait, 0, 0);
	open_site(&site, NULL, 2);
	CHECK(submit(&site, &jobs[0], false) == 0);
	sem_wait(&reached);
	CHECK(submit(&site, &jobs[1], false) == 0);
	CHECK(submit(&site, &jobs[2], false) == 0);
	CHECK(submit(&site, &jobs[3], false) == -1);
	sem_post(&wait);
	loop_run(site.loop);
	CHECK(submit(&site, &jobs[3], false) == 0);
	site.left++;               /* the loop is not run any more */
	work_pool_stop(site.pool); /* does what is queued */
	CHECK(strchr(site.said, '4') != NULL);
	CHECK(submit(&site, &jobs[0], false) == -1);
	close_site(&site);
}

/* Redis hangs: who has waited for long doesn't try, or all wait for all. */
static void
who_is_late_does_not_try(void)
{
	sem_t reached, wait;
	struct task jobs[] = {
		{ .name = '1', .reached = &reached, .wait = &wait },
		{ .name = '2' },
	};
	struct site site;

	sem_init(&reached, 0, 0);
	sem_init(&wait, 0, 0);
	open_site(&site, NULL, 100);
	CHECK(submit(&site, &jobs[0], false) == 0);
	sem_wait(&reached);
	CHECK(submit(&site, &jobs[1], false) == 0);
	jobs[1].job.since_ms -= 1001;
	sem_post(&wait);
	loop_run(site.loop);
	CHECK(strstr(site.said, "w2") == NULL);
	CHECK(jobs[1].job.error.kind == ERROR_RETRY);
	/* It says nothing of Redis: the next one is taken. */
	CHECK(submit(&site, &jobs[1], false) == 0);
	loop_run(site.loop);
	CHECK(strstr(site.said, "w2") != NULL);
	CHECK(jobs[1].job.error.kind == ERROR_NONE);
	close_site(&site);
}

static void
a_redis_known_to_be_away_takes_nothing(void)
{
	struct task job = { .name = '1', .rounds = 1 };
	struct site site;

	open_site(&site, NULL, 100);
	work_pool_tell(site.pool, false);
	CHECK(submit(&site, &job, true) == -1);
	work_pool_tell(site.pool, true);
	CHECK(submit(&site, &job, true) == 0);
	loop_run(site.loop);
	close_site(&site);
}

/* Jobs hear why, without being called; then one at a time may try. */
static void
an_absent_redis_fails_jobs(void)
{
	struct task jobs[] = { { .name = '1', .rounds = 1 },
		{ .name = '2', .rounds = 1 } };
	struct site site;

	open_site(&site, "unix:///nonexistent/redis.sock", 100);
	CHECK(submit(&site, &jobs[0], true) == 0);
	loop_run(site.loop);
	CHECK(site.said[0] == '\0' && strcmp(site.ended, "d1 ") == 0);
	CHECK(jobs[0].job.error.kind == ERROR_RETRY);
	CHECK(strstr(jobs[0].job.error.message, "nonexistent") != NULL);
	CHECK(submit(&site, &jobs[0], true) == 0);
	CHECK(submit(&site, &jobs[1], true) == -1);
	loop_run(site.loop);
	close_site(&site);
}

CU_TestInfo work_pool_tests[] = {
	{ "jobs share round trips", jobs_share_round_trips },
	{ "a long job keeps no question waiting",
	    a_long_job_keeps_no_question_waiting },
	{ "a full queue takes no more", a_full_queue_takes_no_more },
	{ "who is late does not try", who_is_late_does_not_try },
	{ "a Redis known to be away takes nothing",
	    a_redis_known_to_be_away_takes_nothing },
	{ "an absent Redis fails jobs", an_absent_redis_fails_jobs },
	CU_TEST_INFO_NULL,
};
