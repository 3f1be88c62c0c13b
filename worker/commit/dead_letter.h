#ifndef SCHEDRUN_WORKER_COMMIT_DEAD_LETTER_H
#define SCHEDRUN_WORKER_COMMIT_DEAD_LETTER_H

#include <stddef.h>
#include <stdint.h>

#include "worker/base/batch.h"

/*
 * Records that can't have a result: they go to the DLQ byte by byte as they
 * came, with headers that say why (docs/operation.md, section 6;
 * docs/faults.md, section 2).  The reasons are a closed list, which is also a
 * metric's label.
 */

/*
 * Adds the DLQ record for record `i` of the batch, in the order of the calls.
 * Its headers are copied to the batch's arena, at most 32 KiB of them.
 */
void dead_letter_add(struct batch *batch, size_t i, int64_t now_ms);

#endif
