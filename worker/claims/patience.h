#ifndef SCHEDRUN_WORKER_CLAIMS_PATIENCE_H
#define SCHEDRUN_WORKER_CLAIMS_PATIENCE_H

#include <stdint.h>

#include "schemas/stored/claim.h"

/*
 * Whether what holds a claim from another partition is decided, and for how
 * long that is waited for; pure.  Source: docs/delivery.md, section 3.
 */
#define PATIENCE_MS 30000 /* more than a transaction may live */
#define PATIENCE_UNKNOWN (-2)
#define PATIENCE_NOBODY (-3) /* the topic has no such partition */

/* Of a partition with records that wait. */
struct patience {
	int64_t offset;      /* which waits; -1: none */
	int64_t since_ms;    /* on clock_monotonic_ms */
	int32_t given_up_on; /* a partition that did not go on; -1: none */
	int64_t given_up_at; /* where it stood */
};

/* How far a holder's partition is. */
struct holder_place {
	int64_t stands; /* decided below this; -1: nothing; or a PATIENCE_… */
	/* Below this what is not is decided by the batch in work, and stands
	 * before the record in it; -1: nothing. */
	int64_t reached;
};

enum patience_verdict {
	HOLDER_DECIDED, /* the request is answered: drop, or bury */
	HOLDER_AWAITED,
	/*
	 * Nobody's, or waited for long enough: overwrite, process.  What waits
	 * for a holder in the same partition then needn't wait again until that
	 * goes on.
	 */
	HOLDER_GIVEN_UP
};

/* Of the record at `offset`; `patience` is its partition's. */
enum patience_verdict patience_judge(struct patience *patience, int64_t offset,
    const struct claim_value *holder, struct holder_place place,
    int64_t now_ms);

#endif
