#include "producer/trigger/watch.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "producer/catalogue/about.h"
#include "producer/catalogue/fields.h"
#include "schemas/embedded.h"
#include "schemas/stored/schedule.h"

#define REST_FACTOR 9 /* a round's time is rested so often behind it */
#define ARENA_KEPT ((size_t)1024 * 1024)
#define NEVER INT64_MAX

struct watch {
	struct redis *redis;
	const struct keyspace *keyspace;
	struct book *book;
	struct zones *zones;
	struct redis_script stand;
	struct arena *arena;             /* of one call */
	char edition[KEYSPACE_NAME_MAX]; /* as of the last look */
	size_t edition_size;
	bool has_stood;  /* known_s began where triggers stood */
	int64_t known_s; /* each change up to then is in the book */

	bool is_wanted, is_under_way, is_complete; /* rounds */
	char cursor[FIELDS_CURSOR_SIZE];
	int64_t began_s;                 /* by the triggers' time */
	int64_t spent_ms, rest_until_ms; /* monotonic */
};

struct watch *
watch_create(struct redis *redis, const struct keyspace *keyspace,
    struct book *book, struct zones *zones)
{
	struct watch *watch = memory_zalloc(1, sizeof *watch);

	watch->redis = redis;
	watch->keyspace = keyspace;
	watch->book = book;
	watch->zones = zones;
	watch->stand.source = lua_stand;
	watch->arena = arena_create(0);
	watch->is_wanted = true;
	return watch;
}

void
watch_destroy(struct watch *watch)
{
	if (watch == NULL)
		return;
	arena_destroy(watch->arena);
	free(watch);
}

static struct text
key_of(const struct watch *watch, enum keyspace_key key)
{
	return keyspace_key(watch->keyspace, key);
}

/* One schedule's entry -------------------------------------------------- */

/* From when on its instants count: the last change of the schedule. */
static int64_t
changed_at(struct watch *watch, struct text about)
{
	struct schedule_about known;
	int64_t ms = 0;

	if (about.at == NULL ||
	    schedule_about_parse(about, watch->arena, &known, NULL) != 0 ||
	    !clock_parse(known.updated_time, &ms))
		return 0;
	return ms / 1000;
}

static struct timetable *
read_times(struct watch *watch, struct text rid, struct text version)
{
	struct timetable *times = NULL;
	struct error err = { 0 };

	if (version.at == NULL)
		error_set(&err, ERROR_INPUT, "its version is not there");
	else
		timetable_read(version, watch->zones, &times, &err);
	if (err.kind != ERROR_NONE)
		log_event(LOG_WARN, "trigger", "trigger_unreadable",
		    err.message, LOG_T("schedule_rid", rid), LOG_END);
	return times;
}

/* Writes the entry anew, by what was read of the schedule. */
static void
write_entry(struct watch *watch, const struct field *head,
    const struct schedule_head *parsed, struct fields *versions,
    struct fields *abouts)
{
	int64_t from_s = changed_at(watch, fields_get(abouts, head->name));
	struct timetable *times;
	struct due due;

	/* What is found now has changed since then, whatever it says. */
	if (from_s < watch->known_s)
		from_s = watch->known_s;
	times = read_times(watch, head->name,
	    fields_get(versions, parsed->current_version_rid));
	book_put(watch->book, head->name, head->value, times,
	    times != NULL && timetable_next(times, from_s, &due)
		? due.instant.at_s
		: NEVER);
}

static bool
is_known(const struct watch *watch, const struct field *head)
{
	const struct entry *entry = book_find(watch->book, head->name);

	return entry != NULL && text_equal(entry_head(entry), head->value);
}

/* Reads what of these heads is new; one that is paused or deleted is never due.
 */
static int
read_changed(
    struct watch *watch, const struct field *heads, size_t n, struct error *err)
{
	struct schedule_head *parsed =
	    arena_zalloc(watch->arena, n + 1, sizeof *parsed);
	struct field *changed =
	    arena_zalloc(watch->arena, n + 1, sizeof *changed);
	struct text *rids = arena_zalloc(watch->arena, n + 1, sizeof *rids);
	struct text *names = arena_zalloc(watch->arena, n + 1, sizeof *names);
	struct fields *versions = fields_create(watch->arena);
	struct fields *abouts = fields_create(watch->arena);
	size_t i, n_changed = 0;
	int rc;

	for (i = 0; i < n; i++) {
		struct schedule_head *head = &parsed[n_changed];

		if (is_known(watch, &heads[i]))
			continue;
		if (schedule_head_parse(heads[i].value, head, NULL) != 0 ||
		    head->paused || head->deleted) {
			book_put(watch->book, heads[i].name, heads[i].value,
			    NULL, NEVER);
			continue;
		}
		names[n_changed] = head->current_version_rid;
		rids[n_changed] = heads[i].name;
		changed[n_changed++] = heads[i];
	}
	rc = fields_read_some(versions, watch->redis,
	    key_of(watch, KEY_VERSIONS), names, n_changed, err);
	if (rc == 0)
		rc = fields_read_some(abouts, watch->redis,
		    key_of(watch, KEY_ABOUT), rids, n_changed, err);
	for (i = 0; rc == 0 && i < n_changed; i++)
		write_entry(watch, &changed[i], &parsed[i], versions, abouts);
	fields_destroy(versions);
	fields_destroy(abouts);
	return rc;
}

/* Looks and rounds --------------------------------------------------------- */

