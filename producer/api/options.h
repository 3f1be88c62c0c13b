#ifndef SCHEDRUN_PRODUCER_API_OPTIONS_H
#define SCHEDRUN_PRODUCER_API_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/text.h"
#include "common/http/head.h"
#include "producer/runs/publisher.h"

/*
 * What a request's headers ask of a run: Idempotency-Key, Prefer: wait, and the
 * trace context for the Kafka record (docs/http.md, sections 1 and 7).  Pure.
 */

/*
 * The requestId, in `arena`.  1: of a key (1 to 200 visible ASCII characters,
 * bare or as a quoted string, which is the same key): "http:" and the SHA-256
 * over the length-prefixed caller, schedule and key.  0: there is no key, it is
 * of a random UUID.  -1: the key is malformed, or there twice.
 */
int run_options_request_id(const struct http_head *head, struct text caller,
    struct text schedule_rid, struct arena *arena, struct text *id);

/*
 * Seconds of `Prefer: wait=N`, capped at `max`; -1 if nothing is preferred.
 * Nonsense is ignored (RFC 7240, section 2).
 */
int run_options_wait(const struct http_head *head, int max);

/*
 * The trace context to be copied: well-formed traceparent, tracestate with it,
 * and B3's ids.  Returns how many.
 */
size_t run_options_trace(const struct http_head *head,
    struct trace_header headers[TRACE_HEADERS_MAX]);

#endif
