#ifndef SCHEDRUN_PRODUCER_BUILDER_TASK_H
#define SCHEDRUN_PRODUCER_BUILDER_TASK_H

#include "common/base/metrics.h"
#include "producer/builder/open_build.h"
#include "producer/builder/rules.h"

/*
 * One try of one job: lease, look, process, report.  Nothing of it is said
 * without the lease, and with a lost one nothing at all: then the job waits
 * again, for whoever gets the next.  One thread, that of all tasks.
 */
struct job_runner {
	struct job_store store;
	const struct job_rules *rules;
	const char *logs; /* folder */
	int64_t log_max;
	const char *host; /* that is named in what is said of jobs */
	int64_t restarts; /* of a job that was never heard of again */
	struct metrics *metrics;
	void (*ended)(void *argument); /* any thread: a process has */
	void *argument;
	int64_t away_ms; /* monotonic: until then Redis is not asked */
	uint64_t round;  /* one more with each lease that came back */
};

enum task_doom {
	DOOM_NONE,
	DOOM_ABORTED,  /* another job of the build has failed */
	DOOM_CANCELED, /* the build was */
	DOOM_OVERDUE,  /* it runs for longer than its rule says */
	DOOM_DRAINED,  /* we end: the job waits for another builder */
	DOOM_LOST,     /* the lease is */
};

struct task;

/*
 * Whether a job has been lost so often that its next try is the last, which it
 * makes alone: what ran beside it must not be blamed for it.
 */
bool task_is_last_try(const struct job_runner *runner,
    const struct open_build *build, size_t job);

/*
 * 1: `*task` is under way, and the job runs; 0: not now, and the job says when
 * to ask again, or has ended; -1 with ERROR_RETRY: Redis does not answer.
 */
int task_start(struct job_runner *runner, struct open_build *build, size_t job,
    struct task **task, struct error *err);

/*
 * To be called now and then: keeps the lease, sees to what is to be killed,
 * reports what has ended.  True: it is over, and gone.  Redis's errors are told
 * by `err`, whose kind is else left alone: it is tried again.
 */
bool task_turn(struct task *task, struct error *err);

/* The one that it was started with. */
const struct open_build *task_build(const struct task *task);

/* SIGTERM now, SIGKILL 10 s later; the first doom counts. */
void task_end(struct task *task, enum task_doom doom);
/* SIGKILL now. */
void task_kill(struct task *task);

#endif
