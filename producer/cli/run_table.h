#ifndef SCHEDRUN_PRODUCER_CLI_RUN_TABLE_H
#define SCHEDRUN_PRODUCER_CLI_RUN_TABLE_H

#include "producer/cli/command.h"
#include "schemas/message/schedule_run.h"

/* How the commands that show runs print them. */

/*
 * Finds the run that the command's argument names.  EXIT_DONE, or another code
 * and has said why.  Its texts lie in the command's arena.  Blocks for Redis.
 */
int run_table_find(struct command *command, struct schedule_run *run);

/* Of `run list`; a run is a row of them. */
extern const struct column run_table_columns[];
void run_table_add(struct table *table, const struct schedule_run *run);

/*
 * One result as it came: a row for a person, under the headings once, or a line
 * of JSON.  `repeat`: it answers an earlier asking, which is said.  EXIT_DONE,
 * or EXIT_NO: it could not be written.
 */
int run_table_told(
    struct command *command, const struct schedule_run *run, bool repeat);

/*
 * A template: text with members of `watch`'s lines in braces, as "{outcome}";
 * \\n, \\t and \\\\ are what they are in C, {{ and }} are braces.  False:
 * `fault` says why it is none.
 */
bool run_template_check(const char *template, char *fault, size_t size);
/* One result by a template that was checked, and a line's end.  As above. */
int run_template_told(struct command *command, const char *template,
    const struct schedule_run *run);

/* One run as it stands in the view: a field a line for a person, or JSON. */
int run_table_record(struct command *command, const struct schedule_run *run);

#endif
