#ifndef SCHEDRUN_SCHEMAS_MESSAGE_BUILD_REQUESTED_H
#define SCHEDRUN_SCHEMAS_MESSAGE_BUILD_REQUESTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"
#include "schemas/avro/reject.h"
#include "schemas/message/schedule_run.h"
#include "schemas/stored/schedule.h"

/*
 * BuildRequested: all that a build system needs to start a build
 * (build_requested.avsc).  Written piece by piece, so that nothing is copied
 * into a tree first:
 *
 *   build_put_head(out, id, &head, n);
 *   for each of n jobs:
 *       build_put_job(out, &job);
 *       build_put_items(out, n);  build_put_output(...) each;  build_put_end
 *       build_put_items(out, n);  build_put_input(...) each;   build_put_end
 *       build_put_depends_on(...);  build_put_reason(...)
 *   build_put_end(out);
 */
struct build_head {
	struct text build_rid, run_rid, request_id, schedule_rid,
	    schedule_version_rid;
	int64_t created_time_ms;
	struct text created_by; /* may be none */
	struct text branch;
	struct text_list fallback_branches;
	bool force_build, abort_on_failure;
	int32_t retry_count;
	struct duration retry_backoff; /* unit none: null */
	enum scope_type run_as;
	struct text user_id;           /* of SCOPE_USER */
	struct text_list project_rids; /* of SCOPE_PROJECT */
	struct text notify;            /* may be none */
};

struct build_job_head {
	struct text job_rid, job_spec_rid, spec_branch, logic;
};

struct build_output {
	struct text rid;
	bool new_branch;
	struct text parent; /* of the new branch; may be none */
};

struct build_input {
	struct text rid;
	int32_t job; /* position of its producer; -1: none */
	bool pinned;
	struct text branch, transaction; /* may be none */
};

struct build_reason {
	struct text cause;
	struct text output, from, to; /* may be none */
	bool has_inputs;
	int32_t inputs_count;
	struct text_list inputs_first;
};

void build_put_head(struct buffer *out, uint32_t schema_id,
    const struct build_head *head, size_t n_jobs);
/* Returns where in `out` the UUID that job_rid ends with begins. */
size_t build_put_job(struct buffer *out, const struct build_job_head *job);
void build_put_items(struct buffer *out, size_t n);
void build_put_output(struct buffer *out, const struct build_output *output);
void build_put_input(struct buffer *out, const struct build_input *input);
void build_put_end(struct buffer *out);
void build_put_depends_on(
    struct buffer *out, const int32_t *positions, size_t n);
void build_put_reason(struct buffer *out, const struct build_reason *reason);

/*
 * Many builds may differ in their ids and times only.  Their common bytes stand
 * in one block, and each build's own fields are put between them:
 *
 *     buildRid runRid requestId | scheduleRid scheduleVersionRid | createdTime
 *     | createdBy branch ... jobs
 *
 * build_put_form stands for build_put_head; jobs follow it.  Positions count
 * from the start of the buffer that the block is built in.
 */
struct build_form {
	size_t schedule, rest, end; /* `end` is set by who has put the jobs */
};
void build_put_form(struct buffer *out, const struct build_head *head,
    size_t n_jobs, struct build_form *form);

/*
 * Appends the framed record; returns where in `out` the block's `rest` begins,
 * for the ids of the jobs.
 */
size_t build_put_own(struct buffer *out, uint32_t schema_id, const char *block,
    const struct build_form *form, const struct run_own *own);

/* The same as a tree, after decoding. */
struct build_job {
	struct build_job_head head;
	const struct build_output *outputs;
	size_t n_outputs;
	const struct build_input *inputs;
	size_t n_inputs;
	const int32_t *depends_on;
	size_t n_depends_on;
	struct build_reason reason;
};

struct build_requested {
	struct build_head head;
	const struct build_job *jobs;
	size_t n_jobs;
};

/*
 * Reads the body of a record by a reader of MESSAGE_BUILD_REQUESTED; everything
 * goes to `arena`.  0, or -1 with a rejection.
 */
struct message_reader;
int build_requested_decode(struct message_reader *reader, struct text body,
    struct arena *arena, struct build_requested *build,
    struct rejection *rejection);

#endif
