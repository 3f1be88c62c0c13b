#include <stdio.h>
#include <string.h>

#include "producer/cli/command.h"

/*
 * Completions, made from the table of commands; flags are asked of the
 * command's own --help, so that they can't be out of date.
 */

/* Flags that may stand before the command, and take a value. */
#define VALUE_FLAGS                                                            \
	"-[csXbo]|--config|--set|--property|--brokers|--redis|--log-format|"   \
	"--timeout|--output"

/* Every first word once, or the second words of a group. */
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

/* shellcheck: COMPREPLY is the shell's, and words hold no glob. */
static void
print_bash(void)
{
	printf("# bash completion of schedrun\n"
	       "_schedrun() {\n"
	       "  local current=${COMP_WORDS[COMP_CWORD]} words='' said=() "
	       "word skip=''\n"
	       "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	       "    if [[ $skip ]]; then skip=''; continue; fi\n"
	       "    case $word in\n"
	       "      " VALUE_FLAGS ") skip=1 ;;\n"
	       "      -*) ;;\n"
	       "      *) said+=(\"$word\") ;;\n"
	       "    esac\n"
	       "  done\n"
	       "  case ${said[0]-} in\n"
	       "    '') words=\"");
	print_words(NULL);
	printf("\" ;;\n");
	each_group(print_bash_group);
	printf("  esac\n"
	       "  [[ ${#said[@]} -lt 2 ]] || words=''\n"
	       "  if [[ $current == -* ]]; then\n"
	       "    words=$(schedrun \"${said[@]:0:2}\" --help 2>/dev/null |\n"
	       "      grep -oE -- '--[a-z-]+')\n"
	       "  fi\n"
	       "  # shellcheck disable=SC2207\n"
	       "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
	       "}\n"
	       "complete -o default -F _schedrun schedrun\n");
}

static void
print_zsh_group(const char *group)
{
	printf("    %s) candidates=(", group);
	print_words(group);
	printf(") ;;\n");
}

static void
print_zsh(void)
{
	printf("#compdef schedrun\n"
	       "_schedrun() {\n"
	       "  local -a said candidates\n"
	       "  local word skip=''\n"
	       "  for word in ${words[2,CURRENT-1]}; do\n"
	       "    if [[ -n $skip ]]; then skip=''; continue; fi\n"
	       "    case $word in\n"
	       "      " VALUE_FLAGS ") skip=1 ;;\n"
	       "      -*) ;;\n"
	       "      *) said+=($word) ;;\n"
	       "    esac\n"
	       "  done\n"
	       "  if [[ ${words[CURRENT]} == -* ]]; then\n"
	       "    compadd -- $(schedrun ${said[1,2]} --help 2>/dev/null |\n"
	       "      grep -oE -- '--[a-z-]+')\n"
	       "    return\n"
	       "  fi\n"
	       "  case ${said[1]-} in\n"
	       "    '') candidates=(");
	print_words(NULL);
	printf(") ;;\n");
	each_group(print_zsh_group);
	printf("  esac\n"
	       "  (( $#said < 2 && $#candidates )) && compadd -a candidates "
	       "|| _files\n"
	       "}\n"
	       "compdef _schedrun schedrun\n");
}

/* A summary has no quote that would end the shell's. */
static void
print_fish(void)
{
	const struct command_row *row;

	for (row = command_rows; row->name != NULL; row++) {
		const char *space = strchr(row->name, ' ');

		if (space == NULL)
			printf("complete -c schedrun -n __fish_use_subcommand "
			       "-a %s -d \"%s\"\n",
			    row->name, row->summary);
		else
			printf("complete -c schedrun -n __fish_use_subcommand "
			       "-a %.*s\n"
			       "complete -c schedrun -f -n "
			       "'__fish_seen_subcommand_from %.*s' -a %s "
			       "-d \"%s\"\n",
			    (int)(space - row->name), row->name,
			    (int)(space - row->name), row->name, space + 1,
			    row->summary);
	}
	printf("complete -c schedrun -n 'string match -q -- \"-*\" "
	       "(commandline -ct)' -a '(schedrun (commandline -opc)[2..3] "
	       "--help 2>/dev/null | string match -ra -- \"--[a-z-]+\")'\n");
}

static const struct shell {
	const char *name;
	void (*print)(void);
} shells[] = {
	{ "bash", print_bash },
	{ "zsh", print_zsh },
	{ "fish", print_fish },
};

int
cmd_completion(struct command *command, int argc, char **argv)
{
	const char *shell = NULL;
	size_t i;

	command_arguments(command, argc, argv, &shell, 1, 1);
	for (i = 0; i < sizeof shells / sizeof shells[0]; i++)
		if (strcmp(shell, shells[i].name) == 0) {
			shells[i].print();
			return EXIT_DONE;
		}
	return command_say(
	    command, EXIT_WRONG_USAGE, "%s is not bash, zsh or fish", shell);
}
