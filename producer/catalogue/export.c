#include "producer/catalogue/export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json/write.h"
#include "producer/catalogue/about.h"
#include "producer/catalogue/hashes.h"
#include "producer/catalogue/version_lists.h"
#include "schemas/stored/catalogue.h"

#define ATTEMPTS_MAX 5
#define SCRATCH_KEPT ((size_t)1 << 20)
#define TABLES (CATALOGUE_HASHES + 5)

struct export
{
	struct redis *redis;
	const struct keyspace *keyspace;
	struct arena *arena, *scratch;
	struct fields *hashes[CATALOGUE_HASHES];
	struct fields *branches, *heads, *about, *versions, *lists;
	struct buffer *out;
};

static int
tell_malformed(const char *what, struct text name, const struct error *cause,
    struct error *err)
{
	return error_set(err, ERROR_INPUT, "stored %s %.*s is malformed%s%s",
	    what, TEXT_ARG(keyspace_field_owner(name)),
	    cause != NULL ? ": " : "", cause != NULL ? cause->message : "");
}

/* An arena for what is only looked at: what apply would refuse isn't given out.
 */
static struct arena *
scratch(struct export *export)
{
	arena_reset(export->scratch, SCRATCH_KEPT);
	return export->scratch;
}

static int
put_branches(struct export *export, struct text dataset, struct error *err)
{
	struct text stored = fields_get(export->branches, dataset);
	struct branch_list branches;
	struct error cause;

	if (stored.at == NULL)
		return 0;
	if (branches_parse(stored, scratch(export), &branches, &cause) != 0)
		return tell_malformed("branches of", dataset, &cause, err);
	json_name(export->out, "branches");
	buffer_append(export->out, stored);
	return 0;
}

static int
put_dataset(struct export *export, const struct field *field, struct error *err)
{
	struct text project;
	struct error cause;
	bool trashed;

	if (dataset_parse(field->value, &trashed, &project, &cause) != 0)
		return tell_malformed("dataset", field->name, &cause, err);
	json_name_text(export->out, field->name);
	json_open(export->out, '{');
	if (put_branches(export, field->name, err) != 0)
		return -1;
	json_member_text(export->out, "project", project);
	if (trashed) {
		json_member_bool(export->out, "trashed", true);
	}
	json_close(export->out, '}');
	return 0;
}

static int
put_datasets(struct export *export, struct error *err)
{
	const struct field *sorted =
	    fields_sorted(export->hashes[HASH_DATASETS]);
	size_t i, n = fields_size(export->hashes[HASH_DATASETS]);

	json_member_open(export->out, "datasets", '{');
	for (i = 0; i < n; i++)
		if (put_dataset(export, &sorted[i], err) != 0)
			return -1;
	json_close(export->out, '}');
	return 0;
}

static int
put_specs(struct export *export, struct error *err)
{
	const struct field *sorted =
	    fields_sorted(export->hashes[HASH_JOB_SPECS]);
	size_t i, n = fields_size(export->hashes[HASH_JOB_SPECS]);
	struct job_spec spec;
	struct error cause;
	bool first = true;

	json_member_open(export->out, "jobSpecs", '[');
	for (i = 0; i < n; i++) {
		if (text_starts_with(sorted[i].value, TEXT("=")))
			continue;
		if (job_spec_parse(
			sorted[i].value, scratch(export), &spec, &cause) != 0)
			return tell_malformed(
			    "job spec of", sorted[i].name, &cause, err);
		if (!first)
			buffer_byte(export->out, ',');
		buffer_append(export->out, sorted[i].value);
		first = false;
	}
	json_close(export->out, ']');
	return 0;
}

static void
put_limits(struct export *export)
{
	const struct field *sorted = fields_sorted(export->hashes[HASH_LIMITS]);
	size_t i, n = fields_size(export->hashes[HASH_LIMITS]);

	if (n == 0)
		return;
	json_member_open(export->out, "limits", '{');
	for (i = 0; i < n; i++) {
		int64_t limit = 0;

		text_to_number(sorted[i].value, INT64_MAX, &limit);
		json_name_text(export->out, sorted[i].name);
		json_put_integer(export->out, limit);
	}
	json_close(export->out, '}');
}

