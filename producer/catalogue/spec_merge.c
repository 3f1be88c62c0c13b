#include "producer/catalogue/merge.h"

#include "schemas/stored/catalogue.h"

#define SCRATCH_KEPT ((size_t)1 << 20)

/*
 * Job specs are identified by (rid, branch): one that the file brings again
 * makes room first, and then no output of a branch may have two.
 */
struct stored_specs {
	struct fields *named; /* by (rid, branch): the file brings them again */
	struct fields *owned; /* (output, branch) of a spec that is there */
};

static struct text
spec_field(struct buffer *name, struct text output, struct text branch)
{
	buffer_reset(name);
	return keyspace_field(output, branch, name);
}

static void
note_spec(struct merge *merge, const struct stored_specs *specs,
    const struct job_spec *spec)
{
	struct fields *merged = merge->merged[HASH_JOB_SPECS];
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
	struct fields *stored = merge->stored[HASH_JOB_SPECS];
	const struct field *list = fields_list(stored);
	size_t i, n = fields_size(stored);

	for (i = 0; i < n; i++)
		if (is_pointer(&list[i]) &&
		    fields_get(specs->owned, list[i].name).at == NULL)
			fields_remove(
			    merge->merged[HASH_JOB_SPECS], list[i].name);
}

static int
read_specs(
    struct merge *merge, const struct stored_specs *specs, struct error *err)
{
	struct fields *stored = merge->stored[HASH_JOB_SPECS];
	const struct field *list = fields_list(stored);
	struct arena *scratch = arena_create(0);
	size_t i, n = fields_size(stored);

	for (i = 0; i < n; i++) {
		struct job_spec spec;

		if (is_pointer(&list[i]))
			continue;
		arena_reset(scratch, SCRATCH_KEPT);
		if (job_spec_parse(list[i].value, scratch, &spec, err) != 0) {
			arena_destroy(scratch);
			error_prefix(err,
			    "the stored job spec of %.*s is unreadable (apply "
			    "a whole catalogue with --prune to replace it)",
			    TEXT_ARG(keyspace_field_owner(list[i].name)));
			return -1;
		}
		note_spec(merge, specs, &spec);
	}
	arena_destroy(scratch);
	return 0;
}

static int
make_room(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	struct arena *arena = arena_create(0);
	const struct stored_specs specs = { fields_create(arena),
		fields_create(arena) };
	struct buffer name = { 0 };
	size_t i;
	int rc;

	for (i = 0; i < file->n_specs; i++)
		fields_put(specs.named,
		    spec_field(
			&name, file->specs[i].rid, file->specs[i].branch),
		    TEXT(""));
	rc = read_specs(merge, &specs, err);
	if (rc == 0)
		remove_dangling(merge, &specs);
	fields_destroy(specs.named);
	fields_destroy(specs.owned);
	arena_destroy(arena);
	buffer_finish(&name);
	return rc;
}

/* At the smallest output the spec, at the others a pointer to that. */
static struct text
value_at(struct merge *merge, const struct file_spec *file, size_t output)
{
	struct buffer pointer = { 0 };
	struct text value = file->json;

	if (output > 0) {
		buffer_byte(&pointer, '=');
		buffer_append(&pointer, file->outputs[0]);
		value = buffer_keep(&pointer, merge->arena);
	}
	return value;
}

static void
put_spec(struct merge *merge, const struct file_spec *spec, size_t number)
{
	struct fields *merged = merge->merged[HASH_JOB_SPECS];
	const struct place root = { .parent = NULL };
	const struct place specs = place_member(&root, TEXT("jobSpecs"));
	const struct place at = place_index(&specs, number);
	struct buffer name = { 0 };
	size_t i;

	for (i = 0; i < spec->n_outputs; i++) {
		struct text field =
		    spec_field(&name, spec->outputs[i], spec->branch);

		if (fields_get(merged, field).at != NULL)
			reader_fault(merge->settings.reader, &at,
			    "output %.*s has another job spec on branch %.*s, "
			    "stored before; apply that one without the output, "
			    "or use --prune",
			    TEXT_ARG(spec->outputs[i]), TEXT_ARG(spec->branch));
		else
			fields_share(merged,
			    (struct field){ text_copy(merge->arena, field),
				value_at(merge, spec, i) });
	}
	buffer_finish(&name);
}

int
merge_specs(
    struct merge *merge, const struct catalogue_file *file, struct error *err)
{
	struct fields *stored = merge->stored[HASH_JOB_SPECS];
	struct fields *merged = merge->merged[HASH_JOB_SPECS];
	const struct field *list = fields_list(stored);
	size_t i, n = fields_size(stored);

	if (!(file->has_specs && merge->settings.prune)) {
		for (i = 0; i < n; i++)
			fields_share(merged, list[i]);
		if (file->has_specs && make_room(merge, file, err) != 0)
			return -1;
	}
	for (i = 0; i < file->n_specs; i++)
		put_spec(merge, &file->specs[i], i);
	return 0;
}
