#ifndef SCHEDRUN_WORKER_COMMIT_FENCED_H
#define SCHEDRUN_WORKER_COMMIT_FENCED_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

/*
 * What a fenced worker does.  Fenced is whose transactional.id another producer
 * has taken, or whose transaction has exceeded transaction.timeout.ms: Kafka
 * says the same of both.  Once, the producer is rebuilt, which fences the other
 * in turn, and the batch is read again: so a restarted worker takes over from
 * what is left of its predecessor.  Three times in a minute, two workers take
 * it from each other, and neither would come to anything: the process ends and
 * says which id it is.  Source: docs/delivery.md, section 5.
 */
#define FENCED_MAX 3
#define FENCED_WINDOW_MS 60000

struct fenced {
	int64_t at_ms[FENCED_MAX - 1]; /* the last ones, oldest first */
	size_t n;                      /* of them */
};

/*
 * Notes that it has happened, at `now_ms` of a steady clock.  0: rebuild; -1
 * with ERROR_FATAL (75): too often.  Pure.
 */
int fenced_note(struct fenced *fenced, int64_t now_ms,
    const char *transactional_id, struct error *err);

#endif
