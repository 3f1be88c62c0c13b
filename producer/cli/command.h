#ifndef SCHEDRUN_PRODUCER_CLI_COMMAND_H
#define SCHEDRUN_PRODUCER_CLI_COMMAND_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/config/config.h"
#include "common/config/options.h"
#include "common/redis/pipeline.h"
#include "producer/cli/table.h"
#include "producer/runs/view.h"
#include "schemas/keyspace.h"
#include "schemas/message/schedule_event.h"

/*
 * A command of `schedrun`, and the desk that it works at: what it was told,
 * what it has opened, the answer that it gives and how it fails.  A command is
 * a row of the table in main.c, whose function parses its own flags by
 * command_parse (the global ones may stand there too), does the work, prints
 * and returns the exit code.  All that the desk has opened is closed behind it.
 * One thread.
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

/* The daemons, of which --for names one; bits. */
enum command_program {
	PROGRAM_WORKER = 1,
	PROGRAM_HTTP = 2,
	PROGRAM_BUILDER = 4,
	PROGRAM_TRIGGER = 8,
};

struct command;

struct command_row {
	const char *name; /* "submit", or two words: "schedule list" */
	/* "RID": one argument, unless it begins by -; "P:O...": many, which the
	 * command's own parser takes. */
	const char *arguments;
	const char *summary;  /* one line of `schedrun --help` */
	const char *examples; /* the end of the command's --help */
	int (*run)(struct command *command, int argc, char **argv);
};

/* The table, ended by a NULL name: also what completions are made from. */
extern const struct command_row command_rows[];

struct command {
	const struct command_row *row;
	struct options options; /* the global flags */
	const char *output;     /* of -o; NULL: by the terminal */
	const char *profile;    /* of --profile; NULL: the one in use */
	char *profile_file;     /* its file, once it is loaded; owned */
	const char *argument;   /* what is no flag; NULL: none */
	struct arena *arena;    /* for as long as the command runs */
	struct config *config;  /* by command_config; NULL before */

	/* By command_open; NULL before. */
	struct keyspace *keyspace;
	struct redis *redis;  /* the store: redis.url */
	struct run_view view; /* its redis: view.redis.url, or the store's */

	struct buffer out; /* of the answer, what is not printed yet */

	struct table *table;      /* of command_table */
	struct redis *view_redis; /* the view's own connection, if it has one */
	char *documentation;      /* of the row, for argp */
};

/*
 * Parses by `flags` and their parser `take` (both NULL: no flags of its own,
 * `input` is what `take` finds in its state) with the global flags as well, and
 * keeps the argument.  Ends the process by exit code 2 on wrong usage, 0 after
 * --help.
 */
void command_parse(struct command *command, int argc, char **argv,
    const struct argp_option *flags, argp_parser_t take, void *input);

/* For commands without flags, whose argument must be there: returns it. */
const char *command_argument(struct command *command, int argc, char **argv);

/*
 * The UUID of the argument, a RID of this prefix.  Returns EXIT_DONE, or
 * EXIT_WRONG_USAGE and has said that it is not the RID of `what` ("a run").
 */
int command_uuid(const struct command *command, struct text prefix,
    const char *what, struct uuid *id);

/* Prints the configuration that was loaded, in the form of -o; as below. */
int command_print_config(struct command *command);

/* Loads the configuration once; ends the process by 2 if it is wrong. */
const struct config *command_config(struct command *command);

/* UNPREPARED: the store may hold nothing of ours, for who prepares it. */
enum command_part {
	COMMAND_STORE = 1,
	COMMAND_VIEW = 2,
	COMMAND_UNPREPARED = 4,
};

/*
 * Opens these parts (bits) of the desk, and connects within --timeout.  -1 with
 * an error, whose exit code is EXIT_UNREACHABLE if the store holds nothing of
 * ours; what was opened by then is closed with the desk.
 */
int command_open(struct command *command, unsigned parts, struct error *err);

/*
 * Opens the store, which must hold a catalogue: -1 with an error, whose exit
 * code is EXIT_NOT_FOUND if it holds none.
 */
int command_open_catalogue(struct command *command, struct error *err);

/*
 * Sends one event, within --timeout: as of event_sender_send.
 */
int command_send_event(struct command *command,
    const struct schedule_event *event, struct error *err);

/* Closes what is open, gives all memory back.  May be repeated. */
void command_close(struct command *command);

/* The bit of a value of --for; ends the process by 2 if it is none. */
unsigned command_take_program(
    const char *value, const struct argp_state *state);

