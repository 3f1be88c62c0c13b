#include "producer/cli/run_table.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/nearest.h"
#include "schemas/message/run_json.h"

const struct column run_table_columns[] = {
	{ "CREATED", "createdTime" },
	{ "RUN", "rid" },
	{ "OUTCOME", "outcome" },
	{ "BUILD", "buildRid" },
	{ "ERROR", "errorName" },
	{ "DESCRIPTION", "description" },
	{ "REQUEST", "requestId" },
	{ NULL, NULL },
};

int
run_table_find(struct command *command, struct schedule_run *run)
{
	struct error err = { 0 };
	struct uuid id;
	int found = -1;

	if (command_uuid(command, TEXT(RID_RUN_PREFIX), "a run", &id) !=
	    EXIT_DONE)
		return EXIT_WRONG_USAGE;
	if (command_open(command, COMMAND_VIEW, &err) == 0)
		found = run_view_get(
		    &command->view, &id, command->arena, run, &err);
	if (found < 0)
		return command_fail(command, &err);
	if (found > 0)
		return EXIT_DONE;
	return command_say(command, EXIT_NOT_FOUND,
	    "run \"%s\" not found in %s; it never came, is older than "
	    "view.ttl, or no adapter folds results; try: schedrun watch --from "
	    "-1h",
	    command->argument, redis_shown_url(command->view.redis));
}

/* What a text of a run is written into. */
struct scratch {
	char rid[RID_SIZE_MAX], time[CLOCK_TEXT_SIZE];
};

static struct text
rid_text(struct text prefix, const struct uuid *id, struct scratch *scratch)
{
	return (
	    struct text){ scratch->rid, rid_format(prefix, id, scratch->rid) };
}

static struct text
build_text(const struct schedule_run *run, struct scratch *scratch)
{
	return run->state == RUN_SUBMITTED
	    ? rid_text(TEXT(RID_BUILD_PREFIX), &run->build_id, scratch)
	    : TEXT_NONE;
}

static struct text
error_text(const struct schedule_run *run)
{
	return run->state == RUN_FAILED ? text_from(run_error_name(run->error))
					: TEXT_NONE;
}

static struct text
time_text(int64_t ms, struct scratch *scratch)
{
	clock_format(ms, scratch->time);
	return (struct text){ scratch->time, CLOCK_TEXT_SIZE };
}

void
run_table_add(struct table *table, const struct schedule_run *run)
{
	struct scratch scratch;

	table_text(table, time_text(run->created_time_ms, &scratch));
	table_text(table, rid_text(TEXT(RID_RUN_PREFIX), &run->id, &scratch));
	table_string(table, run_state_name(run->state));
	table_text(table, build_text(run, &scratch));
	table_text(table, error_text(run));
	table_text(table, run->description);
	table_text(table, run->request_id);
}

/* Of a stream of results of many schedules. */
static const struct column told_columns[] = {
	{ "FINISHED", "finishedTime" },
	{ "SCHEDULE", "scheduleRid" },
	{ "OUTCOME", "outcome" },
	{ "RUN", "rid" },
	{ "BUILD", "buildRid" },
	{ "ERROR", "errorName" },
	{ "DESCRIPTION", "description" },
	{ NULL, NULL },
};

int
run_table_told(
    struct command *command, const struct schedule_run *run, bool repeat)
{
	struct scratch scratch;
	struct table *table;

	if (command_output(command) != OUTPUT_TABLE) {
		run_json_tell(run, repeat, &command->out);
		buffer_byte(&command->out, '\n');
		return command_print(command);
	}
	if (repeat)
		command_say(command, 0, "request %.*s was asked before",
		    TEXT_ARG(run->request_id));
	table = command_stream(command, told_columns);
	table_text(table, time_text(run->finished_time_ms, &scratch));
	table_text(table, run->schedule_rid);
	table_string(table, run_state_name(run->state));
	table_text(table, rid_text(TEXT(RID_RUN_PREFIX), &run->id, &scratch));
	table_text(table, build_text(run, &scratch));
	table_text(table, error_text(run));
	table_text(table, run->description);
	return command_print_table(command);
}

/* As it is stored; none where it isn't known. */
static void
add_why(struct table *table, const struct schedule_run *run)
{
	struct buffer why = { 0 };

	if (run->why.cause.at == NULL)
		return;
	run_json_why(&run->why, &why);
	table_field(table, "why", buffer_text(&why));
	buffer_finish(&why);
}

static void
add_fields(struct table *table, const struct schedule_run *run)
{
	struct scratch scratch;

	table_field(
	    table, "run", rid_text(TEXT(RID_RUN_PREFIX), &run->id, &scratch));
	table_field(table, "request", run->request_id);
	table_field(table, "schedule", run->schedule_rid);
	table_field(table, "version", run->schedule_version_rid);
	table_field(
	    table, "created", time_text(run->created_time_ms, &scratch));
	table_field(table, "by", run->created_by);
	table_field(table, "trigger", run->trigger);
	table_field(table, "outcome", text_from(run_state_name(run->state)));
	if (run->state != RUN_PENDING)
		table_field(table, "finished",
		    time_text(run->finished_time_ms, &scratch));
	table_field(table, "build", build_text(run, &scratch));
	table_field(table, "error", error_text(run));
	table_field(table, "description", run->description);
	add_why(table, run);
}

