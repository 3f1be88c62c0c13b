#ifndef SCHEDRUN_PRODUCER_DASHBOARD_HISTORY_H
#define SCHEDRUN_PRODUCER_DASHBOARD_HISTORY_H

#include "common/base/buffer.h"
#include "schemas/message/schedule_run.h"

/*
 * The last hour of results, minute by minute: how many of which outcome, and
 * how long they took from being asked to being finished.  By the time at which
 * they were finished, so that what a fresh replica reads anew falls into its
 * place.  On the loop's thread.
 */
#define HISTORY_MINUTES 60

struct run_history {
	struct run_minute {
		int64_t at; /* minutes since 1970; 0: empty */
		int64_t ignored, submitted, failed;
		int64_t took_ms, took_max_ms; /* together, and the longest */
	} minutes[HISTORY_MINUTES];
};

/* `now_ms`: the wall's clock. */
void run_history_note(struct run_history *history,
    const struct schedule_run *run, int64_t now_ms);

/* Appends an array of the minutes in which there were any, ascending. */
void run_history_write(
    const struct run_history *history, int64_t now_ms, struct buffer *out);

#endif
