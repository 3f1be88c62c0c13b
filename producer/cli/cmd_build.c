#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "producer/builder/said.h"
#include "producer/catalogue/fields.h"
#include "producer/cli/command.h"
#include "producer/runs/build_report.h"
#include "producer/runs/decoder.h"

#define LOOK_MS 200
#define ARENA_KEPT ((size_t)64 * 1024)

static int
say_unknown(const struct command *command)
{
	return command_say(command, EXIT_NOT_FOUND,
	    "build \"%s\" not found in %s; it never came, is older than "
	    "view.ttl, or no adapter folds builds (schedrun-http)",
	    command->argument, redis_shown_url(command->view.redis));
}

static int
print_build(struct command *command, const char *state, const char *repeated,
    const struct report_result *result)
{
	static const struct column columns[] = {
		{ "BUILD", "buildRid" },
		{ "STATE", "state" },
		{ "OUTPUTS", "outputs" },
		{ "NOTE", "note" },
		{ NULL, NULL },
	};
	struct table *table = command_table(command, columns);

	table_string(table, command->argument);
	table_string(table, state);
	table_number(table, (int64_t)result->outputs);
	table_string(table, result->already ? repeated : NULL);
	return command_print_table(command);
}

static void
warn_of_gone(const struct command *command, const struct report_result *result)
{
	size_t i;

	for (i = 0; i < result->n_gone; i++)
		command_say(command, 0,
		    "output %.*s is not in the catalogue any more; its "
		    "branches are left alone",
		    TEXT_ARG(result->gone[i]));
}

static int
finish_build(struct command *command, struct build_report *report,
    const struct uuid *id, const struct build_record *record)
{
	struct build_requested build;
	struct report_result result;
	struct error err = { 0 };

	if (decode_build_once(command_config(command), record->event, id,
		command->arena, &build, &err) != 0 ||
	    build_report_finish(report, id, &build, &result, &err) != 0)
		return command_fail(command, &err);
	warn_of_gone(command, &result);
	return print_build(command, "SUCCEEDED", "already finished", &result);
}

static int
mark_build(struct command *command, struct build_report *report,
    const struct uuid *id, const char *state)
{
	struct report_result result;
	struct error err = { 0 };
	int taken = build_report_state(report, id, state, &result, &err);

	if (taken < 0)
		return command_fail(command, &err);
	if (taken == 0)
		return command_say(command, EXIT_NO,
		    "build \"%s\" has ended, %.*s, and stays so",
		    command->argument, TEXT_ARG(result.was));
	return print_build(command, state, "already so", &result);
}

static int
fail_build(struct command *command, struct build_report *report,
    const struct uuid *id, const struct build_record *record)
{
	(void)record;
	return mark_build(command, report, id, "FAILED");
}

static int
cancel_build(struct command *command, struct build_report *report,
    const struct uuid *id, const struct build_record *record)
{
	(void)record;
	return mark_build(command, report, id, "CANCELED");
}

/* Until it has ended, or that moment.  1, 0, -1 as of run_view_get_build. */
static int
read_build(struct command *command, const struct uuid *id, int64_t until_ms,
    struct build_record *record, struct error *err)
{
	struct arena *arena = arena_create(0);
	int found;

	while ((found = run_view_get_build(
		    &command->view, id, arena, record, err)) >= 0 &&
	    (found == 0 || record->state.at == NULL) &&
	    clock_monotonic_ms() < until_ms) {
		command_wait(command, "waiting for the build's end");
		clock_wait(LOOK_MS);
		arena_reset(arena, ARENA_KEPT);
	}
	if (found == 1) {
		record->event = text_copy(command->arena, record->event);
		record->state = text_copy(command->arena, record->state);
	}
	arena_destroy(arena);
	return found;
}

static int
report_build(struct command *command, int64_t wait_ms,
    int (*act)(struct command *, struct build_report *, const struct uuid *,
	const struct build_record *))
{
	struct build_report report;
	struct build_record record;
	struct error err = { 0 };
	struct uuid id;
	int found = -1;

	if (command_uuid(command, TEXT(RID_BUILD_PREFIX), "a build", &id) !=
	    EXIT_DONE)
		return EXIT_WRONG_USAGE;
	if (command_open(command, COMMAND_STORE | COMMAND_VIEW, &err) == 0)
		found = read_build(command, &id, clock_monotonic_ms() + wait_ms,
		    &record, &err);
	if (found < 0)
		return command_fail(command, &err);
	if (found == 0)
		return say_unknown(command);
	report = (struct build_report){ command->redis, command->keyspace,
		&command->view, command->arena, NULL, 0, false };
	return act(command, &report, &id, &record);
}

/* How a build has ended, to Redis or to Kafka ----------------------------- */

