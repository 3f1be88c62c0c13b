#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "tests/sim/sim.h"
#include "tests/sim/stack.h"
#include "tests/sim/worker.h"
#include "worker/base/watchdog.h"

/*
 * One step is: a fiber goes on from where it waits to where it waits next, and
 * it waits at each call of a server's, before it is done and behind.  So a
 * crash, which takes all fibers of a worker away where they stand, can come
 * between any two things that others see.
 */
#define START_MS INT64_C(1800000000000) /* where a bucket begins */
#define STACK_SIZE ((size_t)256 * 1024)
#define FIBERS_OF_WORKER 2
#define LATE_MAX 64
#define TICK_MS 250
#define DRAIN_STEPS 400000
#define DRAIN_MS 3600000
#define QUIET_MS 15000
#define PASSING_MS 120000
#define RESTART_MAX_MS 15000
#define FREEZE_MAX_MS 40000

struct fiber {
	ucontext_t context;
	void *memory;
	struct stack stack;
	bool is_used, polls, is_signaled;
	int64_t wake_ms;
	const void *condition; /* waited on */
	void *(*entry)(void *);
	void *argument;
};

struct worker {
	bool lives;
	long incarnation;
	int64_t start_ms, frozen_until_ms;
	struct fiber fibers[FIBERS_OF_WORKER];
};

struct late {
	int64_t due_ms;
	void (*act)(const struct sim_late *);
	struct sim_late late;
};

struct sim sim;
static struct worker workers[SIM_WORKERS];
static struct late lates[LATE_MAX];
static size_t n_lates;
static ucontext_t scheduler;
static struct stack scheduler_stack;
static struct fiber *current;
static int current_worker;
static uint64_t drawn;
static uint32_t rates[SIM_FAULT_KINDS]; /* one in; 0: never */
static uint32_t asked;                  /* in this step */
static int64_t ticked_ms;

static const struct {
	const char *name;
	uint32_t one_in; /* at its usual */
} faults[SIM_FAULT_KINDS] = {
	[FAULT_CRASH] = { "crash", 1500 },
	[FAULT_FREEZE] = { "freeze", 2500 },
	[FAULT_STOP] = { "stop", 3000 },
	[FAULT_REBALANCE] = { "rebalance", 2000 },
	[FAULT_SLOW] = { "slow", 200 },
	[FAULT_LOST_REQUEST] = { "lost-request", 60 },
	[FAULT_LOST_ANSWER] = { "lost-answer", 60 },
	[FAULT_LATE_END] = { "late-end", 20 },
	[FAULT_HELD_END] = { "held-end", 40 },
	[FAULT_LATE_OFFSETS] = { "late-offsets", 30 },
	[FAULT_LATE_INIT] = { "late-init", 20 },
	[FAULT_BAD_MESSAGE] = { "bad-message", 100 },
	[FAULT_SLOW_MARKERS] = { "slow-markers", 20 },
	[FAULT_READ] = { "read", 20 },
	[FAULT_STALE_END] = { "stale-end", 5 },
	[FAULT_MARKER] = { "marker", 4 },
	[FAULT_REDIS_CUT] = { "redis-cut", 80 },
	[FAULT_REDIS_DOWN] = { "redis-down", 3000 },
	[FAULT_REDIS_BACK] = { "redis-back", 1500 },
	[FAULT_REDIS_FLUSH] = { "redis-flush", 4000 },
	[FAULT_REDIS_LATE] = { "redis-late", 2 },
	[FAULT_LARGE] = { "large", 30 },
	[FAULT_UNTOLD_SCHEMA] = { "untold-schema", 40 },
	[FAULT_EARLY_RECORD] = { "early-record", 5 },
	[FAULT_DAMAGE] = { "damage", 10 },
};

const char *
sim_fault_name(enum sim_fault kind)
{
	return faults[kind].name;
}

/* Chance ------------------------------------------------------------------ */

