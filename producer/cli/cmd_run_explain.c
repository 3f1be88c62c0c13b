#include <stdio.h>

#include "common/base/clock.h"
#include "producer/cli/command.h"
#include "producer/dryrun/view.h"
#include "producer/runs/decoder.h"
#include "producer/runs/view.h"
#include "schemas/message/run_json.h"

enum { OPTION_DOT = 512 };

struct explain {
	struct command *command;
	const char *rid;
	bool dot;
	struct redis *redis;
	struct keyspace *keyspace;
	struct arena *arena;
	struct run_view view;
	struct schedule_run run;
	struct build_requested build;
};

static const struct argp_option options[] = {
	{ "dot", OPTION_DOT, NULL, 0, "Print a Graphviz graph", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take(int key, char *argument, struct argp_state *state)
{
	struct explain *explain = state->input;

	switch (key) {
	case OPTION_DOT:
		explain->dot = true;
		return 0;
	case ARGP_KEY_ARG:
		if (explain->rid != NULL)
			usage_error(state, "too many arguments: %s", argument);
		explain->rid = argument;
		return 0;
	case ARGP_KEY_END:
		if (explain->rid == NULL)
			usage_error(state, "the run's RID is missing");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

/* The run's build event.  1 there, 0 not, -1 failed. */
static int
read_build(struct explain *explain, struct error *err)
{
	struct uuid id = rid_build(&explain->run.id);
	struct build_record record;
	int found;

	if (explain->run.state != RUN_SUBMITTED)
		return 0;
	found = run_view_get_build(
	    &explain->view, &id, explain->arena, &record, err);
	if (found != 1)
		return found;
	return decode_build_once(command_config(explain->command), record.event,
		   &id, explain->arena, &explain->build, err) == 0
	    ? 1
	    : -1;
}

static void
print(const struct explain *explain, const struct outcome *outcome)
{
	struct buffer out = { 0 };
	char time[CLOCK_TEXT_SIZE];

	if (explain->dot) {
		plan_draw(outcome, &out);
	} else if (command_output(explain->command) == OUTPUT_TABLE) {
		plan_explain(outcome, command_has_colour(), &out);
	} else {
		clock_format(outcome->run.created_time_ms, time);
		outcome_write_json(
		    outcome, (struct text){ time, sizeof time }, &out);
		buffer_byte(&out, '\n');
	}
	fwrite(out.at, 1, out.size, stdout);
	buffer_finish(&out);
}

/* Without its event a submitted run's jobs are not known. */
static void
say_without_jobs(const struct explain *explain)
{
	struct buffer out = { 0 };

	command_say(explain->command, 0,
	    "the build's event has left the run view (view.ttl), or is not "
	    "folded yet: its jobs can't be shown");
	run_json_store(&explain->run, &out);
	buffer_byte(&out, '\n');
	fwrite(out.at, 1, out.size, stdout);
	buffer_finish(&out);
}

static int
explain_run(struct explain *explain)
{
	struct outcome outcome = { .run = explain->run };
	struct error err = { 0 };
	int build = read_build(explain, &err);

	if (build < 0)
		return command_fail(explain->command, &err);
	if (build > 0)
		outcome.build = explain->build.build;
	/* Told by the feed, and not folded since. */
	if (outcome.run.why.cause.at == NULL)
		outcome.run.why.cause = TEXT("unknown");
	if (build == 0 && explain->run.state == RUN_SUBMITTED)
		say_without_jobs(explain);
	else
		print(explain, &outcome);
	return EXIT_DONE;
}

static int
find_and_explain(struct explain *explain, const struct uuid *id)
{
	struct error err = { 0 };
	int found;

	explain->redis =
	    command_redis(explain->command, "view.redis.url", &err);
	if (explain->redis == NULL)
		return command_fail(explain->command, &err);
	run_view_init(&explain->view, explain->redis, explain->keyspace,
	    config_number(command_config(explain->command), "view.ttl"));
	found = run_view_get(
	    &explain->view, id, explain->arena, &explain->run, &err);
	if (found < 0)
		return command_fail(explain->command, &err);
	if (found == 0)
		return command_say(explain->command, EXIT_NOT_FOUND,
		    "run \"%s\" not found in %s; it never came, is older than "
		    "view.ttl, or no adapter folds results; try: schedrun "
		    "watch --from -1h",
		    explain->rid, redis_url(explain->redis));
	if (explain->run.state == RUN_PENDING)
		return command_say(explain->command, EXIT_NO,
		    "run \"%s\" has no result yet; schedrun lag says how far "
		    "the workers are",
		    explain->rid);
	return explain_run(explain);
}

int
cmd_run_explain(struct command *command, int argc, char **argv)
{
	static const struct argp argp = { options, take, NULL, NULL, NULL, NULL,
		NULL };
	struct explain explain = { .command = command };
	struct uuid id;
	int code;

	command_parse(command, &argp, argc, argv, &explain);
	if (!rid_parse(text_from(explain.rid), TEXT(RID_RUN_PREFIX), &id))
		return command_say(command, EXIT_WRONG_USAGE,
		    "\"%s\" is not the RID of a run (" RID_RUN_PREFIX "UUID)",
		    explain.rid);
	explain.keyspace = command_keyspace(command);
	explain.arena = arena_create(0);
	code = find_and_explain(&explain, &id);
	redis_destroy(explain.redis);
	keyspace_destroy(explain.keyspace);
	arena_destroy(explain.arena);
	return code;
}
