#ifndef SCHEDRUN_SCHEMAS_MESSAGE_RUN_REQUEST_H
#define SCHEDRUN_SCHEMAS_MESSAGE_RUN_REQUEST_H

#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"
#include "schemas/avro/layout.h"
#include "schemas/avro/reject.h"

/*
 * RunRequest: asks for one run of a schedule (run_request.avsc).  Texts are
 * borrowed from the record or document that it was read from.
 */
struct run_request {
	struct text request_id;           /* 1 to 200 bytes */
	struct text run_rid;              /* none: not given */
	struct text schedule_rid;         /* ri.scheduler.*.schedule.* */
	struct text schedule_version_rid; /* the pin; none: current */
	int64_t created_time_ms;          /* since 1970, UTC */
	struct text created_by;           /* a user's UUID; none: a trigger */
	struct text trigger;              /* for people; may be none */
};

/*
 * A writer's schema made ready for run_request_decode.  NULL with
 * REJECT_BAD_SCHEMA or REJECT_WRONG_SCHEMA.  Given back by layout_destroy.
 */
struct layout *run_request_layout(
    struct text schema, struct rejection *rejection);

/*
 * Reads a body (behind the frame) written by that schema and checks the fields
 * (docs/faults.md, section 2).  `run` is the run's id, the function of schedule
 * and request.  0, or -1 with a rejection.  Any thread.
 */
int run_request_decode(const struct layout *layout, struct text body,
    struct run_request *request, struct uuid *run, struct rejection *rejection);

/* The checks alone: for requests that come another way. */
int run_request_check(const struct run_request *request, struct uuid *run,
    struct rejection *rejection);

/* That of createdTime, which needs to know what time it is. */
int run_request_check_time(const struct run_request *request, int64_t now_ms,
    struct rejection *rejection);

/* Appends the framed record. */
void run_request_encode(
    const struct run_request *request, uint32_t schema_id, struct buffer *out);

#endif
