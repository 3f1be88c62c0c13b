#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "producer/cli/command.h"
#include "producer/cli/input_file.h"
#include "producer/cli/line_reader.h"
#include "producer/dryrun/case.h"
#include "producer/dryrun/live.h"
#include "producer/dryrun/view.h"
#include "producer/runs/submission.h"

#define DRY_RUN_ID "dry-run"
#define LIVE_ATTEMPTS 3

enum plan_option {
	OPTION_WORLD = 512,
	OPTION_VERSION,
	OPTION_REQUEST,
	OPTION_SCHEDULE,
	OPTION_BY,
	OPTION_PIN,
	OPTION_REQUEST_ID,
	OPTION_JSONL,
	OPTION_EXPLAIN,
	OPTION_DOT,
};

struct plan_flags {
	const char *world, *version, *request;
	const char *schedule, *by, *pin, *request_id;
	bool jsonl, explain, dot;
};

static const struct argp_option plan_options[] = {
	{ "schedule", OPTION_SCHEDULE, "RID", 0,
	    "Plan this schedule on the catalogue in Redis", 0 },
	{ "by", OPTION_BY, "UUID", 0, "As if this user asked (--schedule)", 0 },
	{ "pin", OPTION_PIN, "RID", 0,
	    "This version, not the current one (--schedule)", 0 },
	{ "request-id", OPTION_REQUEST_ID, "ID", 0,
	    "The run's ids are made of it (--schedule; default: " DRY_RUN_ID
	    ")",
	    0 },
	{ "world", OPTION_WORLD, "FILE", 0,
	    "World document; - is standard input, as in the next two", 0 },
	{ "version", OPTION_VERSION, "FILE", 0,
	    "Version document; null: the store has none", 0 },
	{ "request", OPTION_REQUEST, "FILE", 0, "Request document", 0 },
	{ "jsonl", OPTION_JSONL, NULL, 0,
	    "Answer {world, version, request} lines of standard input", 0 },
	{ "explain", OPTION_EXPLAIN, NULL, 0, "Print the plan for a person",
	    0 },
	{ "dot", OPTION_DOT, NULL, 0, "Print a Graphviz graph", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static bool
reads_stdin_twice(const struct plan_flags *flags)
{
	const char *const files[] = { flags->world, flags->version,
		flags->request };
	int n = 0;
	size_t i;

	for (i = 0; i < sizeof files / sizeof files[0]; i++)
		n += files[i] != NULL && strcmp(files[i], "-") == 0;
	return n > 1;
}

/* Exactly one of the three ways, with what it needs. */
static void
check_source(const struct plan_flags *flags, struct argp_state *state)
{
	bool files = flags->world != NULL || flags->version != NULL ||
	    flags->request != NULL;

	if (files + flags->jsonl + (flags->schedule != NULL) != 1)
		usage_error(state,
		    "give --schedule RID, or --world, --version and --request, "
		    "or --jsonl");
	if (files &&
	    (flags->world == NULL || flags->version == NULL ||
		flags->request == NULL))
		usage_error(
		    state, "--world, --version and --request go together");
	if (files && reads_stdin_twice(flags))
		usage_error(state, "standard input (-) can be read but once");
	if (flags->jsonl && (flags->explain || flags->dot))
		usage_error(
		    state, "--jsonl answers in JSON: no --explain, --dot");
	if (flags->explain && flags->dot)
		usage_error(state, "either --explain or --dot");
	if (flags->schedule == NULL &&
	    (flags->by != NULL || flags->pin != NULL ||
		flags->request_id != NULL))
		usage_error(
		    state, "--by, --pin and --request-id go with --schedule");
}

static error_t
take_plan(int key, char *argument, struct argp_state *state)
{
	struct plan_flags *flags = state->input;

	switch (key) {
	case OPTION_SCHEDULE:
		flags->schedule = argument;
		return 0;
	case OPTION_BY:
		flags->by = argument;
		return 0;
	case OPTION_PIN:
		flags->pin = argument;
		return 0;
	case OPTION_REQUEST_ID:
		flags->request_id = argument;
		return 0;
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
	case ARGP_KEY_END:
		check_source(flags, state);
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static void
answer_line(struct plan_case *plan_case, struct text line, struct buffer *out)
{
	if (line.size > INPUT_FILE_MAX)
		buffer_format(out,
		    "{\"invalid\":\"line 1: more than %zu bytes\"}\n",
		    INPUT_FILE_MAX);
	else
		plan_case_answer(plan_case, line, out);
}

/* Each answer is out before the next line is read: who asks may wait for it. */
static int
answer_lines(struct command *command, struct plan_case *plan_case)
{
	struct line_reader reader;
	struct error err = { 0 };
	enum line_result result = LINE_READ;
	struct text line;
	int code = EXIT_DONE;

	if (command->output != NULL && command_output(command) == OUTPUT_TABLE)
		return command_say(command, EXIT_WRONG_USAGE,
		    "--jsonl answers in JSON: no -o table");
	line_reader_init(&reader, STDIN_FILENO, INPUT_FILE_MAX);
	while (code == EXIT_DONE && result != LINE_END) {
		result = line_reader_next(&reader, -1, &line, &err);
		if (result == LINE_READ)
			answer_line(plan_case, line, &command->out);
		if (result == LINE_FAILED) {
			error_prefix(&err, "standard input");
			code = command_fail(command, &err);
		} else {
			code = command_print(command);
		}
	}
	line_reader_finish(&reader);
	return code;
}

/* An outcome in the form that is asked for. */
static int
print_outcome(struct command *command, const struct plan_flags *flags,
    const struct outcome *outcome, struct text created_time)
{
	bool is_read = flags->explain ||
	    (!flags->dot && command_output(command) == OUTPUT_TABLE);

	if (is_read) {
		plan_explain(outcome, command_has_colour(), &command->out);
	} else if (flags->dot) {
		plan_draw(outcome, &command->out);
	} else {
		outcome_write_json(outcome, created_time, &command->out);
		buffer_byte(&command->out, '\n');
	}
	return command_print(command);
}

static int
plan_files(struct command *command, const struct plan_flags *flags,
    struct plan_case *plan_case)
{
	struct error err = { 0 };
	struct json_document *version = NULL, *request = NULL;
	struct json_document *world = input_file_parse(flags->world, &err);
	int code;

	if (world != NULL)
		version = input_file_parse(flags->version, &err);
	if (version != NULL)
		request = input_file_parse(flags->request, &err);
	if (request == NULL ||
	    plan_case_run(plan_case, json_root(world), json_root(version),
		json_root(request), &err) != 0)
		code = command_fail(command, &err);
	else
		code = print_outcome(command, flags, plan_case->outcome,
		    plan_case->created_time);
	json_destroy(world);
	json_destroy(version);
	json_destroy(request);
	return code;
}

/* An answer that was too large is read in pieces the next time. */
static const struct outcome *
insist_on_plan(struct live_plan *live, const struct run_request *request,
    struct error *err)
{
	const struct outcome *outcome;
	int attempts = 0;

	do
		outcome = live_plan_run(live, request, false, err);
	while (outcome == NULL && err->kind == ERROR_RETRY &&
	    ++attempts < LIVE_ATTEMPTS);
	return outcome;
}

static int
plan_request(struct command *command, const struct plan_flags *flags,
    const struct run_request *request)
{
	struct live_plan *live;
	const struct outcome *outcome;
	struct error err = { 0 };
	char now[CLOCK_TEXT_SIZE];
	int code;

	if (command_open_catalogue(command, &err) != 0)
		return command_fail(command, &err);
	clock_format(request->created_time_ms, now);
	live = live_plan_create(command->redis, command->keyspace, 0);
	outcome = insist_on_plan(live, request, &err);
	if (outcome == NULL)
		code = command_fail(command, &err);
	else if (!live_plan_found_schedule(live))
		code = command_say(command, EXIT_NOT_FOUND,
		    "schedule \"%s\" not found in %s; try: schedrun schedule "
		    "list",
		    flags->schedule, redis_shown_url(command->redis));
	else
		code = print_outcome(
		    command, flags, outcome, (struct text){ now, sizeof now });
	live_plan_destroy(live);
	return code;
}

static int
plan_live(struct command *command, const struct plan_flags *flags)
{
	struct run_request request = {
		.request_id = flags->request_id != NULL
		    ? text_from(flags->request_id)
		    : TEXT(DRY_RUN_ID),
		.schedule_rid = text_from(flags->schedule),
		.schedule_version_rid = text_from(flags->pin),
		.created_time_ms = clock_wall_ms(),
		.created_by = text_from(flags->by),
	};
	struct error err = { 0 };
	struct uuid run;

	if (submission_check(&request, &run, &err) != 0)
		return command_say(
		    command, EXIT_WRONG_USAGE, "%s", err.message);
	return plan_request(command, flags, &request);
}

int
cmd_plan(struct command *command, int argc, char **argv)
{
	struct plan_flags flags = { 0 };
	struct plan_case plan_case;
	int code;

	command_parse(command, argc, argv, plan_options, take_plan, &flags);
	if ((flags.explain && command_demand_text(command, "--explain") != 0) ||
	    (flags.dot && command_demand_text(command, "--dot") != 0))
		return EXIT_WRONG_USAGE;
	if (flags.schedule != NULL)
		return plan_live(command, &flags);
	plan_case_init(&plan_case);
	code = flags.jsonl ? answer_lines(command, &plan_case)
			   : plan_files(command, &flags, &plan_case);
	plan_case_finish(&plan_case);
	return code;
}
