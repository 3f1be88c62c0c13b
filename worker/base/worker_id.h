#ifndef SCHEDRUN_WORKER_BASE_WORKER_ID_H
#define SCHEDRUN_WORKER_BASE_WORKER_ID_H

#include "common/base/error.h"

/*
 * The name of this worker, stable over restarts, so that a restarted worker
 * ends its own leftovers at once: worker.id, else the host's name and the
 * lowest slot whose lock file (in $RUNTIME_DIRECTORY or /tmp) nobody holds.
 * Source: docs/delivery.md, section 8.
 *
 * Returns the name, to be freed; the lock lives as long as the process.  NULL
 * with ERROR_FATAL (78).
 */
char *worker_id_take(
    const char *configured, const char *group, struct error *err);

#endif
