#include <stdio.h>

#include "producer/cli/check_list.h"

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

	command_arguments(command, argc, argv, NULL, 0, 0);
	command_config(command);
	list.table = table_create(command_output(command), columns);
	list.arena = arena_create(0);
	check_fine(&list, "configuration", NULL);
	check_kafka(&list);
	check_registry(&list);
	check_redis(&list);
	table_print(list.table, stdout);
	table_destroy(list.table);
	arena_destroy(list.arena);
	return list.code;
}
