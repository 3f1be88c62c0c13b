#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "producer/cli/command.h"
#include "producer/runs/results.h"
#include "schemas/message/run_json.h"

#define POLL_MS 200

enum watch_option {
	OPTION_SCHEDULE = 512,
	OPTION_OUTCOME,
	OPTION_FROM,
	OPTION_COUNT
};

struct watch {
	const char *schedule, *outcome;
	int from;
	int64_t at_ms;
	int64_t count; /* 0: until interrupted */
};

static const struct argp_option options[] = {
	{ "schedule", OPTION_SCHEDULE, "RID", 0, "Only of this schedule", 0 },
	{ "outcome", OPTION_OUTCOME, "NAME", 0,
	    "Only submitted, ignored or error", 0 },
	{ "from", OPTION_FROM, "WHERE", 0,
	    "beginning, end (default), or -1h: an hour ago", 0 },
	{ "count", OPTION_COUNT, "N", 0, "End after N results", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static volatile sig_atomic_t interrupted;

static void
interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

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
take(int key, char *argument, struct argp_state *state)
{
	struct watch *watch = state->input;

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
		if (!text_to_number(
			text_from(argument), INT32_MAX, &watch->count) ||
		    watch->count == 0)
			usage_error(
			    state, "--count %s: is no number", argument);
		return 0;
	case ARGP_KEY_ARG:
		usage_error(state, "too many arguments: %s", argument);
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

static void
print(const struct schedule_run *run)
{
	struct buffer out = { 0 };

	run_json_tell(run, &out);
	buffer_byte(&out, '\n');
	fwrite(out.at, 1, out.size, stdout);
	fflush(stdout);
	buffer_finish(&out);
}

static int
follow(
    struct command *command, const struct watch *watch, struct results *results)
{
	struct schedule_run run;
	struct error err;
	long seen = 0;
	int n;

	while (!interrupted && (watch->count == 0 || seen < watch->count)) {
		n = results_next(results, POLL_MS, &run, &err);
		if (n < 0 && err.kind == ERROR_FATAL)
			return command_fail(command, &err);
		if (n < 0 && err.kind == ERROR_INPUT)
			fprintf(stderr, "schedrun: watch: %s\n", err.message);
		if (n <= 0 || !is_wanted(watch, &run))
			continue;
		print(&run);
		seen++;
	}
	return interrupted ? EXIT_INTERRUPTED : EXIT_DONE;
}

int
cmd_watch(struct command *command, int argc, char **argv)
{
	static const struct argp argp = { options, take, NULL, NULL, NULL, NULL,
		NULL };
	const struct sigaction action = { .sa_handler = interrupt };
	struct watch watch = { .from = KAFKA_FROM_END };
	struct results *results;
	struct error err = { 0 };
	int code;

	command_parse(command, &argp, argc, argv, &watch);
	results = results_open(command_config(command), watch.from, watch.at_ms,
	    command_deadline(command), &err);
	if (results == NULL)
		return command_fail(command, &err);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	code = follow(command, &watch, results);
	results_close(results);
	return code;
}
