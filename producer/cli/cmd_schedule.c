#include "common/base/clock.h"
#include "common/json/write.h"
#include "producer/catalogue/fields.h"
#include "producer/catalogue/schedule_store.h"
#include "producer/catalogue/version_lists.h"
#include "producer/cli/command.h"
#include "producer/trigger/timetable.h"

#define NEXT_DEFAULT 5

static int
open_store(
    struct command *command, struct schedule_store *store, struct error *err)
{
	if (command_open(command, COMMAND_STORE, err) != 0)
		return -1;
	schedule_store_init(store, command->redis, command->keyspace);
	return 0;
}

static int
say_unknown(const struct command *command)
{
	if (!rid_is(text_from(command->argument), TEXT("scheduler"),
		TEXT("schedule")))
		return command_say(command, EXIT_WRONG_USAGE,
		    "\"%s\" is not the RID of a schedule "
		    "(ri.scheduler.main.schedule.NAME)",
		    command->argument);
	return command_say(command, EXIT_NOT_FOUND,
	    "schedule \"%s\" not found in %s; try: schedrun schedule list",
	    command->argument, redis_shown_url(command->redis));
}

static const char *
state_of(const struct schedule_head *head)
{
	if (head->deleted)
		return "deleted";
	return head->paused ? "paused" : "live";
}

static void
fill_schedules(struct command *command, struct table *table,
    struct fields *heads, const struct fields *about)
{
	const struct field *sorted = fields_sorted(heads);
	size_t i, n = fields_size(heads);

	for (i = 0; i < n; i++) {
		struct schedule_about known = { 0 };
		struct schedule_head head = { 0 };
		bool is_fine =
		    schedule_head_parse(sorted[i].value, &head, NULL) == 0 &&
		    schedule_about_parse(fields_get(about, sorted[i].name),
			command->arena, &known, NULL) == 0;

		table_text(table, sorted[i].name);
		table_string(table, is_fine ? state_of(&head) : "unreadable");
		table_text(table, head.current_version_rid);
		table_text(table, known.updated_time);
		table_text(table, known.display_name);
	}
}

/* All schedules' heads, and what is known about them. */
static int
read_schedules(struct command *command, struct table *table, struct error *err)
{
	struct fields *heads = fields_create(command->arena);
	struct fields *about = fields_create(command->arena);
	int rc = -1;

	if (fields_read(heads, command->redis,
		keyspace_key(command->keyspace, KEY_HEADS), err) == 0 &&
	    fields_read(about, command->redis,
		keyspace_key(command->keyspace, KEY_ABOUT), err) == 0) {
		fill_schedules(command, table, heads, about);
		rc = 0;
	}
	fields_destroy(heads);
	fields_destroy(about);
	return rc;
}

int
cmd_schedule_list(struct command *command, int argc, char **argv)
{
	static const struct column columns[] = {
		{ "SCHEDULE", "rid" },
		{ "STATE", "state" },
		{ "VERSION", "currentVersionRid" },
		{ "UPDATED", "updatedTime" },
		{ "NAME", "displayName" },
		{ NULL, NULL },
	};
	struct error err = { 0 };
	struct table *table;

	command_parse(command, argc, argv, NULL, NULL, NULL);
	table = command_table(command, columns);
	if (command_open(command, COMMAND_STORE, &err) != 0 ||
	    read_schedules(command, table, &err) != 0)
		return command_fail(command, &err);
	return command_print_table(command);
}

static void
put_schedule(
    struct buffer *out, struct text rid, const struct stored_schedule *schedule)
{
	const struct schedule_about *about = &schedule->about;

	json_open(out, '{');
	json_member_known(out, "rid", rid);
	json_member_known(out, "displayName", about->display_name);
	json_member_known(out, "description", about->description);
	json_member_known(
	    out, "currentVersionRid", schedule->head.current_version_rid);
	json_name(out, "paused");
	json_put_bool(out, schedule->head.paused);
	json_name(out, "deleted");
	json_put_bool(out, schedule->head.deleted);
	json_member_known(out, "createdBy", about->created_by);
	json_member_known(out, "createdTime", about->created_time);
	json_member_known(out, "updatedBy", about->updated_by);
	json_member_known(out, "updatedTime", about->updated_time);
	json_name(out, "version");
	buffer_append(out,
	    schedule->version.at != NULL ? schedule->version : TEXT("null"));
	json_close(out, '}');
	buffer_byte(out, '\n');
}

