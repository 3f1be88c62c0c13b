#include "producer/catalogue/merge.h"

void
merge_init(struct merge *merge, const struct merge_settings *settings,
    int64_t generation)
{
	struct arena *arena = arena_create((size_t)1 << 20);
	size_t i;

	*merge = (struct merge){
		.settings = *settings,
		.arena = arena,
		.moving_arena = arena_create((size_t)1 << 20),
		.generation = generation,
	};
	merge_changes_create(&merge->moving, merge->moving_arena);
	merge->window_arena = arena_create((size_t)1 << 20);
	merge_changes_create(&merge->window, merge->window_arena);
	for (i = 0; i < CATALOGUE_HASHES; i++) {
		merge->stored[i] = fields_create(arena);
		merge->merged[i] = fields_create(arena);
	}
	merge->datasets = merge->stored[HASH_DATASETS];
}

/* All tables of changes. */
#define CHANGE_TABLES 11
static void
list_tables(
    struct merge_changes *changes, struct fields **tables[CHANGE_TABLES])
{
	struct fields **all[CHANGE_TABLES] = { &changes->branches,
		&changes->branches_seen, &changes->branches_removed,
		&changes->heads, &changes->heads_seen, &changes->about,
		&changes->versions, &changes->added_versions, &changes->pruned,
		&changes->said, &changes->named };
	size_t i;

	for (i = 0; i < CHANGE_TABLES; i++)
		tables[i] = all[i];
}

void
merge_changes_create(struct merge_changes *changes, struct arena *arena)
{
	struct fields **tables[CHANGE_TABLES];
	size_t i;

	*changes = (struct merge_changes){
		.schedules.what = "schedules",
		.branch_count.what = "branches of datasets",
	};
	list_tables(changes, tables);
	for (i = 0; i < CHANGE_TABLES; i++)
		*tables[i] = fields_create(arena);
}

void
merge_changes_destroy(struct merge_changes *changes)
{
	struct fields **tables[CHANGE_TABLES];
	size_t i;

	list_tables(changes, tables);
	for (i = 0; i < CHANGE_TABLES; i++)
		fields_destroy(*tables[i]);
}

static void
begin_moving(struct merge *merge)
{
	merge_changes_destroy(&merge->moving);
	arena_reset(merge->moving_arena, (size_t)64 << 20);
	merge_changes_create(&merge->moving, merge->moving_arena);
	merge->has_window = false;
	merge->is_many = false;
	merge->n_said = 0;
}

