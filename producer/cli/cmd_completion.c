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
	"--timeout|--output|--profile"

#define FORMATS "table json jsonl"

#define EACH_PROFILE                                                           \
	"schedrun profile list -o table 2>/dev/null | sed '1d;s/ .*//'"

/* The examples name flags again. */
#define EACH_FLAG "grep -oE -- '--[a-z-]+' | sort -u"

/* Every first word once, or the second words of a group. */
static void
put_words(struct buffer *out, const char *group)
{
	const struct command_row *row;
	const char *last = "";

	for (row = command_rows; row->name != NULL; row++) {
		size_t size = strcspn(row->name, " ");

		if (group == NULL) {
			if (strncmp(last, row->name, size) != 0 ||
			    last[size] != row->name[size])
				buffer_format(
				    out, "%.*s ", (int)size, row->name);
			last = row->name;
		} else if (strncmp(row->name, group, size) == 0 &&
		    group[size] == '\0' && row->name[size] == ' ') {
			buffer_format(out, "%s ", row->name + size + 1);
		}
	}
}

/*
 * A case for the first word of each group of commands, with its second words
 * between what the shell wants before and behind them.
 */
static void
put_groups(struct buffer *out, const char *before, const char *behind)
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
		if (strcmp(group, last) != 0) {
			buffer_format(out, "    %s) %s", group, before);
			put_words(out, group);
			buffer_format(out, "%s ;;\n", behind);
		}
		snprintf(last, sizeof last, "%s", group);
	}
}

/* shellcheck: COMPREPLY is the shell's, and words hold no glob. */
static void
put_bash(struct buffer *out)
{
	buffer_format(out,
	    "# bash completion of schedrun\n"
	    "_schedrun() {\n"
	    "  local current=${COMP_WORDS[COMP_CWORD]} words='' said=() "
	    "word skip=''\n"
	    "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	    "    if [[ $skip ]]; then skip=''; continue; fi\n"
	    "    case $word in\n"
	    "      " VALUE_FLAGS ") skip=$word ;;\n"
	    "      -*) ;;\n"
	    "      *) said+=(\"$word\") ;;\n"
	    "    esac\n"
	    "  done\n"
	    "  case ${said[0]-} in\n"
	    "    '') words=\"");
	put_words(out, NULL);
	buffer_format(out, "\" ;;\n");
	put_groups(out, "words=\"", "\"");
	buffer_format(out,
	    "  esac\n"
	    "  [[ ${#said[@]} -lt 2 ]] || words=''\n"
	    "  if [[ $skip == -o || $skip == --output ]]; then\n"
	    "    words='" FORMATS "'\n"
	    "  elif [[ $skip == --profile ]]; then\n"
	    "    words=$(" EACH_PROFILE ")\n"
	    "  elif [[ $skip ]]; then\n"
	    "    words=''\n"
	    "  elif [[ $current == -* ]]; then\n"
	    "    words=$(schedrun \"${said[@]:0:2}\" --help 2>/dev/null |\n"
	    "      " EACH_FLAG ")\n"
	    "  fi\n"
	    "  # shellcheck disable=SC2207\n"
	    "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
	    "}\n"
	    "complete -o default -F _schedrun schedrun\n");
}

static void
put_zsh(struct buffer *out)
{
	buffer_format(out,
	    "#compdef schedrun\n"
	    "_schedrun() {\n"
	    "  local -a said candidates\n"
	    "  local word skip=''\n"
	    "  for word in ${words[2,CURRENT-1]}; do\n"
	    "    if [[ -n $skip ]]; then skip=''; continue; fi\n"
	    "    case $word in\n"
	    "      " VALUE_FLAGS ") skip=$word ;;\n"
	    "      -*) ;;\n"
	    "      *) said+=($word) ;;\n"
	    "    esac\n"
	    "  done\n"
	    "  if [[ $skip == -o || $skip == --output ]]; then\n"
	    "    compadd -- " FORMATS "\n"
	    "    return\n"
	    "  elif [[ $skip == --profile ]]; then\n"
	    "    compadd -- $(" EACH_PROFILE ")\n"
	    "    return\n"
	    "  elif [[ -n $skip ]]; then\n"
	    "    _files\n"
	    "    return\n"
	    "  elif [[ ${words[CURRENT]} == -* ]]; then\n"
	    "    compadd -- $(schedrun ${said[1,2]} --help 2>/dev/null |\n"
	    "      " EACH_FLAG ")\n"
	    "    return\n"
	    "  fi\n"
	    "  case ${said[1]-} in\n"
	    "    '') candidates=(");
	put_words(out, NULL);
	buffer_format(out, ") ;;\n");
	put_groups(out, "candidates=(", ")");
	buffer_format(out,
	    "  esac\n"
	    "  (( $#said < 2 && $#candidates )) && compadd -a candidates "
	    "|| _files\n"
	    "}\n"
	    "compdef _schedrun schedrun\n");
}

/* A summary has no quote that would end the shell's. */
static void
put_fish(struct buffer *out)
{
	const struct command_row *row;

	for (row = command_rows; row->name != NULL; row++) {
		const char *space = strchr(row->name, ' ');
		int size = (int)strcspn(row->name, " ");

		buffer_format(out,
		    "complete -c schedrun -n __fish_use_subcommand -a %.*s",
		    size, row->name);
		if (space == NULL)
			buffer_format(out, " -d \"%s\"\n", row->summary);
		else
			buffer_format(out,
			    "\ncomplete -c schedrun -f -n "
			    "'__fish_seen_subcommand_from %.*s' -a %s "
			    "-d \"%s\"\n",
			    size, row->name, space + 1, row->summary);
	}
	buffer_format(out,
	    "complete -c schedrun -s o -l output -x -a '" FORMATS "'\n"
	    "complete -c schedrun -l profile -x -a \"(" EACH_PROFILE ")\"\n"
	    "complete -c schedrun -n 'string match -q -- \"-*\" "
	    "(commandline -ct)' -a '(schedrun (commandline -opc)[2..3] "
	    "--help 2>/dev/null | string match -ra -- \"--[a-z-]+\" | "
	    "sort -u)'\n");
}

static const struct shell {
	const char *name;
	void (*put)(struct buffer *out);
} shells[] = {
	{ "bash", put_bash },
	{ "zsh", put_zsh },
	{ "fish", put_fish },
};

int
cmd_completion(struct command *command, int argc, char **argv)
{
	const char *name = command_argument(command, argc, argv);
	size_t i;

	if (command_demand_text(command, "a completion") != 0)
		return EXIT_WRONG_USAGE;
	for (i = 0; i < sizeof shells / sizeof shells[0]; i++)
		if (strcmp(name, shells[i].name) == 0) {
			shells[i].put(&command->out);
			return command_print(command);
		}
	return command_say(
	    command, EXIT_WRONG_USAGE, "%s is not bash, zsh or fish", name);
}
