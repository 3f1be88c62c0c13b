#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/kafka/admin.h"
#include "producer/cli/command.h"
#include "producer/runs/lag.h"
#include "schemas/topics.h"

#define PAUSE_MS 100
#define CLEAR_SCREEN "\033[H\033[J"

enum { OPTION_WATCH = 512, OPTION_FOR };

static const struct argp_option lag_options[] = {
	{ "watch", OPTION_WATCH, "DURATION", 0,
	    "Show it again and again, this far apart", 0 },
	{ "for", OPTION_FOR, "PROGRAM", 0,
	    "Of worker (the default), trigger or builder", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

/* A program that watches is told when each line was true. */
static const struct column columns_in_time[] = {
	{ "AT", "ts" },
	{ "PARTITION", "partition" },
	{ "END", "end" },
	{ "COMMITTED", "committed" },
	{ "LAG", "lag" },
	{ "OLDEST", "oldestAgeMs" },
	{ "OWNER", "owner" },
	{ "HELD AT", "heldAt" },
	{ NULL, NULL },
};
static const struct column *const columns = columns_in_time + 1;

struct lag_command {
	struct command *command;
	struct kafka_admin *admin;
	struct lag lag;
	unsigned program; /* a bit of enum command_program */
	int64_t watch_ms; /* 0: once */
};

/* What each reads, and as which group. */
static const struct reading {
	unsigned program;
	enum topic topic;
	const char *group; /* the key that names it */
} readings[] = {
	{ PROGRAM_WORKER, TOPIC_REQUESTS, "worker.group" },
	{ PROGRAM_TRIGGER, TOPIC_EVENTS, "trigger.group" },
	{ PROGRAM_BUILDER, TOPIC_BUILDS, "builder.group" },
};

static error_t
take_lag(int key, char *argument, struct argp_state *state)
{
	struct lag_command *lag = state->input;

	switch (key) {
	case OPTION_WATCH:
		if (!config_parse_duration(argument, &lag->watch_ms) ||
		    lag->watch_ms <= 0)
			usage_error(state,
			    "--watch %s: is not a duration such as 2s",
			    argument);
		return 0;
	case OPTION_FOR:
		lag->program = command_take_program(argument, state);
		if (lag->program == PROGRAM_HTTP)
			usage_error(state,
			    "--for http: schedrun_run_view_lag_records of its "
			    "metrics says how far it is behind");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

/* Nobody can read on there, whatever comes behind it. */
static void
tell_held(const struct lag *lag)
{
	int64_t from;
	size_t i;

	for (i = 0; i < lag->n; i++)
		if (lag_is_held(lag, i, &from))
			fprintf(stderr,
			    "schedrun: an open transaction holds partition %zu "
			    "from offset %lld\n",
			    i, (long long)from);
}

/* Milliseconds for programs, "1.5s" for people. */
static void
put_age(struct table *table, enum output output, int64_t time_ms)
{
	int64_t age = clock_wall_ms() - time_ms;
	char text[32];

	if (time_ms < 0) {
		table_none(table);
		return;
	}
	if (age < 0)
		age = 0;
	if (output != OUTPUT_TABLE) {
		table_number(table, age);
		return;
	}
	snprintf(text, sizeof text, "%lld.%llds", (long long)(age / 1000),
	    (long long)(age % 1000 / 100));
	table_string(table, text);
}

static void
put_time(struct table *table)
{
	char text[CLOCK_TEXT_SIZE];

	if (table_columns(table) != columns_in_time)
		return;
	clock_format(clock_wall_ms(), text);
	table_text(table, (struct text){ text, sizeof text });
}

static int
print_lag(const struct lag_command *asked, enum output output)
{
	const struct lag *lag = &asked->lag;
	struct table *table = command_table(asked->command,
	    asked->watch_ms > 0 && output != OUTPUT_TABLE ? columns_in_time
							  : columns);
	int64_t total = 0, oldest = -1, end = 0, from;
	size_t i;

	for (i = 0; i < lag->n; i++) {
		put_time(table);
		table_number(table, (int64_t)i);
		table_number(table, lag->logs[i].end);
		if (lag->committed[i] < 0)
			table_none(table);
		else
			table_number(table, lag->committed[i]);
		table_number(table, lag_of(lag, i));
		put_age(table, output, lag->times[i]);
		table_string(table, lag->owners[i]);
		if (lag_is_held(lag, i, &from))
			table_number(table, from);
		else
			table_none(table);
		total += lag_of(lag, i);
		end += lag->logs[i].end;
		if (lag->times[i] >= 0 &&
		    (oldest < 0 || lag->times[i] < oldest))
			oldest = lag->times[i];
	}
	put_time(table);
	table_string(table, "total");
	table_number(table, end);
	table_none(table);
	table_number(table, total);
	put_age(table, output, oldest);
	table_none(table);
	table_none(table);
	return command_print_table(asked->command);
}

/* Leaders move, topics are new: asked again until --timeout. */
static int
measure_in_time(struct lag_command *lag, struct error *err)
{
	int64_t deadline = command_deadline(lag->command);

	for (;;) {
		arena_reset(lag->command->arena, 65536);
		if (lag_measure(&lag->lag, lag->admin, err) == 0)
			return 0;
		if (err->kind != ERROR_RETRY || command_is_interrupted() ||
		    clock_monotonic_ms() >= deadline)
			return -1;
		clock_wait(PAUSE_MS);
	}
}

static int
show(struct lag_command *lag)
{
	enum output output = command_output(lag->command);
	struct error err = { 0 };
	int code;

	if (measure_in_time(lag, &err) != 0)
		return command_fail(lag->command, &err);
	if (lag->watch_ms > 0 && output == OUTPUT_TABLE &&
	    isatty(STDOUT_FILENO))
		buffer_append(&lag->command->out, TEXT(CLEAR_SCREEN));
	code = print_lag(lag, output);
	tell_held(&lag->lag);
	return code;
}

/* An outage is said and outlived: who watches wants to see its end. */
static int
follow(struct lag_command *lag)
{
	int code = EXIT_DONE;

	command_catch_signals();
	while (!command_is_interrupted()) {
		code = show(lag);
		if (code != EXIT_DONE && code != EXIT_UNREACHABLE)
			return code;
		clock_wait(lag->watch_ms);
	}
	return EXIT_INTERRUPTED;
}

int
cmd_lag(struct command *command, int argc, char **argv)
{
	struct lag_command lag = { .command = command,
		.program = PROGRAM_WORKER };
	const struct reading *reading = readings;
	struct kafka_settings settings = { 0 };
	struct error err = { 0 };
	int code;

	command_parse(command, argc, argv, lag_options, take_lag, &lag);
	settings.config = command_config(command);
	while (reading->program != lag.program)
		reading++;
	lag.lag.topic = topic_name(settings.config, reading->topic);
	lag.lag.group = config_text(settings.config, reading->group);
	lag.lag.arena = command->arena;
	lag.admin = kafka_admin_create(
	    &settings, (int)command->options.timeout_ms, &err);
	if (lag.admin == NULL)
		return command_fail(command, &err);
	command_wait(command, "asking Kafka");
	code = lag.watch_ms > 0 ? follow(&lag) : show(&lag);
	kafka_admin_destroy(lag.admin);
	return code;
}
