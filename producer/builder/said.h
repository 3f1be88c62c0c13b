#ifndef SCHEDRUN_PRODUCER_BUILDER_SAID_H
#define SCHEDRUN_PRODUCER_BUILDER_SAID_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/text.h"

/* What is said of a job in its build's `j` (docs/keyspace.md, section 4). */
enum job_state {
	JOB_WAITING, /* also to be tried again */
	JOB_RUNNING,
	JOB_SUCCEEDED,
	JOB_UP_TO_DATE,
	JOB_FAILED,
	JOB_SKIPPED, /* a job that it waits for has failed, or any */
	JOB_STATES,
};
/* "SUCCEEDED"; never NULL for one of them. */
const char *job_state_name(enum job_state state);
static inline bool
job_has_ended(enum job_state state)
{
	return state > JOB_RUNNING;
}

struct job_said {
	enum job_state state;
	int64_t attempt;            /* from 1 on; 0: none was made */
	int64_t begun_ms, ended_ms; /* Unix time; 0: not yet */
	int64_t code;
	/* How often a try was never heard of again: it, or what it ran on, was
	 * gone. */
	int64_t lost;
	struct text host;
	struct text note; /* the last lines of its output, or why not */
};

/* Appends it. */
void job_said_write(const struct job_said *said, struct buffer *out);
/* Borrows `stored`.  What can't be read is as if nothing was said. */
void job_said_read(struct text stored, struct job_said *said);

#endif
