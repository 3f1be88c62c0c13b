#include <stdio.h>

#include "producer/cli/command.h"
#include "producer/cli/table.h"
#include "producer/runs/build_report.h"
#include "producer/runs/decoder.h"

/* What both commands work with. */
struct desk {
	struct redis *redis,
	    *view_redis; /* the second: NULL if it is the first */
	struct keyspace *keyspace;
	struct arena *arena;
	struct run_view view;
	struct uuid id;
};

static int
open_desk(struct command *command, struct desk *desk, struct error *err)
{
	const struct config *config = command_config(command);

	desk->arena = arena_create(0);
	desk->keyspace = command_keyspace(command);
	desk->redis = command_redis(command, "redis.url", err);
	if (desk->redis == NULL)
		return -1;
	if (config_text(config, "view.redis.url") != NULL) {
		desk->view_redis =
		    command_redis(command, "view.redis.url", err);
		if (desk->view_redis == NULL)
			return -1;
	}
	run_view_init(&desk->view,
	    desk->view_redis != NULL ? desk->view_redis : desk->redis,
	    desk->keyspace, config_number(config, "view.ttl"));
	return 0;
}

static void
close_desk(struct desk *desk)
{
	redis_destroy(desk->redis);
	redis_destroy(desk->view_redis);
	keyspace_destroy(desk->keyspace);
	arena_destroy(desk->arena);
}

static int
say_unknown(
    const struct command *command, const struct desk *desk, const char *rid)
{
	return command_say(command, EXIT_NOT_FOUND,
	    "build \"%s\" not found in %s; it never came, is older than "
	    "view.ttl, or no adapter folds builds (schedrun-http)",
	    rid, redis_url(desk->view.redis));
}

static void
print_build(struct command *command, const char *rid, const char *state,
    const char *repeated, const struct report_result *result)
{
	static const struct column columns[] = {
		{ "BUILD", "buildRid" },
		{ "STATE", "state" },
		{ "OUTPUTS", "outputs" },
		{ "NOTE", "note" },
		{ NULL, NULL },
	};
	struct table *table = table_create(command_output(command), columns);

	table_string(table, rid);
	table_string(table, state);
	table_number(table, (int64_t)result->outputs);
	table_string(table, result->already ? repeated : NULL);
	table_print(table, stdout);
	table_destroy(table);
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
finish(struct command *command, struct desk *desk, const char *rid)
{
	struct build_report report = { desk->redis, desk->keyspace, &desk->view,
		desk->arena };
	struct build_requested build;
	struct report_result result;
	struct build_record record;
	struct error err = { 0 };
	int found = run_view_get_build(
	    &desk->view, &desk->id, desk->arena, &record, &err);

	if (found == 0)
		return say_unknown(command, desk, rid);
	if (found < 0 ||
	    decode_build_once(command_config(command), record.event, &desk->id,
		desk->arena, &build, &err) != 0 ||
	    build_report_finish(&report, &desk->id, &build, &result, &err) != 0)
		return command_fail(command, &err);
	warn_of_gone(command, &result);
	print_build(command, rid, "SUCCEEDED", "already finished", &result);
	return EXIT_DONE;
}

static int
fail(struct command *command, struct desk *desk, const char *rid)
{
	struct build_report report = { desk->redis, desk->keyspace, &desk->view,
		desk->arena };
	struct report_result result;
	struct build_record record;
	struct error err = { 0 };
	int found = run_view_get_build(
	    &desk->view, &desk->id, desk->arena, &record, &err);

	if (found == 0)
		return say_unknown(command, desk, rid);
	if (found > 0)
		found = build_report_fail(&report, &desk->id, &result, &err);
	if (found < 0)
		return command_fail(command, &err);
	if (found == 0)
		return command_say(command, EXIT_NO,
		    "build \"%s\" has finished, and stays so", rid);
	print_build(command, rid, "FAILED", "already so", &result);
	return EXIT_DONE;
}

static int
report(struct command *command, int argc, char **argv,
    int (*act)(struct command *, struct desk *, const char *))
{
	struct desk desk = { 0 };
	struct error err = { 0 };
	const char *rid = NULL;
	int code;

	command_arguments(command, argc, argv, &rid, 1, 1);
	if (!rid_parse(text_from(rid), TEXT(RID_BUILD_PREFIX), &desk.id))
		return command_say(command, EXIT_WRONG_USAGE,
		    "\"%s\" is not the RID of a build (" RID_BUILD_PREFIX
		    "UUID)",
		    rid);
	code = open_desk(command, &desk, &err) == 0
	    ? act(command, &desk, rid)
	    : command_fail(command, &err);
	close_desk(&desk);
	return code;
}

int
cmd_build_finish(struct command *command, int argc, char **argv)
{
	return report(command, argc, argv, finish);
}

int
cmd_build_fail(struct command *command, int argc, char **argv)
{
	return report(command, argc, argv, fail);
}
