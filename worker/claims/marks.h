#ifndef SCHEDRUN_WORKER_CLAIMS_MARKS_H
#define SCHEDRUN_WORKER_CLAIMS_MARKS_H

#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/redis/pipeline.h"

/*
 * What Redis keeps per partition beside the claims: the mark ("every record
 * below this offset has had its claim executed") and the attempts key, for
 * records that kill their worker.  The claim script moves marks; here they are
 * only looked at, and set down for a topic that was made anew.  Thread: stage A
 * only.  Source: docs/delivery.md, sections 2 and 7.
 *
 * Errors: ERROR_RETRY, Redis did not answer; ERROR_FATAL, credentials (77).
 */
struct marks {
	struct redis *redis; /* borrowed, as all of it */
	struct text prefix;  /* redis.prefix */
	struct text space;   /* the claims' namespace */
	struct text topic;
};

/* -1: missing or unreadable. */
int marks_read(const struct marks *marks, int32_t partition, int64_t *mark,
    struct error *err);
int marks_write(const struct marks *marks, int32_t partition, int64_t mark,
    struct error *err);

/* Redis's clock, in milliseconds. */
int marks_now(const struct marks *marks, int64_t *now_ms, struct error *err);

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
