#ifndef SCHEDRUN_COMMON_TRACE_CONTEXT_H
#define SCHEDRUN_COMMON_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/text.h"
#include "common/crypto/rid.h"

/*
 * Where a span stands: its trace, itself, whether it is recorded.  Travels as
 * the header traceparent (W3C Trace Context, section 3.2).  Pure; any thread.
 */
#define TRACE_PARENT_SIZE 55

struct trace_context {
	uint8_t trace[16], span[8];
	bool is_sampled;
};

/*
 * Reads version 00, whose ids are not all zeros and in lower case.  False:
 * anything else, of which nothing is known then.
 */
bool trace_context_read(struct text header, struct trace_context *context);

/* Writes 55 characters, no NUL. */
void trace_context_write(
    const struct trace_context *context, char out[TRACE_PARENT_SIZE]);

/*
 * The id of what happens to `id` by this name, the `number`-th time: the same
 * wherever and whenever it is asked for, so what is told twice is one span.
 */
void trace_span_id(
    const struct uuid *id, const char *name, int64_t number, uint8_t out[8]);

#endif
