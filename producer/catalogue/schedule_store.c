#include "producer/catalogue/schedule_store.h"

#include "common/base/clock.h"
#include "common/redis/replica.h"
#include "schemas/embedded.h"

#define ATTEMPTS_MAX 20
#define ARENA_KEPT 65536

void
schedule_store_init(struct schedule_store *store, struct redis *redis,
    const struct keyspace *keyspace)
{
	*store = (struct schedule_store){
		.redis = redis,
		.keyspace = keyspace,
		.change = { .source = lua_change },
	};
}

/* One field of a hash, in the arena; no text if it isn't there. */
static int
read_field(struct schedule_store *store, enum keyspace_key key,
    struct text field, struct arena *arena, struct text *value,
    struct error *err)
{
	const struct text get[3] = { TEXT("HGET"),
		keyspace_key(store->keyspace, key), field };
	struct redis_reply *reply =
	    redis_ask(store->redis, get, 3, "HGET", err);
	int rc = reply != NULL ? 0 : -1;

	*value = text_copy(arena, redis_reply_text(reply));
	redis_reply_destroy(reply);
	return rc;
}

/* Head and about as stored; 1 there, 0 not. */
static int
read_stored(struct schedule_store *store, struct text rid, struct arena *arena,
    struct text *head, struct stored_schedule *schedule, struct error *err)
{
	struct text about;

	*schedule = (struct stored_schedule){ 0 };
	if (read_field(store, KEY_HEADS, rid, arena, head, err) != 0)
		return -1;
	if (head->at == NULL)
		return 0;
	if (read_field(store, KEY_ABOUT, rid, arena, &about, err) != 0)
		return -1;
	if (schedule_head_parse(*head, &schedule->head, err) != 0 ||
	    schedule_about_parse(about, arena, &schedule->about, err) != 0) {
		error_prefix(err, "stored schedule %.*s", TEXT_ARG(rid));
		return -1;
	}
	return 1;
}

int
schedule_store_read(struct schedule_store *store, struct text rid,
    struct arena *arena, struct stored_schedule *schedule, struct error *err)
{
	struct text head;
	int found = read_stored(store, rid, arena, &head, schedule, err);

	if (found != 1)
		return found;
	if (read_field(store, KEY_VERSIONS, schedule->head.current_version_rid,
		arena, &schedule->version, err) != 0)
		return -1;
	return 1;
}

/* KEYS and ARGV of change.lua; without a version the last two stay away. */
enum {
	CHANGE_HEADS,
	CHANGE_ABOUTS,
	CHANGE_VERSIONS,
	CHANGE_LIST,
	CHANGE_EDITION,
	CHANGE_KEYS
};
enum {
	CHANGE_RID,
	CHANGE_SEEN,
	CHANGE_HEAD,
	CHANGE_ABOUT,
	CHANGE_NEW_EDITION,
	CHANGE_TRIGGERS,
	CHANGE_VERSION_RID,
	CHANGE_VERSION,
	CHANGE_ARGS
};

int
schedule_store_write(struct schedule_store *store,
    const struct schedule_change *change, struct error *err)
{
	struct buffer head = { 0 }, about = { 0 }, list = { 0 };
	struct buffer triggers = { 0 };
	const struct keyspace *keyspace = store->keyspace;
	char edition[KEYSPACE_EDITION_SIZE];
	const struct text keys[CHANGE_KEYS] = {
		[CHANGE_HEADS] = keyspace_key(keyspace, KEY_HEADS),
		[CHANGE_ABOUTS] = keyspace_key(keyspace, KEY_ABOUT),
		[CHANGE_VERSIONS] = keyspace_key(keyspace, KEY_VERSIONS),
		[CHANGE_LIST] =
		    keyspace_versions_of(keyspace, change->rid, &list),
		[CHANGE_EDITION] = keyspace_key(keyspace, KEY_EDITION),
	};
	struct text args[CHANGE_ARGS] = {
		[CHANGE_RID] = change->rid,
		[CHANGE_SEEN] =
		    change->seen.at != NULL ? change->seen : TEXT(""),
		[CHANGE_NEW_EDITION] = keyspace_new_edition(edition),
		[CHANGE_TRIGGERS] = keyspace_triggers(keyspace, &triggers),
		[CHANGE_VERSION_RID] = change->version_rid,
		[CHANGE_VERSION] = change->version,
	};
	struct redis_reply *reply;
	int rc;

	schedule_head_write(change->head, &head);
	schedule_about_write(change->about, &about);
	args[CHANGE_HEAD] = buffer_text(&head);
	args[CHANGE_ABOUT] = buffer_text(&about);
	reply = redis_ask_script(store->redis, &store->change,
	    &(struct redis_arguments){ keys, CHANGE_KEYS, args,
		change->version.at != NULL ? CHANGE_ARGS : CHANGE_VERSION_RID },
	    "schedule", err);
	rc = reply != NULL ? (int)redis_reply_integer(reply) : -1;
	redis_reply_destroy(reply);
	buffer_finish(&head);
	buffer_finish(&about);
	buffer_finish(&list);
	buffer_finish(&triggers);
	if (rc == 2)
		return error_fatal(err, 70, "version %.*s is there already",
		    TEXT_ARG(change->version_rid));
	if (rc == 1 && redis_wait_replica(store->redis, err) != 0)
		return -1;
	return rc;
}

/* Whole, not by its digest: a server that has forgotten it is no matter then.
 */
void
schedule_store_ask_refresh(struct schedule_store *store, struct text rid,
    struct text seen, const struct schedule_about *about)
{
	struct buffer json = { 0 };

	schedule_about_write(about, &json);
	redis_append(store->redis,
	    (const struct text[]){ TEXT("EVAL"), text_from(lua_refresh),
		TEXT("1"), keyspace_key(store->keyspace, KEY_ABOUT), rid, seen,
		buffer_text(&json) },
	    7);
	buffer_finish(&json);
}

/* Whether that was another state before. */
static bool
set_state(struct schedule_head *head, enum schedule_state state)
{
	bool *flag = state == SCHEDULE_DELETED ? &head->deleted : &head->paused;
	bool is_set = state != SCHEDULE_LIVE, changes = *flag != is_set;

	*flag = is_set;
	return changes;
}

int
schedule_store_set(struct schedule_store *store, struct text rid,
    enum schedule_state state, struct text by, bool *changed, struct error *err)
{
	struct arena *arena = arena_create(0);
	struct schedule_change change = { .rid = rid };
	struct stored_schedule schedule;
	char now[CLOCK_TEXT_SIZE];
	int attempts = 0, rc;

	do {
		arena_reset(arena, ARENA_KEPT);
		rc = read_stored(
		    store, rid, arena, &change.seen, &schedule, err);
		if (rc == 1 && schedule.head.deleted)
			rc = 0;
		*changed = rc == 1 && set_state(&schedule.head, state);
		if (!*changed)
			break;
		clock_format(clock_wall_ms(), now);
		schedule.about.updated_time = (struct text){ now, sizeof now };
		if (by.at != NULL)
			schedule.about.updated_by = by;
		change.head = &schedule.head;
		change.about = &schedule.about;
		rc = schedule_store_write(store, &change, err);
		if (rc == 0) /* the head has moved */
			rc = 2;
	} while (rc == 2 && ++attempts < ATTEMPTS_MAX);
	arena_destroy(arena);
	if (rc == 2)
		return error_set(err, ERROR_RETRY,
		    "schedule %.*s changes again and again; try again",
		    TEXT_ARG(rid));
	return rc;
}
