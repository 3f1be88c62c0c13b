#include "producer/catalogue/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/rid.h"
#include "common/json/write.h"
#include "producer/catalogue/about.h"
#include "schemas/keyspace.h"
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
static struct text
keep_within(struct arena *kept, struct text json, struct text text)
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
	version->rid = keep_within(element->kept, version->json, read.rid);
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
	out->rid = keep_within(element->kept,
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

static void
read_schedules(struct reader *reader, const struct place *root,
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
catalogue_file_schedules(const struct catalogue_file *file, size_t from,
    size_t n, struct arena *arena, struct file_schedule *out, struct error *err)
{
	const struct place root = { .parent = NULL };
	const struct place schedules = place_member(&root, TEXT("schedules"));
	struct arena *scratch = arena_create(0);
	struct error cause = { 0 };
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < n; i++) {
		const struct place at = place_index(&schedules, from + i);
		struct element element = { .kept = arena };

		arena_reset(scratch, SCRATCH_KEPT);
		element.reader = reader_create(scratch);
		out[i] = (struct file_schedule){ 0 };
		read_schedule(
		    &element, &at, json_at(file->schedules, from + i), &out[i]);
		rc = reader_result(element.reader, &cause);
	}
	arena_destroy(scratch);
	if (rc != 0)
		return error_set(err, ERROR_INPUT,
		    "the file has changed meanwhile: %s", cause.message);
	return 0;
}

void
catalogue_file_name_schedules(
    const struct catalogue_file *file, struct fields *names)
{
	size_t i;

	for (i = 0; i < file->n_schedules; i++)
		fields_put(names,
		    json_text(json_get(json_at(file->schedules, i), "rid")),
		    TEXT(""));
}

static void
store_datasets(const struct json *node, struct catalogue_file *file)
{
	const struct place nowhere = { .parent = NULL };
	struct arena *scratch = arena_create(0);
	struct json_member member = { 0 };
	struct buffer value = { 0 };

	while (json_next(node, &member)) {
		const struct json *branches =
		    json_get(member.value, "branches");
		struct branch_list list;
		struct reader *reader;

		arena_reset(scratch, SCRATCH_KEPT);
		reader = reader_create(scratch);
		buffer_reset(&value);
		dataset_write(
		    read_bool(reader, &nowhere, member.value, "trashed", false),
		    json_text(json_get(member.value, "project")), &value);
		fields_put(file->datasets, member.name, buffer_text(&value));
		if (branches == NULL)
			continue;
		buffer_reset(&value);
		branches_read(reader, &nowhere, branches, &list);
		branches_write(&list, &value);
		fields_share(file->branches,
		    (struct field){ fields_name(file->datasets, member.name),
			text_copy(fields_arena(file->branches),
			    buffer_text(&value)) });
	}
	buffer_finish(&value);
	arena_destroy(scratch);
}

static void
store_users(
    struct reader *reader, const struct json *node, struct catalogue_file *file)
{
	const struct place nowhere = { .parent = NULL };
	struct json_member user = { 0 };
	struct buffer field = { 0 };

	while (json_next(node, &user)) {
		struct json_member role = { 0 };
		const struct json *roles = json_get(user.value, "roles");

		fields_put(file->users, user.name,
		    read_bool(reader, &nowhere, user.value, "active", true)
			? TEXT("1")
			: TEXT("0"));
		while (roles != NULL && json_next(roles, &role)) {
			/* "viewer" is stored as its first letter. */
			struct text letter = { json_text(role.value).at, 1 };

			buffer_reset(&field);
			fields_put(file->users,
			    keyspace_field(user.name, role.name, &field),
			    letter);
		}
	}
	buffer_finish(&field);
}

static void
store_projects(const struct json *node, struct catalogue_file *file)
{
	struct json_member project = { 0 };
	struct buffer field = { 0 };
	size_t i;

	while (json_next(node, &project)) {
		const struct json *references =
		    json_get(project.value, "references");

		fields_put(file->projects, project.name, TEXT(""));
		for (i = 0; references != NULL && i < json_size(references);
		     i++) {
			buffer_reset(&field);
			fields_put(file->projects,
			    keyspace_field(project.name,
				json_text(json_at(references, i)), &field),
			    TEXT(""));
		}
	}
	buffer_finish(&field);
}

static void
store_limits(const struct json *node, struct catalogue_file *file)
{
	struct json_member limit = { 0 };
	char number[24];

	while (json_next(node, &limit)) {
		snprintf(number, sizeof number, "%lld",
		    (long long)json_int(limit.value));
		fields_put(file->limits, limit.name, text_from(number));
	}
}

/* A spec as it is stored, and of what it holds what it is found by. */
static void
keep_spec(
    struct arena *kept, const struct job_spec *read, struct file_spec *spec)
{
	struct text *outputs =
	    arena_alloc(kept, read->n_outputs * sizeof *outputs);
	struct buffer value = { 0 };
	size_t i;

	job_spec_write(read, &value);
	spec->json = buffer_keep(&value, kept);
	spec->rid = keep_within(kept, spec->json, read->rid);
	spec->branch = keep_within(kept, spec->json, read->branch);
	for (i = 0; i < read->n_outputs; i++)
		outputs[i] = keep_within(kept, spec->json, read->outputs[i]);
	spec->outputs = outputs;
	spec->n_outputs = read->n_outputs;
}

static void
store_specs(
    struct reader *reader, const struct json *node, struct catalogue_file *file)
{
	const struct place nowhere = { .parent = NULL };
	struct arena *scratch = arena_create(0);
	size_t i;

	file->n_specs = json_size(node);
	file->specs =
	    arena_zalloc(reader->arena, file->n_specs, sizeof *file->specs);
	for (i = 0; i < file->n_specs; i++) {
		struct job_spec read;

		arena_reset(scratch, SCRATCH_KEPT);
		job_spec_read(
		    reader_create(scratch), &nowhere, json_at(node, i), &read);
		keep_spec(reader->arena, &read, &file->specs[i]);
	}
	arena_destroy(scratch);
}

static const struct json *
find(const struct json *root, const char *name, bool *is_there)
{
	const struct json *node = json_get(root, name);

	*is_there = node != NULL;
	return node;
}

/* Turns the checked document into what is stored. */
static void
store(
    struct reader *reader, const struct json *root, struct catalogue_file *file)
{
	const struct json *datasets =
	    find(root, "datasets", &file->has_datasets);
	const struct json *specs = find(root, "jobSpecs", &file->has_specs);
	const struct json *users = find(root, "users", &file->has_users);
	const struct json *projects =
	    find(root, "projects", &file->has_projects);
	const struct json *limits = find(root, "limits", &file->has_limits);

	if (datasets != NULL)
		store_datasets(datasets, file);
	if (specs != NULL)
		store_specs(reader, specs, file);
	if (users != NULL)
		store_users(reader, users, file);
	if (projects != NULL)
		store_projects(projects, file);
	if (limits != NULL)
		store_limits(limits, file);
}

/*
 * Whether it is a World: as a world, whose texts go again.  They are as much as
 * all that is kept.
 */
static void
check_world(struct reader *reader, const struct json *root)
{
	const struct place place = { .parent = NULL };
	struct arena *arena = arena_create((size_t)1 << 20);
	struct reader *checking = reader_create(arena);
	struct world *world = world_create(true);

	world_read(checking, &place, root, true, world);
	reader_adopt(reader, checking);
	world_destroy(world);
	arena_destroy(arena);
}

void
catalogue_file_read(
    struct reader *reader, const struct json *root, struct catalogue_file *file)
{
	const struct place place = { .parent = NULL };
	const struct json *schedules;

	*file = (struct catalogue_file){
		.datasets = fields_create(reader->arena),
		.branches = fields_create(reader->arena),
		.users = fields_create(reader->arena),
		.projects = fields_create(reader->arena),
		.limits = fields_create(reader->arena),
	};
	check_world(reader, root);
	if (json_type_of(root) != JSON_TYPE_OBJECT)
		return;
	schedules = find(root, "schedules", &file->has_schedules);
	if (schedules != NULL)
		read_schedules(reader, &place, schedules, file);
	if (reader->n_faults > 0)
		return;
	store(reader, root, file);
	doubts_collect(reader, root, file);
}

void
catalogue_file_finish(struct catalogue_file *file)
{
	fields_destroy(file->datasets);
	fields_destroy(file->branches);
	fields_destroy(file->users);
	fields_destroy(file->projects);
	fields_destroy(file->limits);
}