static void
take_stood(struct watch *watch, struct text stored, int64_t now_s)
{
	if (watch->has_stood)
		return;
	watch->has_stood = true;
	if (!text_to_number(stored, INT64_MAX, &watch->known_s) ||
	    watch->known_s > now_s)
		watch->known_s = now_s;
}

int
watch_look(struct watch *watch, int64_t now_s, struct error *err)
{
	const struct text mget[3] = { TEXT("MGET"), key_of(watch, KEY_EDITION),
		key_of(watch, KEY_STOOD) };
	struct redis_reply *reply = redis_command(watch->redis, mget, 3, err);
	struct text edition;
	int rc = -1;

	if (reply == NULL)
		return -1;
	if (redis_reply_error(watch->redis, reply, "MGET", err) != 0)
		goto out;
	edition = text_cut(
	    redis_reply_text(redis_reply_at(reply, 0)), sizeof watch->edition);
	take_stood(watch, redis_reply_text(redis_reply_at(reply, 1)), now_s);
	if (!text_equal(edition,
		(struct text){ watch->edition, watch->edition_size })) {
		memcpy(watch->edition, edition.size > 0 ? edition.at : "",
		    edition.size);
		watch->edition_size = edition.size;
		watch->is_wanted = true;
	} else if (!watch->is_wanted && !watch->is_under_way) {
		watch->known_s = now_s;
	}
	rc = 0;
out:
	redis_reply_destroy(reply);
	return rc;
}

bool
watch_is_behind(const struct watch *watch)
{
	return watch->is_under_way ||
	    (watch->is_wanted && clock_monotonic_ms() >= watch->rest_until_ms);
}

bool
watch_is_complete(const struct watch *watch)
{
	return watch->is_complete;
}

static void
begin_round(struct watch *watch, int64_t now_s)
{
	watch->is_wanted = false;
	watch->is_under_way = true;
	watch->began_s = now_s;
	watch->spent_ms = 0;
	memcpy(watch->cursor, "0", 2);
}

static void
end_round(struct watch *watch)
{
	watch->is_under_way = false;
	watch->is_complete = true;
	watch->known_s = watch->began_s;
	watch->rest_until_ms =
	    clock_monotonic_ms() + REST_FACTOR * watch->spent_ms;
}

int
watch_step(struct watch *watch, int64_t now_s, struct error *err)
{
	int64_t began_ms = clock_monotonic_ms();
	struct fields *heads;
	int rc;

	if (!watch_is_behind(watch))
		return 0;
	if (!watch->is_under_way)
		begin_round(watch, now_s);
	arena_reset(watch->arena, ARENA_KEPT);
	heads = fields_create(watch->arena);
	rc = fields_scan(
	    heads, watch->redis, key_of(watch, KEY_HEADS), watch->cursor, err);
	if (rc == 0)
		rc = read_changed(
		    watch, fields_list(heads), fields_size(heads), err);
	fields_destroy(heads);
	watch->spent_ms += clock_monotonic_ms() - began_ms;
	if (rc != 0) {
		/* The cursor may mean nothing to who answers next. */
		watch->is_under_way = false;
		watch->is_wanted = true;
		return -1;
	}
	if (strcmp(watch->cursor, "0") == 0)
		end_round(watch);
	return 0;
}

/* Firing ------------------------------------------------------------------- */

int
watch_confirm(
    struct watch *watch, struct entry **list, size_t n, struct error *err)
{
	struct fields *heads;
	struct field *changed;
	struct text *rids;
	size_t i, n_changed = 0;
	int rc;

	arena_reset(watch->arena, ARENA_KEPT);
	heads = fields_create(watch->arena);
	rids = arena_zalloc(watch->arena, n + 1, sizeof *rids);
	changed = arena_zalloc(watch->arena, n + 1, sizeof *changed);
	for (i = 0; i < n; i++)
		rids[i] = text_copy(watch->arena, entry_rid(list[i]));
	rc = fields_read_some(
	    heads, watch->redis, key_of(watch, KEY_HEADS), rids, n, err);
	for (i = 0; rc == 0 && i < n; i++) {
		struct text head = fields_get(heads, rids[i]);

		if (text_equal(head, entry_head(list[i])))
			continue;
		if (head.at != NULL)
			changed[n_changed++] = (struct field){ rids[i], head };
		else
			book_drop(watch->book, list[i]);
		list[i] = NULL;
	}
	if (rc == 0)
		rc = read_changed(watch, changed, n_changed, err);
	fields_destroy(heads);
	return rc;
}

int64_t
watch_stand(struct watch *watch, int64_t fired_s, struct error *err)
{
	char digits[TEXT_NUMBER_SIZE];
	struct text key = key_of(watch, KEY_STOOD);
	struct text at = text_of_number(
	    fired_s < watch->known_s ? fired_s : watch->known_s, digits);
	struct redis_reply *reply = redis_run_script(watch->redis,
	    &watch->stand, &(struct redis_arguments){ &key, 1, &at, 1 }, err);
	int64_t stood = -1;

	if (reply == NULL)
		return -1;
	if (redis_reply_error(watch->redis, reply, "stand", err) == 0 &&
	    !text_to_number(redis_reply_text(reply), INT64_MAX, &stood))
		error_fatal(err, 70,
		    "redis %s: the script stand gave no number",
		    redis_address(watch->redis));
	redis_reply_destroy(reply);
	return stood;
}
