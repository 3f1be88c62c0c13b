#include <stdio.h>

#include "common/json/write.h"
#include "producer/catalogue/fields.h"
#include "producer/catalogue/schedule_store.h"
#include "producer/catalogue/version_lists.h"
#include "producer/cli/command.h"
#include "producer/cli/table.h"

/* What the commands of this file work with. */
struct desk {
	struct redis *redis;
	struct keyspace *keyspace;
	struct schedule_store store;
	struct arena *arena;
};

static int
open_desk(struct command *command, struct desk *desk, struct error *err)
{
	*desk = (struct desk){
		.keyspace = command_keyspace(command),
		.arena = arena_create(0),
	};
	desk->redis = command_redis(command, "redis.url", err);
	schedule_store_init(&desk->store, desk->redis, desk->keyspace);
	return desk->redis != NULL ? 0 : -1;
}

static void
close_desk(struct desk *desk)
{
	redis_destroy(desk->redis);
	keyspace_destroy(desk->keyspace);
	arena_destroy(desk->arena);
}

static int
say_unknown(
    const struct command *command, const struct desk *desk, const char *rid)
{
	return command_say(command, EXIT_NOT_FOUND,
	    "schedule \"%s\" not found in %s; try: schedrun schedule list", rid,
	    redis_url(desk->redis));
}

static const char *
state_of(const struct schedule_head *head)
{
	if (head->deleted)
		return "deleted";
	return head->paused ? "paused" : "live";
}

static void
fill(struct table *table, struct fields *heads, struct fields *about,
    struct arena *arena)
{
	const struct field *sorted = fields_sorted(heads);
	size_t i, n = fields_size(heads);

	for (i = 0; i < n; i++) {
		struct schedule_about known = { 0 };
		struct schedule_head head = { 0 };
		bool is_fine =
		    schedule_head_parse(sorted[i].value, &head, NULL) == 0 &&
		    schedule_about_parse(fields_get(about, sorted[i].name),
			arena, &known, NULL) == 0;

		table_text(table, sorted[i].name);
		table_string(table, is_fine ? state_of(&head) : "unreadable");
		table_text(table, head.current_version_rid);
		table_text(table, known.updated_time);
		table_text(table, known.display_name);
	}
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
	struct fields *heads, *about;
	struct table *table;
	struct desk desk;
	int code = EXIT_DONE;

	command_arguments(command, argc, argv, NULL, 0, 0);
	command_config(command);
	table = table_create(command_output(command), columns);
	if (open_desk(command, &desk, &err) == 0) {
		heads = fields_create(desk.arena);
		about = fields_create(desk.arena);
		if (fields_read(heads, desk.redis,
			keyspace_key(desk.keyspace, KEY_HEADS), &err) != 0 ||
		    fields_read(about, desk.redis,
			keyspace_key(desk.keyspace, KEY_ABOUT), &err) != 0)
			code = command_fail(command, &err);
		else
			fill(table, heads, about, desk.arena);
		fields_destroy(heads);
		fields_destroy(about);
	} else {
		code = command_fail(command, &err);
	}
	if (code == EXIT_DONE)
		table_print(table, stdout);
	table_destroy(table);
	close_desk(&desk);
	return code;
}

static void
put(struct buffer *out, const char *name, struct text text)
{
	if (text.at == NULL)
		return;
	json_name(out, name);
	json_put_text(out, text);
}

static void
print_schedule_json(struct text rid, const struct stored_schedule *schedule)
{
	const struct schedule_about *about = &schedule->about;
	struct buffer out = { 0 };

	json_open(&out, '{');
	put(&out, "rid", rid);
	put(&out, "displayName", about->display_name);
	put(&out, "description", about->description);
	put(&out, "currentVersionRid", schedule->head.current_version_rid);
	json_name(&out, "paused");
	json_put_bool(&out, schedule->head.paused);
	json_name(&out, "deleted");
	json_put_bool(&out, schedule->head.deleted);
	put(&out, "createdBy", about->created_by);
	put(&out, "createdTime", about->created_time);
	put(&out, "updatedBy", about->updated_by);
	put(&out, "updatedTime", about->updated_time);
	json_name(&out, "version");
	buffer_append(&out,
	    schedule->version.at != NULL ? schedule->version : TEXT("null"));
	json_close(&out, '}');
	buffer_byte(&out, '\n');
	fwrite(out.at, 1, out.size, stdout);
	buffer_finish(&out);
}

static void
put_line(struct table *table, const char *name, struct text value)
{
	if (value.at == NULL)
		return;
	table_string(table, name);
	table_text(table, value);
}

