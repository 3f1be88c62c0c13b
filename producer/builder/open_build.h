#ifndef SCHEDRUN_PRODUCER_BUILDER_OPEN_BUILD_H
#define SCHEDRUN_PRODUCER_BUILDER_OPEN_BUILD_H

#include <stdbool.h>

#include "common/kafka/consumer.h"
#include "common/trace/tracer.h"
#include "producer/builder/lease.h"
#include "producer/builder/said.h"
#include "producer/runs/decoder.h"

/*
 * A build from its record to its last job: which jobs have ended and how, and
 * which may run.  A table in memory, filled from what is said of the jobs in
 * Redis when the build is taken up.  One thread.
 */
struct open_job {
	enum job_state state;
	int64_t attempts;
	int64_t lost; /* tries that were never heard of again, as far as known
		       */
	int64_t not_before_ms; /* monotonic: tried again then, or ... */
	uint64_t round;        /* ... if a lease has come back; 0: not */
	/* Of each output what it has ended with, if that is what its
	 * fingerprint stands for; NULL: not, or it isn't known. */
	const struct text *made;
};

struct open_build {
	struct open_build *next;
	int32_t partition;
	int64_t offset;
	/* Its partition is another's by now: what runs is finished. */
	bool leaving;
	bool is_read;
	bool over;     /* it was reported by somebody else */
	bool failed;   /* a job has */
	bool aborted;  /* and so no other is begun */
	bool reported; /* that it has ended, to Redis */
	bool to_tell;  /* then: its event is not acknowledged yet */
	int64_t opened_ms;
	struct arena *arena;
	struct uuid id;
	struct text key, value; /* of the record */
	struct text
	    traceparent; /* the same; none: nobody traces, or it has none */
	bool is_traced;
	struct trace_span span; /* since it was taken up */
	struct build_requested event;
	struct open_job *jobs;
	size_t first; /* all before it have ended */
	size_t n_ended, n_running;
};

/* Copies the record. */
struct open_build *open_build_create(const struct kafka_record *record);
void open_build_destroy(struct open_build *build);

/*
 * Decodes it, and reads what is said of its jobs.  Blocks.
 *   ERROR_INPUT  it is none, for good
 *   ERROR_RETRY  Redis or the registry does not answer
 */
int open_build_read(struct open_build *build, struct message_decoder *decoder,
    const struct job_store *store, struct error *err);

/* Whether its event could be read: if not, the registry is asked again. */
bool open_build_is_decoded(const struct open_build *build);

/* A job that may begin now, if there is one; `round`: see open_job. */
bool open_build_next(
    struct open_build *build, int64_t now_ms, uint64_t round, size_t *job);

/* The job has ended so; what can't run any more is skipped. */
void open_build_ended(
    struct open_build *build, size_t job, enum job_state state);

/* Whether nothing is left to be done of it. */
bool open_build_is_whole(const struct open_build *build);

#endif
