#include "producer/catalogue/file_schedules.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto/rid.h"
#include "common/json/write.h"
#include "producer/catalogue/about.h"
#include "schemas/stored/catalogue.h"

#define SCRATCH_KEPT ((size_t)1 << 20)

/* A schedule as it is read: all goes again but for what is put to `kept`. */
struct element {
	struct reader *reader;
	struct arena *kept;
	struct text rid;
};

/* A node as canonical JSON, in the arena. */
static struct text
as_json(struct arena *arena, const struct json *node)
{
	struct buffer printed = { 0 };

	json_put_node(&printed, node);
	return buffer_keep(&printed, arena);
}

/* The text where it stands in its JSON; a copy if it is written otherwise. */
struct text
file_keep_within(struct arena *kept, struct text json, struct text text)
{
	const char *end = json.at + json.size, *at = json.at;

	if (text.at == NULL || text.size == 0)
		return text_copy(kept, text);
	while (at != NULL && (size_t)(end - at) >= text.size) {
		at = memchr(at, text.at[0], (size_t)(end - at) - text.size + 1);
		if (at != NULL && memcmp(at, text.at, text.size) == 0)
			return (struct text){ at, text.size };
		if (at != NULL)
			at++;
	}
	return text_copy(kept, text);
}

static void
check_creator(
    struct reader *reader, const struct place *version, struct text created_by)
{
	const struct place place = place_member(version, TEXT("createdBy"));
	struct uuid uuid;

	if (created_by.at != NULL && !uuid_parse(created_by, &uuid))
		reader_fault(reader, &place,
		    "is not a UUID in lower case: clients can't "
		    "read others");
}

static void
read_version(const struct element *element, const struct place *place,
    const struct json *node, struct file_version *version)
{
	struct reader *reader = element->reader;
	struct schedule_version read;

	schedule_version_read(reader, place, node, &read, NULL);
	check_creator(reader, place, read.created_by);
	if (read.schedule_rid.at != NULL && element->rid.at != NULL &&
	    !text_equal(read.schedule_rid, element->rid))
		reader_fault(reader, place, "is a version of %.*s, not of %.*s",
		    TEXT_ARG(read.schedule_rid), TEXT_ARG(element->rid));
	version->json = as_json(element->kept, node);
	version->rid = file_keep_within(element->kept, version->json, read.rid);
	version->has_created_time = read.created_time.at != NULL;
	if (version->json.size > VERSION_SIZE_MAX)
		reader_fault(reader, place, "%zu bytes, more than %d",
		    version->json.size, VERSION_SIZE_MAX);
}

static void
read_versions(const struct element *element, const struct place *schedule,
    const struct json *node, struct file_schedule *out)
{
	struct reader *reader = element->reader;
	struct place place = place_member(schedule, TEXT("versions"));
	size_t n, i;

	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_ARRAY))
		return;
	n = json_size(node);
	if (n == 0)
		reader_fault(reader, &place, "a schedule without a version");
	out->versions = arena_zalloc(element->kept, n, sizeof *out->versions);
	out->n_versions = n;
	for (i = 0; i < n; i++) {
		struct place at = place_index(&place, i);

		read_version(element, &at, json_at(node, i), &out->versions[i]);
	}
}

/* A name for people: may have line breaks, but not be larger than `max`. */
static struct text
read_prose(const struct element *element, const struct place *parent,
    const struct json *object, const char *name, size_t max)
{
	struct reader *reader = element->reader;
	struct place place = place_member(parent, text_from(name));
	const struct json *node = json_get(object, name);

	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_STRING))
		return TEXT_NONE;
	if (text_characters(json_text(node)) > max)
		reader_fault(reader, &place,
		    "has %zu characters, more than %zu",
		    text_characters(json_text(node)), max);
	return text_copy(element->kept, json_text(node));
}

