#include "producer/catalogue_merge.h"

#include <string.h>

#include "schemas/catalogue.h"

void
merge_init(struct merge *merge, const struct merge_settings *settings,
    int64_t generation, struct arena *arena)
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
	size_t i;

	*merge = (struct merge){
		.settings = *settings, .arena = arena, .generation = generation
	};
	for (i = 0; i < MERGE_PARTS; i++)
		merge->parts[i] =
		    (struct merge_part){ parts[i].part, parts[i].what,
			    fields_create(arena), fields_create(arena) };
	merge->branches = fields_create(arena);
	merge->branches_seen = fields_create(arena);
	merge->branches_removed = fields_create(arena);
	merge->heads = fields_create(arena);
	merge->heads_seen = fields_create(arena);
	merge->about = fields_create(arena);
	merge->versions = fields_create(arena);
	merge->added_versions = fields_create(arena);
	merge->branch_count.what = "branches of datasets";
	merge->schedules.what = "schedules";
}

void
merge_finish(struct merge *merge)
{
	size_t i;

	for (i = 0; i < MERGE_PARTS; i++) {
		fields_destroy(merge->parts[i].stored);
		fields_destroy(merge->parts[i].merged);
	}
	fields_destroy(merge->branches);
	fields_destroy(merge->branches_seen);
	fields_destroy(merge->branches_removed);
	fields_destroy(merge->heads);
	fields_destroy(merge->heads_seen);
	fields_destroy(merge->about);
	fields_destroy(merge->versions);
	fields_destroy(merge->added_versions);
}

struct fields *
merge_part_of(const struct merge *merge, enum catalogue_part part)
{
	size_t i = 0;

	while (merge->parts[i].part != part)
		i++;
	return merge->parts[i].merged;
}

