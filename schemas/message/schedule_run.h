#ifndef SCHEDRUN_SCHEMAS_MESSAGE_SCHEDULE_RUN_H
#define SCHEDRUN_SCHEMAS_MESSAGE_SCHEDULE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"
#include "schemas/avro/reject.h"

/*
 * A run: what was asked and what came of it.  One shape for all who have one:
 * the planner fills it, ScheduleRun (schedule_run.avsc) carries it, the run
 * view keeps it, the adapter and the command line show it.
 */
enum run_state {
	RUN_PENDING, /* no result yet: in the run view only, never a message */
	RUN_IGNORED, /* from here on in the order of the message's union */
	RUN_SUBMITTED,
	RUN_FAILED,
};
/* "pending", "ignored", "submitted", "error"; never NULL. */
const char *run_state_name(enum run_state state);

enum run_error { /* in the order of RunErrorName's symbols */
	TARGET_RESOLUTION_FAILURE,
	CYCLIC_DEPENDENCY,
	INCOMPATIBLE_TARGETS,
	PERMISSION_DENIED,
	JOB_SPEC_NOT_FOUND,
	SCHEDULE_OWNER_NOT_FOUND,
	INTERNAL,
	RUN_ERRORS,
};
/* "CyclicDependency"; never NULL for one of them. */
const char *run_error_name(enum run_error error);
/* The error of that name; false, and nothing is set: there is none. */
bool run_error_find(struct text name, enum run_error *error);

/* The lists of `why`, in the order in which a message has them. */
enum run_list {
	LIST_OFFENDERS,
	LIST_UP_TO_DATE_TARGETS,
	LIST_DROPPED_TARGETS,
	LIST_OUT_OF_SCOPE,
	RUN_LISTS,
};

#define LISTING_FIRST 20
struct listing {
	int32_t count; /* 0: a message leaves it out */
	/* The first LISTING_FIRST, or all: ascending, a cycle in its order. */
	uint32_t n_first;
	const struct text *first;
};

struct run_why {
	int32_t phase;
	struct text cause; /* none: not known */
	int32_t selected, running, up_to_date, blocked;
	struct listing lists[RUN_LISTS];
};

/* Bytes of a trigger, which may be of any size, that are kept to be shown. */
#define RUN_TRIGGER_KEPT 1024

struct schedule_run {
	struct uuid id; /* of its rid */
	struct text request_id, schedule_rid;
	struct text schedule_version_rid; /* may be none */
	int64_t created_time_ms;
	struct text created_by, trigger; /* may be none */
	enum run_state state;
	/* From here on: of a run that isn't pending. */
	int64_t finished_time_ms;
	struct uuid build_id;    /* RUN_SUBMITTED */
	enum run_error error;    /* RUN_FAILED */
	struct text description; /* RUN_FAILED */
	struct run_why why;
	int32_t partition; /* where its record stands, if it was read */
	int64_t offset;
};

/*
 * Whether the answer is about damage in the store rather than about the
 * request: such a one does not spend the request's id (docs/delivery.md,
 * section 7).
 */
bool schedule_run_is_damage(const struct schedule_run *run);

/*
 * Many runs may share one outcome.  Their common bytes stand in one block, and
 * each run's own fields are put between them:
 *
 *     rid requestId | scheduleRid scheduleVersionRid |
 *     createdTime createdBy trigger finishedTime | result why
 *
 * Positions count from the start of the buffer that the block is built in.
 */
struct run_form {
	size_t schedule, outcome, end;
	size_t build; /* where the UUID of buildRid begins; 0: there is none */
};

/* Appends the block of `run`, which isn't pending; texts are copied. */
void schedule_run_put_form(
    const struct schedule_run *run, struct buffer *out, struct run_form *form);

/* What a run and its build have of their own among those of one outcome. */
struct run_own {
	const struct uuid *id;
	struct uuid build_id; /* rid_build(id), of RUN_SUBMITTED */
	struct text request_id, created_by,
	    trigger; /* the latter may be none */
	int64_t created_time_ms, finished_time_ms;
};

/*
 * Appends a run's framed record.  No allocation but the buffer's growth; the
 * block must not stand in `out`.
 */
void schedule_run_put_own(struct buffer *out, uint32_t schema_id,
    const char *block, const struct run_form *form, const struct run_own *own);

/*
 * Reads the body of a record by a reader of MESSAGE_SCHEDULE_RUN, written by
 * any version of it, defaults filled in; texts are copied to `arena`, the
 * record's place is the caller's to set.  0, or -1 with a rejection.
 */
struct message_reader;
int schedule_run_decode(struct message_reader *reader, struct text body,
    struct arena *arena, struct schedule_run *run, struct rejection *rejection);

#endif
