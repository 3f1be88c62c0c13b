#ifndef SCHEDRUN_PRODUCER_DRYRUN_CASE_H
#define SCHEDRUN_PRODUCER_DRYRUN_CASE_H

#include <stdbool.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/json/node.h"
#include "schemas/message/run_request.h"
#include "schemas/stored/schedule.h"
#include "schemas/stored/world.h"
#include "worker/plan/planner.h"

/*
 * A plan from documents: World, Version and Request (docs/semantics.md, section
 * 5) in, outcome out.  The same planner as the worker's, fed from files.
 */
struct plan_case {
	struct arena *arena; /* holds what is read and planned */
	struct world *world;
	struct run_request request;
	struct text created_time;        /* as written */
	struct schedule_version version; /* if has_version */
	struct schedule_head head;
	bool has_version;
	const struct outcome *outcome;
};

/* Makes an arena and a world; plan_case_finish gives them back. */
void plan_case_init(struct plan_case *plan_case);
/* Nothing that was read or planned is valid after it. */
void plan_case_finish(struct plan_case *plan_case);

/*
 * Reads the documents and plans; what was there before is forgotten.  A node of
 * null as `version` is a store without one.  The documents are needed no longer
 * afterwards, the outcome lives until the next case.  Returns 0, or -1 with
 * ERROR_INPUT "<place>: <what>" if a document is malformed.
 */
int plan_case_run(struct plan_case *plan_case, const struct json *world,
    const struct json *version, const struct json *request, struct error *err);

/*
 * Answers one line of `plan --jsonl`, {"world":…,"version":…,"request":…}, with
 * one line appended to `out`: the outcome, or {"invalid":"<place>: <what>"}.
 */
void plan_case_answer(
    struct plan_case *plan_case, struct text line, struct buffer *out);

#endif
