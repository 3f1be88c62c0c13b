#include "producer/check/list.h"

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
	struct check_list list = { .command = command, .code = EXIT_DONE };

	command_parse(command, argc, argv, NULL, NULL, NULL);
	command_config(command);
	list.table = command_table(command, columns);
	check_fine(&list, "configuration", NULL);
	check_units(&list);
	check_kafka(&list);
	check_registry(&list);
	check_redis(&list);
	command_print_table(command);
	return list.code;
}
