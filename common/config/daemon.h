#ifndef SCHEDRUN_COMMON_CONFIG_DAEMON_H
#define SCHEDRUN_COMMON_CONFIG_DAEMON_H

#include <signal.h>

#include "common/base/error.h"

/* What the mains of all daemons begin and end with. */

/*
 * Blocks the signals that daemons wait for, SIGTERM, SIGINT and SIGHUP, in this
 * thread and in those that it makes from now on; `heard` gets them.  SIGPIPE is
 * ignored: who writes to a closed connection is told by the call.  Before the
 * first thread.
 */
void daemon_block_signals(sigset_t *heard);

/*
 * Logs why the daemon ends, and returns the exit code that it ends with: the
 * error's, or 70, a bug, if it has none (docs/operation.md, section 1).
 */
int daemon_end_by_error(const char *component, const struct error *err);

#endif
