#ifndef SCHEDRUN_WORKER_COMMIT_ANSWER_H
#define SCHEDRUN_WORKER_COMMIT_ANSWER_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "schemas/message/build_requested.h"
#include "schemas/message/schedule_run.h"
#include "worker/plan/planner.h"

/*
 * An outcome as the bytes of its two records, but for what is each request's
 * own: requests that ask the same get the same answer, with ids, requesters and
 * times of their own.
 */
struct answer {
	enum run_state state;
	enum run_error error;             /* of RUN_FAILED */
	bool is_damage;                   /* as of schedule_run_is_damage */
	struct text schedule_version_rid; /* may be none */
	const char *block;
	size_t size; /* of the block */
	struct run_form run;
	struct build_form build; /* of RUN_SUBMITTED */
};

/*
 * The answer of a run that has its result, in `arena`; of that run it keeps
 * what all who ask the same have in common.  `scratch` is emptied, and holds
 * the answer's bytes afterwards.  Never NULL.  Thread: stage A.
 */
struct answer *answer_make(
    struct arena *arena, struct buffer *scratch, const struct outcome *outcome);

/*
 * How many bytes an answer takes in one piece; and that piece, in `room`, which
 * is aligned for pointers.  It borrows nothing.
 */
size_t answer_size(const struct answer *answer);
void answer_pack(const struct answer *answer, void *room);

#endif
