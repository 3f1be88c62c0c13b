#include <string.h>

#include "common/base/clock.h"
#include "common/crypto/rid.h"

#include "producer/cli/run_table.h"

#define RUNS_DEFAULT 100
#define PAGE_SIZE 500

int
cmd_run_get(struct command *command, int argc, char **argv)
{
	struct schedule_run run;
	int code;

	command_argument(command, argc, argv);
	code = run_table_find(command, &run);
	return code == EXIT_DONE ? run_table_record(command, &run) : code;
}

enum { OPTION_SCHEDULE = 512, OPTION_LIMIT };

struct list {
	const char *schedule;
	size_t limit;
	bool builds; /* instead of the runs */
};

static const struct argp_option list_options[] = {
	{ "schedule", OPTION_SCHEDULE, "RID", 0, "Runs of this schedule", 0 },
	{ "limit", OPTION_LIMIT, "N", 0, "The newest N (default: 100)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take_list(int key, char *argument, struct argp_state *state)
{
	struct list *list = state->input;

	switch (key) {
	case OPTION_SCHEDULE:
		list->schedule = argument;
		return 0;
	case OPTION_LIMIT:
		list->limit = (size_t)usage_number(
		    state, "--limit", argument, 1, INT32_MAX);
		return 0;
	case ARGP_KEY_END:
		if (list->schedule == NULL)
			usage_error(state, "--schedule RID is missing");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct column build_columns[] = {
	{ "BUILD", "buildRid" },
	{ "STATE", "state" },
	{ "CREATED", "createdTime" },
	{ "RUN", "runRid" },
	{ NULL, NULL },
};

/* Its state as it was reported; what has no report runs, or waits to. */
static int
add_build(struct command *command, const struct schedule_run *run,
    struct table *table, struct error *err)
{
	char rid[RID_SIZE_MAX], time[CLOCK_TEXT_SIZE];
	struct build_record record;

	if (run->state != RUN_SUBMITTED)
		return 0;
	if (run_view_get_build(&command->view, &run->build_id, command->arena,
		&record, err) < 0)
		return -1;
	table_text(table,
	    (struct text){
		rid, rid_format(TEXT(RID_BUILD_PREFIX), &run->build_id, rid) });
	table_text(
	    table, record.state.at != NULL ? record.state : TEXT("RUNNING"));
	clock_format(run->created_time_ms, time);
	table_text(table, (struct text){ time, sizeof time });
	table_text(table,
	    (struct text){
		rid, rid_format(TEXT(RID_RUN_PREFIX), &run->id, rid) });
	return 0;
}

/* Page by page, newest first.  Returns of how many runs, or -1. */
static int64_t
fill_runs(struct command *command, const struct list *list, struct table *table,
    struct error *err)
{
	struct run_page_question asked = { .schedule_rid =
					       text_from(list->schedule) };
	size_t left = list->limit, i;
	struct run_page page = { .more = true };
	char last[RUN_PLACE_SIZE];

	while (page.more && left > 0) {
		asked.n = left < PAGE_SIZE ? left : PAGE_SIZE;
		if (run_view_list(&command->view, &asked, command->arena, &page,
			err) != 0)
			return -1;
		for (i = 0; i < page.n; i++) {
			if (!list->builds)
				run_table_add(table, &page.records[i]);
			else if (add_build(command, &page.records[i], table,
				     err) != 0)
				return -1;
		}
		left -= page.n;
		memcpy(last, page.last, sizeof last);
		asked.after = (struct text){ last, sizeof last };
	}
	return (int64_t)(list->limit - left);
}

static int
list_runs(struct command *command, int argc, char **argv, bool builds)
{
	struct list list = { .limit = RUNS_DEFAULT, .builds = builds };
	struct error err = { 0 };
	struct table *table;
	int64_t n = -1;

	command_parse(command, argc, argv, list_options, take_list, &list);
	if (!rid_is(
		text_from(list.schedule), TEXT("scheduler"), TEXT("schedule")))
		return command_say(command, EXIT_WRONG_USAGE,
		    "\"%s\" is not the RID of a schedule", list.schedule);
	table =
	    command_table(command, builds ? build_columns : run_table_columns);
	if (command_open(command, COMMAND_VIEW, &err) == 0)
		n = fill_runs(command, &list, table, &err);
	if (n < 0)
		return command_fail(command, &err);
	if (n == 0)
		command_say(command, 0,
		    "nothing is known of schedule \"%s\" in %s: it never ran, "
		    "or not for view.ttl, or that is not its RID (schedrun "
		    "schedule list)",
		    list.schedule, redis_shown_url(command->view.redis));
	return command_print_table(command);
}

int
cmd_run_list(struct command *command, int argc, char **argv)
{
	return list_runs(command, argc, argv, false);
}

int
cmd_build_list(struct command *command, int argc, char **argv)
{
	return list_runs(command, argc, argv, true);
}
