#ifndef SCHEDRUN_SCHEMAS_RUN_REQUEST_H
#define SCHEDRUN_SCHEMAS_RUN_REQUEST_H

#include <stdint.h>

#include "common/text.h"

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

#endif
