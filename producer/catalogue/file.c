#include "producer/catalogue/file.h"

#include <stdio.h>

#include "common/json/write.h"
#include "producer/catalogue/file_schedules.h"
#include "schemas/keyspace.h"
#include "schemas/stored/catalogue.h"

#define SCRATCH_KEPT ((size_t)1 << 20)

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
	spec->rid = file_keep_within(kept, spec->json, read->rid);
	spec->branch = file_keep_within(kept, spec->json, read->branch);
	for (i = 0; i < read->n_outputs; i++)
		outputs[i] =
		    file_keep_within(kept, spec->json, read->outputs[i]);
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
		file_schedules_check(reader, &place, schedules, file);
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
