#include "producer/check/list.h"

enum { OPTION_FOR = 512 };

static const struct argp_option check_options[] = {
	{ "for", OPTION_FOR, "PROGRAM", 0,
	    "Only the rights in Kafka that worker, http, builder or "
	    "trigger needs",
	    0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take_check(int key, char *value, struct argp_state *state)
{
	struct check_list *list = state->input;

	if (key != OPTION_FOR)
		return ARGP_ERR_UNKNOWN;
	list->programs = command_take_program(value, state);
	return 0;
}

int
cmd_check(struct command *command, int argc, char **argv)
{
	static const struct column columns[] = {
		{ "WHAT", "what" },
		{ "STATE", "state" },
		{ "DETAIL", "detail" },
		{ "MEND IT BY", "mend" },
		{ NULL, NULL },
	};
	struct check_list list = {
		.command = command,
		.code = EXIT_DONE,
		.programs = PROGRAM_WORKER | PROGRAM_HTTP,
	};

	command_parse(command, argc, argv, check_options, take_check, &list);
	command_config(command);
	list.table = command_table(command, columns);
	check_fine(&list, "configuration", NULL);
	check_units(&list);
	command_wait(command, "looking at Kafka");
	check_kafka(&list);
	command_wait(command, "looking at the registry");
	check_registry(&list);
	command_wait(command, "looking at Redis");
	check_redis(&list);
	command_print_table(command);
	return list.code;
}
