#include "producer/auth/access.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "producer/catalogue/fields.h"
#include "schemas/keyspace.h"
#include "schemas/stored/catalogue.h"

/* One look-up of many schedules. */
struct look {
	struct access *access;
	struct schedule_access *schedules;
	size_t n;
	bool want_versions;
	/* Of those whose version is needed for their right; NULL: it isn't. */
	struct schedule_version **versions;
	struct text *about_seen; /* bytes, for the refresh */
};

static struct redis *
redis_of(const struct access *access)
{
	return access->store->redis;
}

static struct text
key_of(const struct access *access, enum keyspace_key key)
{
	return keyspace_key(access->store->keyspace, key);
}

static bool
is_anybody(const struct access *access)
{
	return http_caller_user(access->caller).at == NULL;
}

static void
ask_field(struct access *access, enum keyspace_key key, struct text field)
{
	redis_append(redis_of(access),
	    (struct text[]){ TEXT("HGET"), key_of(access, key), field }, 3);
}

static void
ask_generation(struct access *access)
{
	redis_append(redis_of(access),
	    (struct text[]){ TEXT("GET"), key_of(access, KEY_GENERATION) }, 2);
}

/* The next answer's text; after a failure no more answers are waited for. */
static int
hear_text(struct access *access, struct text *text, struct error *err)
{
	struct redis_reply *reply = redis_receive(redis_of(access), err);
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(redis_of(access), reply, "schedule", err);
	if (rc == 0)
		*text = text_copy(access->arena, redis_reply_text(reply));
	else
		redis_disconnect(redis_of(access));
	redis_reply_destroy(reply);
	return rc;
}

static int
hear_generation(struct access *access, struct error *err)
{
	struct text text = TEXT_NONE;

	if (hear_text(access, &text, err) != 0)
		return -1;
	if (!text_to_number(text, INT64_MAX, &access->generation))
		access->generation = 0; /* no catalogue is applied */
	return 0;
}

static int
say_no_catalogue(struct access *access, struct error *err)
{
	return error_set(err, ERROR_RETRY,
	    "redis %s has no catalogue: run schedrun init and apply",
	    redis_address(redis_of(access)));
}

static int
hear_schedule(struct look *look, size_t i, struct error *err)
{
	struct schedule_access *schedule = &look->schedules[i];

	if (hear_text(look->access, &schedule->head_seen, err) != 0)
		return -1;
	return hear_text(look->access, &look->about_seen[i], err);
}

static int
judge_schedule(struct look *look, size_t i, struct error *err)
{
	struct schedule_access *schedule = &look->schedules[i];
	struct access *access = look->access;

	schedule->exists = schedule->head_seen.at != NULL;
	if (!schedule->exists)
		return access->generation > 0 ? 0
					      : say_no_catalogue(access, err);
	if (schedule_head_parse(schedule->head_seen, &schedule->head, err) ==
		0 &&
	    schedule_about_parse(
		look->about_seen[i], access->arena, &schedule->about, err) == 0)
		return 0;
	error_prefix(err, "stored schedule %.*s", TEXT_ARG(schedule->rid));
	return -1;
}

/*
 * Round 1: the catalogue's generation; head and about of each.  All answers are
 * taken before one is judged: Redis isn't to blame for what it holds, so the
 * connection stays good.
 */
static int
read_heads(struct look *look, struct error *err)
{
	struct access *access = look->access;
	size_t i;

	ask_generation(access);
	for (i = 0; i < look->n; i++) {
		ask_field(access, KEY_HEADS, look->schedules[i].rid);
		ask_field(access, KEY_ABOUT, look->schedules[i].rid);
	}
	if (hear_generation(access, err) != 0)
		return -1;
	for (i = 0; i < look->n; i++)
		if (hear_schedule(look, i, err) != 0)
			return -1;
	for (i = 0; i < look->n; i++)
		if (judge_schedule(look, i, err) != 0)
			return -1;
	return 0;
}

/* Whether its projects were found in another catalogue than today's. */
static bool
is_stale(const struct look *look, const struct schedule_access *schedule)
{
	return schedule->exists && look->access->generation > 0 &&
	    schedule->about.projects_at != look->access->generation;
}

/* Whether its right can't be told without its version. */
static bool
needs_version(const struct look *look, const struct schedule_access *schedule)
{
	return schedule->exists && !is_anybody(look->access) &&
	    (is_stale(look, schedule) || schedule->about.projects.n == 0);
}

static bool
wants_version(const struct look *look, const struct schedule_access *schedule)
{
	return schedule->exists &&
	    (look->want_versions || needs_version(look, schedule));
}

/*
 * A version that can't be read leaves the projects as they were found last: a
 * run of it must get its answer, and that is the worker's.
 */
