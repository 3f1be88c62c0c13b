#include "producer/cli/command.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/output.h"
#include "common/base/patience.h"
#include "producer/catalogue/hashes.h"
#include "producer/cli/profile.h"
#include "producer/runs/event_sender.h"

#define PAUSE_MS 100

#define OPTION_PROFILE 1024

const struct argp_option command_options[] = {
	{ "output", 'o', "FORMAT", 0,
	    "table, json or jsonl (default: table on a terminal, else jsonl)",
	    0 },
	{ "profile", OPTION_PROFILE, "NAME", 0,
	    "Read this profile's configuration (schedrun profile list)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

unsigned
command_take_program(const char *value, const struct argp_state *state)
{
	static const char *const names[] = { "worker", "http", "builder",
		"trigger" };
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(value, names[i]) == 0)
			return 1U << i;
	usage_error(state,
	    "--for %s: allowed are worker, http, builder and trigger", value);
}

static void
take_format(
    struct command *command, const char *format, const struct argp_state *state)
{
	if (strcmp(format, "table") != 0 && strcmp(format, "json") != 0 &&
	    strcmp(format, "jsonl") != 0)
		usage_error(
		    state, "-o %s: is not table, json or jsonl", format);
	command->output = format;
}

error_t
command_take_option(struct command *command, int key, const char *value,
    const struct argp_state *state)
{
	switch (key) {
	case 'o':
		take_format(command, value, state);
		return 0;
	case OPTION_PROFILE:
		if (!profile_is_name(value))
			usage_error(state,
			    "--profile %s: is no name (letters, digits, \".\", "
			    "\"_\" and \"-\")",
			    value);
		command->profile = value;
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t
take_option(int key, char *value, struct argp_state *state)
{
	return command_take_option(state->input, key, value, state);
}

static const struct argp output_argp = { command_options, take_option, NULL,
	NULL, NULL, NULL, NULL };

/* What the children of a command's parser work on. */
struct inputs {
	struct command *command;
	void *own;
};

static void
take_argument(struct command *command, const char *argument,
    const struct argp_state *state)
{
	const char *known = command->row->arguments;

	if (known[0] == '\0' || known[0] == '-' || command->argument != NULL)
		usage_error(state, "too many arguments: %s", argument);
	command->argument = argument;
}

static error_t
hand_out(int key, char *argument, struct argp_state *state)
{
	struct inputs *inputs = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &inputs->command->options;
		state->child_inputs[1] = inputs->command;
		state->child_inputs[2] = inputs->own;
		return 0;
	case ARGP_KEY_ARG:
		if (strstr(inputs->command->row->arguments, "...") != NULL)
			return ARGP_ERR_UNKNOWN; /* to the command's own */
		take_argument(inputs->command, argument, state);
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

/* "summary\vexamples", as argp wants it; to be freed. */
static char *
write_documentation(const struct command_row *row)
{
	struct buffer text = { 0 };

	buffer_format(&text, "%s.\vExamples:\n%s", row->summary, row->examples);
	buffer_byte(&text, '\0');
	return text.at;
}

void
command_parse(struct command *command, int argc, char **argv,
    const struct argp_option *flags, argp_parser_t take, void *input)
{
	struct inputs inputs = { command, input };
	const struct argp own = { flags, take, NULL, NULL, NULL, NULL, NULL };
	const struct argp_child children[] = {
		{ &options_argp, 0, "Global flags:", 100 },
		{ &output_argp, 0, NULL, 100 },
		{ &own, 0, NULL, 0 },
		{ NULL, 0, NULL, 0 },
	};
	struct argp whole = { NULL, hand_out, command->row->arguments, NULL,
		children, NULL, NULL };
	static char name[96]; /* argv keeps it */

	command->arena = arena_create(0);
	command->documentation = write_documentation(command->row);
	whole.doc = command->documentation;
	snprintf(name, sizeof name, "schedrun %s", command->row->name);
	argv[0] = name;
	options_parse(&whole, argc, argv, 0, &inputs);
}

static error_t
demand_argument(int key, char *argument, struct argp_state *state)
{
	const struct command *command = state->input;

	(void)argument;
	if (key != ARGP_KEY_END)
		return ARGP_ERR_UNKNOWN;
	if (command->argument == NULL)
		usage_error(state, "an argument is missing");
	return 0;
}

const char *
command_argument(struct command *command, int argc, char **argv)
{
	command_parse(command, argc, argv, NULL, demand_argument, command);
	return command->argument;
}

int
command_uuid(const struct command *command, struct text prefix,
    const char *what, struct uuid *id)
{
	if (rid_parse(text_from(command->argument), prefix, id))
		return EXIT_DONE;
	return command_say(command, EXIT_WRONG_USAGE,
	    "\"%s\" is not the RID of %s (%.*sUUID)", command->argument, what,
	    TEXT_ARG(prefix));
}

static void
add_row(void *table, const struct config_row *row)
{
	table_string(table, row->name);
	table_string(table, row->value);
	table_string(table, row->source);
}

int
command_print_config(struct command *command)
{
	static const struct column columns[] = {
		{ "KEY", "key" },
		{ "VALUE", "value" },
		{ "SOURCE", "source" },
		{ NULL, NULL },
	};

	config_each(command->config, add_row, command_table(command, columns));
	return command_print_table(command);
}

const struct config *
command_config(struct command *command)
{
	/* A form was asked for, else it is that of all programs. */
	bool as_table =
	    command->options.print_config && command->output != NULL;
	struct error err = { 0 };

	if (command->config != NULL)
		return command->config;
	command->options.print_config &= !as_table;
	if (command->options.file == NULL)
		command->options.file = command->profile_file =
		    profile_choose(command->profile, &err);
	if (err.kind == ERROR_NONE)
		command->config = options_load(&command->options, &err);
	if (command->config == NULL) {
		fprintf(stderr, "schedrun: %s: %s\n", command->row->name,
		    err.message);
		exit(EXIT_WRONG_USAGE);
	}
	/* What librdkafka warns of, the command's own sentence names. */
	if (!command->options.verbose &&
	    !config_is_given(command->config, "log.level"))
		log_set_level(LOG_ERROR);
	if (as_table)
		exit(command_print_config(command));
	if (command->options.print_config)
		exit(EXIT_DONE); /* it is printed: nothing else was asked for */
	return command->config;
}

enum output
command_output(const struct command *command)
{
	if (command->output == NULL)
		return isatty(STDOUT_FILENO) ? OUTPUT_TABLE : OUTPUT_JSONL;
	if (strcmp(command->output, "table") == 0)
		return OUTPUT_TABLE;
	return strcmp(command->output, "json") == 0 ? OUTPUT_JSON
						    : OUTPUT_JSONL;
}

bool
command_wants_json(const struct command *command)
{
	return command->output != NULL &&
	    command_output(command) != OUTPUT_TABLE;
}

int
command_demand_text(const struct command *command, const char *what)
{
	if (!command_wants_json(command))
		return 0;
	command_say(command, EXIT_WRONG_USAGE, "%s has one form: no -o %s",
	    what, command->output);
	return -1;
}

bool
command_has_colour(void)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) &&
	    (no_color == NULL || no_color[0] == '\0');
}

int
command_exit_code(const struct error *err)
{
	if (err->exit_code == 77)
		return EXIT_NOT_ALLOWED;
	if (err->exit_code == 78)
		return EXIT_WRONG_USAGE;
	if (err->exit_code != 0)
		return err->exit_code;
	switch (err->kind) {
	case ERROR_INPUT:
		return EXIT_INVALID;
	case ERROR_RETRY:
	case ERROR_ABORT:
		return EXIT_UNREACHABLE;
	case ERROR_FATAL:
	case ERROR_NONE:
		break;
	}
	return EXIT_BUG;
}

int
command_fail(const struct command *command, const struct error *err)
{
	patience_end();
	fprintf(stderr, "schedrun: %s: %s\n", command->row->name, err->message);
	return command_exit_code(err);
}

int
command_say(
    const struct command *command, int exit_code, const char *format, ...)
{
	va_list args;

	patience_end();
	fprintf(stderr, "schedrun: %s: ", command->row->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return exit_code;
}

int64_t
command_deadline(const struct command *command)
{
	return clock_monotonic_ms() + command->options.timeout_ms;
}

void
command_wait(const struct command *command, const char *what)
{
	if (!command->options.quiet)
		patience_begin(command->row->name, what);
}

/* Asks again until --timeout ends. */
static struct redis *
connect_redis(struct command *command, const char *url_key, struct error *err)
{
	const struct redis_settings settings =
	    redis_settings_of(command_config(command), url_key, "schedrun");
	struct redis *redis = redis_create(&settings, err);
	int64_t deadline = command_deadline(command);

	if (redis == NULL)
		return NULL;
	command_wait(command, "waiting for Redis");
	while (redis_connect(redis, err) != 0) {
		if (err->kind != ERROR_RETRY ||
		    clock_monotonic_ms() >= deadline) {
			redis_destroy(redis);
			redis = NULL;
			break;
		}
		clock_wait(PAUSE_MS);
	}
	patience_end();
	return redis;
}

/*
 * What a store that was emptied does not have is not there yet.  Who may not
 * look may still do what was asked for.
 */
static int
check_prepared(struct command *command, struct error *err)
{
	struct keyspace_meta meta;
	int found =
	    keyspace_meta_read(command->redis, command->keyspace, &meta, err);

	if (found != 0)
		return found < 0 && err->exit_code != 77 ? -1 : 0;
	return error_fatal(err, EXIT_UNREACHABLE,
	    "redis %s holds nothing of schedrun's under \"%.*s\": run schedrun "
	    "init, then schedrun apply",
	    redis_address(command->redis),
	    TEXT_ARG(keyspace_prefix(command->keyspace)));
}

static int
open_store(struct command *command, unsigned parts, struct error *err)
{
	if (command->redis == NULL)
		command->redis = connect_redis(command, "redis.url", err);
	if (command->redis == NULL)
		return -1;
	return (parts & COMMAND_UNPREPARED) != 0 ? 0
						 : check_prepared(command, err);
}

static int
open_view(struct command *command, struct error *err)
{
	const struct config *config = command_config(command);
	struct redis *redis = command->redis;

	if (config_text(config, "view.redis.url") != NULL) {
		if (command->view_redis == NULL)
			command->view_redis =
			    connect_redis(command, "view.redis.url", err);
		redis = command->view_redis;
	}
	if (redis == NULL)
		return -1;
	run_view_init(&command->view, redis, command->keyspace,
	    config_number(config, "view.ttl"));
	return 0;
}

int
command_open(struct command *command, unsigned parts, struct error *err)
{
	const struct config *config = command_config(command);

	if (command->keyspace == NULL)
		command->keyspace =
		    keyspace_create(config_text(config, "redis.prefix"));
	/* The store's connection serves the view too, if that has no own. */
	if (config_text(config, "view.redis.url") == NULL)
		parts |= COMMAND_STORE;
	if ((parts & COMMAND_STORE) != 0 &&
	    open_store(command, parts, err) != 0)
		return -1;
	return (parts & COMMAND_VIEW) != 0 ? open_view(command, err) : 0;
}

int
command_open_catalogue(struct command *command, struct error *err)
{
	int64_t generation;

	if (command_open(command, COMMAND_STORE, err) != 0 ||
	    catalogue_generation(
		command->redis, command->keyspace, &generation, err) != 0)
		return -1;
	if (generation > 0)
		return 0;
	return error_fatal(err, EXIT_NOT_FOUND,
	    "redis %s has no catalogue; run schedrun apply",
	    redis_address(command->redis));
}

int
command_send_event(struct command *command, const struct schedule_event *event,
    struct error *err)
{
	const struct kafka_settings settings = {
		.config = command_config(command),
	};
	struct event_sender *sender =
	    event_sender_create(&settings, (int)command->options.timeout_ms);
	int rc = event_sender_send(sender, event, err);

	event_sender_destroy(sender);
	return rc;
}

void
command_close(struct command *command)
{
	patience_end();
	redis_destroy(command->redis);
	redis_destroy(command->view_redis);
	keyspace_destroy(command->keyspace);
	table_destroy(command->table);
	buffer_finish(&command->out);
	arena_destroy(command->arena);
	config_destroy(command->config);
	options_finish(&command->options);
	free(command->profile_file);
	free(command->documentation);
	*command = (struct command){ 0 };
}

struct table *
command_table(struct command *command, const struct column *columns)
{
	table_destroy(command->table);
	command->table = table_create(command_output(command), columns);
	return command->table;
}

struct table *
command_stream(struct command *command, const struct column *columns)
{
	if (command->table != NULL && table_columns(command->table) == columns)
		return command->table;
	return command_table(command, columns);
}

int
command_print(struct command *command)
{
	int rc;

	patience_end();
	rc = output_write(buffer_text(&command->out));

	buffer_reset(&command->out);
	return rc == 0 ? EXIT_DONE : EXIT_NO;
}

int
command_print_table(struct command *command)
{
	table_write(command->table, &command->out);
	return command_print(command);
}

static volatile sig_atomic_t interrupted;

static void
note_signal(int number)
{
	(void)number;
	interrupted = 1;
}

void
command_catch_signals(void)
{
	const struct sigaction action = { .sa_handler = note_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool
command_is_interrupted(void)
{
	return interrupted != 0;
}
