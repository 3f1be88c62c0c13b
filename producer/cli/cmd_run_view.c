#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/json/write.h"
#include "producer/cli/command.h"
#include "producer/cli/table.h"
#include "producer/runs/view.h"
#include "schemas/message/run_json.h"

#define RUNS_DEFAULT 100
#define PAGE_SIZE 500

/* The run view, as this command looks at it. */
struct viewer {
	struct redis *redis;
	struct keyspace *keyspace;
	struct run_view view;
	struct arena *arena;
};

static int
open_view(struct command *command, struct viewer *viewer, struct error *err)
{
	viewer->redis = command_redis(command, "view.redis.url", err);
	if (viewer->redis == NULL)
		return -1;
	viewer->keyspace = command_keyspace(command);
	viewer->arena = arena_create(0);
	run_view_init(&viewer->view, viewer->redis, viewer->keyspace,
	    config_number(command_config(command), "view.ttl"));
	return 0;
}

static void
close_view(struct viewer *viewer)
{
	redis_destroy(viewer->redis);
	keyspace_destroy(viewer->keyspace);
	arena_destroy(viewer->arena);
}

static struct text
rid_text(struct text prefix, const struct uuid *id, struct arena *arena)
{
	char *rid = arena_alloc(arena, RID_SIZE_MAX);

	return (struct text){ rid, rid_format(prefix, id, rid) };
}

static struct text
build_text(const struct schedule_run *run, struct arena *arena)
{
	return run->state == RUN_SUBMITTED
	    ? rid_text(TEXT(RID_BUILD_PREFIX), &run->build_id, arena)
	    : TEXT_NONE;
}

static struct text
error_text(const struct schedule_run *run)
{
	return run->state == RUN_FAILED ? text_from(run_error_name(run->error))
					: TEXT_NONE;
}

/* As it is stored; none where it isn't known. */
static struct text
why_text(const struct schedule_run *run, struct arena *arena)
{
	struct buffer out = { 0 };
	struct text why = TEXT_NONE;

	if (run->why.cause.at != NULL) {
		run_json_why(&run->why, &out);
		why = text_copy(arena, buffer_text(&out));
	}
	buffer_finish(&out);
	return why;
}

static struct text
time_text(int64_t ms, struct arena *arena)
{
	char *text = arena_alloc(arena, CLOCK_TEXT_SIZE);

	clock_format(ms, text);
	return (struct text){ text, CLOCK_TEXT_SIZE };
}

/* What a person reads line by line: a name, and what the run has under it. */
static void
put_line(struct table *table, const char *name, struct text value)
{
	if (value.at == NULL)
		return;
	table_string(table, name);
	table_text(table, value);
}

static void
print_run(const struct schedule_run *run, struct arena *arena)
{
	static const struct column columns[] = {
		{ "FIELD", "field" },
		{ "VALUE", "value" },
		{ NULL, NULL },
	};
	struct table *table = table_create(OUTPUT_TABLE, columns);

	put_line(table, "run", rid_text(TEXT(RID_RUN_PREFIX), &run->id, arena));
	put_line(table, "request", run->request_id);
	put_line(table, "schedule", run->schedule_rid);
	put_line(table, "version", run->schedule_version_rid);
	put_line(table, "created", time_text(run->created_time_ms, arena));
	put_line(table, "by", run->created_by);
	put_line(table, "outcome", text_from(run_state_name(run->state)));
	if (run->state != RUN_PENDING)
		put_line(
		    table, "finished", time_text(run->finished_time_ms, arena));
	put_line(table, "build", build_text(run, arena));
	put_line(table, "error", error_text(run));
	put_line(table, "description", run->description);
	put_line(table, "why", why_text(run, arena));
	table_print(table, stdout);
	table_destroy(table);
}

static void
print_run_json(const struct schedule_run *run)
{
	struct buffer out = { 0 };

	run_json_store(run, &out);
	buffer_byte(&out, '\n');
	fwrite(out.at, 1, out.size, stdout);
	buffer_finish(&out);
}

static int
get_run(struct command *command, const char *rid, const struct uuid *id)
{
	struct viewer viewer = { 0 };
	struct schedule_run run;
	struct error err = { 0 };
	int found = -1, code = EXIT_DONE;

	if (open_view(command, &viewer, &err) == 0)
		found =
		    run_view_get(&viewer.view, id, viewer.arena, &run, &err);
	if (found < 0)
		code = command_fail(command, &err);
	else if (found == 0)
		code = command_say(command, EXIT_NOT_FOUND,
		    "run \"%s\" not found in %s; it never came, is older than "
		    "view.ttl, or no adapter folds results; try: schedrun "
		    "watch --from -1h",
		    rid, redis_url(viewer.redis));
	else if (command_output(command) == OUTPUT_TABLE)
		print_run(&run, viewer.arena);
	else
		print_run_json(&run);
	close_view(&viewer);
	return code;
}

