#ifndef SCHEDRUN_SCHEMAS_MESSAGE_BUILD_REQUESTED_H
#define SCHEDRUN_SCHEMAS_MESSAGE_BUILD_REQUESTED_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"
#include "schemas/avro/reject.h"
#include "schemas/message/schedule_run.h"
#include "schemas/stored/schedule.h"
#include "schemas/stored/world.h"

/*
 * A build: the ordered jobs that a submitted run asks for.  The planner fills
 * it, BuildRequested (build_requested.avsc) carries it to the build system.
 */

/* Of the job spec's input of the same number. */
struct job_input {
	const struct branch *read; /* NULL: what its producer makes */
	int32_t job; /* position of its producer in this build; -1: none */
};

enum reason_cause {
	REASON_FORCED,
	REASON_NEVER_BUILT,
	REASON_NEW_LOGIC,
	REASON_INPUTS_CHANGED,
	REASON_UPSTREAM,
	REASON_ALWAYS_STALE,
};
#define REASON_CAUSES (REASON_ALWAYS_STALE + 1)
/* "neverBuilt"; never NULL for one of them. */
const char *reason_cause_text(enum reason_cause cause);

/*
 * What the spec doesn't say already.  Its id is rid_job of the build's and its
 * key, the spec's first output.
 */
struct job {
	const struct job_spec *spec;
	/* Of each output, NULL for all: see job_new_branch. */
	const struct text *const *new_branches;
	const struct job_input *inputs;
	const int32_t *depends_on; /* ascending positions */
	uint32_t n_depends_on;
	enum reason_cause reason;
	const struct text *reason_output; /* NULL: the cause has none */
	const struct text *reason_from;   /* the logic that was; so here */
	struct listing reason_inputs;
};

/*
 * The parent of the branch that an output gets, no text for a root; NULL if it
 * has the build branch already.
 */
static inline const struct text *
job_new_branch(const struct job *job, size_t output)
{
	return job->new_branches != NULL ? job->new_branches[output] : NULL;
}

/* What an input is reported by: "rid", or "rid@branch" in `arena` if pinned. */
struct text job_input_key(struct arena *arena, const struct spec_input *input);

struct build {
	/* Of it a build has branches, flags, backoff, scope, who is told. */
	const struct schedule_version *version;
	int32_t retry_count;    /* capped by maxRetries */
	const struct job *jobs; /* in build order */
	size_t n_jobs;
};
/* Who is told of a failure; none: nobody. */
struct text build_notifies(const struct build *build);

/*
 * Many builds may differ in their ids and times only.  Their common bytes stand
 * in one block, and each build's own fields are put between them:
 *
 *     buildRid runRid requestId | scheduleRid scheduleVersionRid |
 *     createdTime createdBy | branch ... jobs
 *
 * Positions count from the start of the buffer that the block is built in.
 */
struct build_form_job {
	uint32_t uuid; /* where its id begins, counted from `rest` */
	/* The same of its fingerprint, if that is another in each run; or 0. */
	uint32_t fingerprint;
	struct text key; /* that its id is made of */
};
struct build_form {
	size_t schedule, rest, end;
	const struct build_form_job *jobs;
	size_t n_jobs;
};

/*
 * Appends the block of a submitted run's build; the form's jobs are in `arena`,
 * with their keys.  It borrows nothing.
 */
void build_requested_put_form(const struct schedule_run *run,
    const struct build *build, struct arena *arena, struct buffer *out,
    struct build_form *form);

/*
 * Appends a build's framed record.  No allocation but the buffer's growth; the
 * block must not stand in `out`.
 */
void build_requested_put_own(struct buffer *out, uint32_t schema_id,
    const char *block, const struct build_form *form,
    const struct run_own *own);

/* A build event as it was read, with as much of run and specs as it tells. */
struct build_requested {
	struct schedule_run run; /* submitted; without trigger, end and `why` */
	struct build build;
	const struct uuid *job_ids; /* of its jobs */
	/* Of its jobs as well; none: it was written before there were any. */
	const struct text *fingerprints;
};

/*
 * Reads the body of a record by a reader of MESSAGE_BUILD_REQUESTED, written by
 * any version of it; everything goes to `arena`.  Positions of jobs are as they
 * stand there, a job may be without outputs.  0, or -1 with a rejection.
 */
struct message_reader;
int build_requested_decode(struct message_reader *reader, struct text body,
    struct arena *arena, struct build_requested *build,
    struct rejection *rejection);

#endif
