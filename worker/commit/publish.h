#ifndef SCHEDRUN_WORKER_COMMIT_PUBLISH_H
#define SCHEDRUN_WORKER_COMMIT_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/base/batch.h"
#include "worker/commit/answer.h"

/*
 * Answer -> the records to be written: the result, the build event if one was
 * submitted.  Encoded into the batch's buffer; publish_finish points the
 * messages at their bytes once it has stopped growing.  Thread: stage A.
 */
struct publish_settings {
	uint32_t result_schema, build_schema; /* ids */
	int64_t build_max, letter_max; /* max.message.bytes of their topics */
	bool forward_trace;            /* copy traceparent, tracestate */
	int64_t plan_begun_ns; /* of what is answered now, if it is traced */
};

/* Record `i`'s answer; a build over its topic's limit becomes Internal. */
void publish_answer(const struct publish_settings *settings,
    struct batch *batch, size_t i, const struct answer *answer, int64_t now_ms);

/* Once for a batch, when all its answers are in. */
void publish_finish(struct batch *batch);

#endif
