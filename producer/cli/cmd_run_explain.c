#include "common/base/clock.h"
#include "producer/cli/run_table.h"
#include "producer/dryrun/view.h"
#include "producer/runs/decoder.h"
#include "schemas/message/run_json.h"

enum { OPTION_DOT = 512 };

struct explain {
	struct command *command;
	bool dot;
	struct schedule_run run;
	struct build_requested build;
};

static const struct argp_option explain_options[] = {
	{ "dot", OPTION_DOT, NULL, 0, "Print a Graphviz graph", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take_explain(int key, char *argument, struct argp_state *state)
{
	struct explain *explain = state->input;

	(void)argument;
	switch (key) {
	case OPTION_DOT:
		explain->dot = true;
		return 0;
	case ARGP_KEY_END:
		if (explain->command->argument == NULL)
			usage_error(state, "the run's RID is missing");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

/* The run's build event.  1 there, 0 not, -1 failed. */
static int
read_build(struct explain *explain, struct error *err)
{
	struct command *command = explain->command;
	struct uuid id = rid_build(&explain->run.id);
	struct build_record record;
	int found;

	if (explain->run.state != RUN_SUBMITTED)
		return 0;
	found = run_view_get_build(
	    &command->view, &id, command->arena, &record, err);
	if (found != 1)
		return found;
	return decode_build_once(command_config(command), record.event, &id,
		   command->arena, &explain->build, err) == 0
	    ? 1
	    : -1;
}

static int
print_outcome(const struct explain *explain, const struct outcome *outcome)
{
	struct command *command = explain->command;
	char time[CLOCK_TEXT_SIZE];

	if (explain->dot) {
		plan_draw(outcome, &command->out);
	} else if (command_output(command) == OUTPUT_TABLE) {
		plan_explain(outcome, command_has_colour(), &command->out);
	} else {
		clock_format(outcome->run.created_time_ms, time);
		outcome_write_json(
		    outcome, (struct text){ time, sizeof time }, &command->out);
		buffer_byte(&command->out, '\n');
	}
	return command_print(command);
}

/* Without its event a submitted run's jobs are not known. */
static int
print_without_jobs(const struct explain *explain)
{
	struct command *command = explain->command;

	command_say(command, 0,
	    "the build's event has left the run view (view.ttl), or is not "
	    "folded yet: its jobs can't be shown");
	run_json_store(&explain->run, &command->out);
	buffer_byte(&command->out, '\n');
	return command_print(command);
}

static int
explain_run(struct explain *explain)
{
	struct outcome outcome = { .run = explain->run };
	struct error err = { 0 };
	int build = read_build(explain, &err);

	if (build < 0)
		return command_fail(explain->command, &err);
	if (build == 0 && explain->run.state == RUN_SUBMITTED)
		return print_without_jobs(explain);
	if (build > 0)
		outcome.build = explain->build.build;
	/* Told by the feed, and not folded since. */
	if (outcome.run.why.cause.at == NULL)
		outcome.run.why.cause = TEXT("unknown");
	return print_outcome(explain, &outcome);
}

int
cmd_run_explain(struct command *command, int argc, char **argv)
{
	struct explain explain = { .command = command };
	int code;

	command_parse(
	    command, argc, argv, explain_options, take_explain, &explain);
	if (explain.dot && command_demand_text(command, "--dot") != 0)
		return EXIT_WRONG_USAGE;
	code = run_table_find(command, &explain.run);
	if (code != EXIT_DONE)
		return code;
	if (explain.run.state == RUN_PENDING)
		return command_say(command, EXIT_NO,
		    "run \"%s\" has no result yet; schedrun lag says how far "
		    "the workers are",
		    command->argument);
	return explain_run(&explain);
}
