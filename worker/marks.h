#ifndef SCHEDRUN_WORKER_MARKS_H
#define SCHEDRUN_WORKER_MARKS_H

#include <stdint.h>

#include "common/error.h"
#include "common/redis_pipeline.h"
#include "common/text.h"

/*
 * What Redis keeps per partition beside the claims: the mark ("every record
 * below this offset has had its claim executed") and the attempts key, for
 * records that kill their worker.  The claim script moves marks; here they are
 * only looked at, and set down for a topic that was made anew.  Thread: stage A
 * only.  Source: delivery protocol, sections 2 and 7.
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
 * How often a batch that starts at `offset` was entered, by whatever process;
 * `entries` 0: nothing is stored.  Kept for an hour.
 */
struct attempt {
	int64_t offset;
	int32_t entries;
};
int attempts_read(const struct marks *marks, int32_t partition,
    struct attempt *attempt, struct error *err);
int attempts_write(const struct marks *marks, int32_t partition,
    struct attempt attempt, struct error *err);

/*
 * What to do with a batch that starts where `stored` says it was entered
 * before; pure.  `entered` becomes what is to be stored now.
 */
enum attempt_verdict {
	ATTEMPT_WHOLE,  /* as any batch */
	ATTEMPT_SINGLE, /* one record at a time */
	ATTEMPT_POISON, /* its first record is not planned: it kills workers */
};
#define ATTEMPT_SINGLE_AT 3
#define ATTEMPT_POISON_AT 6
enum attempt_verdict attempt_judge(
    struct attempt stored, int64_t offset, struct attempt *entered);

#endif
