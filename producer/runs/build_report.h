#ifndef SCHEDRUN_PRODUCER_RUNS_BUILD_REPORT_H
#define SCHEDRUN_PRODUCER_RUNS_BUILD_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/crypto/rid.h"
#include "common/redis/pipeline.h"
#include "producer/runs/view.h"
#include "schemas/keyspace.h"
#include "schemas/message/build_requested.h"
#include "schemas/message/schedule_event.h"

/*
 * What a build system reports of a build: finished, so that its outputs have
 * new heads and a record of what they were built from, or failed
 * (docs/keyspace.md, section 4).  The mark on the build and the heads are
 * written by one script on `redis`; a run view in a Redis of its own is told
 * afterwards, and repeating the report mends what a crash in between left out.
 */
struct build_report {
	struct redis *redis; /* of the catalogue; connected */
	const struct keyspace *keyspace;
	struct run_view *view; /* over `redis`, or over another Redis */
	struct arena *arena;
	/* What outputs have now, ascending; of others it is a function. */
	const struct event_output *named;
	size_t n_named;
	/* Whoever marks it tells it in Kafka, too, and notes when he has. */
	bool tells;
};

struct report_result {
	bool already;    /* it was so before; nothing is changed */
	struct text was; /* of build_report_state; empty: it ran */
	/* Of one that tells: its event is due, also if he who marked it was
	 * killed before the brokers had it. */
	bool to_tell;
	size_t outputs;
	/* Outputs that the catalogue has no more: their branches are left. */
	const struct text *gone;
	size_t n_gone;
};

/*
 *   ERROR_INPUT  the event or a stored dataset is malformed; nothing written
 *   ERROR_RETRY, ERROR_FATAL  as of redis_reply_error
 */
int build_report_finish(struct build_report *report, const struct uuid *id,
    const struct build_requested *event, struct report_result *result,
    struct error *err);

/*
 * Marks it alone, "FAILED", "CANCELED", or "SUCCEEDED" by whoever has written
 * its heads job by job.  1: it is marked; 0: it has ended otherwise, and stays
 * so.
 */
int build_report_state(struct build_report *report, const struct uuid *id,
    const char *state, struct report_result *result, struct error *err);

/* The brokers have the event: it is due no more. */
int build_report_told(
    struct build_report *report, const struct uuid *id, struct error *err);

#endif