static void
read_schedule(struct element *element, const struct place *place,
    const struct json *node, struct file_schedule *out)
{
	struct reader *reader = element->reader;
	static const char *const known[] = { "*rid", "*versions", "displayName",
		"description", "paused", NULL };

	if (!read_object(reader, place, node, known))
		return;
	element->rid = read_rid(reader, place, node, "rid");
	if (element->rid.at != NULL &&
	    !rid_is(element->rid, TEXT("scheduler"), TEXT("schedule")))
		reader_fault(
		    reader, place, "rid is not ri.scheduler.*.schedule.*");
	out->display_name =
	    read_prose(element, place, node, "displayName", DISPLAY_NAME_MAX);
	out->description =
	    read_prose(element, place, node, "description", DESCRIPTION_MAX);
	out->has_paused = json_get(node, "paused") != NULL;
	out->paused = read_bool(reader, place, node, "paused", false);
	read_versions(element, place, json_get(node, "versions"), out);
	out->rid = file_keep_within(element->kept,
	    out->n_versions > 0 ? out->versions[0].json : TEXT(""),
	    element->rid);
}

void
file_version_read(const struct file_version *version, struct arena *arena,
    struct schedule_version *read)
{
	/* It has passed before. */
	if (schedule_version_parse(
		version->json, version->rid, arena, read, NULL) != 0)
		abort();
}

/* A name may stand in the file once. */
static void
check_once(struct reader *reader, const struct place *place,
    struct fields *seen, struct text rid)
{
	if (rid.at == NULL)
		return;
	if (fields_get(seen, rid).at != NULL)
		reader_fault(reader, place, "%.*s stands in the file twice",
		    TEXT_ARG(rid));
	fields_put(seen, rid, TEXT(""));
}

void
file_schedules_check(struct reader *reader, const struct place *root,
    const struct json *node, struct catalogue_file *file)
{
	struct place place = place_member(root, TEXT("schedules"));
	struct arena *scratch, *names;
	struct fields *seen;
	size_t n, i, j;

	if (!read_is(reader, &place, node, JSON_TYPE_ARRAY))
		return;
	n = json_size(node);
	file->schedules = node;
	file->n_schedules = n;
	scratch = arena_create(0);
	names = arena_create(0);
	seen = fields_create(names);
	for (i = 0; i < n; i++) {
		struct place at = place_index(&place, i);
		struct file_schedule schedule = { 0 };
		struct element element = { .kept = scratch };

		arena_reset(scratch, SCRATCH_KEPT);
		element.reader = reader_create(scratch);
		read_schedule(&element, &at, json_at(node, i), &schedule);
		reader_adopt(reader, element.reader);
		check_once(reader, &at, seen, schedule.rid);
		for (j = 0; j < schedule.n_versions; j++)
			check_once(reader, &at, seen, schedule.versions[j].rid);
	}
	fields_destroy(seen);
	arena_destroy(names);
	arena_destroy(scratch);
}

int
file_schedules_read(const struct catalogue_file *file,
    struct file_schedules *some, struct arena *arena, struct error *err)
{
	const struct place root = { .parent = NULL };
	const struct place schedules = place_member(&root, TEXT("schedules"));
	struct arena *scratch = arena_create(0);
	struct error cause = { 0 };
	size_t i;
	int rc = 0;

	some->at = arena_zalloc(arena, some->n, sizeof *some->at);
	for (i = 0; rc == 0 && i < some->n; i++) {
		const size_t number = some->from + i;
		const struct place at = place_index(&schedules, number);
		struct element element = { .kept = arena };

		arena_reset(scratch, SCRATCH_KEPT);
		element.reader = reader_create(scratch);
		read_schedule(&element, &at, json_at(file->schedules, number),
		    &some->at[i]);
		rc = reader_result(element.reader, &cause);
	}
	arena_destroy(scratch);
	if (rc != 0)
		return error_set(err, ERROR_INPUT,
		    "the file has changed meanwhile: %s", cause.message);
	return 0;
}

void
file_schedules_name(const struct catalogue_file *file, struct fields *names)
{
	size_t i;

	for (i = 0; i < file->n_schedules; i++)
		fields_put(names,
		    json_text(json_get(json_at(file->schedules, i), "rid")),
		    TEXT(""));
}