/* What a person reads line by line. */
static void
add_schedule(struct table *table, struct text rid,
    const struct stored_schedule *schedule)
{
	const struct schedule_about *about = &schedule->about;

	table_field(table, "schedule", rid);
	table_field(table, "name", about->display_name);
	table_field(table, "description", about->description);
	table_field(table, "state", text_from(state_of(&schedule->head)));
	table_field(table, "created", about->created_time);
	table_field(table, "by", about->created_by);
	table_field(table, "updated", about->updated_time);
	table_field(table, "by", about->updated_by);
	table_field(
	    table, "current version", schedule->head.current_version_rid);
	table_field(table, "version",
	    schedule->version.at != NULL ? schedule->version
					 : TEXT("unreadable"));
}

int
cmd_schedule_get(struct command *command, int argc, char **argv)
{
	struct text rid = text_from(command_argument(command, argc, argv));
	struct stored_schedule schedule;
	struct schedule_store store;
	struct error err = { 0 };
	int found = -1;

	if (open_store(command, &store, &err) == 0)
		found = schedule_store_read(
		    &store, rid, command->arena, &schedule, &err);
	if (found < 0)
		return command_fail(command, &err);
	if (found == 0)
		return say_unknown(command);
	if (command_output(command) == OUTPUT_TABLE) {
		add_schedule(
		    command_table(command, table_record), rid, &schedule);
		return command_print_table(command);
	}
	put_schedule(&command->out, rid, &schedule);
	return command_print(command);
}

/* One version of the list; what of it can't be read is left out. */
static void
add_version(struct table *table, struct text rid, struct text stored,
    struct text current, struct arena *arena)
{
	struct schedule_version version = { 0 };
	bool is_fine = stored.at != NULL &&
	    schedule_version_parse(stored, rid, arena, &version, NULL) == 0;

	table_text(table, rid);
	table_string(table, text_equal(rid, current) ? "current" : NULL);
	table_text(table, is_fine ? version.created_time : TEXT_NONE);
	table_text(table, is_fine ? version.created_by : TEXT("unreadable"));
	table_text(table, is_fine ? version.branch_name : TEXT_NONE);
	table_number(table, is_fine ? (int64_t)version.target_rids.n : 0);
}

static int
fill_versions(struct command *command, struct text rid, struct table *table,
    struct error *err)
{
	struct fields *lists = fields_create(command->arena);
	struct fields *versions = fields_create(command->arena);
	struct schedule_store store;
	struct stored_schedule schedule;
	struct text rest, each;
	int found = -1;

	if (open_store(command, &store, err) == 0)
		found = schedule_store_read(
		    &store, rid, command->arena, &schedule, err);
	if (found == 1 &&
	    version_lists_read(
		command->redis, command->keyspace, &rid, 1, lists, err) != 0)
		found = -1;
	rest = found == 1 ? fields_get(lists, rid) : TEXT_NONE;
	while (found == 1 && version_list_next(&rest, &each)) {
		if (fields_read_some(versions, command->redis,
			keyspace_key(command->keyspace, KEY_VERSIONS), &each, 1,
			err) != 0)
			found = -1;
		else
			add_version(table, each, fields_get(versions, each),
			    schedule.head.current_version_rid, command->arena);
	}
	fields_destroy(lists);
	fields_destroy(versions);
	return found;
}

int
cmd_schedule_versions(struct command *command, int argc, char **argv)
{
	static const struct column columns[] = {
		{ "VERSION", "rid" },
		{ "STATE", "state" },
		{ "CREATED", "createdTime" },
		{ "BY", "createdBy" },
		{ "BRANCH", "branchName" },
		{ "TARGETS", "targets" },
		{ NULL, NULL },
	};
	struct text rid = text_from(command_argument(command, argc, argv));
	struct error err = { 0 };
	struct table *table;
	int found;

	command_config(command);
	table = command_table(command, columns);
	found = fill_versions(command, rid, table, &err);
	if (found < 0)
		return command_fail(command, &err);
	return found > 0 ? command_print_table(command) : say_unknown(command);
}

