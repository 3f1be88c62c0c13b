#include "producer/auth/access.h"

#include <string.h>

#include "common/base/buffer.h"
#include "producer/catalogue/fields.h"
#include "schemas/keyspace.h"
#include "schemas/stored/catalogue.h"

static struct redis *
redis_of(const struct access *access)
{
	return access->store->redis;
}

static bool
is_anybody(const struct access *access)
{
	return http_caller_user(access->caller).at == NULL;
}

static void
ask_field(const struct access *access, enum keyspace_key key, struct text field)
{
	redis_append(redis_of(access),
	    (struct text[]){ TEXT("HGET"),
		keyspace_key(access->store->keyspace, key), field },
	    3);
}

static void
ask_generation(const struct access *access)
{
	redis_append(redis_of(access),
	    (struct text[]){ TEXT("GET"),
		keyspace_key(access->store->keyspace, KEY_GENERATION) },
	    2);
}

/*
 * The next answer's text.  After a failure the answers that are still to come
 * are received all the same, since others have asked on this connection; the
 * first failure is what is told.
 */
static void
hear_text(struct access *access, struct text *text, struct error *err)
{
	struct error ignored = { 0 };
	struct error *told = err->kind == ERROR_NONE ? err : &ignored;
	struct redis_reply *reply = redis_receive(redis_of(access), told);

	if (reply != NULL &&
	    redis_reply_error(redis_of(access), reply, "schedule", told) == 0)
		*text = text_copy(access->arena, redis_reply_text(reply));
	redis_reply_destroy(reply);
}

/*
 * The generation is read first in each look-up, so all that is read or
 * remembered of it later is of one catalogue.  A new one that is published
 * meanwhile leaves the old one's hashes there for a while (docs/keyspace.md,
 * section 3): the answer is then as of the look-up's beginning.
 */
static void
hear_generation(struct access *access, struct error *err)
{
	struct text text = TEXT_NONE;

	hear_text(access, &text, err);
	if (!text_to_number(text, INT64_MAX, &access->generation))
		access->generation = 0; /* no catalogue is applied */
}

/*
 * Without a catalogue what isn't there may only not be there yet: that is to
 * be tried again, and no 404.
 */
static void
check_generation(struct access *access, struct error *err)
{
	if (access->generation == 0)
		error_set(err, ERROR_RETRY,
		    "redis %s has no catalogue: run schedrun init and apply",
		    redis_address(redis_of(access)));
}

/* Heads ------------------------------------------------------------------- */

void
access_begin(struct access *access, struct schedule_access *schedules, size_t n,
    bool want_versions)
{
	size_t i;

	access->schedules = schedules;
	access->n = n;
	access->want_versions = want_versions;
	access->step = ACCESS_HEADS;
	for (i = 0; i < n; i++)
		schedules[i] = (struct schedule_access){
			.rid = schedules[i].rid,
			.right = is_anybody(access) ? RIGHT_ACT : RIGHT_NONE,
		};
}

/*
 * All answers are taken before one is judged: Redis isn't to blame for what it
 * holds, so the connection stays good.
 */
static void
hear_heads(struct access *access, struct error *err)
{
	struct schedule_access *schedule = access->schedules;
	struct schedule_access *end = schedule + access->n;

	hear_generation(access, err);
	for (; schedule < end; schedule++) {
		hear_text(access, &schedule->head_seen, err);
		hear_text(access, &schedule->about_seen, err);
		schedule->exists = schedule->head_seen.at != NULL;
	}
	schedule = access->schedules;
	for (; schedule < end && err->kind == ERROR_NONE; schedule++)
		if (!schedule->exists)
			check_generation(access, err);
		else if (schedule_head_parse(
			     schedule->head_seen, &schedule->head, err) != 0 ||
		    schedule_about_parse(schedule->about_seen, access->arena,
			&schedule->about, err) != 0)
			error_prefix(err, "stored schedule %.*s",
			    TEXT_ARG(schedule->rid));
	if (err->kind == ERROR_NONE && !is_anybody(access))
		check_generation(access, err);
}

/* Versions ---------------------------------------------------------------- */

/* Whether its projects were found in another catalogue than today's. */
static bool
is_stale(const struct access *access, const struct schedule_access *schedule)
{
	return schedule->exists && access->generation > 0 &&
	    schedule->about.projects_at != access->generation;
}

/*
 * Whether its right can't be told without its version: to find its projects by
 * its targets, or, where it has none, whose it is.  That is rare, so who only
 * wants a right doesn't read up to 1 MiB of version for it.
 */
