#ifndef SCHEDRUN_PRODUCER_CLI_COMMAND_H
#define SCHEDRUN_PRODUCER_CLI_COMMAND_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/config/options.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"

/*
 * A command of `schedrun`: a row of the table in main.c.  Its function parses
 * its own arguments by command_parse (global flags may stand there too), does
 * the work, prints results to stdout and returns the exit code.
 */
enum command_exit { /* docs/operation.md, section 1 */
	EXIT_DONE = 0,
	EXIT_NO = 1,          /* done, but the answer is no */
	EXIT_WRONG_USAGE = 2, /* usage or configuration */
	EXIT_NOT_FOUND = 3,
	EXIT_INVALID = 4, /* input file invalid, nothing applied */
	EXIT_UNREACHABLE = 5,
	EXIT_NO_RESULT = 6,
	EXIT_NOT_ALLOWED = 7,
	EXIT_BUG = 70,
	EXIT_INTERRUPTED = 130,
};

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL };

struct command;

struct command_row {
	const char *name;      /* "submit", or two words: "schedule list" */
	const char *arguments; /* "RID" */
	const char *summary;   /* one line of `schedrun --help` */
	const char *examples;  /* the end of the command's --help */
	int (*run)(struct command *command, int argc, char **argv);
};

/* The table, ended by a NULL name: also what completions are made from. */
extern const struct command_row command_rows[];

struct command {
	const struct command_row *row;
	struct options options; /* the global flags */
	const char *output;     /* of -o; NULL: by the terminal */
	struct config *config;  /* by command_config; NULL before */
	char *documentation;    /* of the row, for argp */
};

/*
 * Parses by `argp` (its options, parser and args_doc; NULL: no flags of its
 * own) with the global flags as well.  Ends the process by exit code 2 on wrong
 * usage, 0 after --help.  `input` is argp's.
 */
void command_parse(struct command *command, const struct argp *argp, int argc,
    char **argv, void *input);

/* For commands that take nothing but up to `max` arguments, at least `min`. */
void command_arguments(struct command *command, int argc, char **argv,
    const char **arguments, int min, int max);

/* Loads the configuration once; ends the process by 2 if it is wrong. */
const struct config *command_config(struct command *command);

/* Takes the value of -o; ends the process by 2 if it is none. */
void command_take_output(struct command *command, const char *format,
    const struct argp_state *state);
enum output command_output(const struct command *command);
/* Whether stdout takes colours: a terminal and no NO_COLOR. */
bool command_has_colour(void);

/* Prints "schedrun: <command>: message" and returns the error's exit code. */
int command_fail(const struct command *command, const struct error *err);
int command_exit_code(const struct error *err); /* only that */
int command_say(const struct command *command, int exit_code,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Redis, connected within --timeout.  NULL with an error.  `settings_url` is
 * "redis.url" or "view.redis.url".
 */
struct redis *command_redis(
    struct command *command, const char *url_key, struct error *err);
struct keyspace *command_keyspace(struct command *command);

/* When --timeout ends, on clock_monotonic_ms. */
int64_t command_deadline(const struct command *command);

/* The handlers, one file per group: cmd_config.c ... */
int cmd_apply(struct command *command, int argc, char **argv);
int cmd_build_fail(struct command *command, int argc, char **argv);
int cmd_build_finish(struct command *command, int argc, char **argv);
int cmd_check(struct command *command, int argc, char **argv);
int cmd_completion(struct command *command, int argc, char **argv);
int cmd_config_check(struct command *command, int argc, char **argv);
int cmd_config_keys(struct command *command, int argc, char **argv);
int cmd_config_show(struct command *command, int argc, char **argv);
int cmd_dataset_commit(struct command *command, int argc, char **argv);
int cmd_export(struct command *command, int argc, char **argv);
int cmd_init(struct command *command, int argc, char **argv);
int cmd_plan(struct command *command, int argc, char **argv);
int cmd_lag(struct command *command, int argc, char **argv);
int cmd_run_explain(struct command *command, int argc, char **argv);
int cmd_run_get(struct command *command, int argc, char **argv);
int cmd_run_list(struct command *command, int argc, char **argv);
int cmd_schedule_get(struct command *command, int argc, char **argv);
int cmd_schedule_list(struct command *command, int argc, char **argv);
int cmd_schedule_pause(struct command *command, int argc, char **argv);
int cmd_schedule_unpause(struct command *command, int argc, char **argv);
int cmd_schedule_versions(struct command *command, int argc, char **argv);
int cmd_submit(struct command *command, int argc, char **argv);
int cmd_watch(struct command *command, int argc, char **argv);

#endif
