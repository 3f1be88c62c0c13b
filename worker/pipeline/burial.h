#ifndef SCHEDRUN_WORKER_PIPELINE_BURIAL_H
#define SCHEDRUN_WORKER_PIPELINE_BURIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/base/batch.h"

/*
 * Dead letters that the DLQ refuses for what they are, not for its absence: a
 * topic that is compacted takes none without a key, a policy may forbid any.
 * All of a batch is lost by one of them, so batches get one letter each until
 * it is known which; that one is cut to the least, and if it is refused again,
 * its record's partition is stopped alone.  Pure; thread: stage A.
 */
struct burial {
	int64_t careful_until_ms; /* monotonic: one letter a batch; 0: no */
	int32_t partition;        /* of the record whose letter is cut */
	int64_t offset;           /* its place; -1: none */
};

/*
 * A batch was lost since the DLQ refused a letter of it.  True: what it was cut
 * to was refused too, and `record` of the batch is where its partition stops.
 */
bool burial_refused(struct burial *burial, const struct batch *batch,
    int64_t now_ms, size_t *record);

/* How large the letter of a record may be: `max_size`, or the least. */
size_t burial_size(const struct burial *burial,
    const struct kafka_record *record, size_t max_size);

/* Whether a batch must end behind its first letter. */
bool burial_is_careful(const struct burial *burial, int64_t now_ms);

#endif
