#ifndef SCHEDRUN_WORKER_BASE_WATCHDOG_H
#define SCHEDRUN_WORKER_BASE_WATCHDOG_H

#include <stdint.h>

/*
 * Bounds blocking calls from outside: a thread that stays longer in a guarded
 * call than was said ends the process with exit code 75, since a restart is
 * safe at any point and librdkafka's calls have been seen to overrun their
 * time-outs for minutes.  A loop that makes no progress is a bug of ours and
 * aborts, for the core and its stack.  Time in which the whole process stood
 * still, by SIGSTOP say, counts for neither.  Source: docs/delivery.md,
 * sections 5 and 9.
 */
enum watchdog_who { WATCHDOG_INTAKE, WATCHDOG_COMMIT, WATCHDOG_WHO };

/* Starts the thread; `stuck_ms` is how long a loop may go without a beat. */
void watchdog_start(int64_t stuck_ms);
void watchdog_stop(void);

/* `what` (a literal) must be left within `limit_ms`.  Guards do not nest. */
void watchdog_enter(enum watchdog_who who, const char *what, int64_t limit_ms);
void watchdog_leave(enum watchdog_who who);

/* The loop made progress. */
void watchdog_beat(enum watchdog_who who);

#endif
