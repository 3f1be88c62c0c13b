#include "producer/dashboard/agenda.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/json/write.h"
#include "producer/catalogue/fields.h"
#include "producer/dashboard/dashboard.h"
#include "producer/trigger/book.h"
#include "schemas/stored/schedule.h"

#define FRESH_MS 5000
#define HORIZON_S (24 * 3600)
#define DUE_MAX 5000    /* schedules that are looked at */
#define LISTED_MAX 200  /* and told */
#define COUNTED_MAX 100 /* instants of one, in the next day */
#define LATE_S 90       /* a trigger says each half minute where it stands */
#define SLICE 100
#define READ_TOGETHER 500 /* versions */

struct agenda {
	pthread_mutex_t lock;
	struct book *book;
	struct zones *zones;
	char edition[KEYSPACE_NAME_MAX];
	size_t edition_size;
	int64_t looked_ms; /* monotonic; 0: never */
	int64_t stood_s;   /* -1: no trigger ever said */
};

struct agenda *
agenda_create(void)
{
	struct agenda *agenda = memory_zalloc(1, sizeof *agenda);

	pthread_mutex_init(&agenda->lock, NULL);
	agenda->book = book_create();
	agenda->zones = zones_create();
	return agenda;
}

void
agenda_destroy(struct agenda *agenda)
{
	if (agenda == NULL)
		return;
	book_destroy(agenda->book);
	zones_destroy(agenda->zones);
	pthread_mutex_destroy(&agenda->lock);
	free(agenda);
}

/* Reading ------------------------------------------------------------------ */

struct refresh {
	struct agenda *agenda;
	struct redis *redis;
	const struct keyspace *keyspace;
	struct arena *arena;
	int64_t now_s;
};

static void
write_entry(
    struct refresh *refresh, const struct field *head, struct fields *versions)
{
	struct timetable *times = NULL;
	struct schedule_head parsed;
	struct text version;
	struct due due;

	if (schedule_head_parse(head->value, &parsed, NULL) == 0 &&
	    !parsed.paused && !parsed.deleted) {
		version = fields_get(versions, parsed.current_version_rid);
		if (version.at != NULL)
			timetable_read(
			    version, refresh->agenda->zones, &times, NULL);
	}
	book_put(refresh->agenda->book, head->name, head->value, times,
	    times != NULL && timetable_next(times, refresh->now_s, &due)
		? due.instant.at_s
		: INT64_MAX);
}

/* Some schedules that are new or have changed. */
static int
read_changed(struct refresh *refresh, const struct field *changed, size_t n,
    struct error *err)
{
	struct fields *versions = fields_create(refresh->arena);
	struct text names[READ_TOGETHER];
	struct schedule_head head;
	size_t i, k = 0;
	int rc;

	for (i = 0; i < n; i++)
		if (schedule_head_parse(changed[i].value, &head, NULL) == 0 &&
		    !head.paused && !head.deleted)
			names[k++] = head.current_version_rid;
	rc = fields_read_some(versions, refresh->redis,
	    keyspace_key(refresh->keyspace, KEY_VERSIONS), names, k, err);
	for (i = 0; rc == 0 && i < n; i++)
		write_entry(refresh, &changed[i], versions);
	fields_destroy(versions);
	return rc;
}

static bool
is_known(const struct refresh *refresh, const struct field *head)
{
	const struct entry *entry =
	    book_find(refresh->agenda->book, head->name);

	return entry != NULL && text_equal(entry_head(entry), head->value);
}

static int
read_heads(struct refresh *refresh, struct error *err)
{
	struct fields *heads = fields_create(refresh->arena);
	struct field changed[READ_TOGETHER];
	const struct field *list;
	size_t i, n = 0;
	int rc = fields_read(heads, refresh->redis,
	    keyspace_key(refresh->keyspace, KEY_HEADS), err);

	list = fields_list(heads);
	for (i = 0; rc == 0 && i < fields_size(heads); i++) {
		if (is_known(refresh, &list[i]))
			continue;
		changed[n++] = list[i];
		if (n == READ_TOGETHER) {
			rc = read_changed(refresh, changed, n, err);
			n = 0;
		}
	}
	if (rc == 0 && n > 0)
		rc = read_changed(refresh, changed, n, err);
	fields_destroy(heads);
	return rc;
}

