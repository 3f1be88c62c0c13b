#include <string.h>

#include "common/base/clock.h"
#include "common/json/write.h"
#include "producer/catalogue/about.h"
#include "producer/catalogue/file_schedules.h"
#include "producer/catalogue/merge.h"
#include "producer/catalogue/said.h"
#include "producer/catalogue/version_lists.h"

#define SCRATCH_KEPT ((size_t)1 << 20)

/* What is stored of the file's schedules and versions. */
struct stored {
	struct fields *heads, *about, *versions, *lists, *said;
	struct arena *scratch; /* of the schedule that is looked at */
	char now[CLOCK_TEXT_SIZE];
};

/* A schedule of the file, where it stands there, and what it says by now. */
struct entry {
	const struct file_schedule *schedule;
	size_t number;
	struct said before,
	    now;               /* what the last file said, and what this says */
	bool is_kept;          /* something of it stays as others made it */
	struct arena *scratch; /* while it is looked at */
};

static int
read_named(struct merge *merge, enum keyspace_key key, struct fields *into,
    struct text_list names, struct error *err)
{
	return fields_read_some(into, merge->settings.redis,
	    keyspace_key(merge->settings.keyspace, key), names.at, names.n,
	    err);
}

static int
read_stored(struct merge *merge, struct stored *stored, struct error *err)
{
	const struct file_schedules *window = &merge->window_schedules;
	const struct file_schedule *schedules = window->at;
	struct arena *arena = merge->window_arena;
	size_t n_versions = 0, n = 0, i, j;
	struct text_list rids, versions;
	struct text *rid, *version;

	for (i = 0; i < window->n; i++)
		n_versions += schedules[i].n_versions;
	rid = arena_zalloc(arena, window->n, sizeof *rid);
	version = arena_zalloc(arena, n_versions, sizeof *version);
	for (i = 0; i < window->n; i++) {
		rid[i] = schedules[i].rid;
		for (j = 0; j < schedules[i].n_versions; j++)
			version[n++] = schedules[i].versions[j].rid;
	}
	rids = (struct text_list){ rid, window->n };
	versions = (struct text_list){ version, n_versions };
	if (read_named(merge, KEY_HEADS, stored->heads, rids, err) != 0 ||
	    read_named(merge, KEY_ABOUT, stored->about, rids, err) != 0 ||
	    read_named(merge, KEY_SAID, stored->said, rids, err) != 0 ||
	    read_named(merge, KEY_VERSIONS, stored->versions, versions, err) !=
		0)
		return -1;
	return version_lists_read(merge->settings.redis,
	    merge->settings.keyspace, rids.at, rids.n, stored->lists, err);
}

/* The document with createdTime added or, with none, taken out. */
static struct text
with_time(struct arena *arena, struct text json, struct text time)
{
	struct json_document *document =
	    json_parse(json, DOCUMENT_DEPTH_MAX, NULL);
	struct json_member member = { 0 };
	struct buffer out = { 0 };
	struct fields *members = fields_create(arena);
	const struct field *sorted;
	struct text result;
	size_t i;

	while (document != NULL && json_next(json_root(document), &member)) {
		buffer_reset(&out);
		json_put_node(&out, member.value);
		fields_put(members, member.name, buffer_text(&out));
	}
	json_destroy(document);
	fields_remove(members, TEXT("createdTime"));
	if (time.at != NULL) {
		buffer_reset(&out);
		json_put_text(&out, time);
		fields_put(members, TEXT("createdTime"), buffer_text(&out));
	}
	sorted = fields_sorted(members);
	buffer_reset(&out);
	json_open(&out, '{');
	for (i = 0; i < fields_size(members); i++) {
		json_name_text(&out, sorted[i].name);
		buffer_append(&out, sorted[i].value);
	}
	json_close(&out, '}');
	result = buffer_keep(&out, arena);
	fields_destroy(members);
	return result;
}