void
merge_finish(struct merge *merge)
{
	size_t i;

	merge_changes_destroy(&merge->window);
	arena_destroy(merge->window_arena);
	merge_changes_destroy(&merge->moving);
	for (i = 0; i < CATALOGUE_HASHES; i++) {
		fields_destroy(merge->stored[i]);
		fields_destroy(merge->merged[i]);
	}
	arena_destroy(merge->arena);
	arena_destroy(merge->moving_arena);
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
merge_owned(struct merge *merge, enum catalogue_hash hash, bool is_there,
    struct fields *file)
{
	struct fields *stored = merge->stored[hash];
	struct fields *merged = merge->merged[hash];
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
merge_plain(struct merge *merge, enum catalogue_hash hash, bool is_there,
    struct fields *file)
{
	if (!(is_there && merge->settings.prune))
		share_all(merge->merged[hash], merge->stored[hash]);
	share_all(merge->merged[hash], file);
}

static bool
differs(struct fields *merged, const struct fields *stored)
{
	const struct field *list = fields_list(merged);
	size_t i, n = fields_size(merged);

	if (n != fields_size(stored))
		return true;
	for (i = 0; i < n; i++)
		if (!text_equal(
			fields_get(stored, list[i].name), list[i].value))
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

	if (merge->generation > 0 &&
	    catalogue_read_hashes(merge->settings.redis,
		merge->settings.keyspace, merge->generation, merge->stored,
		err) != 0)
		return -1;
	merge_plain(merge, HASH_DATASETS, file->has_datasets, file->datasets);
	merge_plain(merge, HASH_LIMITS, file->has_limits, file->limits);
	merge_owned(merge, HASH_USERS, file->has_users, file->users);
	merge_owned(merge, HASH_PROJECTS, file->has_projects, file->projects);
	if (merge_specs(merge, file, err) != 0)
		return -1;
	/* The first file of World keys makes a catalogue, be it empty. */
	merge->world_changed = merge->generation == 0 && has_world(file);
	for (i = 0; i < CATALOGUE_HASHES; i++)
		if (differs(merge->merged[i], merge->stored[i]))
			merge->world_changed = true;
	return merge_doubts(merge, file, err);
}

/* What a window has of schedules, but for the lines to be told. */
#define WINDOW_TABLES 6
static void
list_schedules(
    struct merge_changes *changes, struct fields **tables[WINDOW_TABLES])
{
	struct fields **all[WINDOW_TABLES] = { &changes->heads,
		&changes->heads_seen, &changes->about, &changes->versions,
		&changes->added_versions, &changes->said };
	size_t i;

	for (i = 0; i < WINDOW_TABLES; i++)
		tables[i] = all[i];
}

/* Whether what all schedules change is more than one step takes. */
static bool
is_much(struct merge_changes *changes)
{
	struct fields **tables[WINDOW_TABLES];
	const struct field *list = fields_list(changes->versions);
	size_t n = 0, bytes = 0, i;

	list_schedules(changes, tables);
	for (i = 0; i < WINDOW_TABLES; i++)
		n += fields_size(*tables[i]);
	for (i = 0; i < fields_size(changes->versions); i++)
		bytes += list[i].value.size;
	return n > MERGE_ONE_STEP || bytes > MERGE_ONE_STEP_BYTES;
}

static void
copy_all(struct fields *to, const struct fields *from)
{
	const struct field *list = fields_list(from);
	size_t i, n = fields_size(from);

	for (i = 0; i < n; i++)
		fields_put(to, list[i].name, list[i].value);
}

/* Keeps what a window changes, as long as it is little. */
static void
keep_window(struct merge *merge)
{
	struct merge_changes *moving = &merge->moving;
	struct fields **from[WINDOW_TABLES], **to[WINDOW_TABLES];
	bool was_many = merge->is_many;
	size_t i;

	list_schedules(&merge->window, from);
	list_schedules(moving, to);
	merge->is_many = was_many || is_much(&merge->window);
	for (i = 0; !merge->is_many && i < WINDOW_TABLES; i++)
		copy_all(*to[i], *from[i]);
	merge->is_many = merge->is_many || is_much(moving);
	for (i = 0; merge->is_many && !was_many && i < WINDOW_TABLES; i++) {
		fields_destroy(*to[i]);
		*to[i] = fields_create(merge->moving_arena);
	}
}

/* What a window has to tell is told of all of them. */
static void
count_window(struct merge *merge)
{
	struct merge_changes *moving = &merge->moving;
	const struct merge_changes *window = &merge->window;

	copy_all(moving->named, window->named);
	moving->kept_schedules += window->kept_schedules;
	moving->schedules.added += window->schedules.added;
	moving->schedules.changed += window->schedules.changed;
	moving->schedules.same += window->schedules.same;
	merge->n_said += fields_size(window->said);
}

static bool
is_changed(struct merge_changes *changes)
{
	struct fields **tables[WINDOW_TABLES];
	size_t i;

	list_schedules(changes, tables);
	for (i = 0; i < WINDOW_TABLES; i++)
		if (fields_size(*tables[i]) > 0)
			return true;
	return false;
}

bool
merge_window_changes(const struct merge *merge, size_t i)
{
	return merge->window_changes[i / MERGE_WINDOW];
}

bool
merge_has_window(const struct merge *merge, size_t i)
{
	return merge->has_window &&
	    i - i % MERGE_WINDOW == merge->window_schedules.from;
}

int
merge_window(struct merge *merge, const struct catalogue_file *file, size_t i,
    struct error *err)
{
	size_t from = i - i % MERGE_WINDOW, left = file->n_schedules - from;

	if (merge_has_window(merge, i))
		return 0;
	merge_changes_destroy(&merge->window);
	arena_reset(merge->window_arena, (size_t)64 << 20);
	merge_changes_create(&merge->window, merge->window_arena);
	merge->window_schedules = (struct file_schedules){ .from = from,
		.n = left < MERGE_WINDOW ? left : MERGE_WINDOW };
	merge->has_window = merge_schedules(merge, file, err) == 0;
	return merge->has_window ? 0 : -1;
}

int
merge_moving(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	size_t i;

	begin_moving(merge);
	merge->window_changes = arena_zalloc(merge->moving_arena,
	    file->n_schedules / MERGE_WINDOW + 1,
	    sizeof *merge->window_changes);
	if (merge_branches(merge, file, err) != 0)
		return -1;
	for (i = 0; i < file->n_schedules; i += MERGE_WINDOW) {
		if (merge_window(merge, file, i, err) != 0)
			return -1;
		keep_window(merge);
		count_window(merge);
		merge->window_changes[i / MERGE_WINDOW] =
		    is_changed(&merge->window);
		apply_progress_tell(merge->settings.progress,
		    "schedules compared", i + merge->window_schedules.n,
		    file->n_schedules);
	}
	return merge_pruned(merge, file, err);
}

static struct apply_count
count_changes(
    const char *what, struct fields *merged, const struct fields *stored)
{
	struct apply_count count = { .what = what };
	const struct field *list = fields_list(merged);
	size_t i, n = fields_size(merged);

	for (i = 0; i < n; i++) {
		struct text old = fields_get(stored, list[i].name);

		if (old.at == NULL)
			count.added++;
		else if (text_equal(old, list[i].value))
			count.same++;
		else
			count.changed++;
	}
	count.removed = fields_size(stored) - count.same - count.changed;
	return count;
}

void
merge_count(const struct merge *merge, struct apply_count counts[APPLY_COUNTS])
{
	size_t i;

	for (i = 0; i < CATALOGUE_HASHES; i++)
		counts[i] = count_changes(catalogue_hashes[i].what,
		    merge->merged[i], merge->stored[i]);
	counts[CATALOGUE_HASHES] = merge->moving.branch_count;
	counts[CATALOGUE_HASHES + 1] = merge->moving.schedules;
}