/* What a person reads line by line. */
static void
print_schedule_table(struct text rid, const struct stored_schedule *schedule)
{
	static const struct column columns[] = {
		{ "FIELD", "field" },
		{ "VALUE", "value" },
		{ NULL, NULL },
	};
	const struct schedule_about *about = &schedule->about;
	struct table *table = table_create(OUTPUT_TABLE, columns);

	put_line(table, "schedule", rid);
	put_line(table, "name", about->display_name);
	put_line(table, "description", about->description);
	put_line(table, "state", text_from(state_of(&schedule->head)));
	put_line(table, "created", about->created_time);
	put_line(table, "by", about->created_by);
	put_line(table, "updated", about->updated_time);
	put_line(table, "by", about->updated_by);
	put_line(table, "current version", schedule->head.current_version_rid);
	put_line(table, "version",
	    schedule->version.at != NULL ? schedule->version
					 : TEXT("unreadable"));
	table_print(table, stdout);
	table_destroy(table);
}

int
cmd_schedule_get(struct command *command, int argc, char **argv)
{
	struct stored_schedule schedule;
	struct error err = { 0 };
	const char *rid = NULL;
	struct desk desk;
	int code = EXIT_DONE, found = -1;

	command_arguments(command, argc, argv, &rid, 1, 1);
	if (open_desk(command, &desk, &err) == 0)
		found = schedule_store_read(
		    &desk.store, text_from(rid), desk.arena, &schedule, &err);
	if (found < 0)
		code = command_fail(command, &err);
	else if (found == 0)
		code = say_unknown(command, &desk, rid);
	else if (command_output(command) == OUTPUT_TABLE)
		print_schedule_table(text_from(rid), &schedule);
	else
		print_schedule_json(text_from(rid), &schedule);
	close_desk(&desk);
	return code;
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
fill_versions(
    struct desk *desk, struct text rid, struct table *table, struct error *err)
{
	struct fields *lists = fields_create(desk->arena);
	struct fields *versions = fields_create(desk->arena);
	struct stored_schedule schedule;
	struct text rest, each;
	int found =
	    schedule_store_read(&desk->store, rid, desk->arena, &schedule, err);

	if (found == 1 &&
	    version_lists_read(
		desk->redis, desk->keyspace, &rid, 1, lists, err) != 0)
		found = -1;
	rest = found == 1 ? fields_get(lists, rid) : TEXT_NONE;
	while (found == 1 && version_list_next(&rest, &each)) {
		if (fields_read_some(versions, desk->redis,
			keyspace_key(desk->keyspace, KEY_VERSIONS), &each, 1,
			err) != 0)
			found = -1;
		else
			add_version(table, each, fields_get(versions, each),
			    schedule.head.current_version_rid, desk->arena);
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
	struct error err = { 0 };
	const char *rid = NULL;
	struct table *table;
	struct desk desk;
	int code = EXIT_DONE, found = -1;

	command_arguments(command, argc, argv, &rid, 1, 1);
	command_config(command);
	table = table_create(command_output(command), columns);
	if (open_desk(command, &desk, &err) == 0)
		found = fill_versions(&desk, text_from(rid), table, &err);
	if (found < 0)
		code = command_fail(command, &err);
	else if (found == 0)
		code = say_unknown(command, &desk, rid);
	else
		table_print(table, stdout);
	table_destroy(table);
	close_desk(&desk);
	return code;
}

static void
print_paused(
    const struct command *command, const char *rid, bool paused, bool changed)
{
	static const struct column columns[] = {
		{ "SCHEDULE", "rid" },
		{ "STATE", "state" },
		{ "NOTE", "note" },
		{ NULL, NULL },
	};
	struct table *table = table_create(command_output(command), columns);

	table_string(table, rid);
	table_string(table, paused ? "paused" : "live");
	table_string(table, changed ? NULL : "already so");
	table_print(table, stdout);
	table_destroy(table);
}

static int
set_paused(struct command *command, int argc, char **argv, bool paused)
{
	struct error err = { 0 };
	const char *rid = NULL;
	struct desk desk;
	bool changed = false;
	int code = EXIT_DONE, found = -1;

	command_arguments(command, argc, argv, &rid, 1, 1);
	if (open_desk(command, &desk, &err) == 0)
		found = schedule_store_pause(&desk.store, text_from(rid),
		    paused, TEXT_NONE, &changed, &err);
	if (found < 0)
		code = command_fail(command, &err);
	else if (found == 0)
		code = say_unknown(command, &desk, rid);
	else
		print_paused(command, rid, paused, changed);
	close_desk(&desk);
	return code;
}

int
cmd_schedule_pause(struct command *command, int argc, char **argv)
{
	return set_paused(command, argc, argv, true);
}

int
cmd_schedule_unpause(struct command *command, int argc, char **argv)
{
	return set_paused(command, argc, argv, false);
}
