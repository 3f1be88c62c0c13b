#include <string.h>

#include "common/clock.h"
#include "common/json_write.h"
#include "producer/catalogue_merge.h"
#include "producer/schedule_about.h"

/* What is stored of the file's schedules and versions. */
struct stored {
	struct fields *heads, *about, *versions;
	char now[CLOCK_TEXT_SIZE];
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
read_stored(struct merge *merge, const struct catalogue_file *file,
    struct stored *stored, struct error *err)
{
	size_t n_versions = 0, n = 0, i, j;
	struct text *rids, *versions;

	for (i = 0; i < file->n_schedules; i++)
		n_versions += file->schedules[i].n_versions;
	rids = arena_zalloc(merge->arena, file->n_schedules, sizeof *rids);
	versions = arena_zalloc(merge->arena, n_versions, sizeof *versions);
	for (i = 0; i < file->n_schedules; i++) {
		rids[i] = file->schedules[i].rid;
		for (j = 0; j < file->schedules[i].n_versions; j++)
			versions[n++] =
			    file->schedules[i].versions[j].version.rid;
	}
	if (read_named(merge, KEY_HEADS, stored->heads,
		(struct text_list){ rids, file->n_schedules }, err) != 0 ||
	    read_named(merge, KEY_ABOUT, stored->about,
		(struct text_list){ rids, file->n_schedules }, err) != 0)
		return -1;
	return read_named(merge, KEY_VERSIONS, stored->versions,
	    (struct text_list){ versions, n_versions }, err);
}

/* The document with createdTime added or, with none, taken out. */
static struct text
with_time(struct merge *merge, struct text json, struct text time)
{
	struct json_document *document =
	    json_parse(json, DOCUMENT_DEPTH_MAX, NULL);
	struct json_member member = { 0 };
	struct buffer out = { 0 };
	struct fields *members = fields_create(merge->arena);
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
	result = text_copy(merge->arena, buffer_text(&out));
	buffer_finish(&out);
	fields_destroy(members);
	return result;
}

/* A version that is stored must be what the file says: they are immutable. */
static int
check_same(struct merge *merge, const struct file_version *version,
    struct text stored, struct error *err)
{
	struct text is = stored;

	if (!version->has_created_time)
		is = with_time(merge, stored, TEXT_NONE);
	if (text_equal(is, version->json))
		return 0;
	return error_set(err, ERROR_INPUT,
	    "version %.*s of schedule %.*s is stored with other content; "
	    "versions are immutable: give the change a new version",
	    TEXT_ARG(version->version.rid),
	    TEXT_ARG(version->version.schedule_rid));
}

/* Versions that are not stored yet, in the file's order. */
static int
merge_versions(struct merge *merge, const struct file_schedule *schedule,
    const struct stored *stored, struct error *err)
{
	const struct text now = { stored->now, sizeof stored->now };
	struct buffer added = { 0 };
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < schedule->n_versions; i++) {
		const struct file_version *version = &schedule->versions[i];
		struct text old =
		    fields_get(stored->versions, version->version.rid);

		if (old.at != NULL) {
			rc = check_same(merge, version, old, err);
			continue;
		}
		fields_put(merge->versions, version->version.rid,
		    version->has_created_time
			? version->json
			: with_time(merge, version->json, now));
		buffer_append(&added, version->version.rid);
		buffer_byte(&added, '\n');
	}
	if (rc == 0 && added.size > 0)
		fields_put(
		    merge->added_versions, schedule->rid, buffer_text(&added));
	buffer_finish(&added);
	return rc;
}

static struct text
time_of(const struct file_version *version, const struct stored *stored)
{
	if (version->has_created_time)
		return version->version.created_time;
	return (struct text){ stored->now, sizeof stored->now };
}

