#include "producer/catalogue/merge.h"
#include "schemas/stored/catalogue.h"

#define FOUND_KEPT ((size_t)4 << 20)

/* What is stored of the `n` that are listed, in the arena of `found`. */
static int
read_branches(struct merge *merge, const struct field *list, size_t n,
    struct fields *found, struct error *err)
{
	struct text *names =
	    arena_zalloc(fields_arena(found), n, sizeof *names);
	size_t i;

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

/* What becomes of one dataset's branches. */
struct laying {
	struct merge *merge;
	struct text dataset;
	struct branch_list stored, file;
	struct branch *merged; /* room for all of both */
	size_t n, kept;
	struct buffer named; /* a line for each head that is set though it is
				another by now */
};

static bool
same_branch(const struct branch *one, const struct branch *other)
{
	struct buffer left = { 0 }, right = { 0 };
	bool same;

	branches_write(&(struct branch_list){ one, 1 }, &left);
	branches_write(&(struct branch_list){ other, 1 }, &right);
	same = text_equal(buffer_text(&left), buffer_text(&right));
	buffer_finish(&left);
	buffer_finish(&right);
	return same;
}

static struct text
head_or_none(struct text head)
{
	return head.at != NULL ? head : TEXT("none");
}

static void
name_head(struct laying *laying, struct text branch, const char *what,
    struct text from, struct text to)
{
	buffer_format(&laying->named, "dataset %.*s, branch %.*s: %s",
	    TEXT_ARG(laying->dataset), TEXT_ARG(branch), what);
	if (to.at != NULL)
		buffer_format(&laying->named, " %.*s", TEXT_ARG(to));
	buffer_format(
	    &laying->named, ", was %.*s\n", TEXT_ARG(head_or_none(from)));
}

/* One that both have: a head that is there is moved on by others. */
static void
lay_both(struct laying *laying, const struct branch *stored,
    const struct branch *file)
{
	bool is_set = laying->merge->settings.heads ||
	    (stored->head.at == NULL && stored->built == NULL);

	laying->merged[laying->n++] = is_set ? *file : *stored;
	if (same_branch(stored, file))
		return;
	if (!is_set)
		laying->kept++;
	else if (stored->head.at != NULL || stored->built != NULL)
		name_head(laying, file->name, "set to", stored->head,
		    head_or_none(file->head));
}

/* One that others have made stays, unless both --heads and --prune are given.
 */
static void
lay_stored(struct laying *laying, const struct branch *stored)
{
	const struct merge_settings *settings = &laying->merge->settings;

	if (settings->heads && settings->prune)
		name_head(
		    laying, stored->name, "removed", stored->head, TEXT_NONE);
	else
		laying->merged[laying->n++] = *stored;
}

/* Both lists ascend by name, and so does what comes of them. */
static void
lay_branches(struct laying *laying)
{
	const struct branch_list *stored = &laying->stored;
	const struct branch_list *file = &laying->file;
	size_t i = 0, j = 0;
	int order;

	while (i < stored->n || j < file->n) {
		order = i == stored->n ? 1
		    : j == file->n
		    ? -1
		    : text_compare(stored->at[i].name, file->at[j].name);
		if (order < 0)
			lay_stored(laying, &stored->at[i++]);
		else if (order > 0)
			laying->merged[laying->n++] = file->at[j++];
		else
			lay_both(laying, &stored->at[i++], &file->at[j++]);
	}
}

static void
tell_loop(struct merge *merge, struct text dataset, const struct error *cause)
{
	const struct place root = { .parent = NULL };
	const struct place datasets = place_member(&root, TEXT("datasets"));
	const struct place at = place_member(&datasets, dataset);
	const struct place branches = place_member(&at, TEXT("branches"));

	reader_fault(merge->settings.reader, &branches,
	    "with the stored branches: %s", cause->message);
}

/*
 * What the dataset's branches become; the file's own where nothing is stored
 * that can be read, or the catalogue has no such dataset yet; else in `arena`.
 */
static struct text
lay_value(struct merge *merge, const struct field *file, struct text old,
    struct arena *arena)
{
	struct laying laying = { .merge = merge, .dataset = file->name };
	struct buffer out = { 0 };
	struct branch_list checked;
	struct error cause = { 0 };
	struct text value;