static uint64_t
scatter(uint64_t value)
{
	value += UINT64_C(0x9e3779b97f4a7c15);
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

/*
 * By the step, not by what was drawn before: where a fault is left out, or a
 * history is made shorter, the rest stays much as it is.
 */
uint64_t
sim_draw(uint64_t below)
{
	uint64_t at = (uint64_t)sim.step << 16 | drawn++;

	return scatter(sim.plan.seed * 31 + scatter(at)) % below;
}

bool
sim_one_in(uint64_t n)
{
	return sim_draw(n) == 0;
}

static bool
is_due(uint32_t fault, uint32_t one_in)
{
	size_t i;

	if (sim.plan.only == NULL)
		return scatter(sim.plan.seed ^ scatter(fault)) % one_in == 0;
	for (i = 0; i < sim.plan.n_only; i++)
		if (sim.plan.only[i] == fault)
			return true;
	return false;
}

bool
sim_fault(enum sim_fault kind)
{
	uint32_t fault;

	if (sim.is_draining || rates[kind] == 0 || asked == SIM_ASKED_MAX)
		return false;
	fault = (uint32_t)kind << SIM_KIND_SHIFT |
	    (uint32_t)sim.step << SIM_STEP_SHIFT | asked++;
	if (!is_due(fault, rates[kind]))
		return false;
	if (sim.report->n_faults < SIM_FAULTS_MAX)
		sim.report->faults[sim.report->n_faults++] = fault;
	sim_trace("FAULT %s", faults[kind].name);
	return true;
}

/* Each history has some kinds of faults only: the others hide them less. */
static void
choose_faults(void)
{
	size_t i;

	for (i = 0; i < SIM_FAULT_KINDS; i++) {
		static const uint32_t times[] = { 0, 0, 2, 1 };
		uint32_t much = times[sim_draw(4)];

		rates[i] = much * faults[i].one_in;
	}
}

/* What is told ------------------------------------------------------------ */

void
sim_trace(const char *format, ...)
{
	va_list arguments;

	if (!sim.plan.trace)
		return;
	printf("%7ld %9.3f s  ", sim.step, (double)sim.now_ms / 1000);
	if (current != NULL)
		printf("%d%c  ", current_worker,
		    current == &workers[current_worker].fibers[0] ? 'A' : 'B');
	else
		printf("--  ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

void
sim_violate(const char *rule, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(
	    sim.report->message, sizeof sim.report->message, format, arguments);
	va_end(arguments);
	snprintf(sim.report->rule, sizeof sim.report->rule, "%s", rule);
	sim.report->failed = true;
	sim_trace("VIOLATED %s: %s", rule, sim.report->message);
	fflush(NULL);
	_exit(1);
}

/* Fibers ------------------------------------------------------------------ */

static void
switch_away(void)
{
	struct fiber *fiber = current;

	current = NULL;
	stack_leave(&fiber->stack, &scheduler_stack);
	swapcontext(&fiber->context, &scheduler);
	stack_arrive(&fiber->stack, &scheduler_stack);
	current = fiber;
}

void
sim_pause(int64_t ms)
{
	if (current == NULL) /* a worker is stopped from without */
		return;
	current->wake_ms = sim.now_ms + ms;
	switch_away();
}

void
sim_poll_pause(int64_t ms)
{
	current->polls = true;
	sim_pause(ms);
	current->polls = false;
}

void
sim_wake_pollers(void)
{
	size_t i;

	for (i = 0; i < SIM_WORKERS; i++)
		if (workers[i].fibers[0].polls)
			workers[i].fibers[0].wake_ms = sim.now_ms;
}

void
sim_travel(void)
{
	int64_t ms = (int64_t)sim_draw(3);

	if (sim_fault(FAULT_SLOW))
		ms = 500 + (int64_t)sim_draw(20000);
	sim_pause(ms);
}

int
sim_worker(void)
{
	return current_worker;
}

long
sim_incarnation(void)
{
	return workers[current_worker].incarnation;
}

bool
sim_worker_lives(int worker, long incarnation)
{
	return workers[worker].lives &&
	    workers[worker].incarnation == incarnation;
}

bool
sim_worker_moves(int worker)
{
	return workers[worker].frozen_until_ms <= sim.now_ms;
}

static void
enter_fiber(void)
{
	struct fiber *fiber = current;

	stack_arrive(&fiber->stack, &scheduler_stack);
	fiber->entry(fiber->argument);
	fiber->is_used = false;
	switch_away();
}

static struct fiber *
start_fiber(struct worker *worker, void *(*entry)(void *), void *argument)
{
	struct fiber *fiber =
	    &worker->fibers[worker->fibers[0].is_used ? 1 : 0];

	if (fiber->memory == NULL)
		fiber->memory = memory_alloc(STACK_SIZE);
	stack_renew(&fiber->stack, fiber->memory, STACK_SIZE);
	fiber->is_used = true;
	fiber->polls = false;
	fiber->condition = NULL;
	fiber->wake_ms = sim.now_ms;
	fiber->entry = entry;
	fiber->argument = argument;
	getcontext(&fiber->context);
	fiber->context.uc_stack.ss_sp = fiber->memory;
	fiber->context.uc_stack.ss_size = STACK_SIZE;
	fiber->context.uc_link = NULL;
	makecontext(&fiber->context, enter_fiber, 0);
	return fiber;
}

/* Its memory is left to the end of this history's process. */
static void
kill_worker(int number, int64_t down_ms)
{
	struct worker *worker = &workers[number];
	size_t i;

	worker->lives = false;
	worker->start_ms = sim.now_ms + down_ms;
	worker->frozen_until_ms = 0;
	for (i = 0; i < FIBERS_OF_WORKER; i++)
		worker->fibers[i].is_used = false;
	kafka_forget_worker(number);
	store_forget_worker(number);
}

/* The process ends by itself: main comes to its end, or _exit. */
static _Noreturn void
end_worker(const char *why)
{
	sim_trace("worker ends: %s", why);
	kill_worker(current_worker, (int64_t)sim_draw(RESTART_MAX_MS));
	for (;;)
		switch_away();
}

static void *
live(void *unused)
{
	(void)unused;
	sim_worker_run();
	end_worker("main returns");
}

static void
start_worker(int number)
{
	struct worker *worker = &workers[number];

	worker->lives = true;
	worker->incarnation++;
	sim_worker_forget(number);
	start_fiber(worker, live, NULL);
	sim_trace("worker %d starts", number);
}

/* Clocks, threads and the end of the process, as the worker sees them ------ */

int64_t
sim_wall_ms(void)
{
	return START_MS + sim.now_ms;
}

WRAP(int64_t, clock_wall_ms, void)
{
	return sim_wall_ms();
}

WRAP(int64_t, clock_monotonic_ms, void)
{
	return sim.now_ms;
}

WRAP(struct timespec, clock_after, int64_t ms)
{
	return (struct timespec){ (sim.now_ms + ms) / 1000,
		(sim.now_ms + ms) % 1000 * 1000000 };
}

WRAP(void, clock_wait, int64_t ms)
{
	sim_pause(ms);
}

/* Fibers change where one waits only, and none waits with a lock. */
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int
__wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	(void)mutex;
	return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int
__wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	(void)mutex;
	return 0;
}

int __wrap_pthread_cond_timedwait(
    pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *);
int
__wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
    const struct timespec *until)
{
	int64_t until_ms = until->tv_sec * 1000 + until->tv_nsec / 1000000;

	(void)mutex;
	current->condition = condition;
	current->is_signaled = false;
	sim_pause(until_ms > sim.now_ms ? until_ms - sim.now_ms : 0);
	current->condition = NULL;
	return current->is_signaled ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *condition);
int
__wrap_pthread_cond_broadcast(pthread_cond_t *condition)
{
	size_t i, at;

	for (i = 0; i < SIM_WORKERS; i++)
		for (at = 0; at < FIBERS_OF_WORKER; at++) {
			struct fiber *fiber = &workers[i].fibers[at];

			if (fiber->condition != condition)
				continue;
			fiber->is_signaled = true;
			fiber->wake_ms = sim.now_ms;
		}
	return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *condition);
int
__wrap_pthread_cond_signal(pthread_cond_t *condition)
{
	return __wrap_pthread_cond_broadcast(condition);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
    void *(*entry)(void *), void *argument);
int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
    void *(*entry)(void *), void *argument)
{
	(void)attributes;
	*thread = 0;
	start_fiber(&workers[current_worker], entry, argument);
	return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result);
