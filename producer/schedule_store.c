#include "producer/schedule_store.h"

#include "common/clock.h"

#define ATTEMPTS_MAX 20
#define ARENA_KEPT 65536

/*
 * KEYS s, i   ARGV rid, head seen, head new, about new
 * 1: written, 0: the head has moved.
 */
static struct redis_script change = {
	.source = "if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then\n"
		  "  return 0\n"
		  "end\n"
		  "redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])\n"
		  "redis.call('HSET', KEYS[2], ARGV[1], ARGV[4])\n"
		  "return 1\n",
};

/* One field of a hash, in the arena; no text if it isn't there. */
static int
read_field(struct redis *redis, struct text key, struct text field,
    struct arena *arena, struct text *value, struct error *err)
{
	const struct text get[3] = { TEXT("HGET"), key, field };
	struct redis_reply *reply = redis_command(redis, get, 3, err);
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(redis, reply, "HGET", err);
	*value = text_copy(arena, redis_reply_text(reply));
	redis_reply_destroy(reply);
	return rc;
}

/* Head and about as stored; 1 there, 0 not. */
static int
read_stored(struct redis *redis, const struct keyspace *keyspace,
    struct text rid, struct arena *arena, struct text *head,
    struct stored_schedule *schedule, struct error *err)
{
	struct text about;

	*schedule = (struct stored_schedule){ 0 };
	if (read_field(redis, keyspace_key(keyspace, KEY_HEADS), rid, arena,
		head, err) != 0)
		return -1;
	if (head->at == NULL)
		return 0;
	if (read_field(redis, keyspace_key(keyspace, KEY_ABOUT), rid, arena,
		&about, err) != 0)
		return -1;
	if (schedule_head_parse(*head, &schedule->head, err) != 0 ||
	    schedule_about_parse(about, arena, &schedule->about, err) != 0) {
		error_prefix(err, "stored schedule %.*s", TEXT_ARG(rid));
		return -1;
	}
	return 1;
}

int
schedule_store_read(struct redis *redis, const struct keyspace *keyspace,
    struct text rid, struct arena *arena, struct stored_schedule *schedule,
    struct error *err)
{
	struct text head;
	int found =
	    read_stored(redis, keyspace, rid, arena, &head, schedule, err);

	if (found != 1)
		return found;
	if (read_field(redis, keyspace_key(keyspace, KEY_VERSIONS),
		schedule->head.current_version_rid, arena, &schedule->version,
		err) != 0)
		return -1;
	return 1;
}

static int
write_change(struct redis *redis, const struct keyspace *keyspace,
    struct text rid, struct text seen, const struct stored_schedule *schedule,
    struct error *err)
{
	const struct text keys[2] = { keyspace_key(keyspace, KEY_HEADS),
		keyspace_key(keyspace, KEY_ABOUT) };
	struct buffer head = { 0 }, about = { 0 };
	struct redis_reply *reply;
	int rc = -1;

	schedule_head_write(&schedule->head, &head);
	schedule_about_write(&schedule->about, &about);
	reply = redis_run_script(redis, &change, keys, 2,
	    (struct text[]){
		rid, seen, buffer_text(&head), buffer_text(&about) },
	    4, err);
	if (reply != NULL &&
	    redis_reply_error(redis, reply, "schedule", err) == 0)
		rc = (int)redis_reply_integer(reply);
	redis_reply_destroy(reply);
	buffer_finish(&head);
	buffer_finish(&about);
	return rc;
}

/* One attempt: 1 done, 0 not found, 2 the head has moved, -1 failed. */
static int
try_pause(struct redis *redis, const struct keyspace *keyspace, struct text rid,
    bool paused, struct text by, struct arena *arena, bool *changed,
    struct error *err)
{
	struct stored_schedule schedule;
	char now[CLOCK_TEXT_SIZE];
	struct text seen;
	int rc =
	    read_stored(redis, keyspace, rid, arena, &seen, &schedule, err);

	if (rc != 1 || schedule.head.deleted)
		return rc < 0 ? -1 : 0;
	*changed = schedule.head.paused != paused;
	if (!*changed)
		return 1;
	clock_format(clock_wall_ms(), now);
	schedule.head.paused = paused;
	schedule.about.updated_time = (struct text){ now, sizeof now };
	if (by.at != NULL)
		schedule.about.updated_by = by;
	rc = write_change(redis, keyspace, rid, seen, &schedule, err);
	return rc == 0 ? 2 : rc;
}

int
schedule_store_pause(struct redis *redis, const struct keyspace *keyspace,
    struct text rid, bool paused, struct text by, bool *changed,
    struct error *err)
{
	struct arena *arena = arena_create(0);
	int attempts = 0, rc;

	do {
		arena_reset(arena, ARENA_KEPT);
		rc = try_pause(
		    redis, keyspace, rid, paused, by, arena, changed, err);
	} while (rc == 2 && ++attempts < ATTEMPTS_MAX);
	arena_destroy(arena);
	if (rc == 2)
		return error_set(err, ERROR_RETRY,
		    "schedule %.*s changes again and again; try again",
		    TEXT_ARG(rid));
	return rc;
}