static void
put_projects(struct export *export)
{
	const struct field *sorted =
	    fields_sorted(export->hashes[HASH_PROJECTS]);
	size_t i = 0, n = fields_size(export->hashes[HASH_PROJECTS]);

	json_member_open(export->out, "projects", '{');
	while (i < n) {
		struct text project = keyspace_field_owner(sorted[i].name);

		json_name_text(export->out, project);
		json_open(export->out, '{');
		if (i + 1 < n &&
		    keyspace_field_owned(sorted[i].name).at == NULL &&
		    keyspace_field_owned(sorted[i + 1].name).at != NULL) {
			json_member_open(export->out, "references", '[');
			for (i++; i < n &&
			     keyspace_field_owned(sorted[i].name).at != NULL;
			     i++)
				json_put_text(export->out,
				    keyspace_field_owned(sorted[i].name));
			json_close(export->out, ']');
		} else {
			i++;
		}
		json_close(export->out, '}');
	}
	json_close(export->out, '}');
}

static int
put_roles(struct export *export, const struct field *sorted, size_t n,
    size_t *i, struct error *err)
{
	json_member_open(export->out, "roles", '{');
	for (; *i < n && keyspace_field_owned(sorted[*i].name).at != NULL;
	     (*i)++) {
		enum role role;

		if (role_parse(sorted[*i].value, &role, NULL) != 0)
			return tell_malformed(
			    "role of", sorted[*i].name, NULL, err);
		json_name_text(
		    export->out, keyspace_field_owned(sorted[*i].name));
		json_put_string(export->out, role_name(role));
	}
	json_close(export->out, '}');
	return 0;
}

static int
put_users(struct export *export, struct error *err)
{
	const struct field *sorted = fields_sorted(export->hashes[HASH_USERS]);
	size_t i = 0, n = fields_size(export->hashes[HASH_USERS]);

	json_member_open(export->out, "users", '{');
	while (i < n) {
		if (keyspace_field_owned(sorted[i].name).at != NULL)
			return tell_malformed(
			    "user", sorted[i].name, NULL, err);
		json_name_text(export->out, sorted[i].name);
		json_open(export->out, '{');
		if (text_equal(sorted[i].value, TEXT("0"))) {
			json_member_bool(export->out, "active", false);
		}
		i++;
		if (i < n && keyspace_field_owned(sorted[i].name).at != NULL &&
		    put_roles(export, sorted, n, &i, err) != 0)
			return -1;
		json_close(export->out, '}');
	}
	json_close(export->out, '}');
	return 0;
}

static int
put_version(
    struct export *export, struct text rid, bool first, struct error *err)
{
	struct text version = fields_get(export->versions, rid);
	struct schedule_version parsed;
	struct error cause;

	if (version.at == NULL)
		return tell_malformed("version", rid, NULL, err);
	if (schedule_version_parse(
		version, rid, scratch(export), &parsed, &cause) != 0)
		return tell_malformed("version", rid, &cause, err);
	if (!first)
		buffer_byte(export->out, ',');
	buffer_append(export->out, version);
	return 0;
}

/*
 * The schedule's versions, oldest first; the last is the current one, also
 * where an apply has gone back to an older one.
 */
static int
put_versions(struct export *export, struct text schedule, struct text current,
    struct error *err)
{
	struct text rest = fields_get(export->lists, schedule), rid;
	bool first = true;

	json_member_open(export->out, "versions", '[');
	while (version_list_next(&rest, &rid)) {
		if (text_equal(rid, current))
			continue;
		if (put_version(export, rid, first, err) != 0)
			return -1;
		first = false;
	}
	if (put_version(export, current, first, err) != 0)
		return -1;
	json_close(export->out, ']');
	return 0;
}

static void
put_optional(struct buffer *out, const char *name, struct text text)
{
	if (text.at == NULL)
		return;
	json_member_text(out, name, text);
}

static int
put_schedule(struct export *export, struct field field, struct error *err)
{
	struct schedule_about about = { 0 };
	struct schedule_head head;

	if (schedule_head_parse(field.value, &head, NULL) != 0 ||
	    schedule_about_parse(fields_get(export->about, field.name),
		export->arena, &about, NULL) != 0)
		return tell_malformed("schedule", field.name, NULL, err);
	if (head.deleted)
		return 0;
	json_open(export->out, '{');
	put_optional(export->out, "description", about.description);
	put_optional(export->out, "displayName", about.display_name);
	json_member_bool(export->out, "paused", head.paused);
	put_optional(export->out, "rid", field.name);
	if (put_versions(export, field.name, head.current_version_rid, err) !=
	    0)
		return -1;
	json_close(export->out, '}');
	return 0;
}