int
__wrap_pthread_join(pthread_t thread, void **result)
{
	(void)thread;
	(void)result;
	while (workers[current_worker].fibers[1].is_used)
		sim_pause(1);
	return 0;
}

_Noreturn void __wrap__Exit(int code);
_Noreturn void
__wrap__Exit(int code)
{
	(void)code;
	end_worker("_Exit");
}

pid_t __wrap_getpid(void);
pid_t
__wrap_getpid(void)
{
	return 1000 + current_worker;
}

WRAP(void, log_write, enum log_level level, const char *component,
    const char *event, const char *message, const struct log_field *fields)
{
	(void)level;
	(void)fields;
	sim_trace("log %s %s: %s", component, event, message);
	if (strcmp(event, "claims_repair_started") == 0)
		sim.report->repairs++;
}

WRAP(void, watchdog_enter, enum watchdog_who who, const char *what,
    int64_t limit_ms)
{
	(void)who;
	(void)what;
	(void)limit_ms;
}

WRAP(void, watchdog_leave, enum watchdog_who who)
{
	(void)who;
}

WRAP(void, watchdog_beat, enum watchdog_who who)
{
	(void)who;
}

/* What comes later --------------------------------------------------------- */

void
sim_later(
    int64_t ms, void (*act)(const struct sim_late *), struct sim_late late)
{
	if (n_lates < LATE_MAX)
		lates[n_lates++] = (struct late){ sim.now_ms + ms, act, late };
}

