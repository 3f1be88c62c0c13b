#include <stdio.h>
#include <stdlib.h>

#include "producer/command.h"
#include "producer/input_file.h"
#include "producer/plan_case.h"
#include "producer/plan_view.h"

enum plan_option {
	OPTION_WORLD = 512,
	OPTION_VERSION,
	OPTION_REQUEST,
	OPTION_JSONL,
	OPTION_EXPLAIN,
	OPTION_DOT,
};

struct plan_flags {
	const char *world, *version, *request;
	bool jsonl, explain, dot;
};

static const struct argp_option options[] = {
	{ "world", OPTION_WORLD, "FILE", 0, "World document", 0 },
	{ "version", OPTION_VERSION, "FILE", 0, "Version document, or null",
	    0 },
	{ "request", OPTION_REQUEST, "FILE", 0, "Request document", 0 },
	{ "jsonl", OPTION_JSONL, NULL, 0,
	    "Answer {world, version, request} lines of standard input", 0 },
	{ "explain", OPTION_EXPLAIN, NULL, 0, "Print the plan for a person",
	    0 },
	{ "dot", OPTION_DOT, NULL, 0, "Print a Graphviz graph", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take(int key, char *argument, struct argp_state *state)
{
	struct plan_flags *flags = state->input;

	switch (key) {
	case OPTION_WORLD:
		flags->world = argument;
		return 0;
	case OPTION_VERSION:
		flags->version = argument;
		return 0;
	case OPTION_REQUEST:
		flags->request = argument;
		return 0;
	case OPTION_JSONL:
		flags->jsonl = true;
		return 0;
	case OPTION_EXPLAIN:
		flags->explain = true;
		return 0;
	case OPTION_DOT:
		flags->dot = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "too many arguments: %s", argument);
		return 0;
	case ARGP_KEY_END:
		if (!flags->jsonl &&
		    (flags->world == NULL || flags->version == NULL ||
			flags->request == NULL))
			argp_error(state,
			    "--world, --version and --request, or --jsonl");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static int
answer_lines(struct plan_case *plan_case)
{
	struct buffer out = { 0 };
	size_t capacity = 0;
	char *line = NULL;
	ssize_t size;

	while ((size = getline(&line, &capacity, stdin)) >= 0) {
		buffer_reset(&out);
		plan_case_answer(
		    plan_case, (struct text){ line, (size_t)size }, &out);
		fwrite(out.at, 1, out.size, stdout);
		fflush(stdout);
	}
	free(line);
	buffer_finish(&out);
	return EXIT_DONE;
}

static void
print(const struct plan_flags *flags, const struct plan_case *plan_case)
{
	struct buffer out = { 0 };

	if (flags->explain) {
		plan_explain(plan_case->outcome, command_has_colour(), &out);
	} else if (flags->dot) {
		plan_draw(plan_case->outcome, &out);
	} else {
		outcome_write_json(plan_case->outcome, &plan_case->request,
		    plan_case->created_time, &out);
		buffer_byte(&out, '\n');
	}
	fwrite(out.at, 1, out.size, stdout);
	buffer_finish(&out);
}

static int
plan_files(struct command *command, const struct plan_flags *flags,
    struct plan_case *plan_case)
{
	struct error err = { 0 };
	struct json_document *version = NULL, *request = NULL;
	struct json_document *world = input_file_parse(flags->world, &err);
	int code = EXIT_DONE;

	if (world != NULL)
		version = input_file_parse(flags->version, &err);
	if (version != NULL)
		request = input_file_parse(flags->request, &err);
	if (request == NULL ||
	    plan_case_run(plan_case, json_root(world), json_root(version),
		json_root(request), &err) != 0)
		code = command_fail(command, &err);
	else
		print(flags, plan_case);
	json_destroy(world);
	json_destroy(version);
	json_destroy(request);
	return code;
}

int
cmd_plan(struct command *command, int argc, char **argv)
{
	static const struct argp argp = { options, take, NULL, NULL, NULL, NULL,
		NULL };
	struct plan_flags flags = { 0 };
	struct plan_case plan_case;
	int code;

	command_parse(command, &argp, argc, argv, &flags);
	plan_case_init(&plan_case);
	code = flags.jsonl ? answer_lines(&plan_case)
			   : plan_files(command, &flags, &plan_case);
	plan_case_finish(&plan_case);
	return code;
}