static bool
needs_version(
    const struct access *access, const struct schedule_access *schedule)
{
	return schedule->exists && !is_anybody(access) &&
	    (is_stale(access, schedule) || schedule->about.projects.n == 0);
}

static bool
wants_version(
    const struct access *access, const struct schedule_access *schedule)
{
	return schedule->exists &&
	    (access->want_versions || needs_version(access, schedule));
}

/* One answer for each: they may be large. */
static bool
ask_versions(const struct access *access)
{
	bool any = false;
	size_t i;

	for (i = 0; i < access->n; i++) {
		if (!wants_version(access, &access->schedules[i]))
			continue;
		ask_field(access, KEY_VERSIONS,
		    access->schedules[i].head.current_version_rid);
		any = true;
	}
	return any;
}

/*
 * A version that can't be read leaves the projects as they were found last: a
 * run of it must get its answer, and that is the worker's.
 */
static void
read_version(const struct access *access, struct schedule_access *schedule,
    struct error *err)
{
	struct schedule_version *version;

	if (!needs_version(access, schedule))
		return;
	version = arena_alloc(access->arena, sizeof *version);
	if (schedule->version.at != NULL &&
	    schedule_version_parse(schedule->version,
		schedule->head.current_version_rid, access->arena, version,
		NULL) == 0)
		schedule->current = version;
	else if (schedule->about.projects.n == 0)
		error_fatal(err, 70,
		    "schedule %.*s: its version %.*s can't be read, and it has "
		    "no projects to tell rights by",
		    TEXT_ARG(schedule->rid),
		    TEXT_ARG(schedule->head.current_version_rid));
}

static void
hear_versions(struct access *access, struct error *err)
{
	size_t i;

	for (i = 0; i < access->n; i++)
		if (wants_version(access, &access->schedules[i]))
			hear_text(access, &access->schedules[i].version, err);
	for (i = 0; i < access->n && err->kind == ERROR_NONE; i++)
		if (wants_version(access, &access->schedules[i]))
			read_version(access, &access->schedules[i], err);
}

/* Fields of the catalogue: what targets and roles are --------------------- */

static struct text
part_of_step(const struct access *access, struct buffer *key)
{
	return keyspace_part(access->store->keyspace, access->generation,
	    access->step == ACCESS_DATASETS ? PART_DATASETS : PART_USERS, key);
}

/*
 * The fields of the catalogue that a step needs are asked for in pieces: an
 * answer is bounded, and how much fits the server says by how much it sends.
 */
static bool
ask_names(const struct access *access)
{
	struct buffer key = { 0 };
	bool any = access->heard < access->n_names;

	if (any)
		fields_ask_some(redis_of(access), part_of_step(access, &key),
		    access->names + access->heard,
		    access->n_names - access->heard);
	buffer_finish(&key);
	return any;
}

static void
hear_names(struct access *access, struct error *err)
{
	struct buffer key = { 0 };
	int n;

	if (access->found == NULL)
		access->found = fields_create(access->arena);
	n = fields_hear_some(access->found, redis_of(access),
	    part_of_step(access, &key), access->names + access->heard,
	    access->n_names - access->heard, err);
	buffer_finish(&key);
	access->heard += n > 0 ? (size_t)n : 0;
}

/* What was found for an earlier step has been used by now. */
static void
want_names(struct access *access, size_t n)
{
	fields_destroy(access->found);
	access->found = NULL;
	access->heard = 0;
	access->n_names = 0;
	access->names = n > 0
	    ? arena_alloc(access->arena, n * sizeof *access->names)
	    : NULL;
}

/* Whether its projects are to be found anew, and can be. */
static bool
is_refreshed(
    const struct access *access, const struct schedule_access *schedule)
{
	return schedule->current != NULL && is_stale(access, schedule);
}

/* Of all schedules together; one that two have is asked for twice. */
static void
want_targets(struct access *access)
{
	size_t n = 0, i;

	for (i = 0; i < access->n; i++)
		if (is_refreshed(access, &access->schedules[i]))
			n += access->schedules[i].current->target_rids.n;
	want_names(access, n);
	for (i = 0; i < access->n; i++) {
		struct text_list targets;

		if (!is_refreshed(access, &access->schedules[i]))
			continue;
		targets = access->schedules[i].current->target_rids;
		if (targets.n > 0)
			memcpy(access->names + access->n_names, targets.at,
			    targets.n * sizeof *targets.at);
		access->n_names += targets.n;
	}
}