static int
put_schedules(struct export *export, struct error *err)
{
	const struct field *sorted = fields_sorted(export->heads);
	size_t i, n = fields_size(export->heads);

	json_member_open(export->out, "schedules", '[');
	for (i = 0; i < n; i++)
		if (put_schedule(export, sorted[i], err) != 0)
			return -1;
	json_close(export->out, ']');
	return 0;
}

static int
read_hash(struct export *export, enum keyspace_key key, struct fields *into,
    struct error *err)
{
	return fields_read(
	    into, export->redis, keyspace_key(export->keyspace, key), err);
}

/* The lists of all schedules that are there. */
static int
read_lists(struct export *export, struct error *err)
{
	const struct field *list = fields_list(export->heads);
	size_t n = fields_size(export->heads), i;
	struct text *rids = arena_zalloc(export->arena, n, sizeof *rids);

	for (i = 0; i < n; i++)
		rids[i] = list[i].name;
	return version_lists_read(
	    export->redis, export->keyspace, rids, n, export->lists, err);
}

/*
 * Reads everything once: 1 of one generation, 0 it was replaced meanwhile (a
 * replaced one expires: what was read may be a part of it), -1 failed. Versions
 * last: what a list names is there by then.
 */
static int
read_once(struct export *export, struct error *err)
{
	int64_t before, after;

	if (catalogue_generation(
		export->redis, export->keyspace, &before, err) != 0 ||
	    catalogue_read_hashes(export->redis, export->keyspace, before,
		export->hashes, err) != 0 ||
	    read_hash(export, KEY_BRANCHES, export->branches, err) != 0 ||
	    read_hash(export, KEY_HEADS, export->heads, err) != 0 ||
	    read_hash(export, KEY_ABOUT, export->about, err) != 0 ||
	    read_lists(export, err) != 0 ||
	    read_hash(export, KEY_VERSIONS, export->versions, err) != 0 ||
	    catalogue_generation(
		export->redis, export->keyspace, &after, err) != 0)
		return -1;
	return before == after;
}

static int
put_all(struct export *export, struct error *err)
{
	json_open(export->out, '{');
	if (put_datasets(export, err) != 0 || put_specs(export, err) != 0)
		return -1;
	put_limits(export);
	put_projects(export);
	if (put_schedules(export, err) != 0 || put_users(export, err) != 0)
		return -1;
	json_close(export->out, '}');
	return 0;
}

static void
list_tables(struct export *export, struct fields **tables[TABLES])
{
	struct fields **own[] = { &export->branches, &export->heads,
		&export->about, &export->versions, &export->lists };
	size_t i;

	for (i = 0; i < CATALOGUE_HASHES; i++)
		tables[i] = &export->hashes[i];
	memcpy(tables + i, own, sizeof own);
}

static void
destroy_tables(struct export *export)
{
	struct fields **tables[TABLES];
	size_t i;

	list_tables(export, tables);
	for (i = 0; i < TABLES; i++)
		fields_destroy(*tables[i]);
}

/* All tables, empty. */
static void
begin_reading(struct export *export)
{
	struct fields **tables[TABLES];
	size_t i;

	destroy_tables(export);
	arena_reset(export->arena, 0);
	list_tables(export, tables);
	for (i = 0; i < TABLES; i++)
		*tables[i] = fields_create(export->arena);
}

int
catalogue_export(struct redis *redis, const struct keyspace *keyspace,
    struct buffer *out, struct error *err)
{
	struct export export = { .redis = redis,
		.keyspace = keyspace,
		.arena = arena_create((size_t)1 << 20),
		.scratch = arena_create(0),
		.out = out };
	int attempts = 0, rc;

	do {
		begin_reading(&export);
		rc = read_once(&export, err);
	} while (rc == 0 && ++attempts < ATTEMPTS_MAX);
	if (rc == 0)
		error_set(err, ERROR_RETRY,
		    "the catalogue is replaced again and again while it is "
		    "read; try again");
	else if (rc > 0)
		rc = put_all(&export, err) == 0 ? 1 : -1;
	destroy_tables(&export);
	arena_destroy(export.arena);
	arena_destroy(export.scratch);
	return rc > 0 ? 0 : -1;
}
