#include "producer/auth/caller.h"
#include "producer/cli/command.h"

int
cmd_user_id(struct command *command, int argc, char **argv)
{
	static const struct column columns[] = {
		{ "SUBJECT", "subject" },
		{ "USER", "user" },
		{ NULL, NULL },
	};
	const char *subject = command_argument(command, argc, argv);
	struct http_caller caller = { 0 };
	struct table *table;

	if (subject[0] == '\0')
		return command_say(command, EXIT_WRONG_USAGE,
		    "a subject is not empty: a token with such a one is "
		    "refused");
	table = command_table(command, columns);
	http_caller_name(&caller, text_from(subject));
	table_string(table, subject);
	table_text(table, http_caller_user(&caller));
	return command_print_table(command);
}
