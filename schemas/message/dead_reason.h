#ifndef SCHEDRUN_SCHEMAS_MESSAGE_DEAD_REASON_H
#define SCHEDRUN_SCHEMAS_MESSAGE_DEAD_REASON_H

#include "common/base/text.h"

/*
 * Why a record went to the DLQ, and the headers that say so
 * (docs/operation.md, section 6): a closed list, which is also a metric's
 * label.
 */
enum dead_reason {
	DEAD_EMPTY,
	DEAD_TOO_LARGE,
	DEAD_TRUNCATED_HEADER,
	DEAD_BAD_MAGIC,
	DEAD_UNKNOWN_SCHEMA,
	DEAD_WRONG_SCHEMA,
	DEAD_BAD_SCHEMA,
	DEAD_MALFORMED,
	DEAD_TRAILING_BYTES,
	DEAD_INVALID_FIELD,
	DEAD_CONFLICT,
	DEAD_CRASHED_WORKER,
	DEAD_NOT_APPLICABLE, /* an event */
	DEAD_REASONS
};
const char *dead_reason_text(enum dead_reason reason); /* "too-large" */
/* The other way; DEAD_REASONS: it is none. */
enum dead_reason dead_reason_of(struct text name);

/*
 * The headers of a letter, behind those that its record brought: the first is
 * DEAD_TOPIC, so that the last one of this name is where ours begin.
 */
#define DEAD_TOPIC "__connect.errors.topic"
#define DEAD_PARTITION "__connect.errors.partition"
#define DEAD_OFFSET "__connect.errors.offset"
#define DEAD_STAGE "__connect.errors.stage"
#define DEAD_CLASS "__connect.errors.exception.class.name"
#define DEAD_MESSAGE "__connect.errors.exception.message"
#define DEAD_REASON "schedrun.dlq.reason"
#define DEAD_TIME "schedrun.dlq.time"
#define DEAD_TIMESTAMP "schedrun.dlq.timestamp"
#define DEAD_REDRIVES "schedrun.dlq.redrives"
#define DEAD_CUT "schedrun.dlq.truncated"
#define DEAD_CUT_KEY "schedrun.dlq.truncated.key"
#define DEAD_CUT_HEADERS "schedrun.dlq.truncated.headers"
/* Of a record that says what became of a letter, which is its key. */
#define DEAD_REDRIVEN "schedrun.dlq.redriven"
#define DEAD_DROPPED "schedrun.dlq.dropped"

#endif
