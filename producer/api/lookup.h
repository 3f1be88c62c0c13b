#ifndef SCHEDRUN_PRODUCER_API_LOOKUP_H
#define SCHEDRUN_PRODUCER_API_LOOKUP_H

#include <stdbool.h>

#include "producer/auth/access_round.h"
#include "producer/http/call.h"
#include "schemas/message/schedule_run.h"

/*
 * A run in Redis, and whether the caller may have it: the part of asking for
 * one and of reading one that the pool does.  In rounds that all such calls
 * share, or by itself where that doesn't do.
 */
enum run_finding { RUN_FOUND, RUN_MISSING, RUN_DENIED };

/* In the call's arena; `call->state` points to what begins with it. */
struct run_lookup {
	struct http_call *call;
	/*
	 * In: id; to store also request_id, schedule_rid and created_by.  Out:
	 * the run as it is in the view.
	 */
	struct schedule_run record;
	enum run_finding finding;
	bool stored; /* by us, just now */
	/* The rounds' own: */
	struct access_round access;
	struct schedule_access schedule;
	bool begun, asked_view;
	int in_view; /* as of run_view_get */
};

/*
 * Both call `done` on the loop; call->error tells of failures.  The schedule is
 * call->rids[0].  Storing pins its current version and writes the run as
 * pending, unless it is there already.
 */
void run_lookup_store(struct run_lookup *lookup, call_function *done);
void run_lookup_read(struct run_lookup *lookup, call_function *done);

#endif