static void
deliver_late(void)
{
	size_t i = 0;

	while (i < n_lates) {
		const struct late due = lates[i];

		if (due.due_ms > sim.now_ms) {
			i++;
			continue;
		}
		memmove(
		    lates + i, lates + i + 1, (--n_lates - i) * sizeof *lates);
		due.act(&due.late);
	}
}

/* Steps ------------------------------------------------------------------- */

static int
draw_worker(void)
{
	return (int)sim_draw((uint64_t)sim.workers);
}

static void
bring_faults(void)
{
	int number = draw_worker();
	struct worker *worker = &workers[number];

	if (worker->lives && sim_fault(FAULT_CRASH)) {
		sim_trace("worker %d is killed", number);
		kill_worker(number, (int64_t)sim_draw(RESTART_MAX_MS));
		sim.report->crashes++;
	}
	if (worker->lives && sim_fault(FAULT_FREEZE)) {
		sim_trace("worker %d stands still", number);
		worker->frozen_until_ms =
		    sim.now_ms + 100 + (int64_t)sim_draw(FREEZE_MAX_MS);
	}
	if (worker->lives && sim_fault(FAULT_STOP)) {
		current_worker = number;
		sim_worker_stop(number);
	}
	if (sim_fault(FAULT_REBALANCE))
		broker_rebalance();
	if (sim_fault(FAULT_REDIS_DOWN))
		store_down((int64_t)sim_draw(8000));
	if (sim_fault(FAULT_REDIS_BACK))
		store_break(false);
	if (sim_fault(FAULT_REDIS_FLUSH))
		store_break(true);
}

/* The moment at which something is due next. */
static int64_t
next_moment(void)
{
	int64_t next = ticked_ms + TICK_MS;
	size_t i, at;

	for (i = 0; i < n_lates; i++)
		if (lates[i].due_ms < next)
			next = lates[i].due_ms;
	for (i = 0; i < (size_t)sim.workers; i++)
		for (at = 0; at < FIBERS_OF_WORKER; at++) {
			const struct fiber *fiber = &workers[i].fibers[at];

			if (fiber->is_used && sim_worker_moves((int)i) &&
			    fiber->wake_ms < next)
				next = fiber->wake_ms;
		}
	return next;
}

static void
pass_time(int64_t ms)
{
	size_t i;

	sim.now_ms += ms;
	deliver_late();
	if (sim_one_in(4))
		kafka_background();
	if (sim.now_ms - ticked_ms < TICK_MS)
		return;
	ticked_ms = sim.now_ms;
	broker_tick();
	if (!store_is_whole() && sim_one_in(sim.is_draining ? 2 : 40))
		store_init();
	for (i = 0; i < (size_t)sim.workers; i++)
		if (!workers[i].lives && workers[i].start_ms <= sim.now_ms &&
		    (i == 0 || !sim.is_draining || !sim.has_twins))
			start_worker((int)i);
}

static void
begin_step(void)
{
	sim.report->steps = ++sim.step;
	drawn = 0;
	asked = 0;
}