/* Whether the edition is another one; where triggers stand. */
static int
look_at_edition(struct refresh *refresh, bool *moved, struct error *err)
{
	struct agenda *agenda = refresh->agenda;
	struct redis_reply *reply = redis_ask(refresh->redis,
	    (struct text[]){ TEXT("MGET"),
		keyspace_key(refresh->keyspace, KEY_EDITION),
		keyspace_key(refresh->keyspace, KEY_STOOD) },
	    3, "MGET", err);
	struct text edition;

	if (reply == NULL)
		return -1;
	edition = text_cut(
	    redis_reply_text(redis_reply_at(reply, 0)), sizeof agenda->edition);
	*moved = agenda->looked_ms == 0 ||
	    !text_equal(edition,
		(struct text){ agenda->edition, agenda->edition_size });
	if (edition.size > 0)
		memcpy(agenda->edition, edition.at, edition.size);
	agenda->edition_size = edition.size;
	if (!text_to_number(redis_reply_text(redis_reply_at(reply, 1)),
		INT64_MAX, &agenda->stood_s))
		agenda->stood_s = -1;
	redis_reply_destroy(reply);
	return 0;
}

/* What is past is due next time. */
static void
turn_over(struct agenda *agenda, int64_t now_s)
{
	struct entry *entry;
	struct due due;

	while ((entry = book_first(agenda->book)) != NULL &&
	    entry->next_s <= now_s)
		book_move(agenda->book, entry,
		    timetable_next(entry->times, now_s, &due) ? due.instant.at_s
							      : INT64_MAX);
}

/* Within the lock. */
static int
refresh_agenda(struct refresh *refresh, struct error *err)
{
	struct agenda *agenda = refresh->agenda;
	int64_t now_ms = clock_monotonic_ms();
	bool moved;

	if (agenda->looked_ms > 0 && now_ms - agenda->looked_ms < FRESH_MS)
		return 0;
	if (redis_connect(refresh->redis, err) != 0 ||
	    look_at_edition(refresh, &moved, err) != 0)
		return -1;
	if (moved && read_heads(refresh, err) != 0) {
		agenda->edition_size = 0; /* then anew */
		return -1;
	}
	agenda->looked_ms = now_ms;
	return 0;
}

/* Telling ------------------------------------------------------------------ */

struct due_row {
	struct text rid, cron, zone;
	int64_t at_s;
	bool is_shifted; /* by clocks that are changed */
	int count;       /* in the next day, COUNTED_MAX at most */
	bool is_overdue;
};

struct due_look {
	struct http_call *call;
	struct due_row *rows;
	size_t n;
	size_t scheduled; /* that are due some day, also those he may not view
			   */
	size_t told;
	bool more;
	int64_t stood_s;
};

static void
add_row(struct due_look *look, const struct entry *entry, int64_t after_s,
    int64_t now_s)
{
	struct due_row *row = &look->rows[look->n];
	struct arena *arena = look->call->arena;
	struct due due;

	if (!timetable_next(entry->times, after_s, &due))
		return;
	look->n++;
	*row = (struct due_row){
		.rid = text_copy(arena, entry_rid(entry)),
		.cron = text_copy(arena, due.trigger->expression),
		.zone = text_copy(arena, due.trigger->zone_name),
		.at_s = due.instant.at_s,
		.is_shifted = due.instant.how != CRON_PLAIN,
		.is_overdue = due.instant.at_s <= now_s,
	};
	do
		row->count++;
	while (row->count < COUNTED_MAX &&
	    timetable_next(entry->times, due.instant.at_s, &due) &&
	    due.instant.at_s <= now_s + HORIZON_S);
}

static int
compare_rows(const void *left, const void *right)
{
	const struct due_row *a = left, *b = right;

	return a->at_s != b->at_s ? (a->at_s > b->at_s) - (a->at_s < b->at_s)
				  : text_compare(a->rid, b->rid);
}

