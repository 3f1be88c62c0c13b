#include "producer/catalogue_export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_write.h"
#include "producer/fields.h"
#include "producer/schedule_about.h"
#include "schemas/catalogue.h"

struct export
{
	struct redis *redis;
	const struct keyspace *keyspace;
	struct arena *arena;
	struct fields *datasets, *branches, *specs, *users, *projects, *limits,
	    *heads, *about, *versions;
	struct buffer *out;
};

static int
malformed(const char *what, struct text name, struct error *err)
{
	return error_set(err, ERROR_INPUT, "stored %s %.*s is malformed", what,
	    TEXT_ARG(name));
}

static struct text
owner_of(struct text name)
{
	const char *end = memchr(name.at, '\n', name.size);

	if (end != NULL)
		name.size = (size_t)(end - name.at);
	return name;
}

/* What stands behind the line break; no text if there is none. */
static struct text
owned_of(struct text name)
{
	struct text owner = owner_of(name);

	if (owner.size == name.size)
		return TEXT_NONE;
	return (struct text){ name.at + owner.size + 1,
		name.size - owner.size - 1 };
}

static int
put_datasets(struct export *export, struct error *err)
{
	const struct field *sorted = fields_sorted(export->datasets);
	size_t i, n = fields_size(export->datasets);

	json_name(export->out, "datasets");
	json_open(export->out, '{');
	for (i = 0; i < n; i++) {
		struct text project, branches;
		bool trashed;

		if (dataset_parse(sorted[i].value, &trashed, &project, NULL) !=
		    0)
			return malformed("dataset", sorted[i].name, err);
		branches = fields_get(export->branches, sorted[i].name);
		json_name_text(export->out, sorted[i].name);
		json_open(export->out, '{');
		if (branches.at != NULL) {
			json_name(export->out, "branches");
			buffer_append(export->out, branches);
		}
		json_name(export->out, "project");
		json_put_text(export->out, project);
		if (trashed) {
			json_name(export->out, "trashed");
			json_put_bool(export->out, true);
		}
		json_close(export->out, '}');
	}
	json_close(export->out, '}');
	return 0;
}

static void
put_specs(struct export *export)
{
	const struct field *sorted = fields_sorted(export->specs);
	size_t i, n = fields_size(export->specs);

	json_name(export->out, "jobSpecs");
	json_open(export->out, '[');
	for (i = 0; i < n; i++) {
		if (text_starts_with(sorted[i].value, TEXT("=")))
			continue;
		if (export->out->at[export->out->size - 1] != '[')
			buffer_byte(export->out, ',');
		buffer_append(export->out, sorted[i].value);
	}
	json_close(export->out, ']');
}

static void
put_limits(struct export *export)
{
	const struct field *sorted = fields_sorted(export->limits);
	size_t i, n = fields_size(export->limits);

	if (n == 0)
		return;
	json_name(export->out, "limits");
	json_open(export->out, '{');
	for (i = 0; i < n; i++) {
		json_name_text(export->out, sorted[i].name);
		json_put_integer(
		    export->out, strtoll(sorted[i].value.at, NULL, 10));
	}
	json_close(export->out, '}');
}

