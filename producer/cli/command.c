#include "producer/cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

#define PAUSE_MS 100

static const struct argp_option output_options[] = {
	{ "output", 'o', "FORMAT", 0,
	    "table, json or jsonl (default: table on a terminal, else jsonl)",
	    0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

void
command_take_output(
    struct command *command, const char *format, const struct argp_state *state)
{
	if (strcmp(format, "table") != 0 && strcmp(format, "json") != 0 &&
	    strcmp(format, "jsonl") != 0)
		usage_error(
		    state, "-o %s: is not table, json or jsonl", format);
	command->output = format;
}

static error_t
take_output(int key, char *argument, struct argp_state *state)
{
	struct command *command = state->input;

	if (key != 'o')
		return ARGP_ERR_UNKNOWN;
	command_take_output(command, argument, state);
	return 0;
}

static const struct argp output_argp = { output_options, take_output, NULL,
	NULL, NULL, NULL, NULL };

/* What the children of a command's parser work on. */
struct inputs {
	struct command *command;
	const struct argp *own;
	void *own_input;
};

static error_t
hand_out(int key, char *argument, struct argp_state *state)
{
	struct inputs *inputs = state->input;

	(void)argument;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = &inputs->command->options;
	state->child_inputs[1] = inputs->command;
	if (inputs->own != NULL)
		state->child_inputs[2] = inputs->own_input;
	return 0;
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
command_parse(struct command *command, const struct argp *argp, int argc,
    char **argv, void *input)
{
	struct inputs inputs = { command, argp, input };
	const struct argp_child children[] = {
		{ &options_argp, 0, "Global flags:", 100 },
		{ &output_argp, 0, NULL, 100 },
		{ argp, 0, NULL, 0 },
		{ NULL, 0, NULL, 0 },
	};
	struct argp whole = { NULL, hand_out, command->row->arguments, NULL,
		children, NULL, NULL };
	char name[96];

	command->documentation = write_documentation(command->row);
	whole.doc = command->documentation;
	snprintf(name, sizeof name, "schedrun %s", command->row->name);
	argv[0] = name;
	options_parse(&whole, argc, argv, 0, &inputs);
}

struct arguments {
	const char **at;
	int n, min, max;
};

static error_t
take_argument(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (arguments->n == arguments->max)
			usage_error(state, "too many arguments: %s", argument);
		arguments->at[arguments->n++] = argument;
		return 0;
	case ARGP_KEY_END:
		if (arguments->n < arguments->min)
			usage_error(state, "an argument is missing");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

void
command_arguments(struct command *command, int argc, char **argv,
    const char **at, int min, int max)
{
	static const struct argp argp = { NULL, take_argument, NULL, NULL, NULL,
		NULL, NULL };
	struct arguments arguments = { at, 0, min, max };

	command_parse(command, &argp, argc, argv, &arguments);
}

const struct config *
command_config(struct command *command)
{
	struct error err = { 0 };

	if (command->config != NULL)
		return command->config;
	command->config = options_load(&command->options, &err);
	if (command->config == NULL) {
		fprintf(stderr, "schedrun: %s: %s\n", command->row->name,
		    err.message);
		exit(EXIT_WRONG_USAGE);
	}
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
	fprintf(stderr, "schedrun: %s: %s\n", command->row->name, err->message);
	return command_exit_code(err);
}

int
command_say(
    const struct command *command, int exit_code, const char *format, ...)
{
	va_list args;

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

struct redis *
command_redis(struct command *command, const char *url_key, struct error *err)
{
	const struct redis_settings settings =
	    redis_settings_of(command_config(command), url_key, "schedrun");
	struct redis *redis = redis_create(&settings, err);
	int64_t deadline = command_deadline(command);

	if (redis == NULL)
		return NULL;
	while (redis_connect(redis, err) != 0) {
		if (err->kind != ERROR_RETRY ||
		    clock_monotonic_ms() >= deadline) {
			redis_destroy(redis);
			return NULL;
		}
		clock_wait(PAUSE_MS);
	}
	return redis;
}

struct keyspace *
command_keyspace(struct command *command)
{
	return keyspace_create(
	    config_text(command_config(command), "redis.prefix"));
}