int
run_table_record(struct command *command, const struct schedule_run *run)
{
	if (command_output(command) == OUTPUT_TABLE) {
		add_fields(command_table(command, table_record), run);
		return command_print_table(command);
	}
	run_json_store(run, &command->out);
	buffer_byte(&command->out, '\n');
	return command_print(command);
}

/* Templates --------------------------------------------------------------- */

static struct text
finished_text(const struct schedule_run *run, struct scratch *scratch)
{
	return time_text(run->finished_time_ms, scratch);
}

static struct text
created_text(const struct schedule_run *run, struct scratch *scratch)
{
	return time_text(run->created_time_ms, scratch);
}

static struct text
run_text(const struct schedule_run *run, struct scratch *scratch)
{
	return rid_text(TEXT(RID_RUN_PREFIX), &run->id, scratch);
}

static struct text
outcome_text(const struct schedule_run *run, struct scratch *scratch)
{
	(void)scratch;
	return text_from(run_state_name(run->state));
}

static struct text
name_text(const struct schedule_run *run, struct scratch *scratch)
{
	(void)scratch;
	return error_text(run);
}

/* What may stand in braces: made, or a text of the run itself. */
static const struct member {
	const char *name; /* first, for nearest_name */
	struct text (*make)(
	    const struct schedule_run *run, struct scratch *scratch);
	size_t at;
} members[] = {
	{ "buildRid", build_text, 0 },
	{ "createdBy", NULL, offsetof(struct schedule_run, created_by) },
	{ "createdTime", created_text, 0 },
	{ "description", NULL, offsetof(struct schedule_run, description) },
	{ "errorName", name_text, 0 },
	{ "finishedTime", finished_text, 0 },
	{ "outcome", outcome_text, 0 },
	{ "requestId", NULL, offsetof(struct schedule_run, request_id) },
	{ "rid", run_text, 0 },
	{ "scheduleRid", NULL, offsetof(struct schedule_run, schedule_rid) },
	{ "scheduleVersionRid", NULL,
	    offsetof(struct schedule_run, schedule_version_rid) },
};
#define N_MEMBERS (sizeof members / sizeof members[0])

static const struct member *
find_member(struct text name)
{
	size_t i;

	for (i = 0; i < N_MEMBERS; i++)
		if (text_equal(name, text_from(members[i].name)))
			return &members[i];
	return NULL;
}

/* The name behind the brace that `*at` stands on, and past its end; no text: it
 * has none. */
static struct text
take_name(const char **at)
{
	const char *end = strchr(*at, '}');
	struct text name = TEXT_NONE;

	if (end != NULL) {
		name = (struct text){ *at + 1, (size_t)(end - *at) - 1 };
		*at = end + 1;
	}
	return name;
}

static void
say_member(struct text name, char *fault, size_t size)
{
	char text[64];
	const char *near;

	snprintf(text, sizeof text, "%.*s", TEXT_ARG(name));
	near = nearest_name(text, members, N_MEMBERS, sizeof members[0]);
	snprintf(fault, size, "a result has no member \"%s\"%s%s%s", text,
	    near != NULL ? ", did you mean \"" : "", near != NULL ? near : "",
	    near != NULL ? "\"?" : "");
}

bool
run_template_check(const char *template, char *fault, size_t size)
{
	const char *at = template;

	while (*at != '\0') {
		struct text name;

		if ((at[0] == '{' && at[1] == '{') ||
		    (at[0] == '}' && at[1] == '}') ||
		    (at[0] == '\\' && strchr("nt\\", at[1]) != NULL &&
			at[1] != '\0')) {
			at += 2;
			continue;
		}
		if (*at != '{' && *at != '}' && *at != '\\') {
			at++;
			continue;
		}
		name = *at == '{' ? take_name(&at) : TEXT_NONE;
		if (name.at == NULL) {
			snprintf(fault, size,
			    "\"%c\" without its end; a brace is {{ or }}, a "
			    "backslash \\\\",
			    *at);
			return false;
		}
		if (find_member(name) == NULL) {
			say_member(name, fault, size);
			return false;
		}
	}
	return true;
}

static void
put_member(struct buffer *out, const struct member *member,
    const struct schedule_run *run)
{
	struct scratch scratch;
	struct text text;

	assert(member != NULL); /* the template was judged before */
	if (member->make != NULL)
		text = member->make(run, &scratch);
	else
		memcpy(&text, (const char *)run + member->at, sizeof text);
	if (text.at != NULL)
		buffer_append_shown(out, text);
}

int
run_template_told(struct command *command, const char *template,
    const struct schedule_run *run)
{
	struct buffer *out = &command->out;
	const char *at = template;

	while (*at != '\0') {
		if (at[0] == '{' && at[1] != '{') {
			put_member(out, find_member(take_name(&at)), run);
		} else if (*at == '\\') {
			buffer_byte(out,
			    at[1] == 'n'       ? '\n'
				: at[1] == 't' ? '\t'
					       : '\\');
			at += 2;
		} else {
			buffer_byte(out, *at);
			at += *at == '{' || *at == '}' ? 2 : 1;
		}
	}
	buffer_byte(out, '\n');
	return command_print(command);
}