enum { OPTION_KAFKA = 512 };

struct ending {
	struct command *command;
	bool is_sent;
};

static const struct argp_option ending_options[] = {
	{ "kafka", OPTION_KAFKA, NULL, 0,
	    "Send it as an event, which schedrun-trigger writes to Redis", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take_ending(int key, char *argument, struct argp_state *state)
{
	struct ending *ending = state->input;

	(void)argument;
	switch (key) {
	case OPTION_KAFKA:
		ending->is_sent = true;
		return 0;
	case ARGP_KEY_END:
		if (ending->command->argument == NULL)
			usage_error(state, "the build's RID is missing");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static int
send_ending(struct command *command, bool is_succeeded)
{
	struct schedule_event event = { .message = MESSAGE_BUILD_FINISHED,
		.time_ms = clock_wall_ms(),
		.is_succeeded = is_succeeded };
	const struct report_result sent = { .already = true };
	struct error err = { 0 };

	if (command_uuid(command, TEXT(RID_BUILD_PREFIX), "a build",
		&event.build_id) != EXIT_DONE)
		return EXIT_WRONG_USAGE;
	if (command_send_event(command, &event, &err) != 0)
		return command_fail(command, &err);
	return print_build(
	    command, is_succeeded ? "SUCCEEDED" : "FAILED", "sent", &sent);
}

static int
end_build(struct command *command, int argc, char **argv, bool is_succeeded)
{
	struct ending ending = { .command = command };

	command_parse(
	    command, argc, argv, ending_options, take_ending, &ending);
	if (ending.is_sent)
		return send_ending(command, is_succeeded);
	return report_build(
	    command, 0, is_succeeded ? finish_build : fail_build);
}

int
cmd_build_finish(struct command *command, int argc, char **argv)
{
	return end_build(command, argc, argv, true);
}

int
cmd_build_fail(struct command *command, int argc, char **argv)
{
	return end_build(command, argc, argv, false);
}

int
cmd_build_cancel(struct command *command, int argc, char **argv)
{
	command_argument(command, argc, argv);
	return report_build(command, 0, cancel_build);
}

/* What the builder says ------------------------------------------------- */

/* A build that was found, and what is said of its jobs by their positions. */
struct shown_build {
	struct build_requested build;
	struct fields *said;
	struct text state; /* none: it runs */
};

static int
read_jobs(struct command *command, const struct uuid *id,
    const struct build_record *record, struct shown_build *shown,
    struct error *err)
{
	struct buffer key = { 0 };
	int rc = decode_build_once(command_config(command), record->event, id,
	    command->arena, &shown->build, err);

	shown->state = record->state;
	shown->said = fields_create(command->arena);
	if (rc == 0)
		rc = fields_read(shown->said, command->redis,
		    keyspace_jobs(command->keyspace, id, &key), err);
	buffer_finish(&key);
	return rc;
}

/* Of a job that nothing is said of, by what is said of the build. */
static const char *
silent_state(const struct shown_build *shown)
{
	if (shown->state.at == NULL)
		return job_state_name(JOB_WAITING);
	return fields_size(shown->said) > 0 ? job_state_name(JOB_SKIPPED)
					    : NULL;
}

static struct text
last_line(struct text note)
{
	struct text line, last = TEXT_NONE;

	while (text_take_word(&note, "\n", &line))
		last = line;
	return last;
}

static void
add_job(struct table *table, const struct shown_build *shown, size_t i)
{
	const struct job_spec *spec = shown->build.build.jobs[i].spec;
	char number[TEXT_NUMBER_SIZE];
	struct text stored =
	    fields_get(shown->said, text_of_number((int64_t)i, number));
	struct job_said said;

	job_said_read(stored, &said);
	table_number(table, (int64_t)i);
	table_string(table,
	    stored.at != NULL ? job_state_name(said.state)
			      : silent_state(shown));
	table_text(table, spec->outputs[0]);
	table_number(table, said.attempt);
	if (stored.at != NULL &&
	    (said.state == JOB_SUCCEEDED || said.state == JOB_FAILED))
		table_number(table, said.code);
	else
		table_none(table);
	table_text(table, said.host);
	table_text(table, last_line(said.note));
}

static int
show_jobs(struct command *command, const struct uuid *id,
    const struct shown_build *shown)
{
	static const struct column columns[] = {
		{ "JOB", "job" },
		{ "STATE", "state" },
		{ "OUTPUT", "output" },
		{ "ATTEMPT", "attempt" },
		{ "CODE", "code" },
		{ "HOST", "host" },
		{ "SAYS", "says" },
		{ NULL, NULL },
	};
	struct table *table = command_table(command, columns);
	size_t i;

	(void)id;
	for (i = 0; i < shown->build.build.n_jobs; i++)
		add_job(table, shown, i);
	return command_print_table(command);
}

static int
show_build(struct command *command, const struct uuid *id,
    const struct build_record *record,
    int (*show)(
	struct command *, const struct uuid *, const struct shown_build *))
{
	struct shown_build shown;
	struct error err = { 0 };
	int code = read_jobs(command, id, record, &shown, &err) == 0
	    ? show(command, id, &shown)
	    : command_fail(command, &err);

	fields_destroy(shown.said);
	return code;
}

static int
get_build(struct command *command, struct build_report *report,
    const struct uuid *id, const struct build_record *record)
{
	(void)report;
	return show_build(command, id, record, show_jobs);
}

/* The same of what was waited for: its end is the answer. */
static int
get_ended_build(struct command *command, struct build_report *report,
    const struct uuid *id, const struct build_record *record)
{
	int code = get_build(command, report, id, record);

	if (code != EXIT_DONE)
		return code;
	if (record->state.at == NULL)
		return command_say(command, EXIT_NO_RESULT,
		    "build \"%s\" has not ended within --wait",
		    command->argument);
	return text_equal(record->state, TEXT("SUCCEEDED"))
	    ? EXIT_DONE
	    : command_say(command, EXIT_NO, "build \"%s\" has ended, %.*s",
		  command->argument, TEXT_ARG(record->state));
}

enum { OPTION_WAIT = 512 };

struct getting {
	struct command *command;
	int64_t wait_ms; /* -1: don't wait */
};

static const struct argp_option getting_options[] = {
	{ "wait", OPTION_WAIT, "DURATION", 0,
	    "Wait until it has ended; 1 unless it has succeeded", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take_getting(int key, char *argument, struct argp_state *state)
{
	struct getting *getting = state->input;

	switch (key) {
	case OPTION_WAIT:
		if (!config_parse_duration(argument, &getting->wait_ms))
			usage_error(state,
			    "--wait %s: not a duration such as 10m", argument);
		return 0;
	case ARGP_KEY_END:
		if (getting->command->argument == NULL)
			usage_error(state, "the build's RID is missing");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

int
cmd_build_get(struct command *command, int argc, char **argv)
{
	struct getting getting = { command, -1 };

	command_parse(
	    command, argc, argv, getting_options, take_getting, &getting);
	return getting.wait_ms < 0
	    ? report_build(command, 0, get_build)
	    : report_build(command, getting.wait_ms, get_ended_build);
}

/* 0: there is no such file here. */
static int
put_file(struct command *command, const char *path)
{
	FILE *file = fopen(path, "re");
	char bytes[65536];
	size_t n;

	if (file == NULL)
		return 0;
	while ((n = fread(bytes, 1, sizeof bytes, file)) > 0) {
		buffer_append(&command->out, (struct text){ bytes, n });
		command_print(command);
	}
	fclose(file);
	return 1;
}

/* The file, if it is on this machine; else the lines that Redis keeps. */
static void
put_output(struct command *command, const struct uuid *id, size_t job,
    const struct job_said *said)
{
	const char *folder =
	    config_text(command_config(command), "builder.logs");
	char uuid[UUID_TEXT_SIZE], path[4096];

	uuid_format(id, uuid);
	snprintf(path, sizeof path, "%s/%.*s/%zu.log", folder, UUID_TEXT_SIZE,
	    uuid, job);
	if (put_file(command, path) == 1)
		return;
	command_say(command, 0,
	    "job %zu: no %s here: it ran on %.*s, whose builder.logs may be "
	    "another folder (-s builder.logs=DIR); %s",
	    job, path, TEXT_ARG(said->host),
	    said->note.size > 0 ? "these are its last lines"
				: "nothing else is kept of it");
	buffer_append(&command->out, said->note);
}

static int
show_logs(struct command *command, const struct uuid *id,
    const struct shown_build *shown)
{
	size_t i;

	for (i = 0; i < shown->build.build.n_jobs; i++) {
		char number[TEXT_NUMBER_SIZE];
		struct job_said said;

		job_said_read(
		    fields_get(shown->said, text_of_number((int64_t)i, number)),
		    &said);
		if (said.attempt > 0 && said.state != JOB_UP_TO_DATE)
			put_output(command, id, i, &said);
	}
	return command_print(command);
}

static int
log_build(struct command *command, struct build_report *report,
    const struct uuid *id, const struct build_record *record)
{
	(void)report;
	if (command_demand_text(command, "what jobs have written") != 0)
		return EXIT_WRONG_USAGE;
	return show_build(command, id, record, show_logs);
}

int
cmd_build_logs(struct command *command, int argc, char **argv)
{
	command_argument(command, argc, argv);
	return report_build(command, 0, log_build);
}
