#include "producer/catalogue/merge.h"

#include "producer/catalogue/version_lists.h"

void
merge_init(struct merge *merge, const struct merge_settings *settings,
    int64_t generation)
{
	static const struct {
		enum catalogue_part part;
		const char *what;
	} parts[MERGE_PARTS] = {
		{ PART_DATASETS, "datasets" },
		{ PART_JOB_SPECS, "job specs" },
		{ PART_USERS, "users and roles" },
		{ PART_PROJECTS, "projects and references" },
		{ PART_LIMITS, "limits" },
	};
	struct arena *arena = arena_create((size_t)1 << 20);
	size_t i;

	*merge = (struct merge){
		.settings = *settings,
		.arena = arena,
		.moving_arena = arena_create((size_t)1 << 20),
		.generation = generation,
	};
	for (i = 0; i < MERGE_PARTS; i++)
		merge->parts[i] =
		    (struct merge_part){ parts[i].part, parts[i].what,
			    fields_create(arena), fields_create(arena) };
}

/* All tables of what moves. */
#define MOVING_TABLES 8
static void
list_moving(struct merge_moving *moving, struct fields **tables[MOVING_TABLES])
{
	struct fields **all[MOVING_TABLES] = { &moving->branches,
		&moving->branches_seen, &moving->branches_removed,
		&moving->heads, &moving->heads_seen, &moving->about,
		&moving->versions, &moving->added_versions };
	size_t i;

	for (i = 0; i < MOVING_TABLES; i++)
		tables[i] = all[i];
}

static void
destroy_moving(struct merge *merge)
{
	struct fields **tables[MOVING_TABLES];
	size_t i;

	list_moving(&merge->moving, tables);
	for (i = 0; i < MOVING_TABLES; i++)
		fields_destroy(*tables[i]);
	merge->moving = (struct merge_moving){
		.schedules.what = "schedules",
		.branch_count.what = "branches of datasets",
	};
}

static void
begin_moving(struct merge *merge)
{
	struct fields **tables[MOVING_TABLES];
	size_t i;

	destroy_moving(merge);
	arena_reset(merge->moving_arena, (size_t)64 << 20);
	list_moving(&merge->moving, tables);
	for (i = 0; i < MOVING_TABLES; i++)
		*tables[i] = fields_create(merge->moving_arena);
}

void
merge_finish(struct merge *merge)
{
	size_t i;

	destroy_moving(merge);
	for (i = 0; i < MERGE_PARTS; i++) {
		fields_destroy(merge->parts[i].stored);
		fields_destroy(merge->parts[i].merged);
	}
	arena_destroy(merge->arena);
	arena_destroy(merge->moving_arena);
}

static const struct merge_part *
part_of(const struct merge *merge, enum catalogue_part part)
{
	size_t i = 0;

	while (merge->parts[i].part != part)
		i++;
	return &merge->parts[i];
}

struct fields *
merge_part_of(const struct merge *merge, enum catalogue_part part)
{
	return part_of(merge, part)->merged;
}

struct fields *
merge_stored_part(const struct merge *merge, enum catalogue_part part)
{
	return part_of(merge, part)->stored;
}

static int
read_stored(struct merge *merge, struct error *err)
{
	struct buffer key = { 0 };
	int rc = 0;
	size_t i;

	for (i = 0; merge->generation > 0 && rc == 0 && i < MERGE_PARTS; i++) {
		buffer_reset(&key);
		rc = fields_read(merge->parts[i].stored, merge->settings.redis,
		    keyspace_part(merge->settings.keyspace, merge->generation,
			merge->parts[i].part, &key),
		    err);
	}
	buffer_finish(&key);
	return rc;
}

static void
share_all(struct fields *to, struct fields *from)
{
	const struct field *list = fields_list(from);
	size_t i, n = fields_size(from);

	for (i = 0; i < n; i++)
		fields_share(to, list[i]);
}

/*
 * Users and projects: an entry of the file replaces the stored one with all its
 * roles or references.
 */
static void
merge_owned(struct merge *merge, enum catalogue_part part, bool is_there,
    struct fields *file)
{
	struct fields *stored = merge_stored_part(merge, part);
	struct fields *merged = merge_part_of(merge, part);
	const struct field *list = fields_list(stored);
	size_t i, n = fields_size(stored);

	for (i = 0; i < n; i++)
		if (!(is_there && merge->settings.prune) &&
		    fields_get(file, keyspace_field_owner(list[i].name)).at ==
			NULL)
			fields_share(merged, list[i]);
	share_all(merged, file);
}

static void
merge_plain(struct merge *merge, enum catalogue_part part, bool is_there,
    struct fields *file)
{
	struct fields *merged = merge_part_of(merge, part);

	if (!(is_there && merge->settings.prune))
		share_all(merged, merge_stored_part(merge, part));
	share_all(merged, file);
}

static bool
differs(struct merge_part *part)
{
	const struct field *list = fields_list(part->merged);
	size_t i, n = fields_size(part->merged);

	if (n != fields_size(part->stored))
		return true;
	for (i = 0; i < n; i++)
		if (!text_equal(
			fields_get(part->stored, list[i].name), list[i].value))
			return true;
	return false;
}

static bool
has_world(const struct catalogue_file *file)
{
	return file->has_datasets || file->has_specs || file->has_users ||
	    file->has_projects || file->has_limits;
}

int
merge_world(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	size_t i;

	if (read_stored(merge, err) != 0)
		return -1;
	merge_plain(merge, PART_DATASETS, file->has_datasets, file->datasets);
	merge_plain(merge, PART_LIMITS, file->has_limits, file->limits);
	merge_owned(merge, PART_USERS, file->has_users, file->users);
	merge_owned(merge, PART_PROJECTS, file->has_projects, file->projects);
	if (merge_specs(merge, file, err) != 0)
		return -1;
	/* The first file of World keys makes a catalogue, be it empty. */
	merge->world_changed = merge->generation == 0 && has_world(file);
	for (i = 0; i < MERGE_PARTS; i++)
		if (differs(&merge->parts[i]))
			merge->world_changed = true;
	return 0;
}

int
merge_moving(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	begin_moving(merge);
	if (merge_branches(merge, file, err) != 0)
		return -1;
	return merge_schedules(merge, file, err);
}

static struct apply_count
count_part(const struct merge_part *part)
{
	struct apply_count count = { .what = part->what };
	const struct field *list = fields_list(part->merged);
	size_t i, n = fields_size(part->merged);

	for (i = 0; i < n; i++) {
		struct text old = fields_get(part->stored, list[i].name);

		if (old.at == NULL)
			count.added++;
		else if (text_equal(old, list[i].value))
			count.same++;
		else
			count.changed++;
	}
	count.removed = fields_size(part->stored) - count.same - count.changed;
	return count;
}

void
merge_count(const struct merge *merge, struct apply_count counts[APPLY_COUNTS])
{
	size_t i;

	for (i = 0; i < MERGE_PARTS; i++)
		counts[i] = count_part(&merge->parts[i]);
	counts[MERGE_PARTS] = merge->moving.branch_count;
	counts[MERGE_PARTS + 1] = merge->moving.schedules;
}

int
merge_write_version_lists(struct merge *merge, struct error *err)
{
	return version_lists_append(merge->settings.redis,
	    merge->settings.keyspace, merge->moving.added_versions, err);
}

void
merge_forget_moving(struct merge *merge)
{
	struct apply_count schedules = merge->moving.schedules;
	struct apply_count branches = merge->moving.branch_count;

	begin_moving(merge);
	merge->moving.schedules = schedules;
	merge->moving.branch_count = branches;
}
