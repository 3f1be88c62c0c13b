#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "producer/cli/command.h"
#include "producer/cli/profile.h"

static const struct column columns[] = {
	{ "PROFILE", "profile" },
	{ "IN USE", "inUse" },
	{ "FILE", "file" },
	{ NULL, NULL },
};

static int
is_profile(const struct dirent *entry)
{
	struct buffer path = { 0 };
	bool is = profile_is_name(entry->d_name) &&
	    profile_file(entry->d_name, &path) && access(path.at, F_OK) == 0;

	buffer_finish(&path);
	return is;
}

static void
add_profile(struct table *table, const char *name, const char *used)
{
	struct buffer path = { 0 };
	bool in_use = used != NULL && strcmp(used, name) == 0;

	profile_file(name, &path);
	table_string(table, name);
	table_string(table, in_use ? "yes" : NULL);
	table_string(table, path.at);
	buffer_finish(&path);
}

int
cmd_profile_list(struct command *command, int argc, char **argv)
{
	struct buffer folder = { 0 };
	struct dirent **found = NULL;
	struct table *table;
	char *used;
	int n = 0, i;

	command_parse(command, argc, argv, NULL, NULL, NULL);
	table = command_table(command, columns);
	used = profile_in_use();
	if (profile_folder(&folder))
		n = scandir(folder.at, &found, is_profile, alphasort);
	for (i = 0; i < n; i++) {
		add_profile(table, found[i]->d_name, used);
		free(found[i]);
	}
	free(found);
	free(used);
	buffer_finish(&folder);
	return command_print_table(command);
}

/* The name that was given, of a profile that is there. */
static int
check_name(struct command *command, const char *name)
{
	struct error err = { 0 };
	char *file = profile_choose(name, &err);

	free(file);
	return file != NULL ? EXIT_DONE : command_fail(command, &err);
}

int
cmd_profile_use(struct command *command, int argc, char **argv)
{
	const char *name = command_argument(command, argc, argv);
	struct error err = { 0 };
	int code = EXIT_DONE;

	if (strcmp(name, "-") == 0)
		name = NULL;
	else
		code = check_name(command, name);
	if (code == EXIT_DONE && profile_use(name, &err) != 0)
		return command_fail(command, &err);
	return code;
}

struct rows {
	struct table *table;
	const char *file;
};

/* What the profile's file says, or the secrets beside it. */
static void
add_row(void *argument, const struct config_row *row)
{
	const struct rows *rows = argument;
	size_t folder = (size_t)(strrchr(rows->file, '/') - rows->file) + 1;

	if (strncmp(row->source, rows->file, folder) != 0)
		return;
	table_string(rows->table, row->name);
	table_string(rows->table, row->value);
	table_string(rows->table, row->source);
}

int
cmd_profile_show(struct command *command, int argc, char **argv)
{
	static const struct column of_one[] = {
		{ "KEY", "key" },
		{ "VALUE", "value" },
		{ "SOURCE", "source" },
		{ NULL, NULL },
	};
	struct error err = { 0 };
	struct rows rows;
	char *used = NULL;

	command_parse(command, argc, argv, NULL, NULL, NULL);
	if (command->argument == NULL)
		command->argument = command->profile;
	if (command->argument == NULL)
		command->argument = used = profile_in_use();
	if (command->argument == NULL)
		return command_say(command, EXIT_NO,
		    "no profile is in use; try: schedrun profile list");
	rows.file = command->profile_file =
	    profile_choose(command->argument, &err);
	free(used);
	if (rows.file == NULL)
		return command_fail(command, &err);
	command->options.file = rows.file;
	rows.table = command_table(command, of_one);
	config_each(command_config(command), add_row, &rows);
	return command_print_table(command);
}

/* The settings that the flags bring, as a file has them. */
static void
put_settings(const struct options *options, struct buffer *out)
{
	size_t i;

	for (i = 0; i < options->n_flags; i++) {
		const char *text = options->flags[i].text;
		const char *sign = strchr(text, '=');

		buffer_format(out, "%s%.*s = %s\n",
		    options->flags[i].kind == CONFIG_FLAG_KAFKA ? "kafka." : "",
		    (int)(sign - text), text, sign + 1);
	}
}

/* One that is there is left alone. */
static int
write_profile(struct command *command, const char *file)
{
	struct buffer text = { 0 }, folder = { 0 };
	int fd = -1;
	bool written = false;

	buffer_format(&folder, "%.*s", (int)(strrchr(file, '/') - file), file);
	buffer_byte(&folder, '\0');
	if (mkdir(folder.at, 0700) == 0 || errno == EEXIST)
		fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	put_settings(&command->options, &text);
	if (fd >= 0)
		written = write(fd, text.at, text.size) == (ssize_t)text.size;
	if (fd >= 0 && close(fd) != 0)
		written = false;
	buffer_finish(&folder);
	buffer_finish(&text);
	return written ? EXIT_DONE
		       : command_say(command, EXIT_WRONG_USAGE, "%s: %s", file,
			     strerror(errno));
}

/* What none of our programs would take isn't kept. */
static int
check_profile(struct command *command, const char *file)
{
	struct error err = { 0 };
	struct config *config = config_load(
	    file, command->options.flags, command->options.n_flags, &err);
	struct buffer folder = { 0 };

	config_destroy(config);
	if (config != NULL)
		return EXIT_DONE;
	remove(file);
	buffer_format(&folder, "%.*s", (int)(strrchr(file, '/') - file), file);
	buffer_byte(&folder, '\0');
	rmdir(folder.at); /* unless there is something else in it */
	buffer_finish(&folder);
	err.exit_code = EXIT_WRONG_USAGE;
	return command_fail(command, &err);
}

int
cmd_profile_create(struct command *command, int argc, char **argv)
{
	const char *name = command_argument(command, argc, argv);
	struct error err = { 0 };
	struct buffer file = { 0 };
	int code;

	if (!profile_is_name(name))
		return check_name(command, name);
	if (command->options.n_flags == 0)
		return command_say(command, EXIT_WRONG_USAGE,
		    "nothing to keep: give its settings by -b, --redis, -s, "
		    "-X");
	if (profile_file(name, &file) && access(file.at, F_OK) == 0)
		code = command_say(command, EXIT_WRONG_USAGE,
		    "%s is there already: edit or remove it", file.at);
	else if (profile_make_folder(&err) != 0)
		code = command_fail(command, &err);
	else
		code = write_profile(command, file.at);
	if (code == EXIT_DONE)
		code = check_profile(command, file.at);
	if (code == EXIT_DONE && profile_use(name, &err) != 0)
		code = command_fail(command, &err);
	if (code == EXIT_DONE) {
		add_profile(command_table(command, columns), name, name);
		code = command_print_table(command);
	}
	buffer_finish(&file);
	return code;
}
