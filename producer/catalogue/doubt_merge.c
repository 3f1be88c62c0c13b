#include "producer/catalogue/merge.h"

#include "schemas/stored/catalogue.h"

#define NOTES_MAX ((size_t)16384) /* bytes: the first few hundred will do */
#define SCRATCH_KEPT ((size_t)1 << 20)

/* What the store has of what the file's doubts are about. */
struct settle {
	struct merge *merge;
	const struct catalogue_file *file;
	struct arena *arena;
	struct fields *projects;         /* that are there */
	struct fields *heads, *versions; /* of those that doubts name */
};

static bool
has_world(const struct settle *settle)
{
	const struct catalogue_file *file = settle->file;

	return settle->merge->generation > 0 || file->has_datasets ||
	    file->has_specs || file->has_users || file->has_projects;
}

static void
note_owned(struct settle *settle, struct fields *from, bool is_owner)
{
	const struct field *list = fields_list(from);
	size_t i, n = fields_size(from);

	for (i = 0; i < n; i++) {
		struct text project = is_owner
		    ? keyspace_field_owner(list[i].name)
		    : keyspace_field_owned(list[i].name);

		if (project.at != NULL)
			fields_share(settle->projects,
			    (struct field){ project, TEXT("") });
	}
}

/*
 * A project is there if it is listed, somebody has a role on it, or a dataset
 * that is stored lies in it.  Where nobody has said a word of projects yet,
 * none can be missed.
 */
static void
note_projects(struct settle *settle)
{
	struct merge *merge = settle->merge;
	const struct field *list = fields_list(merge->stored[HASH_DATASETS]);
	size_t i, n = fields_size(merge->stored[HASH_DATASETS]);
	struct text project;
	bool trashed;

	note_owned(settle, merge->merged[HASH_PROJECTS], true);
	note_owned(settle, merge->merged[HASH_USERS], false);
	for (i = 0; fields_size(settle->projects) > 0 && i < n; i++)
		if (dataset_parse(list[i].value, &trashed, &project, NULL) == 0)
			fields_share(settle->projects,
			    (struct field){ project, TEXT("") });
}

static bool
is_live(struct text stored)
{
	struct schedule_head head;

	return stored.at != NULL &&
	    schedule_head_parse(stored, &head, NULL) == 0 && !head.deleted;
}

static bool
is_there(const struct settle *settle, const struct doubt *doubt)
{
	switch (doubt->kind) {
	case DOUBT_DATASET:
		return !has_world(settle) ||
		    fields_get(settle->merge->merged[HASH_DATASETS], doubt->rid)
			.at != NULL;
	case DOUBT_PROJECT:
		return fields_size(settle->projects) == 0 ||
		    fields_get(settle->projects, doubt->rid).at != NULL;
	case DOUBT_SCHEDULE:
		return is_live(fields_get(settle->heads, doubt->rid));
	case DOUBT_VALUE:
	case DOUBT_NOTE:
		return false;
	}
	return false;
}

static bool
has_spec(const struct settle *settle, const struct file_spec *spec)
{
	struct buffer name = { 0 };
	struct text stored = fields_get(settle->merge->stored[HASH_JOB_SPECS],
	    keyspace_field(spec->outputs[0], spec->branch, &name));
	bool same = text_equal(stored, spec->json);

	buffer_finish(&name);
	return same;
}

static bool
has_reference(const struct settle *settle, const struct doubt *doubt)
{
	struct buffer name = { 0 };
	bool found = fields_get(settle->merge->stored[HASH_PROJECTS],
			 keyspace_field(doubt->name, doubt->rid, &name))
			 .at != NULL;

	buffer_finish(&name);
	return found;
}

/* Whether the store has it just so: the file changes nothing about it. */
static bool
was_there(const struct settle *settle, const struct doubt *doubt)
{
	struct fields *const *stored = settle->merge->stored;

	switch (doubt->owner) {
	case OWNER_DATASET:
		return text_equal(
		    fields_get(stored[HASH_DATASETS], doubt->name),
		    fields_get(settle->file->datasets, doubt->name));
	case OWNER_PROJECT:
		return has_reference(settle, doubt);
	case OWNER_USER:
		return fields_get(stored[HASH_USERS], doubt->name).at != NULL;
	case OWNER_SPEC:
		return has_spec(settle, &settle->file->specs[doubt->number]);
	case OWNER_VERSION:
		return fields_get(settle->versions, doubt->name).at != NULL;
	}
	return false;
}

/* Reads of one hash what the doubts name there. */
static int
read_named(struct settle *settle, enum keyspace_key key, struct fields *into,
    struct fields *names, struct error *err)
{
	const struct field *list = fields_list(names);
	size_t n = fields_size(names), i;
	struct text *rids = arena_zalloc(settle->arena, n, sizeof *rids);

