#ifndef SCHEDRUN_COMMON_CONFIG_USAGE_H
#define SCHEDRUN_COMMON_CONFIG_USAGE_H

#include <argp.h>
#include <stdbool.h>

/*
 * Wrong usage, said in one line with the way out, and the process ended by
 * argp_err_exit_status: argp alone says it in two, and names no flag that is
 * near the wrong one.
 */

/*
 * Looks at the flags before argp does: ends the process if one is unknown,
 * ambiguous, lacks its value or has one too many.  `name` is the program with
 * its command ("schedrun submit"); `in_order`: what stands behind the first
 * argument is not ours.
 */
void usage_check(const struct argp *argp, const char *name, int argc,
    char *const *argv, bool in_order);

/* For parsers, instead of argp_error. */
_Noreturn void usage_error(const struct argp_state *state, const char *format,
    ...) __attribute__((format(printf, 2, 3)));

#endif