static void
put_projects(struct export *export)
{
	const struct field *sorted = fields_sorted(export->projects);
	size_t i = 0, n = fields_size(export->projects);

	json_name(export->out, "projects");
	json_open(export->out, '{');
	while (i < n) {
		struct text project = owner_of(sorted[i].name);

		json_name_text(export->out, project);
		json_open(export->out, '{');
		if (i + 1 < n && owned_of(sorted[i].name).at == NULL &&
		    owned_of(sorted[i + 1].name).at != NULL) {
			json_name(export->out, "references");
			json_open(export->out, '[');
			for (i++; i < n && owned_of(sorted[i].name).at != NULL;
			     i++)
				json_put_text(
				    export->out, owned_of(sorted[i].name));
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
	json_name(export->out, "roles");
	json_open(export->out, '{');
	for (; *i < n && owned_of(sorted[*i].name).at != NULL; (*i)++) {
		enum role role;

		if (role_parse(sorted[*i].value, &role, NULL) != 0)
			return malformed("role", sorted[*i].name, err);
		json_name_text(export->out, owned_of(sorted[*i].name));
		json_put_string(export->out, role_name(role));
	}
	json_close(export->out, '}');
	return 0;
}

static int
put_users(struct export *export, struct error *err)
{
	const struct field *sorted = fields_sorted(export->users);
	size_t i = 0, n = fields_size(export->users);

	json_name(export->out, "users");
	json_open(export->out, '{');
	while (i < n) {
		if (owned_of(sorted[i].name).at != NULL)
			return malformed("user", sorted[i].name, err);
		json_name_text(export->out, sorted[i].name);
		json_open(export->out, '{');
		if (text_equal(sorted[i].value, TEXT("0"))) {
			json_name(export->out, "active");
			json_put_bool(export->out, false);
		}
		i++;
		if (i < n && owned_of(sorted[i].name).at != NULL &&
		    put_roles(export, sorted, n, &i, err) != 0)
			return -1;
		json_close(export->out, '}');
	}
	json_close(export->out, '}');
	return 0;
}

/* The schedule's versions, oldest first. */
static int
put_versions(struct export *export, struct text schedule, struct error *err)
{
	struct buffer key = { 0 };
	const struct text range[4] = { TEXT("LRANGE"),
		keyspace_versions_of(export->keyspace, schedule, &key),
		TEXT("0"), TEXT("-1") };
	struct redis_reply *reply = redis_command(export->redis, range, 4, err);
	size_t i;
	int rc = -1;

	if (reply == NULL)
		goto out;
	if (redis_reply_error(export->redis, reply, "LRANGE w", err) != 0)
		goto out;
	json_name(export->out, "versions");
	json_open(export->out, '[');
	for (i = 0; i < redis_reply_size(reply); i++) {
		struct text rid = redis_reply_text(redis_reply_at(reply, i));
		struct text version = fields_get(export->versions, rid);

		if (version.at == NULL) {
			malformed("list of versions of", schedule, err);
			goto out;
		}
		if (i > 0)
			buffer_byte(export->out, ',');
		buffer_append(export->out, version);
	}
	json_close(export->out, ']');
	rc = 0;
out:
	buffer_finish(&key);
	redis_reply_destroy(reply);
	return rc;
}

static void
put_optional(struct buffer *out, const char *name, struct text text)
{
	if (text.at == NULL)
		return;
	json_name(out, name);
	json_put_text(out, text);
}

static int
put_schedule(struct export *export, struct field field, struct error *err)
{
	struct schedule_about about = { 0 };
	struct schedule_head head;

	if (schedule_head_parse(field.value, &head, NULL) != 0 ||
	    schedule_about_parse(fields_get(export->about, field.name),
		export->arena, &about, NULL) != 0)
		return malformed("schedule", field.name, err);
	if (head.deleted)
		return 0;
	json_open(export->out, '{');
	put_optional(export->out, "description", about.description);
	put_optional(export->out, "displayName", about.display_name);
	json_name(export->out, "paused");
	json_put_bool(export->out, head.paused);
	put_optional(export->out, "rid", field.name);
	if (put_versions(export, field.name, err) != 0)
		return -1;
	json_close(export->out, '}');
	return 0;
}

static int
put_schedules(struct export *export, struct error *err)
{
	const struct field *sorted = fields_sorted(export->heads);
	size_t i, n = fields_size(export->heads);

	json_name(export->out, "schedules");
	json_open(export->out, '[');
	for (i = 0; i < n; i++)
		if (put_schedule(export, sorted[i], err) != 0)
			return -1;
	json_close(export->out, ']');
	return 0;
}

/* The current generation's number as text; none if there is no catalogue. */
static int
read_generation(struct export *export, char out[24], struct error *err)
{
	const struct text get[2] = { TEXT("GET"),
		keyspace_key(export->keyspace, KEY_GENERATION) };
	struct redis_reply *reply = redis_command(export->redis, get, 2, err);
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(export->redis, reply, "GET g", err);
	if (rc == 0 && redis_reply_text(reply).at == NULL)
		rc = error_set(err, ERROR_INPUT,
		    "redis %s has no catalogue; run schedrun apply",
		    redis_address(export->redis));
	if (rc == 0)
		snprintf(out, 24, "%.*s", TEXT_ARG(redis_reply_text(reply)));
	redis_reply_destroy(reply);
	return rc;
}

static int
read_part(struct export *export, const char *generation,
    enum catalogue_part part, struct fields *into, struct error *err)
{
	struct buffer key = { 0 };
	int rc = fields_read(into, export->redis,
	    keyspace_part(
		export->keyspace, strtoll(generation, NULL, 10), part, &key),
	    err);

	buffer_finish(&key);
	return rc;
}

static int
read_hash(struct export *export, enum keyspace_key key, struct fields *into,
    struct error *err)
{
	return fields_read(
	    into, export->redis, keyspace_key(export->keyspace, key), err);
}

static int
read_all(struct export *export, struct error *err)
{
	char before[24], after[24];

	if (read_generation(export, before, err) != 0 ||
	    read_part(export, before, PART_DATASETS, export->datasets, err) !=
		0 ||
	    read_part(export, before, PART_JOB_SPECS, export->specs, err) !=
		0 ||
	    read_part(export, before, PART_USERS, export->users, err) != 0 ||
	    read_part(export, before, PART_PROJECTS, export->projects, err) !=
		0 ||
	    read_part(export, before, PART_LIMITS, export->limits, err) != 0 ||
	    read_hash(export, KEY_BRANCHES, export->branches, err) != 0 ||
	    read_hash(export, KEY_HEADS, export->heads, err) != 0 ||
	    read_hash(export, KEY_ABOUT, export->about, err) != 0 ||
	    read_hash(export, KEY_VERSIONS, export->versions, err) != 0 ||
	    read_generation(export, after, err) != 0)
		return -1;
	/* A replaced generation expires: what was read may be a part of it. */
	if (strcmp(before, after) != 0)
		return error_set(err, ERROR_RETRY,
		    "the catalogue was replaced while it was read; try again");
	return 0;
}

static int
put_all(struct export *export, struct error *err)
{
	json_open(export->out, '{');
	if (put_datasets(export, err) != 0)
		return -1;
	put_specs(export);
	put_limits(export);
	put_projects(export);
	if (put_schedules(export, err) != 0 || put_users(export, err) != 0)
		return -1;
	json_close(export->out, '}');
	return 0;
}

int
catalogue_export(struct redis *redis, const struct keyspace *keyspace,
    struct buffer *out, struct error *err)
{
	struct export export = { .redis = redis,
		.keyspace = keyspace,
		.arena = arena_create(0),
		.out = out };
	struct fields **tables[] = { &export.datasets, &export.branches,
		&export.specs, &export.users, &export.projects, &export.limits,
		&export.heads, &export.about, &export.versions };
	size_t i;
	int rc;

	for (i = 0; i < sizeof tables / sizeof tables[0]; i++)
		*tables[i] = fields_create(export.arena);
	rc = read_all(&export, err);
	if (rc == 0)
		rc = put_all(&export, err);
	for (i = 0; i < sizeof tables / sizeof tables[0]; i++)
		fields_destroy(*tables[i]);
	arena_destroy(export.arena);
	return rc;
}
