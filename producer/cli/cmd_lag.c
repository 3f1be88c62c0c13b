#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/kafka/admin.h"
#include "producer/cli/command.h"
#include "schemas/topics.h"

#define PAUSE_MS 100
#define CLEAR_SCREEN "\033[H\033[J"

enum { OPTION_WATCH = 512 };

static const struct argp_option lag_options[] = {
	{ "watch", OPTION_WATCH, "DURATION", 0,
	    "Show it again and again, this far apart", 0 },
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

struct lag {
	struct command *command;
	struct kafka_admin *admin;
	const char *topic, *group;
	int64_t watch_ms; /* 0: once */
	size_t n;
	struct kafka_log *logs;
	int64_t *committed, *times;
	const char **owners;
};

static error_t
take_lag(int key, char *argument, struct argp_state *state)
{
	struct lag *lag = state->input;

	switch (key) {
	case OPTION_WATCH:
		if (!config_parse_duration(argument, &lag->watch_ms) ||
		    lag->watch_ms <= 0)
			usage_error(state,
			    "--watch %s: is not a duration such as 2s",
			    argument);
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static int
count_partitions(struct lag *lag, struct error *err)
{
	struct kafka_topic topic = { .name = lag->topic };

	if (kafka_admin_describe_topics(lag->admin, &topic, 1, false, err) != 0)
		return -1;
	lag->n = (size_t)topic.partitions;
	if (lag->n == 0)
		return error_fatal(err, EXIT_NOT_FOUND,
		    "topic %s does not exist; run schedrun init", lag->topic);
	return 0;
}

/* Who has which partition; a group that isn't there has nobody. */
static int
find_owners(struct lag *lag, struct error *err)
{
	struct kafka_group_info group;
	size_t i, j;

	if (kafka_admin_group(
		lag->admin, lag->group, lag->command->arena, &group, err) != 0)
		return -1;
	for (i = 0; i < group.n_members; i++) {
		const struct kafka_group_member *member = &group.members[i];

		for (j = 0; j < member->n_partitions; j++) {
			int32_t at = member->partitions[j].partition;

			if (strcmp(member->partitions[j].topic, lag->topic) ==
				0 &&
			    at >= 0 && (size_t)at < lag->n)
				lag->owners[at] = member->client_id;
		}
	}
	return 0;
}

/* Where the next record to be answered stands. */
static int64_t
position(const struct lag *lag, size_t i)
{
	return lag->committed[i] > lag->logs[i].start ? lag->committed[i]
						      : lag->logs[i].start;
}

/* Whether an open transaction is all that is left to be read. */
static bool
is_held(const struct lag *lag, size_t i)
{
	const struct kafka_log *log = &lag->logs[i];

	return log->stable < log->end && position(lag, i) >= log->stable;
}

static int64_t
lag_of(const struct lag *lag, size_t i)
{
	int64_t behind = lag->logs[i].end - position(lag, i);

	return behind > 0 && lag->times[i] != KAFKA_NO_RECORD ? behind : 0;
}

/*
 * When the oldest waiting record of each partition was sent: of those that are
 * `held`, or of the others.
 */
static int
read_times(struct lag *lag, bool held, struct error *err)
{
	const struct kafka_search search = { lag->topic, held };
	struct kafka_first *firsts =
	    arena_zalloc(lag->command->arena, lag->n, sizeof *firsts);
	size_t n = 0, i;

	for (i = 0; i < lag->n; i++)
		if (is_held(lag, i) == held && lag_of(lag, i) > 0)
			firsts[n++] = (struct kafka_first){
				.partition = (int32_t)i,
				.offset = position(lag, i),
			};
	if (n > 0 &&
	    kafka_admin_search(lag->admin, &search, firsts, n, err) != 0)
		return -1;
	for (i = 0; i < n; i++)
		lag->times[firsts[i].partition] = firsts[i].time_ms;
	return 0;
}

static int
measure_lag(struct lag *lag, struct error *err)
{
	size_t i;

	arena_reset(lag->command->arena, 65536);
	if (count_partitions(lag, err) != 0)
		return -1;
	lag->logs =
	    arena_zalloc(lag->command->arena, lag->n, sizeof *lag->logs);
	lag->committed =
	    arena_zalloc(lag->command->arena, lag->n, sizeof(int64_t));
	lag->times = arena_zalloc(lag->command->arena, lag->n, sizeof(int64_t));
	lag->owners = arena_zalloc(lag->command->arena, lag->n, sizeof(char *));
	for (i = 0; i < lag->n; i++)
		lag->times[i] = -1;
	/* Offsets before ends: what is committed meanwhile is no lag. */
	if (kafka_admin_group_offsets(lag->admin,
		(struct kafka_group_topic){ lag->group, lag->topic },
		lag->committed, lag->n, err) != 0 ||
	    kafka_admin_logs(lag->admin, lag->topic, lag->logs, lag->n, err) !=
		0 ||
	    find_owners(lag, err) != 0 || read_times(lag, false, err) != 0)
		return -1;
	return read_times(lag, true, err);
}

/* Nobody can read on there, whatever comes behind it. */
static void
tell_held(const struct lag *lag)
{
	size_t i;

	for (i = 0; i < lag->n; i++)
		if (lag->logs[i].stable < lag->logs[i].end)
			fprintf(stderr,
			    "schedrun: an open transaction holds partition %zu "
			    "from offset %lld\n",
			    i, (long long)lag->logs[i].stable);
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
print_lag(const struct lag *lag, enum output output)
{
	struct table *table = command_table(lag->command,
	    lag->watch_ms > 0 && output != OUTPUT_TABLE ? columns_in_time
							: columns);
	int64_t total = 0, oldest = -1, end = 0;
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
		if (lag->logs[i].stable < lag->logs[i].end)
			table_number(table, lag->logs[i].stable);
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
	return command_print_table(lag->command);
}

/* Leaders move, topics are new: asked again until --timeout. */
static int
measure_in_time(struct lag *lag, struct error *err)
{
	int64_t deadline = command_deadline(lag->command);

	while (measure_lag(lag, err) != 0) {
		if (err->kind != ERROR_RETRY || command_is_interrupted() ||
		    clock_monotonic_ms() >= deadline)
			return -1;
		clock_wait(PAUSE_MS);
	}
	return 0;
}

static int
show(struct lag *lag)
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
	tell_held(lag);
	return code;
}

/* An outage is said and outlived: who watches wants to see its end. */
static int
follow(struct lag *lag)
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
	struct lag lag = { .command = command };
	struct kafka_settings settings = { 0 };
	struct error err = { 0 };
	int code;

	command_parse(command, argc, argv, lag_options, take_lag, &lag);
	settings.config = command_config(command);
	lag.topic = topic_name(settings.config, TOPIC_REQUESTS);
	lag.group = config_text(settings.config, "worker.group");
	lag.admin = kafka_admin_create(
	    &settings, (int)command->options.timeout_ms, &err);
	if (lag.admin == NULL)
		return command_fail(command, &err);
	code = lag.watch_ms > 0 ? follow(&lag) : show(&lag);
	kafka_admin_destroy(lag.admin);
	return code;
}
