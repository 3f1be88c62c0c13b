#include <string.h>

#include "common/base/clock.h"
#include "producer/cli/run_table.h"
#include "producer/runs/results.h"

#define POLL_MS 200

enum watch_option {
	OPTION_SCHEDULE = 512,
	OPTION_OUTCOME,
	OPTION_FROM,
	OPTION_COUNT,
	OPTION_TEMPLATE
};

struct watch {
	const char *schedule, *outcome;
	const char *template; /* NULL: as -o has it */
	int from;
	int64_t at_ms;
	int64_t count; /* 0: until interrupted */
};

static const struct argp_option watch_options[] = {
	{ "schedule", OPTION_SCHEDULE, "RID", 0, "Only of this schedule", 0 },
	{ "outcome", OPTION_OUTCOME, "NAME", 0,
	    "Only submitted, ignored or error", 0 },
	{ "from", OPTION_FROM, "WHERE", 0,
	    "beginning, end (default), or -1h: an hour ago", 0 },
	{ "count", OPTION_COUNT, "N", 0, "End after N results", 0 },
	{ "output-template", OPTION_TEMPLATE, "FMT", 0,
	    "Print this for each result, with its members for their names in "
	    "braces",
	    0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static void
take_from(struct watch *watch, const char *where, struct argp_state *state)
{
	int64_t ago;

	if (strcmp(where, "beginning") == 0) {
		watch->from = KAFKA_FROM_BEGINNING;
	} else if (strcmp(where, "end") == 0) {
		watch->from = KAFKA_FROM_END;
	} else if (where[0] == '-' && config_parse_duration(where + 1, &ago)) {
		watch->from = KAFKA_FROM_TIME;
		watch->at_ms = clock_wall_ms() - ago;
	} else {
		usage_error(state,
		    "--from %s: is not beginning, end or a time ago such as "
		    "-1h",
		    where);
	}
}

static error_t
take_watch(int key, char *argument, struct argp_state *state)
{
	struct watch *watch = state->input;
	char fault[160];

	switch (key) {
	case OPTION_SCHEDULE:
		watch->schedule = argument;
		return 0;
	case OPTION_OUTCOME:
		if (strcmp(argument, "submitted") != 0 &&
		    strcmp(argument, "ignored") != 0 &&
		    strcmp(argument, "error") != 0)
			usage_error(state,
			    "--outcome %s: is not submitted, ignored or error",
			    argument);
		watch->outcome = argument;
		return 0;
	case OPTION_FROM:
		take_from(watch, argument, state);
		return 0;
	case OPTION_COUNT:
		watch->count =
		    usage_number(state, "--count", argument, 1, INT32_MAX);
		return 0;
	case OPTION_TEMPLATE:
		if (!run_template_check(argument, fault, sizeof fault))
			usage_error(state, "--output-template: %s", fault);
		watch->template = argument;
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static bool
is_wanted(const struct watch *watch, const struct schedule_run *run)
{
	if (watch->schedule != NULL &&
	    !text_equal(run->schedule_rid, text_from(watch->schedule)))
		return false;
	return watch->outcome == NULL ||
	    strcmp(watch->outcome, run_state_name(run->state)) == 0;
}

static int
follow_results(
    struct command *command, const struct watch *watch, struct results *results)
{
	struct schedule_run run;
	struct error err;
	int64_t seen = 0;
	int n;

	while (!command_is_interrupted() &&
	    (watch->count == 0 || seen < watch->count)) {
		n = results_next(results, POLL_MS, &run, &err);
		if (n < 0 && err.kind == ERROR_FATAL)
			return command_fail(command, &err);
		if (n < 0 && err.kind == ERROR_INPUT)
			command_say(command, 0, "%s", err.message);
		if (n <= 0 || !is_wanted(watch, &run))
			continue;
		if ((watch->template != NULL
			    ? run_template_told(command, watch->template, &run)
			    : run_table_told(command, &run, false)) !=
		    EXIT_DONE)
			return EXIT_NO;
		seen++;
	}
	return command_is_interrupted() ? EXIT_INTERRUPTED : EXIT_DONE;
}

int
cmd_watch(struct command *command, int argc, char **argv)
{
	struct watch watch = { .from = KAFKA_FROM_END };
	struct results *results;
	struct error err = { 0 };
	int code;

	command_parse(command, argc, argv, watch_options, take_watch, &watch);
	results = results_open(command_config(command), watch.from, watch.at_ms,
	    command_deadline(command), &err);
	if (results == NULL)
		return command_fail(command, &err);
	command_catch_signals();
	code = follow_results(command, &watch, results);
	results_close(results);
	return code;
}