/*
 * The catalogue has changed: the projects of today.  They are stored beside the
 * head for whoever asks next, else each look-up would read version and targets
 * again until the next `apply`.  If somebody else has changed the schedule
 * meanwhile, what he has stored stays.
 */
static bool
ask_refresh(struct access *access)
{
	size_t i;

	access->due = 0;
	for (i = 0; i < access->n; i++) {
		struct schedule_access *schedule = &access->schedules[i];

		if (!is_refreshed(access, schedule))
			continue;
		if (access->found == NULL) /* there is no target */
			access->found = fields_create(access->arena);
		schedule->about.projects = schedule_projects(
		    access->found, schedule->current, access->arena);
		schedule->about.projects_at = access->generation;
		schedule_store_ask_refresh(access->store, schedule->rid,
		    schedule->about_seen, &schedule->about);
		access->due++;
	}
	return access->due > 0;
}

/* Rights ------------------------------------------------------------------ */

/*
 * What a role as stored allows; no text: nothing.  A role that isn't ours gives
 * nothing either: what can't be read must not let anybody in.
 */
static enum right
right_of_role(struct text stored)
{
	enum role role = ROLE_NONE;

	if (stored.at == NULL || role_parse(stored, &role, NULL) != 0)
		return RIGHT_NONE;
	return role == ROLE_VIEWER ? RIGHT_VIEW : RIGHT_ACT;
}

static void
lower_right(struct schedule_access *schedule, enum right right)
{
	if (right < schedule->right)
		schedule->right = right;
}

static struct text
role_name_of(const struct access *access, struct text project)
{
	struct buffer name = { 0 };
	struct text field;

	field = text_copy(access->arena,
	    keyspace_field(http_caller_user(access->caller), project, &name));
	buffer_finish(&name);
	return field;
}

static void
want_role(struct access *access, size_t owner, struct text project)
{
	access->owners[access->n_names] = owner;
	access->names[access->n_names++] = role_name_of(access, project);
}

/*
 * The least right over a schedule's projects, as far as the roles are
 * remembered; the others are asked for.  Without projects it is the creator's
 * alone.  It begins with all and is only ever lowered, in whatever order the
 * roles come; nobody looks at it before the last one has.
 */
static void
want_roles(struct access *access)
{
	struct text user = http_caller_user(access->caller);
	size_t n = 0, i, j;

	for (i = 0; i < access->n; i++)
		n += access->schedules[i].about.projects.n;
	want_names(access, n);
	access->owners = arena_zalloc(access->arena, n, sizeof *access->owners);
	for (i = 0; i < access->n; i++) {
		struct schedule_access *schedule = &access->schedules[i];
		struct text_list projects = schedule->about.projects;

		if (!schedule->exists)
			continue;
		schedule->right = RIGHT_ACT;
		if (projects.n == 0 &&
		    (schedule->current == NULL ||
			!text_equal(user, schedule->current->created_by)))
			schedule->right = RIGHT_NONE;
		for (j = 0; j < projects.n; j++) {
			enum right right = RIGHT_ACT;

			if (role_cache_get(access->roles, access->generation,
				user, projects.at[j], &right))
				lower_right(schedule, right);
			else
				want_role(access, i, projects.at[j]);
		}
	}
}

/* Also what is no role is remembered: strangers ask as often as others. */
static void
take_roles(struct access *access)
{
	size_t i;

	for (i = 0; i < access->n_names; i++) {
		enum right right =
		    right_of_role(fields_get(access->found, access->names[i]));

		lower_right(&access->schedules[access->owners[i]], right);
		role_cache_put(access->roles, access->generation,
		    http_caller_user(access->caller),
		    keyspace_field_owned(access->names[i]), right);
	}
}

/* From step to step ------------------------------------------------------- */

static void
end_look(struct access *access)
{
	fields_destroy(access->found);
	access->found = NULL;
	access->step = ACCESS_DONE;
}

/*
 * The step has nothing to ask any more.  What the next one asks follows from
 * what this one heard; it may turn out to be nothing.
 */
static void
next_step(struct access *access)
{
	switch (access->step++) {
	case ACCESS_HEADS:
	case ACCESS_DATASETS:
		break;
	case ACCESS_VERSIONS:
		if (is_anybody(access))
			end_look(access);
		else
			want_targets(access);
		break;
	case ACCESS_ABOUTS:
		if (is_anybody(access))
			end_look(access);
		else
			want_roles(access);
		break;
	case ACCESS_ROLES:
		take_roles(access);
		end_look(access);
		break;
	case ACCESS_DONE:
		break;
	}
}

