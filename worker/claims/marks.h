#ifndef SCHEDRUN_WORKER_CLAIMS_MARKS_H
#define SCHEDRUN_WORKER_CLAIMS_MARKS_H

#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"

/*
 * What Redis keeps per partition beside the claims: the mark ("every record
 * below this offset has had its claim executed") and the attempts key, for
 * records that kill their worker.  The claim script moves marks; here they are
 * only looked at, and set down for a topic that was made anew.  Thread: stage A
 * only.  Source: docs/delivery.md, sections 2 and 7.
 *
 * All calls but marks_key block for a round trip.  Errors: ERROR_RETRY, Redis
 * did not answer, or a key is of another type; ERROR_FATAL, credentials (77).
 */
struct marks {
	struct redis *redis; /* borrowed, as all of it */
	const struct keyspace *keyspace;
	struct text space; /* the claims' namespace: `meta.claims` */
	struct text topic; /* of the requests */
};

/* The mark's key, appended to `out`; valid until that grows. */
struct text marks_key(
    const struct marks *marks, int32_t partition, struct buffer *out);

/* -1: missing or unreadable, so it proves nothing. */
int marks_read(const struct marks *marks, int32_t partition, int64_t *mark,
    struct error *err);
/* Whatever it is: -1 is as good as none. */
int marks_write(const struct marks *marks, int32_t partition, int64_t mark,
    struct error *err);

/*
 * That a batch or record which starts at `offset` is being tried for the
 * `entries`-th time; 0: no note.  Kept for an hour.  See
 * worker/pipeline/attempts.
 */
struct attempt {
	int64_t offset;
	int32_t entries;
};
int attempts_read(const struct marks *marks, int32_t partition,
    struct attempt *attempt, struct error *err);
int attempts_write(const struct marks *marks, int32_t partition,
    struct attempt attempt, struct error *err);

#endif