int
cmd_run_get(struct command *command, int argc, char **argv)
{
	const char *rid = NULL;
	struct uuid id;

	command_arguments(command, argc, argv, &rid, 1, 1);
	if (!rid_parse(text_from(rid), TEXT(RID_RUN_PREFIX), &id))
		return command_say(command, EXIT_WRONG_USAGE,
		    "\"%s\" is not the RID of a run (" RID_RUN_PREFIX "UUID)",
		    rid);
	return get_run(command, rid, &id);
}

enum { OPTION_SCHEDULE = 512, OPTION_LIMIT };

struct list {
	const char *schedule;
	size_t limit;
};

static const struct argp_option list_options[] = {
	{ "schedule", OPTION_SCHEDULE, "RID", 0, "Runs of this schedule", 0 },
	{ "limit", OPTION_LIMIT, "N", 0, "The newest N (default: 100)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take_list(int key, char *argument, struct argp_state *state)
{
	struct list *list = state->input;
	int64_t limit;

	switch (key) {
	case OPTION_SCHEDULE:
		list->schedule = argument;
		return 0;
	case OPTION_LIMIT:
		if (!text_to_bounded(text_from(argument), INT32_MAX, &limit) ||
		    limit < 1)
			usage_error(
			    state, "--limit %s: is no number", argument);
		list->limit = (size_t)limit;
		return 0;
	case ARGP_KEY_ARG:
		usage_error(state, "too many arguments: %s", argument);
		return 0;
	case ARGP_KEY_END:
		if (list->schedule == NULL)
			usage_error(state, "--schedule RID is missing");
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static void
add_run(
    struct table *table, const struct schedule_run *run, struct arena *arena)
{
	table_text(table, time_text(run->created_time_ms, arena));
	table_text(table, rid_text(TEXT(RID_RUN_PREFIX), &run->id, arena));
	table_string(table, run_state_name(run->state));
	table_text(table, build_text(run, arena));
	table_text(table, error_text(run));
	table_text(table, run->description);
	table_text(table, run->request_id);
}

/* Page by page, newest first. */
static int
fill(struct viewer *viewer, const struct list *list, struct table *table,
    struct error *err)
{
	struct text after = TEXT_NONE, schedule = text_from(list->schedule);
	size_t left = list->limit, i;
	struct run_page page = { .more = true };
	char last[RUN_PLACE_SIZE];

	while (page.more && left > 0) {
		if (run_view_list(&viewer->view, schedule, after,
			left < PAGE_SIZE ? left : PAGE_SIZE, viewer->arena,
			&page, err) != 0)
			return -1;
		for (i = 0; i < page.n; i++)
			add_run(table, &page.records[i], viewer->arena);
		left -= page.n;
		memcpy(last, page.last, sizeof last);
		after = (struct text){ last, sizeof last };
	}
	return 0;
}

int
cmd_run_list(struct command *command, int argc, char **argv)
{
	static const struct argp argp = { list_options, take_list, NULL, NULL,
		NULL, NULL, NULL };
	static const struct column columns[] = {
		{ "CREATED", "createdTime" },
		{ "RUN", "rid" },
		{ "OUTCOME", "outcome" },
		{ "BUILD", "buildRid" },
		{ "ERROR", "errorName" },
		{ "DESCRIPTION", "description" },
		{ "REQUEST", "requestId" },
		{ NULL, NULL },
	};
	struct list list = { .limit = RUNS_DEFAULT };
	struct viewer viewer = { 0 };
	struct error err = { 0 };
	struct table *table;
	int code = EXIT_DONE;

	command_parse(command, &argp, argc, argv, &list);
	if (!rid_is(
		text_from(list.schedule), TEXT("scheduler"), TEXT("schedule")))
		return command_say(command, EXIT_WRONG_USAGE,
		    "\"%s\" is not the RID of a schedule", list.schedule);
	command_config(command);
	table = table_create(command_output(command), columns);
	if (open_view(command, &viewer, &err) != 0 ||
	    fill(&viewer, &list, table, &err) != 0)
		code = command_fail(command, &err);
	else
		table_print(table, stdout);
	table_destroy(table);
	close_view(&viewer);
	return code;
}