static void
ask_schedules(struct access *access)
{
	size_t i;

	for (i = 0; i < access->n; i++) {
		ask_field(access, KEY_HEADS, access->schedules[i].rid);
		ask_field(access, KEY_ABOUT, access->schedules[i].rid);
	}
}

bool
access_ask(struct access *access)
{
	bool asked = false;

	while (!asked && access->step != ACCESS_DONE) {
		switch (access->step) {
		case ACCESS_HEADS:
			/*
			 * About as well, though it is of no use where the head
			 * is missing: a round trip costs more than an answer.
			 */
			ask_generation(access);
			ask_schedules(access);
			asked = true;
			break;
		case ACCESS_VERSIONS:
			asked = ask_versions(access);
			break;
		case ACCESS_ABOUTS:
			asked = ask_refresh(access);
			break;
		case ACCESS_DATASETS:
		case ACCESS_ROLES:
			asked = ask_names(access);
			break;
		case ACCESS_DONE:
			break;
		}
		if (!asked)
			next_step(access);
	}
	return asked;
}

int
access_hear(struct access *access, struct error *err)
{
	struct error own = { 0 };
	struct text ignored;

	switch (access->step) {
	case ACCESS_HEADS:
		hear_heads(access, &own);
		break;
	case ACCESS_VERSIONS:
		hear_versions(access, &own);
		break;
	case ACCESS_ABOUTS:
		for (; access->due > 0; access->due--)
			hear_text(access, &ignored, &own);
		break;
	case ACCESS_DATASETS:
	case ACCESS_ROLES:
		hear_names(access, &own); /* and again for what is left */
		break;
	case ACCESS_DONE:
		break;
	}
	if (own.kind != ERROR_NONE) {
		end_look(access);
		*err = own;
		return -1;
	}
	if (access->step < ACCESS_DATASETS || access->step == ACCESS_ABOUTS)
		next_step(access);
	return 0;
}

/* Alone, from what has begun to its end. */
static int
look_up(struct access *access, struct error *err)
{
	int rc = redis_connect(redis_of(access), err);

	while (rc == 0 && access_ask(access))
		rc = access_hear(access, err);
	return rc;
}

int
access_read(struct access *access, const struct text *rids, size_t n,
    bool want_versions, struct schedule_access *schedules, struct error *err)
{
	size_t i;

	for (i = 0; i < n; i++)
		schedules[i].rid = rids[i];
	access_begin(access, schedules, n, want_versions);
	return look_up(access, err);
}

int
access_projects(struct access *access, int64_t generation,
    const struct text_list *projects, enum right *rights, struct error *err)
{
	struct text *names =
	    arena_alloc(access->arena, (projects->n + 1) * sizeof *names);
	struct fields *found;
	struct buffer key = { 0 };
	size_t i;
	int rc;

	for (i = 0; i < projects->n; i++)
		rights[i] = RIGHT_ACT;
	if (is_anybody(access))
		return 0;
	for (i = 0; i < projects->n; i++)
		names[i] = role_name_of(access, projects->at[i]);
	found = fields_create(access->arena);
	rc = fields_read_some(found, redis_of(access),
	    keyspace_part(
		access->store->keyspace, generation, PART_USERS, &key),
	    names, projects->n, err);
	for (i = 0; rc == 0 && i < projects->n; i++)
		rights[i] = right_of_role(fields_get(found, names[i]));
	fields_destroy(found);
	buffer_finish(&key);
	return rc;
}

int
access_read_version(struct access *access, struct text rid,
    struct version_access *version, struct error *err)
{
	struct error own = { 0 };

	*version = (struct version_access){ 0 };
	if (redis_connect(redis_of(access), err) != 0)
		return -1;
	ask_generation(access);
	ask_field(access, KEY_VERSIONS, rid);
	hear_generation(access, &own);
	hear_text(access, &version->json, &own);
	if (own.kind == ERROR_NONE && version->json.at == NULL)
		check_generation(access, &own);
	else if (own.kind == ERROR_NONE &&
	    schedule_version_parse(version->json, rid, access->arena,
		&version->version, &own) != 0)
		error_prefix(&own, "stored version %.*s", TEXT_ARG(rid));
	if (own.kind != ERROR_NONE)
		*err = own;
	return own.kind == ERROR_NONE ? 0 : -1;
}