	if (fields_get(merge->datasets, file->name).at == NULL ||
	    old.at == NULL ||
	    branches_parse(old, arena, &laying.stored, NULL) != 0 ||
	    branches_parse(file->value, arena, &laying.file, NULL) != 0)
		return file->value;
	laying.merged = arena_alloc(arena,
	    (laying.stored.n + laying.file.n + 1) * sizeof *laying.merged);
	lay_branches(&laying);
	branches_write(&(struct branch_list){ laying.merged, laying.n }, &out);
	value = text_copy(arena, buffer_text(&out));
	if (branches_parse(value, arena, &checked, &cause) != 0)
		tell_loop(merge, file->name, &cause);
	merge->moving.kept_heads += laying.kept;
	if (laying.named.size > 0)
		fields_put(merge->moving.named, file->name,
		    buffer_text(&laying.named));
	buffer_finish(&laying.named);
	buffer_finish(&out);
	return value;
}

/* What the file says of one dataset's branches, against what is stored. */
static void
merge_one(struct merge *merge, const struct field *file, struct text old,
    struct arena *arena)
{
	struct merge_changes *moving = &merge->moving;
	struct text value = text_equal(old, file->value)
	    ? old
	    : lay_value(merge, file, old, arena);

	if (text_equal(old, value)) {
		moving->branch_count.same++;
		return;
	}
	if (value.at != file->value.at)
		value = text_copy(merge->moving_arena, value);
	fields_share(moving->branches, (struct field){ file->name, value });
	fields_share(moving->branches_seen,
	    (struct field){ file->name,
		old.at != NULL ? text_copy(merge->moving_arena, old)
			       : TEXT("") });
	if (old.at != NULL)
		moving->branch_count.changed++;
	else
		moving->branch_count.added++;
}

/*
 * Datasets that come without branches, but of which something is stored: an
 * apply that was killed has left it, and it isn't theirs.
 */
static int
merge_leftovers(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	struct fields *wanted = fields_create(merge->moving_arena);
	struct fields *found = fields_create(merge->moving_arena);
	const struct field *list = fields_list(file->datasets);
	size_t i, n = fields_size(file->datasets);
	int rc;

	for (i = 0; i < n; i++)
		if (fields_get(merge->datasets, list[i].name).at == NULL &&
		    fields_get(file->branches, list[i].name).at == NULL)
			fields_share(wanted, list[i]);
	rc = read_branches(
	    merge, fields_list(wanted), fields_size(wanted), found, err);
	list = fields_list(found);
	for (i = 0; rc == 0 && i < fields_size(found); i++)
		fields_put(
		    merge->moving.branches_removed, list[i].name, TEXT(""));
	fields_destroy(wanted);
	fields_destroy(found);
	return rc;
}

/* Of the `n` that are listed; what is stored of them goes again. */
static int
merge_some(struct merge *merge, const struct field *list, size_t n,
    struct arena *arena, struct error *err)
{
	struct fields *found = fields_create(arena);
	int rc = read_branches(merge, list, n, found, err);
	size_t i;

	for (i = 0; rc == 0 && i < n; i++)
		merge_one(
		    merge, &list[i], fields_get(found, list[i].name), arena);
	fields_destroy(found);
	return rc;
}

int
merge_branches(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	const struct field *list = fields_list(file->branches);
	size_t n = fields_size(file->branches), done = 0, some;
	struct arena *arena = arena_create(0);
	int rc = 0;

	for (; rc == 0 && done < n; done += some) {
		some = n - done < MERGE_WINDOW ? n - done : MERGE_WINDOW;
		arena_reset(arena, FOUND_KEPT);
		rc = merge_some(merge, list + done, some, arena, err);
		apply_progress_tell(merge->settings.progress,
		    "datasets compared", done + some, n);
	}
	arena_destroy(arena);
	if (rc != 0)
		return -1;
	prune_branches(merge);
	return merge_leftovers(merge, file, err);
}
