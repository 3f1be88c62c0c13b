#include "producer/cli/command.h"
#include "producer/runs/build_report.h"
#include "producer/runs/decoder.h"

static int
say_unknown(const struct command *command)
{
	return command_say(command, EXIT_NOT_FOUND,
	    "build \"%s\" not found in %s; it never came, is older than "
	    "view.ttl, or no adapter folds builds (schedrun-http)",
	    command->argument, redis_shown_url(command->view.redis));
}

static int
print_build(struct command *command, const char *state, const char *repeated,
    const struct report_result *result)
{
	static const struct column columns[] = {
		{ "BUILD", "buildRid" },
		{ "STATE", "state" },
		{ "OUTPUTS", "outputs" },
		{ "NOTE", "note" },
		{ NULL, NULL },
	};
	struct table *table = command_table(command, columns);

	table_string(table, command->argument);
	table_string(table, state);
	table_number(table, (int64_t)result->outputs);
	table_string(table, result->already ? repeated : NULL);
	return command_print_table(command);
}

static void
warn_of_gone(const struct command *command, const struct report_result *result)
{
	size_t i;

	for (i = 0; i < result->n_gone; i++)
		command_say(command, 0,
		    "output %.*s is not in the catalogue any more; its "
		    "branches are left alone",
		    TEXT_ARG(result->gone[i]));
}

static int
finish_build(struct command *command, struct build_report *report,
    const struct uuid *id, const struct build_record *record)
{
	struct build_requested build;
	struct report_result result;
	struct error err = { 0 };

	if (decode_build_once(command_config(command), record->event, id,
		command->arena, &build, &err) != 0 ||
	    build_report_finish(report, id, &build, &result, &err) != 0)
		return command_fail(command, &err);
	warn_of_gone(command, &result);
	return print_build(command, "SUCCEEDED", "already finished", &result);
}

static int
fail_build(struct command *command, struct build_report *report,
    const struct uuid *id, const struct build_record *record)
{
	struct report_result result;
	struct error err = { 0 };
	int taken = build_report_state(report, id, "FAILED", &result, &err);

	(void)record;
	if (taken < 0)
		return command_fail(command, &err);
	if (taken == 0)
		return command_say(command, EXIT_NO,
		    "build \"%s\" has finished, and stays so",
		    command->argument);
	return print_build(command, "FAILED", "already so", &result);
}

static int
report_build(struct command *command, int argc, char **argv,
    int (*act)(struct command *, struct build_report *, const struct uuid *,
	const struct build_record *))
{
	struct build_report report;
	struct build_record record;
	struct error err = { 0 };
	struct uuid id;
	int found = -1;

	command_argument(command, argc, argv);
	if (command_uuid(command, TEXT(RID_BUILD_PREFIX), "a build", &id) !=
	    EXIT_DONE)
		return EXIT_WRONG_USAGE;
	if (command_open(command, COMMAND_STORE | COMMAND_VIEW, &err) == 0)
		found = run_view_get_build(
		    &command->view, &id, command->arena, &record, &err);
	if (found < 0)
		return command_fail(command, &err);
	if (found == 0)
		return say_unknown(command);
	report = (struct build_report){ command->redis, command->keyspace,
		&command->view, command->arena };
	return act(command, &report, &id, &record);
}

int
cmd_build_finish(struct command *command, int argc, char **argv)
{
	return report_build(command, argc, argv, finish_build);
}

int
cmd_build_fail(struct command *command, int argc, char **argv)
{
	return report_build(command, argc, argv, fail_build);
}