static struct fields *
stored_part(const struct merge *merge, enum catalogue_part part)
{
	size_t i = 0;

	while (merge->parts[i].part != part)
		i++;
	return merge->parts[i].stored;
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
put_all(struct fields *to, struct fields *from)
{
	const struct field *sorted = fields_sorted(from);
	size_t i, n = fields_size(from);

	for (i = 0; i < n; i++)
		fields_put(to, sorted[i].name, sorted[i].value);
}

/* "user⏎project" belongs to "user": what stands before the line break. */
static struct text
owner_of(struct text name)
{
	const char *end = memchr(name.at, '\n', name.size);

	if (end != NULL)
		name.size = (size_t)(end - name.at);
	return name;
}

/*
 * Users and projects: an entry of the file replaces the stored one with all its
 * roles or references.
 */
static void
merge_owned(struct merge *merge, enum catalogue_part part, bool is_there,
    struct fields *file)
{
	struct fields *stored = stored_part(merge, part);
	struct fields *merged = merge_part_of(merge, part);
	const struct field *sorted = fields_sorted(stored);
	size_t i, n = fields_size(stored);

	for (i = 0; i < n; i++)
		if (!(is_there && merge->settings.prune) &&
		    fields_get(file, owner_of(sorted[i].name)).at == NULL)
			fields_put(merged, sorted[i].name, sorted[i].value);
	put_all(merged, file);
}

static void
merge_plain(struct merge *merge, enum catalogue_part part, bool is_there,
    struct fields *file)
{
	struct fields *merged = merge_part_of(merge, part);

	if (!(is_there && merge->settings.prune))
		put_all(merged, stored_part(merge, part));
	put_all(merged, file);
}

static struct text
spec_field(struct buffer *name, struct text output, struct text branch)
{
	buffer_reset(name);
	return keyspace_field(output, branch, name);
}

/* The stored specs: which outputs they have, which of them make room. */
struct stored_specs {
	struct fields *named; /* by (rid, branch): the file brings them again */
	struct fields *owned; /* (output, branch) of a spec that is there */
};

static void
note_spec(struct merge *merge, const struct stored_specs *specs,
    const struct job_spec *spec)
{
	struct fields *merged = merge_part_of(merge, PART_JOB_SPECS);
	struct buffer name = { 0 };
	bool replaced;
	size_t i;

	replaced =
	    fields_get(specs->named, spec_field(&name, spec->rid, spec->branch))
		.at != NULL;
	for (i = 0; i < spec->n_outputs; i++) {
		struct text field =
		    spec_field(&name, spec->outputs[i], spec->branch);

		fields_put(specs->owned, field, TEXT(""));
		if (replaced)
			fields_remove(merged, field);
	}
	buffer_finish(&name);
}

static bool
is_pointer(const struct field *field)
{
	return text_starts_with(field->value, TEXT("="));
}

/* Outputs that point to a spec which is none of theirs claim nothing. */
static void
remove_dangling(struct merge *merge, const struct stored_specs *specs)
{
	struct fields *stored = stored_part(merge, PART_JOB_SPECS);
	const struct field *sorted = fields_sorted(stored);
	size_t i, n = fields_size(stored);

	for (i = 0; i < n; i++)
		if (is_pointer(&sorted[i]) &&
		    fields_get(specs->owned, sorted[i].name).at == NULL)
			fields_remove(merge_part_of(merge, PART_JOB_SPECS),
			    sorted[i].name);
}

static int
read_specs(
    struct merge *merge, const struct stored_specs *specs, struct error *err)
{
	struct fields *stored = stored_part(merge, PART_JOB_SPECS);
	const struct field *sorted = fields_sorted(stored);
	size_t i, n = fields_size(stored);

	for (i = 0; i < n; i++) {
		struct job_spec spec;

		if (is_pointer(&sorted[i]))
			continue;
		if (job_spec_parse(sorted[i].value, merge->arena, &spec, err) !=
		    0) {
			error_prefix(err,
			    "the stored job spec of %.*s is unreadable (apply "
			    "a whole catalogue with --prune to replace it)",
			    TEXT_ARG(owner_of(sorted[i].name)));
			return -1;
		}
		note_spec(merge, specs, &spec);
	}
	return 0;
}

/* Stored specs that the file brings again, by (rid, branch), make room. */
static int
remove_replaced(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	const struct stored_specs specs = { fields_create(merge->arena),
		fields_create(merge->arena) };
	struct buffer name = { 0 };
	size_t i;
	int rc;

	for (i = 0; i < file->n_specs; i++)
		fields_put(specs.named,
		    spec_field(&name, file->specs[i].spec.rid,
			file->specs[i].spec.branch),
		    TEXT(""));
	rc = read_specs(merge, &specs, err);
	if (rc == 0)
		remove_dangling(merge, &specs);
	fields_destroy(specs.named);
	fields_destroy(specs.owned);
	buffer_finish(&name);
	return rc;
}

/* The spec at its smallest output, a pointer to it at the others. */
static int
put_spec(struct fields *merged, const struct file_spec *file, struct error *err)
{
	const struct job_spec *spec = &file->spec;
	struct buffer name = { 0 }, other = { 0 };
	int rc = 0;
	size_t i;

	buffer_byte(&other, '=');
	buffer_append(&other, spec->outputs[0]);
	for (i = 0; rc == 0 && i < spec->n_outputs; i++) {
		struct text field =
		    spec_field(&name, spec->outputs[i], spec->branch);

		if (fields_get(merged, field).at != NULL)
			rc = error_set(err, ERROR_INPUT,
			    "job spec %.*s: output %.*s has another job spec "
			    "on branch %.*s, stored before",
			    TEXT_ARG(spec->rid), TEXT_ARG(spec->outputs[i]),
			    TEXT_ARG(spec->branch));
		else
			fields_put(merged, field,
			    i == 0 ? file->json : buffer_text(&other));
	}
	buffer_finish(&name);
	buffer_finish(&other);
	return rc;
}

static int
merge_specs(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	struct fields *merged = merge_part_of(merge, PART_JOB_SPECS);
	bool pruned = file->has_specs && merge->settings.prune;
	size_t i;

	if (!pruned) {
		put_all(merged, stored_part(merge, PART_JOB_SPECS));
		if (remove_replaced(merge, file, err) != 0)
			return -1;
	}
	for (i = 0; i < file->n_specs; i++)
		if (put_spec(merged, &file->specs[i], err) != 0)
			return -1;
	return 0;
}

static int
read_branches(struct merge *merge, struct fields *wanted, struct fields *found,
    struct error *err)
{
	const struct field *sorted = fields_sorted(wanted);
	size_t i, n = fields_size(wanted);
	struct text *names = arena_zalloc(merge->arena, n, sizeof *names);

	for (i = 0; i < n; i++)
		names[i] = sorted[i].name;
	return fields_read_some(found, merge->settings.redis,
	    keyspace_key(merge->settings.keyspace, KEY_BRANCHES), names, n,
	    err);
}

/* Branches that the file names are set, against commits in between. */
static int
merge_branches(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	struct fields *found = fields_create(merge->arena);
	const struct field *sorted = fields_sorted(file->branches);
	size_t i, n = fields_size(file->branches);
	int rc = read_branches(merge, file->branches, found, err);

	for (i = 0; rc == 0 && i < n; i++) {
		struct text old = fields_get(found, sorted[i].name);

		if (text_equal(old, sorted[i].value)) {
			merge->branch_count.same++;
			continue;
		}
		fields_put(merge->branches, sorted[i].name, sorted[i].value);
		fields_put(merge->branches_seen, sorted[i].name,
		    old.at != NULL ? old : TEXT(""));
		if (old.at != NULL)
			merge->branch_count.changed++;
		else
			merge->branch_count.added++;
	}
	fields_destroy(found);
	return rc;
}

/* A pruned dataset takes its branches along. */
static void
prune_branches(struct merge *merge)
{
	struct fields *stored = stored_part(merge, PART_DATASETS);
	struct fields *merged = merge_part_of(merge, PART_DATASETS);
	const struct field *sorted = fields_sorted(stored);
	size_t i, n = fields_size(stored);

	for (i = 0; i < n; i++) {
		if (fields_get(merged, sorted[i].name).at != NULL)
			continue;
		fields_put(merge->branches_removed, sorted[i].name, TEXT(""));
		merge->branch_count.removed++;
	}
}

static bool
differs(struct merge_part *part)
{
	const struct field *sorted = fields_sorted(part->merged);
	size_t i, n = fields_size(part->merged);

	if (n != fields_size(part->stored))
		return true;
	for (i = 0; i < n; i++)
		if (!text_equal(fields_get(part->stored, sorted[i].name),
			sorted[i].value))
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
merge_file(struct merge *merge, struct catalogue_file *file, struct error *err)
{
	size_t i;

	if (read_stored(merge, err) != 0)
		return -1;
	merge_plain(merge, PART_DATASETS, file->has_datasets, file->datasets);
	merge_plain(merge, PART_LIMITS, file->has_limits, file->limits);
	merge_owned(merge, PART_USERS, file->has_users, file->users);
	merge_owned(merge, PART_PROJECTS, file->has_projects, file->projects);
	if (merge_specs(merge, file, err) != 0 ||
	    merge_branches(merge, file, err) != 0)
		return -1;
	prune_branches(merge);
	/* The first file of World keys makes a catalogue, be it empty. */
	merge->world_changed = merge->generation == 0 && has_world(file);
	for (i = 0; i < MERGE_PARTS; i++)
		if (differs(&merge->parts[i]))
			merge->world_changed = true;
	return merge_schedules(merge, file, err);
}

static struct apply_count
count_part(const struct merge_part *part)
{
	struct apply_count count = { .what = part->what };
	const struct field *sorted = fields_sorted(part->merged);
	size_t i, n = fields_size(part->merged);

	for (i = 0; i < n; i++) {
		struct text old = fields_get(part->stored, sorted[i].name);

		if (old.at == NULL)
			count.added++;
		else if (text_equal(old, sorted[i].value))
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
	counts[MERGE_PARTS] = merge->branch_count;
	counts[MERGE_PARTS + 1] = merge->schedules;
}

/* RPUSH of one schedule's new versions. */
static int
push_versions(struct redis *redis, const struct keyspace *keyspace,
    struct field added, struct error *err)
{
	struct buffer key = { 0 };
	struct text rest = added.value;
	int rc = 0;

	keyspace_versions_of(keyspace, added.name, &key);
	while (rc == 0 && rest.size > 0) {
		struct text rid = owner_of(rest);
		const struct text push[3] = { TEXT("RPUSH"), buffer_text(&key),
			rid };
		size_t step = rid.size < rest.size ? rid.size + 1 : rid.size;

		rc = redis_do(redis, push, 3, "RPUSH", err);
		rest.at += step;
		rest.size -= step;
	}
	buffer_finish(&key);
	return rc;
}

int
merge_write_version_lists(struct merge *merge, struct redis *redis,
    const struct keyspace *keyspace, struct error *err)
{
	const struct field *sorted = fields_sorted(merge->added_versions);
	size_t i, n = fields_size(merge->added_versions);

	for (i = 0; i < n; i++)
		if (push_versions(redis, keyspace, sorted[i], err) != 0)
			return -1;
	return 0;
}

static void
empty(struct merge *merge, struct fields **fields)
{
	fields_destroy(*fields);
	*fields = fields_create(merge->arena);
}

void
merge_forget_stages(struct merge *merge)
{
	empty(merge, &merge->branches);
	empty(merge, &merge->branches_seen);
	empty(merge, &merge->heads);
	empty(merge, &merge->heads_seen);
	empty(merge, &merge->about);
	empty(merge, &merge->versions);
	empty(merge, &merge->added_versions);
}
