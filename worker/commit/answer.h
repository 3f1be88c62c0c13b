#ifndef SCHEDRUN_WORKER_COMMIT_ANSWER_H
#define SCHEDRUN_WORKER_COMMIT_ANSWER_H

#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/crypto/rid.h"
#include "schemas/message/build_requested.h"
#include "schemas/message/schedule_run.h"
#include "worker/plan/planner.h"

/*
 * An outcome as the bytes of its two records, but for what is each request's
 * own: requests that ask the same get the same answer, with ids and times of
 * their own.  One block of memory, which borrows nothing.
 */
struct answer_job {
	uint32_t uuid; /* where its id begins, from the build form's `rest` */
	struct text key;
};

struct answer {
	enum outcome_type type;
	enum error_name error_name;       /* of OUTCOME_ERROR */
	struct text schedule_version_rid; /* may be none */
	const char *block;
	struct run_form run;
	struct build_form build; /* of OUTCOME_SUBMITTED */
	const struct answer_job *jobs;
	size_t n_jobs;
};

/*
 * `request` is one that the outcome is for; of it the answer keeps what all
 * who ask the same have in common.  `scratch` is the caller's for the while.
 */
struct answer *answer_make(struct arena *arena, struct buffer *scratch,
    const struct run_request *request, const struct outcome *outcome);

/* What one request's records have of their own. */
struct answer_own {
	const struct uuid *run;
	struct uuid build; /* rid_build(run), of OUTCOME_SUBMITTED */
	struct text request_id, trigger;
	int64_t created_time_ms, finished_time_ms;
};

/* Append one framed record.  answer_put_build: of OUTCOME_SUBMITTED. */
void answer_put_run(const struct answer *answer, const struct answer_own *own,
    uint32_t schema_id, struct buffer *out);
void answer_put_build(const struct answer *answer, const struct answer_own *own,
    uint32_t schema_id, struct buffer *out);

#endif
