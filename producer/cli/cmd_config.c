#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/http/admin.h"
#include "common/kafka/client.h"
#include "common/redis/url.h"
#include "common/trace/tracer.h"
#include "producer/auth/auth.h"
#include "producer/auth/origins.h"
#include "producer/builder/builder.h"
#include "producer/cli/command.h"
#include "schemas/avro/registry.h"

int
cmd_config_show(struct command *command, int argc, char **argv)
{
	command_parse(command, argc, argv, NULL, NULL, NULL);
	command_config(command);
	return command_print_config(command);
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

	command_parse(command, argc, argv, NULL, NULL, NULL);
	table = command_table(command, columns);
	for (key = config_keys(); key->name != NULL; key++) {
		table_string(table, key->name);
		table_string(table,
		    key->type == CONFIG_CHOICE ? key->choices
					       : type_name(key->type));
		table_string(table, key->fallback);
		table_string(table, key->meaning);
	}
	return command_print_table(command);
}

/* Whether the file says how callers are let in: else it may be a worker's. */
static bool
is_adapters(const struct config *config)
{
	static const char *const keys[] = { "http.auth", "http.token.file",
		"http.jwks", "http.issuer", "http.audience" };
	size_t i;

	for (i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (config_is_given(config, keys[i]))
			return true;
	return false;
}

static int
check_redis_url(const struct config *config, const char *key, struct error *err)
{
	const char *text = config_text(config, key);
	struct redis_url *url;

	if (text == NULL)
		return 0;
	url = redis_url_parse(text, err);
	redis_url_destroy(url);
	return url != NULL ? 0 : -1;
}

enum { OPTION_FOR = 512 };

static const struct argp_option check_options[] = {
	{ "for", OPTION_FOR, "PROGRAM", 0,
	    "Also what worker, http, builder or trigger can't do without", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

struct check_flags {
	struct command *command;
	unsigned program; /* 0: whatever the file is for */
};

static error_t
take_check(int key, char *value, struct argp_state *state)
{
	struct check_flags *flags = state->input;

	if (key == ARGP_KEY_END && flags->command->argument == NULL)
		usage_error(state, "the FILE is missing");
	if (key != OPTION_FOR)
		return ARGP_ERR_UNKNOWN;
	flags->program = command_take_program(value, state);
	return 0;
}

static bool
is_for(unsigned program, enum command_program which, bool says_so)
{
	return program == which || (program == 0 && says_so);
}

struct path_check {
	struct error *err;
	int rc;
	unsigned program;
};

/* Whether it is another program's alone: the worker's file may name tokens. */
static bool
is_others(const struct path_check *check, const char *key)
{
	return key != NULL && check->program != 0 &&
	    check->program != PROGRAM_HTTP && strncmp(key, "http.", 5) == 0;
}

static void
check_path(void *argument, const struct config_path *path)
{
	struct path_check *check = argument;

	if (check->rc == 0 && !is_others(check, path->key))
		check->rc = config_path_check(path, check->err);
}

/* Whether the folder is there that a file or folder is to be made in. */
static int
check_folder(const struct config *config, const char *key, struct error *err)
{
	const char *path = config_text(config, key);
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;
	char folder[PATH_MAX];

	/* What is below /run systemd makes for a unit. */
	if (slash == NULL || slash == path || strncmp(path, "/run/", 5) == 0)
		return 0;
	snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
	if (access(folder, X_OK) == 0)
		return 0;
	return error_fatal(err, 78, "%s: %s: %s", key, folder, strerror(errno));
}

/* Files and folders that are named, whoever of the programs reads them. */
static int
check_files(const struct config *config, unsigned program, struct error *err)
{
	struct path_check check = { .err = err, .program = program };

	config_each_path(config, check_path, &check);
	return check.rc != 0 ? -1
			     : check_folder(config, "admin.port.file", err);
}

/* What the adapter alone would refuse. */
static int
check_adapter(const struct config *config, unsigned program, struct error *err)
{
	bool is_said = is_adapters(config);

	if (origins_check(config_text(config, "http.cors.origins"), err) != 0)
		return -1;
	if (is_for(program, PROGRAM_HTTP,
		is_said || config_is_given(config, "http.listen")) &&
	    config_check_apart(config, ADMIN_DEFAULT_HTTP, err) != 0)
		return -1;
	return is_for(program, PROGRAM_HTTP, is_said)
	    ? http_auth_check_settings(config, err)
	    : 0;
}

static int
check_builder(const struct config *config, unsigned program, struct error *err)
{
	if (!is_for(program, PROGRAM_BUILDER,
		config_is_given(config, "builder.command")))
		return 0;
	return builder_check_settings(config, err) != 0
	    ? -1
	    : check_folder(config, "builder.logs", err);
}

/* What the programs would refuse at their start, in their own words. */
static int
check_parts(const struct config *config, unsigned program, struct error *err)
{
	struct registry *registry;

	if (kafka_settings_check(config, err) != 0 ||
	    tracer_check(config, err) != 0 ||
	    check_redis_url(config, "redis.url", err) != 0 ||
	    check_redis_url(config, "view.redis.url", err) != 0 ||
	    check_adapter(config, program, err) != 0 ||
	    check_builder(config, program, err) != 0)
		return -1;
	registry = registry_create(config, err);
	registry_destroy(registry);
	return registry != NULL ? check_files(config, program, err) : -1;
}

int
cmd_config_check(struct command *command, int argc, char **argv)
{
	static const struct column columns[] = {
		{ "FILE", "file" },
		{ "STATE", "state" },
		{ NULL, NULL },
	};
	struct check_flags flags = { .command = command };
	struct error err = { 0 };

	command_parse(command, argc, argv, check_options, take_check, &flags);
	command->options.file = command->argument;
	if (check_parts(command_config(command), flags.program, &err) != 0) {
		command_fail(command, &err);
		return EXIT_WRONG_USAGE;
	}
	if (command_wants_json(command)) {
		table_string(
		    command_table(command, columns), command->argument);
		table_string(command->table, "fine");
		return command_print_table(command);
	}
	buffer_format(&command->out, "%s: fine\n", command->argument);
	return command_print(command);
}