	if (n == 0)
		return 0;
	for (i = 0; i < n; i++)
		rids[i] = list[i].name;
	return fields_read_some(into, settle->merge->settings.redis,
	    keyspace_key(settle->merge->settings.keyspace, key), rids, n, err);
}

/* Schedules first; of the versions only those that are still in doubt. */
static int
read_store(struct settle *settle, struct error *err)
{
	struct fields *schedules = fields_create(settle->arena);
	struct fields *versions = fields_create(settle->arena);
	const struct doubt *doubt;
	int rc;

	for (doubt = settle->file->doubts.first; doubt != NULL;
	     doubt = doubt->next)
		if (doubt->kind == DOUBT_SCHEDULE)
			fields_put(schedules, doubt->rid, TEXT(""));
	rc = read_named(settle, KEY_HEADS, settle->heads, schedules, err);
	for (doubt = settle->file->doubts.first; rc == 0 && doubt != NULL;
	     doubt = doubt->next)
		if (doubt->owner == OWNER_VERSION && !is_there(settle, doubt))
			fields_put(versions, doubt->name, TEXT(""));
	if (rc == 0)
		rc = read_named(
		    settle, KEY_VERSIONS, settle->versions, versions, err);
	fields_destroy(schedules);
	fields_destroy(versions);
	return rc;
}

static void
tell_doubt(struct merge *merge, const struct doubt *doubt)
{
	struct reader *reader = merge->settings.reader;
	static const char *const kinds[] = {
		[DOUBT_DATASET] = "dataset",
		[DOUBT_PROJECT] = "project",
		[DOUBT_SCHEDULE] = "schedule",
	};

	if (doubt->kind == DOUBT_NOTE)
		buffer_format(merge->settings.notes, "%.*s: %.*s\n",
		    TEXT_ARG(doubt->path), TEXT_ARG(doubt->rid));
	else if (doubt->kind == DOUBT_VALUE)
		reader_fault_at(
		    reader, doubt->path, "%.*s", TEXT_ARG(doubt->rid));
	else
		reader_fault_at(reader, doubt->path,
		    "%s %.*s is neither in the file nor in the store",
		    kinds[doubt->kind], TEXT_ARG(doubt->rid));
}

/* Wished for, and so no fault; but what names it can't be built any more. */
static void
note_pruned(struct merge *merge, const struct job_spec *spec, struct text rid)
{
	struct buffer *notes = merge->settings.notes;

	if (fields_get(merge->stored[HASH_DATASETS], rid).at != NULL &&
	    fields_get(merge->merged[HASH_DATASETS], rid).at == NULL &&
	    notes->size < NOTES_MAX)
		buffer_format(notes,
		    "--prune takes %.*s away, which job spec %.*s still "
		    "names\n",
		    TEXT_ARG(rid), TEXT_ARG(spec->rid));
}

/* Job specs that stay, and the datasets that are pruned. */
static void
check_pruned(struct merge *merge, struct arena *arena)
{
	const struct field *list = fields_list(merge->merged[HASH_JOB_SPECS]);
	size_t n = fields_size(merge->merged[HASH_JOB_SPECS]), i, j;
	struct job_spec spec;

	for (i = 0; i < n; i++) {
		arena_reset(arena, SCRATCH_KEPT);
		if (text_starts_with(list[i].value, TEXT("=")) ||
		    job_spec_parse(list[i].value, arena, &spec, NULL) != 0)
			continue;
		for (j = 0; j < spec.n_outputs; j++)
			note_pruned(merge, &spec, spec.outputs[j]);
		for (j = 0; j < spec.n_inputs; j++)
			note_pruned(merge, &spec, spec.inputs[j].rid);
	}
}

int
merge_doubts(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	struct arena *arena = arena_create(0);
	struct settle settle = { merge, file, arena, fields_create(arena),
		fields_create(arena), fields_create(arena) };
	const struct doubt *doubt = file->doubts.first;
	int rc = 0;

	if (doubt != NULL) {
		note_projects(&settle);
		rc = read_store(&settle, err);
	}
	for (; rc == 0 && doubt != NULL; doubt = doubt->next)
		if (!(merge->settings.missing && doubt->kind < DOUBT_VALUE) &&
		    !is_there(&settle, doubt) && !was_there(&settle, doubt))
			tell_doubt(merge, doubt);
	fields_destroy(settle.projects);
	fields_destroy(settle.heads);
	fields_destroy(settle.versions);
	if (rc == 0 && merge->settings.prune && file->has_datasets)
		check_pruned(merge, arena);
	arena_destroy(arena);
	return rc;
}
