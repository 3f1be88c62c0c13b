#include "producer/catalogue/merge.h"

static int
read_branches(struct merge *merge, struct fields *wanted, struct fields *found,
    struct error *err)
{
	const struct field *list = fields_list(wanted);
	size_t i, n = fields_size(wanted);
	struct text *names =
	    arena_zalloc(merge->moving_arena, n, sizeof *names);

	for (i = 0; i < n; i++)
		names[i] = list[i].name;
	return fields_read_some(found, merge->settings.redis,
	    keyspace_key(merge->settings.keyspace, KEY_BRANCHES), names, n,
	    err);
}

/* A pruned dataset takes its branches along. */
static void
prune_branches(struct merge *merge)
{
	struct fields *stored = merge->stored[HASH_DATASETS];
	struct fields *merged = merge->merged[HASH_DATASETS];
	const struct field *list = fields_list(stored);
	size_t i, n = fields_size(stored);

	for (i = 0; i < n; i++) {
		if (fields_get(merged, list[i].name).at != NULL)
			continue;
		fields_put(
		    merge->moving.branches_removed, list[i].name, TEXT(""));
		merge->moving.branch_count.removed++;
	}
}

/* What the file says of one dataset's branches, against what is stored. */
static void
merge_one(struct merge *merge, const struct field *file, struct text old)
{
	struct merge_changes *moving = &merge->moving;

	if (text_equal(old, file->value)) {
		moving->branch_count.same++;
		return;
	}
	fields_share(moving->branches, *file);
	fields_put(
	    moving->branches_seen, file->name, old.at != NULL ? old : TEXT(""));
	if (old.at != NULL)
		moving->branch_count.changed++;
	else
		moving->branch_count.added++;
}

int
merge_branches(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	struct fields *found = fields_create(merge->moving_arena);
	const struct field *list = fields_list(file->branches);
	size_t i, n = fields_size(file->branches);
	int rc = read_branches(merge, file->branches, found, err);

	for (i = 0; rc == 0 && i < n; i++)
		merge_one(merge, &list[i], fields_get(found, list[i].name));
	if (rc == 0)
		prune_branches(merge);
	fields_destroy(found);
	return rc;
}
