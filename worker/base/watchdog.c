#include "worker/base/watchdog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"

#define LOOK_MS 1000
#define STOPPED_MS 3000 /* between two looks: SIGSTOP, or a frozen machine */

static struct {
	_Atomic(const char *) what;
	atomic_int_least64_t until_ms; /* 0: in no guarded call */
	atomic_int_least64_t beat_ms;  /* 0: this loop does not run yet */
} watched[WATCHDOG_WHO];

static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stopping; /* made by watchdog_start */
static bool is_stopped;
static int64_t stuck_after_ms;

static void
look_at(enum watchdog_who who, int64_t now)
{
	static const char *const names[] = { "intake", "commit" };
	int64_t until = atomic_load(&watched[who].until_ms);
	int64_t beat = atomic_load(&watched[who].beat_ms);
	const char *what = atomic_load(&watched[who].what);

	if (until != 0 && now > until) {
		log_event(LOG_ERROR, "worker", "call_stuck",
		    "a call overran its time-out: ending the process, the "
		    "restart is safe",
		    LOG_S("call", what), LOG_S("loop", names[who]), LOG_END);
		_exit(75);
	}
	if (until == 0 && beat != 0 && now - beat > stuck_after_ms) {
		log_event(LOG_ERROR, "worker", "loop_stuck",
		    "a loop makes no progress: aborting",
		    LOG_S("loop", names[who]), LOG_I("duration_ms", now - beat),
		    LOG_END);
		abort();
	}
}

/* The whole process was stopped: time in which no call could end. */
static void
forgive(enum watchdog_who who, int64_t ms)
{
	int64_t until = atomic_load(&watched[who].until_ms);

	if (until != 0) /* unless the call is left in this moment */
		atomic_compare_exchange_strong(
		    &watched[who].until_ms, &until, until + ms);
	if (atomic_load(&watched[who].beat_ms) != 0)
		watchdog_beat(who);
}

static void *
watch(void *unused)
{
	int64_t before = clock_monotonic_ms(), now;
	struct timespec at;

	(void)unused;
	pthread_mutex_lock(&lock);
	while (!is_stopped) {
		at = clock_after(LOOK_MS);
		pthread_cond_timedwait(&stopping, &lock, &at);
		now = clock_monotonic_ms();
		if (now - before > STOPPED_MS) {
			forgive(WATCHDOG_INTAKE, now - before);
			forgive(WATCHDOG_COMMIT, now - before);
		}
		look_at(WATCHDOG_INTAKE, now);
		look_at(WATCHDOG_COMMIT, now);
		before = now;
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

void
watchdog_start(int64_t stuck_ms)
{
	stuck_after_ms = stuck_ms;
	is_stopped = false;
	clock_condition_init(&stopping);
	if (pthread_create(&thread, NULL, watch, NULL) != 0)
		abort();
}

void
watchdog_stop(void)
{
	pthread_mutex_lock(&lock);
	is_stopped = true;
	pthread_cond_signal(&stopping);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
}

void
watchdog_enter(enum watchdog_who who, const char *what, int64_t limit_ms)
{
	atomic_store(&watched[who].what, what);
	atomic_store(&watched[who].until_ms, clock_monotonic_ms() + limit_ms);
}

void
watchdog_leave(enum watchdog_who who)
{
	atomic_store(&watched[who].until_ms, 0);
	watchdog_beat(who);
}

void
watchdog_beat(enum watchdog_who who)
{
	atomic_store(&watched[who].beat_ms, clock_monotonic_ms());
}
