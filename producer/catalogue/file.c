#include "producer/catalogue/file.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/crypto/rid.h"
#include "common/json/write.h"
#include "producer/catalogue/about.h"
#include "schemas/keyspace.h"
#include "schemas/stored/catalogue.h"

/* A node as canonical JSON, in the arena. */
static struct text
as_json(struct reader *reader, const struct json *node)
{
	struct buffer printed = { 0 };

	json_put_node(&printed, node);
	return buffer_keep(&printed, reader->arena);
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
read_version(struct reader *reader, const struct place *place,
    const struct json *node, struct text schedule_rid,
    struct file_version *version)
{
	schedule_version_read(reader, place, node, &version->version, NULL);
	check_creator(reader, place, version->version.created_by);
	if (version->version.schedule_rid.at != NULL &&
	    schedule_rid.at != NULL &&
	    !text_equal(version->version.schedule_rid, schedule_rid))
		reader_fault(reader, place, "is a version of %.*s, not of %.*s",
		    TEXT_ARG(version->version.schedule_rid),
		    TEXT_ARG(schedule_rid));
	version->json = as_json(reader, node);
	version->has_created_time = version->version.created_time.at != NULL;
	if (version->json.size > VERSION_SIZE_MAX)
		reader_fault(reader, place, "%zu bytes, more than %d",
		    version->json.size, VERSION_SIZE_MAX);
}

static void
read_versions(struct reader *reader, const struct place *schedule,
    const struct json *node, struct file_schedule *out)
{
	struct place place = place_member(schedule, TEXT("versions"));
	size_t n, i;

	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_ARRAY))
		return;
	n = json_size(node);
	if (n == 0)
		reader_fault(reader, &place, "a schedule without a version");
	out->versions = arena_zalloc(reader->arena, n, sizeof *out->versions);
	out->n_versions = n;
	for (i = 0; i < n; i++) {
		struct place at = place_index(&place, i);

		read_version(
		    reader, &at, json_at(node, i), out->rid, &out->versions[i]);
	}
}

/* A name for people: may have line breaks, but not be larger than `max`. */
static struct text
read_prose(struct reader *reader, const struct place *parent,
    const struct json *object, const char *name, size_t max)
{
	struct place place = place_member(parent, text_from(name));
	const struct json *node = json_get(object, name);

	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_STRING))
		return TEXT_NONE;
	if (text_characters(json_text(node)) > max)
		reader_fault(reader, &place,
		    "has %zu characters, more than %zu",
		    text_characters(json_text(node)), max);
	return text_copy(reader->arena, json_text(node));
}

static void
read_schedule(struct reader *reader, const struct place *place,
    const struct json *node, struct file_schedule *out)
{
	static const char *const known[] = { "*rid", "*versions", "displayName",
		"description", "paused", NULL };

	if (!read_object(reader, place, node, known))
		return;
	out->rid = read_rid(reader, place, node, "rid");
	if (out->rid.at != NULL &&
	    !rid_is(out->rid, TEXT("scheduler"), TEXT("schedule")))
		reader_fault(
		    reader, place, "rid is not ri.scheduler.*.schedule.*");
	out->display_name =
	    read_prose(reader, place, node, "displayName", DISPLAY_NAME_MAX);
	out->description =
	    read_prose(reader, place, node, "description", DESCRIPTION_MAX);
	out->has_paused = json_get(node, "paused") != NULL;
	out->paused = read_bool(reader, place, node, "paused", false);
	read_versions(reader, place, json_get(node, "versions"), out);
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
	struct fields *seen;
	size_t n, i, j;

	if (!read_is(reader, &place, node, JSON_TYPE_ARRAY))
		return;
	n = json_size(node);
	file->schedules =
	    arena_zalloc(reader->arena, n, sizeof *file->schedules);
	file->n_schedules = n;
	seen = fields_create(reader->arena);
	for (i = 0; i < n; i++) {
		struct place at = place_index(&place, i);
		struct file_schedule *schedule = &file->schedules[i];

		read_schedule(reader, &at, json_at(node, i), schedule);
		check_once(reader, &at, seen, schedule->rid);
		for (j = 0; j < schedule->n_versions; j++)
			check_once(reader, &at, seen,
			    schedule->versions[j].version.rid);
	}
	fields_destroy(seen);
}

static void
store_datasets(
    struct reader *reader, const struct json *node, struct catalogue_file *file)
{
	const struct place nowhere = { .parent = NULL };
	struct json_member member = { 0 };
	struct buffer value = { 0 };

	while (json_next(node, &member)) {
		const struct json *branches =
		    json_get(member.value, "branches");
		struct branch_list list;

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
		fields_put(file->branches, member.name, buffer_text(&value));
	}
	buffer_finish(&value);
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

static void
store_specs(
    struct reader *reader, const struct json *node, struct catalogue_file *file)
{
	const struct place nowhere = { .parent = NULL };
	struct buffer value = { 0 };
	size_t i;

	file->n_specs = json_size(node);
	file->specs =
	    arena_zalloc(reader->arena, file->n_specs, sizeof *file->specs);
	for (i = 0; i < file->n_specs; i++) {
		struct file_spec *spec = &file->specs[i];

		job_spec_read(reader, &nowhere, json_at(node, i), &spec->spec);
		buffer_reset(&value);
		job_spec_write(&spec->spec, &value);
		spec->json = text_copy(reader->arena, buffer_text(&value));
	}
	buffer_finish(&value);
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
		store_datasets(reader, datasets, file);
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