static int
set_state(
    struct command *command, int argc, char **argv, enum schedule_state state)
{
	static const char *const names[] = { "live", "paused", "deleted" };
	static const struct column columns[] = {
		{ "SCHEDULE", "rid" },
		{ "STATE", "state" },
		{ "NOTE", "note" },
		{ NULL, NULL },
	};
	struct text rid = text_from(command_argument(command, argc, argv));
	struct schedule_store store;
	struct error err = { 0 };
	struct table *table;
	bool changed = false;
	int found = -1;

	if (open_store(command, &store, &err) == 0)
		found = schedule_store_set(
		    &store, rid, state, TEXT_NONE, &changed, &err);
	if (found < 0)
		return command_fail(command, &err);
	if (found == 0)
		return say_unknown(command);
	table = command_table(command, columns);
	table_text(table, rid);
	table_string(table, names[state]);
	table_string(table, changed ? NULL : "already so");
	return command_print_table(command);
}

int
cmd_schedule_pause(struct command *command, int argc, char **argv)
{
	return set_state(command, argc, argv, SCHEDULE_PAUSED);
}

int
cmd_schedule_unpause(struct command *command, int argc, char **argv)
{
	return set_state(command, argc, argv, SCHEDULE_LIVE);
}

int
cmd_schedule_delete(struct command *command, int argc, char **argv)
{
	return set_state(command, argc, argv, SCHEDULE_DELETED);
}

enum { OPTION_CRON = 512, OPTION_ZONE, OPTION_FROM };

struct next {
	int64_t n, from_ms;
	const char *cron, *zone; /* instead of a schedule's */
};