/*
 * Takes -o or --profile, which stand before a command or behind it; ends the
 * process by 2 if the value is none.  ARGP_ERR_UNKNOWN: it is neither.
 */
extern const struct argp_option command_options[];
error_t command_take_option(struct command *command, int key, const char *value,
    const struct argp_state *state);
enum output command_output(const struct command *command);
/*
 * For commands that speak in sentences where others have a table: whether -o
 * wants JSON.  Unlike command_output, no pipe means it.
 */
bool command_wants_json(const struct command *command);
/*
 * For what has one form, which isn't JSON: -1, and has said that `what` has no
 * other one, if -o wants it.
 */
int command_demand_text(const struct command *command, const char *what);
/* Whether stdout takes colours: a terminal and no NO_COLOR. */
bool command_has_colour(void);

/*
 * A table of these columns (which must outlive it), in the form of -o.  The
 * desk's: it is gone with the next one.
 */
struct table *command_table(
    struct command *command, const struct column *columns);

/* The same, or the last table, if it has these columns: the rows of a stream.
 */
struct table *command_stream(
    struct command *command, const struct column *columns);

/*
 * Prints what stands in `out`; the second one the table's rows.  EXIT_DONE, or
 * EXIT_NO if this, or something before, could not be written: main says so.
 */
int command_print(struct command *command);
int command_print_table(struct command *command);

/* Prints "schedrun: <command>: message" and returns the error's exit code. */
int command_fail(const struct command *command, const struct error *err);
int command_exit_code(const struct error *err); /* only that */
int command_say(const struct command *command, int exit_code,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Says on stderr what is waited for, once it takes more than a second, until
 * something is printed; `what` is a literal.
 */
void command_wait(const struct command *command, const char *what);

/* When --timeout ends, on clock_monotonic_ms. */
int64_t command_deadline(const struct command *command);

/*
 * For commands that have something to finish: from here on SIGINT and SIGTERM
 * end no more than a wait, and the second one says that one came.
 */
void command_catch_signals(void);
bool command_is_interrupted(void);

/* The handlers, one file per group: cmd_config.c ... */
int cmd_apply(struct command *command, int argc, char **argv);
int cmd_build_cancel(struct command *command, int argc, char **argv);
int cmd_build_fail(struct command *command, int argc, char **argv);
int cmd_build_finish(struct command *command, int argc, char **argv);
int cmd_build_get(struct command *command, int argc, char **argv);
int cmd_build_list(struct command *command, int argc, char **argv);
int cmd_build_logs(struct command *command, int argc, char **argv);
int cmd_check(struct command *command, int argc, char **argv);
int cmd_completion(struct command *command, int argc, char **argv);
int cmd_config_check(struct command *command, int argc, char **argv);
int cmd_config_keys(struct command *command, int argc, char **argv);
int cmd_config_show(struct command *command, int argc, char **argv);
int cmd_dataset_commit(struct command *command, int argc, char **argv);
int cmd_dlq_drop(struct command *command, int argc, char **argv);
int cmd_dlq_list(struct command *command, int argc, char **argv);
int cmd_dlq_redrive(struct command *command, int argc, char **argv);
int cmd_dlq_show(struct command *command, int argc, char **argv);
int cmd_export(struct command *command, int argc, char **argv);
int cmd_catalogue_example(struct command *command, int argc, char **argv);
int cmd_init(struct command *command, int argc, char **argv);
int cmd_profile_create(struct command *command, int argc, char **argv);
int cmd_profile_list(struct command *command, int argc, char **argv);
int cmd_profile_show(struct command *command, int argc, char **argv);
int cmd_profile_use(struct command *command, int argc, char **argv);
int cmd_plan(struct command *command, int argc, char **argv);
int cmd_lag(struct command *command, int argc, char **argv);
int cmd_run_explain(struct command *command, int argc, char **argv);
int cmd_run_get(struct command *command, int argc, char **argv);
int cmd_run_list(struct command *command, int argc, char **argv);
int cmd_schedule_delete(struct command *command, int argc, char **argv);
int cmd_schedule_get(struct command *command, int argc, char **argv);
int cmd_schedule_list(struct command *command, int argc, char **argv);
int cmd_schedule_next(struct command *command, int argc, char **argv);
int cmd_schedule_pause(struct command *command, int argc, char **argv);
int cmd_schedule_unpause(struct command *command, int argc, char **argv);
int cmd_schedule_versions(struct command *command, int argc, char **argv);
int cmd_user_id(struct command *command, int argc, char **argv);
int cmd_submit(struct command *command, int argc, char **argv);
int cmd_watch(struct command *command, int argc, char **argv);

#endif