static int
parse_version(struct look *look, size_t i, struct error *err)
{
	struct schedule_access *schedule = &look->schedules[i];
	struct arena *arena = look->access->arena;
	struct schedule_version *version;

	if (!needs_version(look, schedule))
		return 0;
	version = arena_alloc(arena, sizeof *version);
	if (schedule->version.at != NULL &&
	    schedule_version_parse(schedule->version,
		schedule->head.current_version_rid, arena, version, NULL) == 0)
		look->versions[i] = version;
	else if (schedule->about.projects.n == 0)
		return error_fatal(err, 70,
		    "schedule %.*s: its version %.*s can't be read, and it has "
		    "no projects to tell rights by",
		    TEXT_ARG(schedule->rid),
		    TEXT_ARG(schedule->head.current_version_rid));
	return 0;
}

/* Round 2: the versions that are wanted, one answer each: they may be large. */
static int
read_versions(struct look *look, struct error *err)
{
	struct access *access = look->access;
	size_t i;

	for (i = 0; i < look->n; i++)
		if (wants_version(look, &look->schedules[i]))
			ask_field(access, KEY_VERSIONS,
			    look->schedules[i].head.current_version_rid);
	for (i = 0; i < look->n; i++) {
		if (!wants_version(look, &look->schedules[i]))
			continue;
		if (hear_text(access, &look->schedules[i].version, err) != 0)
			return -1;
	}
	for (i = 0; i < look->n; i++)
		if (wants_version(look, &look->schedules[i]) &&
		    parse_version(look, i, err) != 0)
			return -1;
	return 0;
}

/* Reads of a part of the current generation; nothing if there is none. */
static int
read_part(struct access *access, enum catalogue_part part,
    struct text_list names, struct fields *into, struct error *err)
{
	struct buffer key = { 0 };
	int rc = 0;

	if (access->generation > 0 && names.n > 0)
		rc = fields_read_some(into, redis_of(access),
		    keyspace_part(access->store->keyspace, access->generation,
			part, &key),
		    names.at, names.n, err);
	buffer_finish(&key);
	return rc;
}

static struct text_list
targets_of_stale(const struct look *look)
{
	struct text *all;
	size_t n = 0, i;

	for (i = 0; i < look->n; i++)
		if (look->versions[i] != NULL &&
		    is_stale(look, &look->schedules[i]))
			n += look->versions[i]->target_rids.n;
	all = arena_alloc(look->access->arena, (n + 1) * sizeof *all);
	n = 0;
	for (i = 0; i < look->n; i++) {
		struct text_list targets;

		if (look->versions[i] == NULL ||
		    !is_stale(look, &look->schedules[i]))
			continue;
		targets = look->versions[i]->target_rids;
		if (targets.n > 0)
			memcpy(all + n, targets.at, targets.n * sizeof *all);
		n += targets.n;
	}
	return (struct text_list){ all, n };
}

/* Round 3, after the catalogue has changed: the projects of today. */
static int
refresh_projects(struct look *look, struct error *err)
{
	struct access *access = look->access;
	struct text_list targets = targets_of_stale(look);
	struct fields *datasets = fields_create(access->arena);
	int rc = read_part(access, PART_DATASETS, targets, datasets, err);
	size_t i;

	for (i = 0; rc == 0 && i < look->n; i++) {
		struct schedule_access *schedule = &look->schedules[i];

		if (look->versions[i] == NULL || !is_stale(look, schedule))
			continue;
		schedule->about.projects = schedule_projects(
		    datasets, look->versions[i], access->arena);
		schedule->about.projects_at = access->generation;
		rc = schedule_store_refresh(access->store, schedule->rid,
		    look->about_seen[i], &schedule->about, err);
	}
	fields_destroy(datasets);
	return rc;
}

static struct text
role_field(const struct access *access, struct text project)
{
	struct buffer name = { 0 };
	struct text field;

	field = text_copy(access->arena,
	    keyspace_field(http_caller_user(access->caller), project, &name));
	buffer_finish(&name);
	return field;
}

enum right
access_right_of_role(struct text stored)
{
	enum role role = ROLE_NONE;

	if (stored.at == NULL || role_parse(stored, &role, NULL) != 0)
		return RIGHT_NONE;
	return role == ROLE_VIEWER ? RIGHT_VIEW : RIGHT_ACT;
}

/* The least right over the projects; with none, the creator's alone. */
static enum right
right_over(const struct access *access, struct fields *roles,
    struct text_list projects, struct text creator)
{
	enum right least = RIGHT_ACT;
	size_t i;

	if (projects.n == 0)
		return text_equal(http_caller_user(access->caller), creator)
		    ? RIGHT_ACT
		    : RIGHT_NONE;
	for (i = 0; i < projects.n; i++) {
		enum right right = access_right_of_role(
		    fields_get(roles, role_field(access, projects.at[i])));

		if (right < least)
			least = right;
	}
	return least;
}