/* Whoever is ready, any of them; none: time passes until somebody is. */
static void
go_on(void)
{
	struct fiber *ready[SIM_WORKERS * FIBERS_OF_WORKER];
	int of[SIM_WORKERS * FIBERS_OF_WORKER];
	size_t i, at, n = 0;

	for (i = 0; i < (size_t)sim.workers; i++)
		for (at = 0; at < FIBERS_OF_WORKER; at++) {
			struct fiber *fiber = &workers[i].fibers[at];

			if (!fiber->is_used || fiber->wake_ms > sim.now_ms ||
			    !sim_worker_moves((int)i))
				continue;
			of[n] = (int)i;
			ready[n++] = fiber;
		}
	if (n == 0) {
		int64_t next = next_moment();

		pass_time(next > sim.now_ms ? next - sim.now_ms : 1);
		return;
	}
	at = sim_draw(n);
	current = ready[at];
	current_worker = of[at];
	stack_leave(&scheduler_stack, &ready[at]->stack);
	swapcontext(&scheduler, &ready[at]->context);
	stack_arrive(&scheduler_stack, &ready[at]->stack);
	current = NULL;
	pass_time((int64_t)sim_draw(3));
}

static bool
is_settled(void)
{
	int i;

	for (i = 0; i < sim.partitions; i++)
		if (broker_log_end(i) > 0 &&
		    broker_committed_now(i) != broker_log_end(i))
			return false;
	return broker_is_quiet() && store_is_whole();
}

/*
 * No faults any more: all that was asked must be answered now.  Workers of one
 * id are a fault, too: they end each other sooner than two requests that came
 * crosswise are waited for (worker/claims/patience.h), so one alone remains.
 */
static void
drain_world(void)
{
	long limit = sim.step + DRAIN_STEPS;
	int64_t until_ms = sim.now_ms + DRAIN_MS, settled_ms = 0;
	size_t i;

	sim.is_draining = true;
	sim_trace("no faults from here on");
	for (i = 0; i < SIM_WORKERS; i++)
		workers[i].frozen_until_ms = 0;
	for (i = 1; i < SIM_WORKERS; i++)
		if (sim.has_twins && workers[i].lives)
			kill_worker((int)i, 0);
	for (;;) {
		if (!is_settled())
			settled_ms = 0;
		else if (settled_ms == 0)
			settled_ms = sim.now_ms;
		else if (sim.now_ms - settled_ms > QUIET_MS)
			break;
		begin_step();
		if (sim.step > limit || sim.now_ms > until_ms)
			sim_violate("G1",
			    "an hour after the last fault records are still "
			    "not decided");
		go_on();
	}
	check_end();
	sim.is_draining = false;
}

/*
 * The request topic is deleted and made anew: between faults, as what is open
 * then is nobody's promise.  Redis does not go back behind it.
 */
static void
begin_second_life(void)
{
	drain_world();
	check_remake();
	broker_remake();
	kafka_remake();
	rates[FAULT_REDIS_BACK] = 0;
}

static void
choose_world(const struct sim_plan *plan, struct sim_report *report)
{
	sim = (struct sim){ .plan = *plan, .report = report };
	sim.partitions = 1 + (int)sim_draw(SIM_PARTITIONS);
	sim.workers = 1 + (int)sim_draw(SIM_WORKERS);
	sim.schedules = 2 + (int)sim_draw(4);
	sim.has_cross = sim.partitions > 1 && sim_one_in(2);
	sim.has_second_life = sim_one_in(5);
	sim.has_twins = sim.workers > 1 && sim_one_in(10);
	/* Some histories pass into another bucket of claims. */
	sim.now_ms =
	    sim_one_in(2) ? 1000 : SIM_TTL_MS - (int64_t)sim_draw(PASSING_MS);
	choose_faults();
}

void
sim_play(const struct sim_plan *plan, struct sim_report *report)
{
	long i;

	choose_world(plan, report);
	store_start();
	broker_start();
	for (i = 0; i < plan->steps; i++) {
		begin_step();
		if (sim.has_second_life && i == plan->steps / 2)
			begin_second_life();
		bring_faults();
		sim_add_load();
		go_on();
	}
	drain_world();
	report->records = sim_n_records;
	report->ended = true;
}