static const struct argp_option next_options[] = {
	{ NULL, 'n', "N", 0, "So many (default: 5)", 0 },
	{ "from", OPTION_FROM, "TIME", 0, "Those after this (default: now)",
	    0 },
	{ "cron", OPTION_CRON, "EXPRESSION", 0,
	    "Of this expression, not of a schedule", 0 },
	{ "zone", OPTION_ZONE, "NAME", 0, "Its time zone (default: UTC)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take_next(int key, char *argument, struct argp_state *state)
{
	struct next *next = state->input;

	switch (key) {
	case 'n':
		next->n = usage_number(state, "-n", argument, 1, INT32_MAX);
		return 0;
	case OPTION_FROM:
		if (!clock_parse(text_from(argument), &next->from_ms))
			usage_error(state,
			    "--from %s: is no time; write it as "
			    "2026-01-31T09:00:00Z",
			    argument);
		return 0;
	case OPTION_CRON:
		next->cron = argument;
		return 0;
	case OPTION_ZONE:
		next->zone = argument;
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

/* Why clocks there show another time than was asked for, or show it again. */
static struct text
note_of(const struct due *due, bool paused, char asked[CLOCK_TEXT_SIZE],
    struct buffer *note)
{
	buffer_reset(note);
	if (paused)
		buffer_append(note, TEXT("paused: does not fire"));
	else if (due->trigger->is_part)
		buffer_append(note, TEXT("part of an `and`: fires with it"));
	else if (due->instant.how == CRON_SKIPPED)
		buffer_format(note, "clocks skip %.5s: the next that they show",
		    asked + 11);
	else if (due->instant.how == CRON_TWICE)
		buffer_format(
		    note, "clocks show %.5s twice: the first", asked + 11);
	return note->size > 0 ? buffer_text(note) : TEXT_NONE;
}

static void
add_due(struct table *table, const struct due *due, bool paused,
    struct buffer *note)
{
	const struct cron_instant *instant = &due->instant;
	int32_t offset = zone_span_at(due->trigger->zone, instant->at_s).offset;
	int32_t minutes = (offset < 0 ? -offset : offset) / 60;
	char at[CLOCK_TEXT_SIZE], local[CLOCK_TEXT_SIZE],
	    asked[CLOCK_TEXT_SIZE];

	clock_format(instant->at_s * 1000, at);
	clock_format((instant->at_s + offset) * 1000, local);
	clock_format(instant->local_s * 1000, asked);
	table_text(table, (struct text){ at, sizeof at });
	buffer_reset(note);
	buffer_format(note, "%.16s%c%02d:%02d", local, offset < 0 ? '-' : '+',
	    minutes / 60, minutes % 60);
	table_text(table, buffer_text(note));
	table_text(table, due->trigger->expression);
	table_text(table, due->trigger->zone_name);
	table_text(table, note_of(due, paused, asked, note));
}

/* Returns how many there are. */
static int64_t
fill_next(struct table *table, const struct next *next,
    const struct timetable *times, bool paused)
{
	int64_t after_s = next->from_ms / 1000, n;
	struct buffer note = { 0 };
	struct due due;

	/* Behind it there are no texts for times. */
	for (n = 0; n < next->n && timetable_next(times, after_s, &due) &&
	     due.instant.at_s <= CLOCK_MAX_MS / 1000;
	     n++) {
		add_due(table, &due, paused, &note);
		after_s = due.instant.at_s;
	}
	buffer_finish(&note);
	return n;
}

/* The version that these flags would be the trigger of. */
static struct text
version_of_flags(const struct next *next, struct arena *arena)
{
	struct buffer out = { 0 };
	struct text version;

	json_open(&out, '{');
	json_member_open(&out, "trigger", '{');
	json_member_known(&out, "type", TEXT("time"));
	json_member_known(&out, "cronExpression", text_from(next->cron));
	json_member_known(&out, "timeZone",
	    text_from(next->zone != NULL ? next->zone : "UTC"));
	json_close(&out, '}');
	json_close(&out, '}');
	version = text_copy(arena, buffer_text(&out));
	buffer_finish(&out);
	return version;
}

/* Reads the schedule that the argument names, unless flags stand for one. */
static int
find_next(struct command *command, const struct next *next,
    struct stored_schedule *schedule)
{
	struct schedule_store store;
	struct error err = { 0 };
	int found = -1;

	if (next->cron != NULL) {
		schedule->version = version_of_flags(next, command->arena);
		return EXIT_DONE;
	}
	if (open_store(command, &store, &err) == 0)
		found =
		    schedule_store_read(&store, text_from(command->argument),
			command->arena, schedule, &err);
	if (found < 0)
		return command_fail(command, &err);
	if (found == 0 || schedule->head.deleted)
		return say_unknown(command);
	if (schedule->version.at == NULL)
		return command_say(command, EXIT_BUG,
		    "the current version of %s can't be read",
		    command->argument);
	return EXIT_DONE;
}

int
cmd_schedule_next(struct command *command, int argc, char **argv)
{
	static const struct column columns[] = {
		{ "DUE", "due" },
		{ "LOCAL", "local" },
		{ "CRON", "cronExpression" },
		{ "ZONE", "timeZone" },
		{ "NOTE", "note" },
		{ NULL, NULL },
	};
	struct next next = { NEXT_DEFAULT, clock_wall_ms(), NULL, NULL };
	struct stored_schedule schedule = { 0 };
	struct timetable *times = NULL;
	struct error err = { 0 };
	struct zones *zones;
	int code;

	command_parse(command, argc, argv, next_options, take_next, &next);
	if ((command->argument != NULL) == (next.cron != NULL))
		return command_say(command, EXIT_WRONG_USAGE,
		    "name a schedule, or an expression by --cron");
	command_config(command);
	code = find_next(command, &next, &schedule);
	if (code != EXIT_DONE)
		return code;
	zones = zones_create();
	if (timetable_read(schedule.version, zones, &times, &err) != 0)
		code = command_say(command, EXIT_INVALID, "%s", err.message);
	if (code == EXIT_DONE && times == NULL)
		code = command_say(command, EXIT_NO, "has no time trigger");
	if (code == EXIT_DONE &&
	    fill_next(command_table(command, columns), &next, times,
		schedule.head.paused) == 0)
		code = command_say(command, EXIT_NO, "never due");
	timetable_destroy(times);
	zones_destroy(zones);
	return code == EXIT_DONE ? command_print_table(command) : code;
}