/*
 * A version that is stored must be what the file says: they are immutable.  One
 * that nobody can read is written anew.
 */
static bool
is_kept(struct merge *merge, const struct entry *entry, size_t number,
    struct text stored)
{
	const struct file_version *version = &entry->schedule->versions[number];
	const struct place root = { .parent = NULL };
	const struct place schedules = place_member(&root, TEXT("schedules"));
	const struct place schedule = place_index(&schedules, entry->number);
	const struct place versions = place_member(&schedule, TEXT("versions"));
	const struct place at = place_index(&versions, number);
	struct schedule_version parsed;
	struct text is = stored, said = version->json;

	if (stored.at == NULL)
		return false;
	if (!version->has_created_time) { /* none, or one that is no text */
		is = with_time(entry->scratch, stored, TEXT_NONE);
		said = with_time(entry->scratch, said, TEXT_NONE);
	}
	if (text_equal(is, said))
		return true;
	if (schedule_version_parse(
		stored, version->rid, entry->scratch, &parsed, NULL) != 0)
		return false;
	reader_fault(merge->settings.reader, &at,
	    "version %.*s is stored with other content; versions are "
	    "immutable: give the change a new version",
	    TEXT_ARG(version->rid));
	return true;
}

/* Both texts outlive the merge: at a million schedules copies are a burden. */
static void
put_change(struct fields *fields, struct text rid, struct text value)
{
	fields_share(fields, (struct field){ rid, value });
}

/* Versions that are not stored yet, or not listed, in the file's order. */
static void
merge_versions(
    struct merge *merge, const struct entry *entry, const struct stored *stored)
{
	const struct file_schedule *schedule = entry->schedule;
	const struct text now = { stored->now, sizeof stored->now };
	struct text list = fields_get(stored->lists, schedule->rid);
	struct buffer added = { 0 };
	size_t i;

	for (i = 0; i < schedule->n_versions; i++) {
		const struct file_version *version = &schedule->versions[i];
		struct text rid = version->rid;

		if (!is_kept(
			merge, entry, i, fields_get(stored->versions, rid)))
			put_change(merge->window.versions, rid,
			    version->has_created_time
				? version->json
				: text_copy(merge->window_arena,
				      with_time(
					  entry->scratch, version->json, now)));
		if (version_list_has(list, rid))
			continue;
		buffer_append(&added, rid);
		buffer_byte(&added, '\n');
	}
	if (added.size > 0)
		put_change(merge->window.added_versions, schedule->rid,
		    text_copy(merge->window_arena, buffer_text(&added)));
	buffer_finish(&added);
}

static struct text
time_of(const struct schedule_version *version, const struct stored *stored)
{
	if (version->created_time.at != NULL)
		return version->created_time;
	return (struct text){ stored->now, sizeof stored->now };
}

/*
 * Whether the file's word counts: it is a new one, or what is stored is still
 * what the last file made it, so that nobody has moved it since.
 */
static bool
is_said(struct merge *merge, struct entry *entry, bool is_new_word,
    bool is_stored_same)
{
	if (is_stored_same || is_new_word || !entry->before.is_known ||
	    merge->settings.heads)
		return true;
	entry->is_kept = true;
	return false;
}

/* A name as it is to be: the file's, if it has one, or the stored one. */
static struct text
choose_name(struct merge *merge, struct entry *entry, struct text before,
    struct text file, struct text stored)
{
	if (file.at == NULL ||
	    !is_said(merge, entry, !text_equal(before, file),
		text_equal(stored, file)))
		return stored;
	return file;
}

/* Whoever changes the schedule by then changes this: it is looked at again. */
static void
see_head(struct merge *merge, struct text rid, struct text old)
{
	fields_share(merge->window.heads_seen,
	    (struct field){ rid, old.at != NULL ? old : TEXT("") });
}

