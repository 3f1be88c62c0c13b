#include <stdio.h>

#include "producer/cli/command.h"
#include "producer/cli/table.h"

static void
add_row(void *table, const struct config_row *row)
{
	char name[200];

	snprintf(name, sizeof name, "%s%s%s",
	    row->block != NULL ? row->block : "", row->block != NULL ? "." : "",
	    row->name);
	table_string(table, name);
	table_string(table, row->value);
	table_string(table, row->source);
}

int
cmd_config_show(struct command *command, int argc, char **argv)
{
	static const struct column columns[] = {
		{ "KEY", "key" },
		{ "VALUE", "value" },
		{ "SOURCE", "source" },
		{ NULL, NULL },
	};
	struct table *table;

	command_arguments(command, argc, argv, NULL, 0, 0);
	command_config(command);
	table = table_create(command_output(command), columns);
	config_each(command->config, add_row, table);
	table_print(table, stdout);
	table_destroy(table);
	return EXIT_DONE;
}

static const char *
type_name(enum config_type type)
{
	static const char *const names[] = {
		[CONFIG_TEXT] = "text",
		[CONFIG_DURATION] = "duration",
		[CONFIG_SIZE] = "size",
		[CONFIG_INTEGER] = "integer",
		[CONFIG_SWITCH] = "on|off",
		[CONFIG_CHOICE] = NULL,
	};

	return names[type];
}

int
cmd_config_keys(struct command *command, int argc, char **argv)
{
	static const struct column columns[] = {
		{ "KEY", "key" },
		{ "TYPE", "type" },
		{ "DEFAULT", "default" },
		{ "MEANING", "meaning" },
		{ NULL, NULL },
	};
	const struct config_key *key;
	struct table *table;

	command_arguments(command, argc, argv, NULL, 0, 0);
	table = table_create(command_output(command), columns);
	for (key = config_keys(); key->name != NULL; key++) {
		table_string(table, key->name);
		table_string(table,
		    key->type == CONFIG_CHOICE ? key->choices
					       : type_name(key->type));
		table_string(table, key->fallback);
		table_string(table, key->meaning);
	}
	table_print(table, stdout);
	table_destroy(table);
	return EXIT_DONE;
}

int
cmd_config_check(struct command *command, int argc, char **argv)
{
	const char *file = NULL;

	command_arguments(command, argc, argv, &file, 1, 1);
	command->options.file = file;
	command_config(command);
	printf("%s: fine\n", file);
	return EXIT_DONE;
}
