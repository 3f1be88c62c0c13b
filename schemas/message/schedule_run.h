#ifndef SCHEDRUN_SCHEMAS_MESSAGE_SCHEDULE_RUN_H
#define SCHEDRUN_SCHEMAS_MESSAGE_SCHEDULE_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"
#include "schemas/avro/reject.h"

/*
 * ScheduleRun: the one result of a run request (schedule_run.avsc).  Texts are
 * borrowed when encoding, in the arena after decoding.
 */
enum run_result { RESULT_IGNORED, RESULT_SUBMITTED, RESULT_ERROR };

/* The lists of `why`, in the order in which they are written. */
enum run_list {
	LIST_OFFENDERS,
	LIST_UP_TO_DATE_TARGETS,
	LIST_DROPPED_TARGETS,
	LIST_OUT_OF_SCOPE,
	RUN_LISTS,
};
const char *run_list_name(enum run_list list); /* "upToDateTargets" */

#define RUN_LIST_FIRST 20
struct run_listing {
	int32_t count;            /* 0: the list is left out */
	const struct text *first; /* min(count, 20) of them */
	size_t n_first;
};

struct schedule_run {
	struct text rid, request_id, schedule_rid;
	struct text schedule_version_rid; /* may be none */
	int64_t created_time_ms;
	struct text created_by, trigger; /* may be none */
	int64_t finished_time_ms;
	enum run_result result;
	struct text build_rid;   /* of RESULT_SUBMITTED */
	int32_t error_name;      /* of RESULT_ERROR: index of RunErrorName */
	struct text description; /* of RESULT_ERROR */
	int32_t phase;
	struct text cause;
	int32_t selected, running, up_to_date, blocked;
	struct run_listing lists[RUN_LISTS];
};

/* "CyclicDependency" of RunErrorName's index; NULL if there is none. */
const char *run_error_name(int32_t index);
int32_t run_error_index(struct text name); /* -1: none of them */

/* Appends the framed record.  No allocation but the buffer's growth. */
void schedule_run_encode(
    const struct schedule_run *run, uint32_t schema_id, struct buffer *out);

/*
 * Many runs may share one outcome.  Their common bytes stand in one block, and
 * each run's own fields are put between them:
 *
 *     rid requestId | scheduleRid scheduleVersionRid | createdTime |
 *     createdBy | trigger finishedTime | result why
 *
 * Positions count from the start of the buffer that the block is built in.
 */
struct run_form {
	size_t schedule, created_by, outcome, end;
	size_t build; /* where the UUID of buildRid begins; 0: there is none */
};
struct run_own {
	const struct uuid *run, *build; /* build: if the form has one */
	struct text request_id, trigger;
	int64_t created_time_ms, finished_time_ms;
};

/*
 * Appends the block of `run`, whose buildRid, if any, is RID_BUILD_PREFIX and
 * any UUID; its own fields are not looked at.
 */
void schedule_run_encode_form(
    const struct schedule_run *run, struct buffer *out, struct run_form *form);

/* What schedule_run_encode appends for the whole. */
void schedule_run_encode_own(const char *block, const struct run_form *form,
    const struct run_own *own, uint32_t schema_id, struct buffer *out);

/*
 * Reads the body of a record written by `schema` (a ScheduleRun of any
 * version), defaults filled in; texts are copied to `arena`.  0, or -1 with a
 * rejection.
 */
struct message_reader;
int schedule_run_decode(struct message_reader *reader, struct text body,
    struct arena *arena, struct schedule_run *run, struct rejection *rejection);

#endif
