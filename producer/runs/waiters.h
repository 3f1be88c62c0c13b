#ifndef SCHEDRUN_PRODUCER_RUNS_WAITERS_H
#define SCHEDRUN_PRODUCER_RUNS_WAITERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/crypto/rid.h"
#include "common/http/loop.h"
#include "schemas/message/schedule_run.h"

/*
 * Who waits for the result of which run (Prefer: wait).  A table on the loop: a
 * waiting request costs no thread.  Chains by hand and no entry_table: several
 * may wait for one run, and each leaves by itself.
 */
struct run_waiters;

struct run_waiter { /* the owner's memory while it waits */
	struct uuid run;
	int64_t until_ms; /* monotonic */
	/*
	 * The result came, and the view has it or not.  The waiter has left the
	 * table; the record is the caller's.
	 */
	void (*found)(struct run_waiter *waiter,
	    const struct schedule_run *record, bool in_view);
	/* Time is up, or the table ends.  The waiter has left the table. */
	void (*expired)(struct run_waiter *waiter);
	struct run_waiter *next, **slot; /* the table's; slot NULL: not in it */
};

/*
 * An empty table on `loop`, which looks every 50 ms whose time is up.  This and
 * all below: the loop's thread.  Never NULL.
 */
struct run_waiters *run_waiters_create(struct loop *loop);
void run_waiters_destroy(struct run_waiters *waiters); /* nobody is told */

/*
 * Puts a waiter that isn't in the table there; it stays the owner's, who fills
 * run, until_ms and both calls, and may change until_ms while it waits.
 */
void run_waiters_add(struct run_waiters *waiters, struct run_waiter *waiter);
/* Harmless if it isn't in the table. */
void run_waiters_remove(struct run_waiters *waiters, struct run_waiter *waiter);
size_t run_waiters_count(const struct run_waiters *waiters);

/* A result has come: its waiters hear of it, from within. */
void run_waiters_tell(struct run_waiters *waiters,
    const struct schedule_run *record, bool in_view);

/* All waiters expire now: the process drains. */
void run_waiters_release(struct run_waiters *waiters);

#endif