/* Names, times and rights of the schedule as the file leaves it. */
static int
merge_about(struct merge *merge, const struct file_schedule *schedule,
    const struct stored *stored, bool changed, struct error *err)
{
	const struct file_version *last =
	    &schedule->versions[schedule->n_versions - 1];
	struct text old = fields_get(stored->about, schedule->rid);
	struct schedule_about about = {
		.created_by = schedule->versions[0].version.created_by,
		.created_time = time_of(&schedule->versions[0], stored),
	};
	struct buffer out = { 0 };

	if (old.at != NULL &&
	    schedule_about_parse(old, merge->arena, &about, err) != 0) {
		error_prefix(
		    err, "stored schedule %.*s", TEXT_ARG(schedule->rid));
		return -1;
	}
	if (old.at == NULL || changed) {
		about.updated_by = last->version.created_by;
		about.updated_time = time_of(last, stored);
	}
	if (schedule->display_name.at != NULL)
		about.display_name = schedule->display_name;
	if (schedule->description.at != NULL)
		about.description = schedule->description;
	if (old.at == NULL || changed) {
		about.projects =
		    schedule_projects(merge_part_of(merge, PART_DATASETS),
			&last->version, merge->arena);
		about.projects_at = merge->generation;
	}
	schedule_about_write(&about, &out);
	if (!text_equal(old, buffer_text(&out)))
		fields_put(merge->about, schedule->rid, buffer_text(&out));
	buffer_finish(&out);
	return 0;
}

static int
merge_head(struct merge *merge, const struct file_schedule *schedule,
    const struct stored *stored, bool *changed, struct error *err)
{
	struct text old = fields_get(stored->heads, schedule->rid);
	struct schedule_head head = { 0 };
	struct buffer out = { 0 };

	if (old.at != NULL && schedule_head_parse(old, &head, err) != 0) {
		error_prefix(
		    err, "stored schedule %.*s", TEXT_ARG(schedule->rid));
		return -1;
	}
	if (schedule->has_paused)
		head.paused = schedule->paused;
	head.deleted = false;
	head.current_version_rid =
	    schedule->versions[schedule->n_versions - 1].version.rid;
	schedule_head_write(&head, &out);
	*changed = !text_equal(old, buffer_text(&out));
	if (*changed) {
		fields_put(merge->heads, schedule->rid, buffer_text(&out));
		fields_put(merge->heads_seen, schedule->rid,
		    old.at != NULL ? old : TEXT(""));
	}
	buffer_finish(&out);
	return 0;
}

static int
merge_schedule(struct merge *merge, const struct file_schedule *schedule,
    const struct stored *stored, struct error *err)
{
	bool is_new = fields_get(stored->heads, schedule->rid).at == NULL;
	bool changed;

	if (merge_versions(merge, schedule, stored, err) != 0 ||
	    merge_head(merge, schedule, stored, &changed, err) != 0 ||
	    merge_about(merge, schedule, stored, changed, err) != 0)
		return -1;
	if (is_new)
		merge->schedules.added++;
	else if (changed || fields_get(merge->about, schedule->rid).at != NULL)
		merge->schedules.changed++;
	else
		merge->schedules.same++;
	return 0;
}

/* With --prune, schedules that the file doesn't name are marked as deleted. */
static int
prune_schedules(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	struct fields *heads = fields_create(merge->arena);
	struct fields *named = fields_create(merge->arena);
	const struct field *sorted;
	size_t i;
	int rc = fields_read(heads, merge->settings.redis,
	    keyspace_key(merge->settings.keyspace, KEY_HEADS), err);

	for (i = 0; i < file->n_schedules; i++)
		fields_put(named, file->schedules[i].rid, TEXT(""));
	sorted = fields_sorted(heads);
	for (i = 0; rc == 0 && i < fields_size(heads); i++) {
		struct schedule_head head;
		struct buffer out = { 0 };

		if (fields_get(named, sorted[i].name).at != NULL ||
		    schedule_head_parse(sorted[i].value, &head, NULL) != 0 ||
		    head.deleted)
			continue;
		head.deleted = true;
		schedule_head_write(&head, &out);
		fields_put(merge->heads, sorted[i].name, buffer_text(&out));
		fields_put(merge->heads_seen, sorted[i].name, sorted[i].value);
		merge->schedules.removed++;
		buffer_finish(&out);
	}
	fields_destroy(heads);
	fields_destroy(named);
	return rc;
}

int
merge_schedules(
    struct merge *merge, struct catalogue_file *file, struct error *err)
{
	struct stored stored = { fields_create(merge->arena),
		fields_create(merge->arena), fields_create(merge->arena), "" };
	size_t i;
	int rc;

	clock_format(merge->settings.now_ms, stored.now);
	rc = read_stored(merge, file, &stored, err);
	for (i = 0; rc == 0 && i < file->n_schedules; i++)
		rc = merge_schedule(merge, &file->schedules[i], &stored, err);
	if (rc == 0 && file->has_schedules && merge->settings.prune)
		rc = prune_schedules(merge, file, err);
	fields_destroy(stored.heads);
	fields_destroy(stored.about);
	fields_destroy(stored.versions);
	return rc;
}
