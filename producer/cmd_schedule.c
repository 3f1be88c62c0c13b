#include <stdio.h>

#include "common/json_write.h"
#include "producer/command.h"
#include "producer/fields.h"
#include "producer/schedule_store.h"
#include "producer/table.h"

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
	    redis_address(desk->redis));
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
print_schedule(struct text rid, const struct stored_schedule *schedule)
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
	else
		print_schedule(text_from(rid), &schedule);
	close_desk(&desk);
	return code;
}

int
cmd_schedule_versions(struct command *command, int argc, char **argv)
{
	struct buffer key = { 0 };
	struct redis_reply *reply = NULL;
	struct error err = { 0 };
	const char *rid = NULL;
	struct desk desk;
	int code = EXIT_DONE;
	size_t i;

	command_arguments(command, argc, argv, &rid, 1, 1);
	if (open_desk(command, &desk, &err) == 0)
		reply = redis_command(desk.redis,
		    (struct text[]){ TEXT("LRANGE"),
			keyspace_versions_of(
			    desk.keyspace, text_from(rid), &key),
			TEXT("0"), TEXT("-1") },
		    4, &err);
	if (reply == NULL ||
	    redis_reply_error(desk.redis, reply, "LRANGE w", &err) != 0)
		code = command_fail(command, &err);
	else if (redis_reply_size(reply) == 0)
		code = say_unknown(command, &desk, rid);
	else
		for (i = 0; i < redis_reply_size(reply); i++)
			printf("%.*s\n",
			    TEXT_ARG(
				redis_reply_text(redis_reply_at(reply, i))));
	redis_reply_destroy(reply);
	buffer_finish(&key);
	close_desk(&desk);
	return code;
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
		printf("%s %s%s\n", rid, paused ? "paused" : "unpaused",
		    changed ? "" : " already");
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