/* Names, times and rights of the schedule as the file leaves it. */
static void
merge_about(struct merge *merge, struct entry *entry,
    const struct stored *stored, bool changed)
{
	const struct file_schedule *schedule = entry->schedule;
	struct text old = fields_get(stored->about, schedule->rid);
	struct schedule_version version;
	struct schedule_about about;
	struct buffer out = { 0 };

	/* What can't be read is written anew. */
	if (old.at == NULL ||
	    schedule_about_parse(old, entry->scratch, &about, NULL) != 0) {
		changed = true;
		file_version_read(
		    &schedule->versions[0], entry->scratch, &version);
		about = (struct schedule_about){
			.created_by = version.created_by,
			.created_time = time_of(&version, stored),
		};
		entry->before.is_known = false;
	}
	if (changed) {
		file_version_read(&schedule->versions[schedule->n_versions - 1],
		    entry->scratch, &version);
		about.updated_by = version.created_by;
		about.updated_time = time_of(&version, stored);
		about.projects = schedule_projects(
		    merge->merged[HASH_DATASETS], &version, entry->scratch);
		about.projects_at = merge->generation;
	}
	about.display_name =
	    choose_name(merge, entry, entry->before.display_name,
		entry->now.display_name, about.display_name);
	about.description = choose_name(merge, entry, entry->before.description,
	    entry->now.description, about.description);
	schedule_about_write(&about, &out);
	if (!text_equal(old, buffer_text(&out))) {
		put_change(merge->window.about, schedule->rid,
		    text_copy(merge->window_arena, buffer_text(&out)));
		see_head(merge, schedule->rid,
		    fields_get(stored->heads, schedule->rid));
	}
	buffer_finish(&out);
}

/* With --heads, what would have stayed is named. */
static void
name_set(struct merge *merge, const struct entry *entry, struct text was,
    struct text is)
{
	struct buffer line = { 0 };

	buffer_format(&line, "schedule %.*s: set to %.*s, was %.*s\n",
	    TEXT_ARG(entry->schedule->rid), TEXT_ARG(is), TEXT_ARG(was));
	fields_put(
	    merge->window.named, entry->schedule->rid, buffer_text(&line));
	buffer_finish(&line);
}

/* The head as the file and what others have moved since leave it. */
static struct schedule_head
lay_head(struct merge *merge, struct entry *entry, struct text old)
{
	const struct said *before = &entry->before, *now = &entry->now;
	struct schedule_head head = { 0 };

	/* What can't be read is written anew. */
	if (old.at == NULL || schedule_head_parse(old, &head, NULL) != 0) {
		head = (struct schedule_head){ 0 };
		entry->before.is_known = false;
	}
	if (now->has_paused &&
	    is_said(merge, entry,
		!before->has_paused || before->paused != now->paused,
		head.paused == now->paused))
		head.paused = now->paused;
	if (is_said(merge, entry, !text_equal(before->version, now->version),
		text_equal(head.current_version_rid, now->version)))
		head.current_version_rid = now->version;
	if (is_said(merge, entry, !text_equal(before->version, now->version),
		!head.deleted))
		head.deleted = false;
	return head;
}

/* Whether the head changes. */
static bool
merge_head(
    struct merge *merge, struct entry *entry, const struct stored *stored)
{
	struct text rid = entry->schedule->rid;
	struct text old = fields_get(stored->heads, rid);
	struct schedule_head head = lay_head(merge, entry, old);
	struct buffer out = { 0 };
	bool changed;

	schedule_head_write(&head, &out);
	changed = !text_equal(old, buffer_text(&out));
	if (changed) {
		put_change(merge->window.heads, rid,
		    text_copy(merge->window_arena, buffer_text(&out)));
		see_head(merge, rid, old);
	}
	if (changed && old.at != NULL && merge->settings.heads)
		name_set(merge, entry, old, buffer_text(&out));
	buffer_finish(&out);
	return changed;
}

