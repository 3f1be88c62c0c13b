#ifndef SCHEDRUN_WORKER_COMMIT_DEAD_LETTER_H
#define SCHEDRUN_WORKER_COMMIT_DEAD_LETTER_H

#include <stddef.h>
#include <stdint.h>

#include "worker/base/batch.h"

/*
 * Records that can't have a result: they go to the DLQ as
 * schemas/message/dead_letter.h says (docs/faults.md, section 2).  The reasons
 * are a closed list, which is also a metric's label.
 */

/*
 * Adds the DLQ record for record `i` of the batch, in the order of the calls,
 * at most `max_size` bytes of it with all that Kafka adds (4 KiB at least is
 * asked for).  Key and value are borrowed from the record, headers are in the
 * batch's arena.
 */
void dead_letter_add(
    struct batch *batch, size_t i, size_t max_size, int64_t now_ms);

/*
 * Says of a batch that is committed where what it buried stood, and why; and
 * whose key is not its schedule.  Within log.rate, no payload.
 */
void dead_letter_log(const struct batch *batch);

#endif
