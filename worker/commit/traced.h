#ifndef SCHEDRUN_WORKER_COMMIT_TRACED_H
#define SCHEDRUN_WORKER_COMMIT_TRACED_H

#include <stddef.h>
#include <stdint.h>

#include "common/trace/tracer.h"
#include "worker/base/batch.h"

/*
 * The worker's spans of a run: `request`, from its record's poll to its commit,
 * and below it `plan` and `commit`.  They are told once the batch is committed:
 * a batch that is lost has none, and is another one when it comes again.
 */
struct traced {
	size_t record; /* of the batch */
	struct trace_span span;
	int64_t plan_begun_ns,
	    plan_ended_ns; /* of all that were planned with it */
	enum run_state state;
	enum run_error error;           /* of RUN_FAILED */
	char header[TRACE_PARENT_SIZE]; /* for what comes of the record */
};

/*
 * Begins the span of record `i`, which has its answer: what that is, is to be
 * filled in.  NULL: it isn't traced.  Its result and build have `header` in
 * place of their request's.  Thread: stage A.
 */
struct traced *traced_begin(
    struct batch *batch, size_t i, int64_t plan_begun_ns);

/* The same of the record that was begun last; NULL: it is another's. */
const struct traced *traced_of(const struct batch *batch, size_t i);

/* Tells the spans of a committed batch.  Thread: stage B. */
void traced_tell(
    const struct batch *batch, const char *topic, int64_t commit_begun_ns);

#endif