static int
read_roles(struct access *access, const struct text_list *lists, size_t n,
    struct fields *roles, struct error *err)
{
	struct text *names;
	size_t total = 0, i, j;

	for (i = 0; i < n; i++)
		total += lists[i].n;
	names = arena_alloc(access->arena, (total + 1) * sizeof *names);
	total = 0;
	for (i = 0; i < n; i++)
		for (j = 0; j < lists[i].n; j++)
			names[total++] = role_field(access, lists[i].at[j]);
	return read_part(
	    access, PART_USERS, (struct text_list){ names, total }, roles, err);
}

/* The last round: the caller's roles on all these projects. */
static int
find_rights(struct look *look, struct error *err)
{
	struct access *access = look->access;
	struct text_list *lists =
	    arena_zalloc(access->arena, look->n + 1, sizeof *lists);
	struct fields *roles = fields_create(access->arena);
	size_t i;
	int rc;

	for (i = 0; i < look->n; i++)
		if (look->schedules[i].exists)
			lists[i] = look->schedules[i].about.projects;
	rc = read_roles(access, lists, look->n, roles, err);
	for (i = 0; rc == 0 && i < look->n; i++)
		if (look->schedules[i].exists)
			look->schedules[i].right =
			    right_over(access, roles, lists[i],
				look->versions[i] != NULL
				    ? look->versions[i]->created_by
				    : TEXT_NONE);
	fields_destroy(roles);
	return rc;
}

int
access_read(struct access *access, const struct text *rids, size_t n,
    bool want_versions, struct schedule_access *schedules, struct error *err)
{
	struct look look = {
		.access = access,
		.schedules = schedules,
		.n = n,
		.want_versions = want_versions,
		.versions =
		    arena_zalloc(access->arena, n + 1, sizeof *look.versions),
		.about_seen =
		    arena_zalloc(access->arena, n + 1, sizeof *look.about_seen),
	};
	size_t i;

	for (i = 0; i < n; i++)
		schedules[i] = (struct schedule_access){ .rid = rids[i],
			.right = is_anybody(access) ? RIGHT_ACT : RIGHT_NONE };
	if (redis_connect(redis_of(access), err) != 0 ||
	    read_heads(&look, err) != 0 || read_versions(&look, err) != 0)
		return -1;
	if (is_anybody(access))
		return 0;
	if (access->generation == 0)
		return say_no_catalogue(access, err);
	return refresh_projects(&look, err) == 0 ? find_rights(&look, err) : -1;
}

int
access_read_version(struct access *access, struct text rid,
    struct version_access *version, struct error *err)
{
	*version = (struct version_access){ 0 };
	if (redis_connect(redis_of(access), err) != 0)
		return -1;
	ask_generation(access);
	ask_field(access, KEY_VERSIONS, rid);
	if (hear_generation(access, err) != 0 ||
	    hear_text(access, &version->json, err) != 0)
		return -1;
	if (version->json.at == NULL)
		return access->generation > 0 ? 0
					      : say_no_catalogue(access, err);
	if (schedule_version_parse(
		version->json, rid, access->arena, &version->version, err) == 0)
		return 0;
	error_prefix(err, "stored version %.*s", TEXT_ARG(rid));
	return -1;
}

static struct text_list
unknown_of(
    struct fields *datasets, struct text_list targets, struct arena *arena)
{
	struct text *unknown =
	    arena_alloc(arena, (targets.n + 1) * sizeof *unknown);
	size_t n = 0, i;

	for (i = 0; i < targets.n; i++)
		if (fields_get(datasets, targets.at[i]).at == NULL)
			unknown[n++] = targets.at[i];
	return (struct text_list){ unknown, n };
}

int
access_judge(struct access *access, const struct schedule_version *version,
    struct draft_access *draft, struct error *err)
{
	struct fields *datasets = fields_create(access->arena);
	struct fields *roles = fields_create(access->arena);
	int rc = redis_connect(redis_of(access), err);

	if (rc == 0) {
		ask_generation(access);
		rc = hear_generation(access, err);
	}
	if (rc == 0 && access->generation == 0)
		rc = say_no_catalogue(access, err);
	if (rc == 0)
		rc = read_part(
		    access, PART_DATASETS, version->target_rids, datasets, err);
	if (rc == 0) {
		draft->projects =
		    schedule_projects(datasets, version, access->arena);
		draft->unknown =
		    unknown_of(datasets, version->target_rids, access->arena);
		draft->right = RIGHT_ACT;
	}
	if (rc == 0 && !is_anybody(access)) {
		rc = read_roles(access, &draft->projects, 1, roles, err);
		draft->right = right_over(
		    access, roles, draft->projects, version->created_by);
	}
	fields_destroy(datasets);
	fields_destroy(roles);
	return rc;
}