/* The rows of now; what no trigger has fired yet is due since then. */
static void
copy_due(struct due_look *look, struct agenda *agenda, int64_t now_s)
{
	struct entry **list =
	    memory_zalloc(DUE_MAX + 1, sizeof(struct entry *));
	bool is_late = agenda->stood_s >= 0 && now_s - agenda->stood_s > LATE_S;
	size_t n, i;

	turn_over(agenda, now_s);
	n = book_due(agenda->book, now_s + HORIZON_S, list, DUE_MAX);
	look->more = n == DUE_MAX;
	look->rows =
	    arena_alloc(look->call->arena, (n + 1) * sizeof *look->rows);
	for (i = 0; i < n; i++)
		add_row(
		    look, list[i], is_late ? agenda->stood_s : now_s, now_s);
	look->scheduled = book_size(agenda->book);
	look->stood_s = agenda->stood_s;
	if (look->n > 0)
		qsort(look->rows, look->n, sizeof *look->rows, compare_rows);
	free(list);
}

static void
put_row(struct buffer *out, const struct due_row *row,
    const struct schedule_access *schedule)
{
	json_open(out, '{');
	json_member_text(out, "scheduleRid", row->rid);
	json_member_known(out, "displayName", schedule->about.display_name);
	json_member_time(out, "at", row->at_s * 1000);
	json_member_text(out, "cron", row->cron);
	json_member_text(out, "zone", row->zone);
	json_member_integer(out, "count", row->count);
	json_member_bool(out, "overdue", row->is_overdue);
	json_member_bool(out, "shifted", row->is_shifted);
	json_close(out, '}');
}

/* Those that he may view, until there are enough. */
static void
put_rows(struct due_look *look, struct work_redis *redis)
{
	struct http_call *call = look->call;
	struct access access = http_call_access(call, redis);
	struct schedule_access schedules[SLICE];
	struct text rids[SLICE];
	size_t at, n, i;

	for (at = 0; at < look->n && look->told < LISTED_MAX; at += n) {
		n = look->n - at < SLICE ? look->n - at : SLICE;
		for (i = 0; i < n; i++)
			rids[i] = look->rows[at + i].rid;
		if (access_read(&access, rids, n, false, schedules,
			&call->job.error) != 0)
			return;
		for (i = 0; i < n && look->told < LISTED_MAX; i++) {
			if (!schedules[i].exists ||
			    schedules[i].right == RIGHT_NONE)
				continue;
			put_row(&call->answer.body, &look->rows[at + i],
			    &schedules[i]);
			look->told++;
		}
		look->more |= look->told == LISTED_MAX && at + i < look->n;
	}
}

void
dashboard_due_get(struct http_call *call, struct work_redis *redis)
{
	struct agenda *agenda = call->app->dashboard->agenda;
	int64_t now_s = clock_wall_ms() / 1000;
	struct refresh refresh = { .agenda = agenda,
		.redis = redis->schedules,
		.keyspace = call->app->keyspace,
		.arena = arena_create(0),
		.now_s = now_s };
	struct due_look look = { .call = call };
	struct buffer *out = &call->answer.body;
	int rc;

	pthread_mutex_lock(&agenda->lock);
	rc = refresh_agenda(&refresh, &call->job.error);
	if (rc == 0)
		copy_due(&look, agenda, now_s);
	pthread_mutex_unlock(&agenda->lock);
	arena_destroy(refresh.arena);
	if (rc != 0)
		return;
	json_open(out, '{');
	if (look.stood_s >= 0)
		json_member_time(out, "stood", look.stood_s * 1000);
	json_member_bool(
	    out, "late", look.scheduled > 0 && now_s - look.stood_s > LATE_S);
	json_member_open(out, "due", '[');
	put_rows(&look, redis);
	json_close(out, ']');
	json_member_integer(out, "scheduled", (int64_t)look.told);
	json_member_bool(out, "more", look.more);
	json_close(out, '}');
}
