#ifndef SCHEDRUN_COMMON_TRACE_TRACER_H
#define SCHEDRUN_COMMON_TRACE_TRACER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/metrics.h"
#include "common/config/config.h"
#include "common/trace/context.h"

/*
 * Tells spans to a collector: OTLP 1.x over HTTP, in JSON (trace.url).  One for
 * the process, as the log is.  They are queued, and sent by a thread of its
 * own: who adds one never waits for the collector, and what doesn't fit is
 * dropped and counted.  Where trace.url is not set none is begun.
 */
struct tracer_settings {
	const struct config *config;
	struct metrics *metrics;
	const char *service;  /* "schedrun-worker"; borrowed */
	const char *instance; /* which of them; NULL: host and process id */
};

/*
 * Before anything is traced, after signals are blocked.  -1: ERROR_FATAL (78),
 * as of tracer_check, or 71.  Its series are there from now on in any case.
 */
int tracer_start(const struct tracer_settings *settings, struct error *err);

/* Sends what is queued, for 2 s at most.  After the last span. */
void tracer_stop(void);

/* Whether there is one.  Any thread. */
bool tracer_is_on(void);

/*
 * Whether trace.url, trace.headers and trace.ca will do: -1: ERROR_FATAL (78).
 * A URL that isn't set is fine.
 */
int tracer_check(const struct config *config, struct error *err);

enum trace_kind { /* OTLP's numbers */
	TRACE_INTERNAL = 1,
	TRACE_SERVER,
	TRACE_CLIENT,
	TRACE_PRODUCER,
	TRACE_CONSUMER,
};

struct trace_span {
	struct trace_context own;
	bool has_parent;
	uint8_t parent[8];
	const char *name;
	enum trace_kind kind;
	int64_t begun_ns, ended_ns; /* since 1970 */
	const char *failure;        /* NULL: it is none */
};

/* Its `text`, or the number where that is none; a NULL name ends a list. */
struct trace_attribute {
	const char *name;
	struct text text;
	int64_t number;
};

/*
 * Begins the span `name` of a run: below `header`, a traceparent, or if there
 * is none at the root of a trace that has the run's id.  False: it is not
 * recorded, as the caller doesn't, or as one run of trace.one.of is.
 */
bool tracer_begin(struct text header, const struct uuid *run, const char *name,
    struct trace_span *span);

/* The same of one below another, of what happens to `id`. */
void trace_span_below(const struct trace_span *above, const struct uuid *id,
    const char *name, int64_t number, struct trace_span *span);

/* Queues a span that has ended; copies all of it.  Any thread, never blocks. */
void tracer_add(
    const struct trace_span *span, const struct trace_attribute *attributes);

/* What the wall's clock says, since 1970.  Any thread. */
int64_t trace_now_ns(void);

#endif
