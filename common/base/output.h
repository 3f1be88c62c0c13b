#ifndef SCHEDRUN_COMMON_BASE_OUTPUT_H
#define SCHEDRUN_COMMON_BASE_OUTPUT_H

#include "common/base/text.h"

/*
 * Standard output as what a program promises: an answer that did not get out is
 * none.  A full disk, a closed pipe or a closed descriptor is told, whichever
 * way the process ends, --help and --version included.
 */

/*
 * The first call of a main.  Descriptors 0 to 2 that are closed are given to
 * /dev/null, so that no connection gets their number and an answer with it;
 * reads and answers fail on them.  From here on exit() says on stderr that
 * stdout could not be written, and ends by `exit_code` where it would have been
 * 0.  `program` must outlive the process.
 */
void output_guard(const char *program, int exit_code);

/*
 * Writes to stdout at once.  -1: it, or something before it, could not be
 * written; exit() will say why.
 */
int output_write(struct text text);

#endif
