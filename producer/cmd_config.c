#include <stdio.h>
#include <string.h>

#include "producer/command.h"

int
cmd_config_show(struct command *command, int argc, char **argv)
{
	struct buffer out = { 0 };

	command_arguments(command, argc, argv, NULL, 0, 0);
	config_print(command_config(command), &out);
	fwrite(out.at, 1, out.size, stdout);
	buffer_finish(&out);
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
	const struct config_key *key;

	command_arguments(command, argc, argv, NULL, 0, 0);
	for (key = config_keys(); key->name != NULL; key++)
		printf("%s\t%s\t%s\t%s\n", key->name,
		    key->type == CONFIG_CHOICE ? key->choices
					       : type_name(key->type),
		    key->fallback != NULL ? key->fallback : "-", key->meaning);
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

/* Every first word once, and the second words of a group. */
static void
print_words(const char *group)
{
	const struct command_row *row;
	const char *last = "";

	for (row = command_rows; row->name != NULL; row++) {
		size_t size = strcspn(row->name, " ");

		if (group == NULL) {
			if (strncmp(last, row->name, size) != 0 ||
			    last[size] != row->name[size])
				printf("%.*s ", (int)size, row->name);
			last = row->name;
		} else if (strncmp(row->name, group, size) == 0 &&
		    group[size] == '\0' && row->name[size] == ' ') {
			printf("%s ", row->name + size + 1);
		}
	}
}

/* Calls `print` for the first word of each group of commands. */
static void
each_group(void (*print)(const char *group))
{
	const struct command_row *row;
	char last[32] = "";

	for (row = command_rows; row->name != NULL; row++) {
		const char *space = strchr(row->name, ' ');
		char group[32];

		if (space == NULL)
			continue;
		snprintf(group, sizeof group, "%.*s", (int)(space - row->name),
		    row->name);
		if (strcmp(group, last) != 0)
			print(group);
		snprintf(last, sizeof last, "%s", group);
	}
}

static void
print_bash_group(const char *group)
{
	printf("    %s) words=\"", group);
	print_words(group);
	printf("\" ;;\n");
}

static void
print_bash(void)
{
	printf("_schedrun() {\n"
	       "  local words=\"\"\n"
	       "  case \"${COMP_WORDS[COMP_CWORD-1]}\" in\n"
	       "    schedrun) words=\"");
	print_words(NULL);
	printf("\" ;;\n");
	each_group(print_bash_group);
	printf("  esac\n"
	       "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- "
	       "\"${COMP_WORDS[COMP_CWORD]}\")\n"
	       "}\n"
	       "complete -o default -F _schedrun schedrun\n");
}

static void
print_zsh(void)
{
	printf("autoload -U +X bashcompinit && bashcompinit\n");
	print_bash();
}

static void
print_fish(void)
{
	const struct command_row *row;

	for (row = command_rows; row->name != NULL; row++) {
		const char *space = strchr(row->name, ' ');

		if (space == NULL)
			printf("complete -c schedrun -f -n "
			       "__fish_use_subcommand -a %s -d '%s'\n",
			    row->name, row->summary);
		else
			printf("complete -c schedrun -f -n "
			       "'__fish_seen_subcommand_from %.*s' -a %s "
			       "-d '%s'\n",
			    (int)(space - row->name), row->name, space + 1,
			    row->summary);
	}
}

int
cmd_completion(struct command *command, int argc, char **argv)
{
	const char *shell = NULL;

	command_arguments(command, argc, argv, &shell, 1, 1);
	if (strcmp(shell, "bash") == 0)
		print_bash();
	else if (strcmp(shell, "zsh") == 0)
		print_zsh();
	else if (strcmp(shell, "fish") == 0)
		print_fish();
	else
		return command_say(command, EXIT_WRONG_USAGE,
		    "%s is not bash, zsh or fish", shell);
	return EXIT_DONE;
}