static void
merge_said(
    struct merge *merge, const struct entry *entry, const struct stored *stored)
{
	struct text rid = entry->schedule->rid;
	struct text said = said_write(&entry->now, merge->window_arena);

	if (!text_equal(said, fields_get(stored->said, rid)))
		put_change(merge->window.said, rid, said);
}

static void
merge_schedule(
    struct merge *merge, struct entry *entry, const struct stored *stored)
{
	const struct file_schedule *schedule = entry->schedule;
	struct merge_changes *window = &merge->window;
	bool is_new = fields_get(stored->heads, schedule->rid).at == NULL;
	bool changed;

	arena_reset(stored->scratch, SCRATCH_KEPT);
	entry->scratch = stored->scratch;
	entry->now = said_by(schedule);
	if (!is_new)
		entry->before = said_parse(
		    fields_get(stored->said, schedule->rid), entry->scratch);
	merge_versions(merge, entry, stored);
	changed = merge_head(merge, entry, stored);
	merge_about(merge, entry, stored, changed);
	merge_said(merge, entry, stored);
	window->kept_schedules += entry->is_kept;
	if (is_new)
		window->schedules.added++;
	else if (changed ||
	    fields_get(window->about, schedule->rid).at != NULL ||
	    fields_get(window->added_versions, schedule->rid).at != NULL)
		window->schedules.changed++;
	else
		window->schedules.same++;
}

/* Marks one as deleted, if it is not so already. */
static void
prune_schedule(struct merge *merge, const struct field *stored)
{
	struct schedule_head head;
	struct buffer out = { 0 };

	if (schedule_head_parse(stored->value, &head, NULL) != 0 ||
	    head.deleted)
		return;
	head.deleted = true;
	schedule_head_write(&head, &out);
	fields_put(merge->moving.heads, stored->name, buffer_text(&out));
	fields_put(merge->moving.heads_seen, stored->name, stored->value);
	fields_put(merge->moving.said, stored->name, TEXT(""));
	fields_put(merge->moving.pruned, stored->name, TEXT(""));
	merge->moving.schedules.removed++;
	buffer_finish(&out);
}

/* With --prune, schedules that the file doesn't name are marked as deleted. */
static int
prune_schedules(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	struct fields *heads = fields_create(merge->moving_arena);
	struct fields *named = fields_create(merge->moving_arena);
	const struct field *list;
	size_t i;
	int rc = fields_read(heads, merge->settings.redis,
	    keyspace_key(merge->settings.keyspace, KEY_HEADS), err);

	file_schedules_name(file, named);
	list = fields_list(heads);
	for (i = 0; rc == 0 && i < fields_size(heads); i++)
		if (fields_get(named, list[i].name).at == NULL)
			prune_schedule(merge, &list[i]);
	fields_destroy(heads);
	fields_destroy(named);
	return rc;
}

int
merge_pruned(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	return file->has_schedules && merge->settings.prune
	    ? prune_schedules(merge, file, err)
	    : 0;
}

int
merge_schedules(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	struct arena *arena = merge->window_arena;
	struct file_schedules *window = &merge->window_schedules;
	struct stored stored = { fields_create(arena), fields_create(arena),
		fields_create(arena), fields_create(arena),
		fields_create(arena), arena_create(0), "" };
	size_t i;
	int rc;

	clock_format(merge->settings.now_ms, stored.now);
	rc = file_schedules_read(file, window, arena, err);
	if (rc == 0)
		rc = read_stored(merge, &stored, err);
	for (i = 0; rc == 0 && i < window->n; i++)
		merge_schedule(merge,
		    &(struct entry){ .schedule = &window->at[i],
			.number = window->from + i },
		    &stored);
	fields_destroy(stored.heads);
	fields_destroy(stored.about);
	fields_destroy(stored.versions);
	fields_destroy(stored.lists);
	fields_destroy(stored.said);
	arena_destroy(stored.scratch);
	return rc;
}