/* Drafts ------------------------------------------------------------------ */

/* What a draft names, datasets first. */
struct named {
	struct text *rids;
	struct text *projects; /* none: it isn't in the catalogue */
	enum right *rights;
	size_t n_datasets, n;
};

static void
name(struct named *named, const struct text_list *rids)
{
	if (rids->n > 0)
		memcpy(named->rids + named->n, rids->at,
		    rids->n * sizeof *rids->at);
	named->n += rids->n;
}

static void
name_all(struct named *named, const struct schedule_version *version,
    struct arena *arena)
{
	size_t max = version->target_rids.n + version->input_rids.n +
	    version->project_rids.n + 1;

	*named = (struct named){
		.rids = arena_alloc(arena, max * sizeof *named->rids),
		.projects = arena_zalloc(arena, max, sizeof *named->projects),
		.rights = arena_zalloc(arena, max, sizeof *named->rights),
	};
	name(named, &version->target_rids);
	name(named, &version->input_rids);
	named->n_datasets = named->n;
	name(named, &version->project_rids);
}

static int
find_datasets(struct access *access, const struct named *named,
    struct fields *datasets, struct error *err)
{
	struct error own = { 0 };
	struct buffer key = { 0 };
	int rc;

	if (redis_connect(redis_of(access), err) != 0)
		return -1;
	ask_generation(access);
	hear_generation(access, &own);
	if (own.kind == ERROR_NONE)
		check_generation(access, &own);
	if (own.kind != ERROR_NONE) {
		*err = own;
		return -1;
	}
	rc = fields_read_some(datasets, redis_of(access),
	    keyspace_part(access->store->keyspace, access->generation,
		PART_DATASETS, &key),
	    named->rids, named->n_datasets, err);
	buffer_finish(&key);
	return rc;
}

static void
find_projects(struct named *named, const struct fields *datasets)
{
	size_t i;

	for (i = 0; i < named->n_datasets; i++) {
		struct text dataset = fields_get(datasets, named->rids[i]);
		bool trashed;

		if (dataset.at == NULL ||
		    dataset_parse(
			dataset, &trashed, &named->projects[i], NULL) != 0)
			named->projects[i] = TEXT_NONE;
	}
	for (; i < named->n; i++)
		named->projects[i] = named->rids[i];
}

static bool
is_seen(const struct named *named, size_t i)
{
	return named->projects[i].at != NULL && named->rights[i] != RIGHT_NONE;
}

/* Of those from `first` on; ascending, as they are. */
static struct text_list
unseen_of(
    const struct named *named, size_t first, size_t n, struct arena *arena)
{
	struct text *unseen = arena_alloc(arena, (n + 1) * sizeof *unseen);
	size_t found = 0, i;

	for (i = first; i < first + n; i++)
		if (!is_seen(named, i))
			unseen[found++] = named->rids[i];
	return (struct text_list){ unseen, found };
}

/*
 * The least over the targets that he sees and over the scope's projects,
 * whether they are of any dataset or not: so it says nothing of those that he
 * doesn't.
 */
static enum right
right_of_draft(const struct named *named, size_t n_targets)
{
	enum right right = RIGHT_ACT;
	size_t i;

	for (i = 0; i < named->n; i++)
		if ((i >= named->n_datasets ||
			(i < n_targets && is_seen(named, i))) &&
		    named->rights[i] < right)
			right = named->rights[i];
	return right;
}

int
access_judge(struct access *access, const struct schedule_version *version,
    struct draft_access *draft, struct error *err)
{
	struct fields *datasets = fields_create(access->arena);
	size_t n_targets = version->target_rids.n;
	struct named named;
	int rc;

	name_all(&named, version, access->arena);
	rc = find_datasets(access, &named, datasets, err);
	if (rc == 0) {
		find_projects(&named, datasets);
		rc = access_projects(access, access->generation,
		    &(struct text_list){ named.projects, named.n },
		    named.rights, err);
	}
	if (rc == 0)
		*draft = (struct draft_access){
			.right = right_of_draft(&named, n_targets),
			.projects =
			    schedule_projects(datasets, version, access->arena),
			.targets =
			    unseen_of(&named, 0, n_targets, access->arena),
			.inputs = unseen_of(&named, n_targets,
			    version->input_rids.n, access->arena),
		};
	fields_destroy(datasets);
	return rc;
}
