#ifndef SCHEDRUN_COMMON_CONFIG_OPTIONS_H
#define SCHEDRUN_COMMON_CONFIG_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/config/config.h"

/*
 * The global flags that all programs take (docs/operation.md, section 1):
 * -c FILE, -s KEY=VALUE, -X PROP=VALUE, -b BROKERS, --redis URL, -q, -v,
 * --log-format, --timeout, --print-config.  An argp parser to be a program's
 * only one, or a child of its own.
 */
struct options {
	const char *file;          /* -c; NULL: the usual places */
	struct config_flag *flags; /* -s, -X and their short forms, in order */
	char **texts;              /* what the flags' texts point to; ours */
	size_t n_flags;
	bool quiet, verbose; /* -q, -v */
	int64_t timeout_ms;  /* --timeout; 10 s unless given */
	bool print_config;   /* --print-config */
	bool check;          /* --check; daemons only */
};

/* For options_parse, or as a child; its input is a struct options. */
extern const struct argp options_argp;
/* Only --check: a second child for the daemons, same input. */
extern const struct argp options_daemon_argp;

/*
 * argp_parse with `flags` (0 or ARGP_IN_ORDER), --help, --usage and --version.
 * Wrong usage is said in one line with the way out and the nearest flag's name,
 * and ends the process by argp_err_exit_status: argp alone says it in two, and
 * names nothing.
 */
void options_parse(const struct argp *argp, int argc, char **argv,
    unsigned flags, void *input);

/* For parsers, instead of argp_error: the same line, the same end. */
_Noreturn void usage_error(const struct argp_state *state, const char *format,
    ...) __attribute__((format(printf, 2, 3)));

/* A flag's number within these bounds; anything else is wrong usage. */
int64_t usage_number(const struct argp_state *state, const char *flag,
    const char *text, int64_t least, int64_t most);

/* Defaults before options_parse. */
void options_init(struct options *options);
void options_finish(struct options *options);

/*
 * Loads the configuration and sets up the log by it.  With print_config it is
 * printed to stdout.  NULL with ERROR_FATAL: exit 2 (schedrun) or 78 (daemons).
 */
struct config *options_load(const struct options *options, struct error *err);

/*
 * For SIGHUP: reads the configuration again, in its layers, and takes the log's
 * level from it.  Everything else stays as in `running`, which the process
 * started with: what differs from it is named in the log, event restart_needed.
 * What can't be read is logged and changes nothing.  Blocks for the files; any
 * thread, one at a time.
 */
void options_reload(
    const struct options *options, const struct config *running);

/*
 * All of it for a daemon: parses argv (exit 64 on usage, as sysexits has it; 0
 * after --help and --version), loads (prints the error and exits 78), prints
 * the configuration and exits 0 if asked to.  `documentation` is argp's.
 */
struct config *options_daemon(
    int argc, char **argv, const char *documentation, struct options *options);

#endif
