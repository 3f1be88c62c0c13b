#ifndef SCHEDRUN_PRODUCER_BUILDER_LOOK_H
#define SCHEDRUN_PRODUCER_BUILDER_LOOK_H

#include <stdbool.h>

#include "producer/builder/lease.h"
#include "schemas/stored/world.h"

/*
 * A job's inputs and outputs as they are now, whatever its build event says of
 * them: what it will read, whether that was built already, and in the end its
 * outputs' new heads.  Everything blocks for round trips to Redis.
 */
struct job_look {
	struct built built; /* the logic, and the inputs ascending by key */
	/* Of each input of the job spec: where it is read, and what; either
	 * may be none. */
	const struct text *branches, *transactions;
	const struct text *heads;    /* of each output; may be none */
	const struct text *projects; /* the same */
	bool up_to_date;             /* the outputs were made of just this */
};

/*
 *   ERROR_INPUT  what is stored of an input or output can't be read
 *   ERROR_RETRY  Redis does not answer
 */
int job_look_now(
    const struct job_ref *ref, struct job_look *look, struct error *err);

/*
 * The outputs' heads become `transactions`, one for each, built of what the
 * look has seen; with that `said` of the job, if the lease is still ours.  1:
 * done; 0: the lease is lost; -1 as above.  Outputs that the catalogue has lost
 * are left alone.
 */
struct job_end {
	const struct job_look *look;
	const struct text *transactions;
	const struct lease *lease;
	struct text said;
};
int job_look_commit(
    const struct job_ref *ref, const struct job_end *end, struct error *err);

#endif
