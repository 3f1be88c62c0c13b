#ifndef SCHEDRUN_PRODUCER_RUNS_LAG_H
#define SCHEDRUN_PRODUCER_RUNS_LAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/kafka/admin.h"

/*
 * How far a group is behind in a topic, say the workers in the requests: of
 * each partition what is committed, what waits, since when, and who has it.
 */
struct lag {
	const char *topic, *group; /* the caller's */
	struct arena *arena;       /* the caller's: holds what was measured */
	/* Of partitions 0 to n-1, as measured: */
	size_t n;
	struct kafka_log *logs;
	int64_t *committed; /* -1: nothing yet */
	int64_t *times; /* Unix ms of the oldest that waits; -1: none, or not
			   told; KAFKA_NO_RECORD: what is left is none */
	const char **owners; /* client ids; NULL: nobody */
	struct kafka_group_info members;
};

#define LAG_NO_TOPIC 3 /* as commands end where a topic isn't there */

/*
 * Measures all of it; blocks for some round trips.  The arena is the caller's
 * to reset between two measurements.  Errors as of kafka_admin; ERROR_FATAL
 * (LAG_NO_TOPIC) the topic does not exist.
 */
int lag_measure(struct lag *lag, struct kafka_admin *admin, struct error *err);

/* Of the i-th partition: how many records wait. */
int64_t lag_of(const struct lag *lag, size_t i);

/* Whether an open transaction holds back what stands there, and from where. */
bool lag_is_held(const struct lag *lag, size_t i, int64_t *from);

#endif
