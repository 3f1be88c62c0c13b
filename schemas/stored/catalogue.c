#include "schemas/stored/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "common/crypto/rid.h"
#include "common/json/write.h"

const char *const role_names[] = { "viewer", "editor", "owner", NULL };
const char *const staleness_names[] = { "inputs", "always", "never", NULL };

static int
compare_inputs(const void *left, const void *right)
{
	const struct built_input *x = left, *y = right;

	return text_compare(x->key, y->key);
}

/* "rid" or "rid@branch": a RID has no @. */
static struct text
read_input_key(
    struct reader *reader, const struct place *place, struct text key)
{
	const char *at = memchr(key.at, '@', key.size);
	struct text rid = key, branch;

	if (at != NULL) {
		rid.size = (size_t)(at - key.at);
		branch = (struct text){ at + 1, key.size - rid.size - 1 };
		read_key(reader, place, branch, DOCUMENT_TEXT_MAX);
	}
	read_rid_key(reader, place, rid);
	return text_copy(reader->arena, key);
}

static void
read_built_inputs(struct reader *reader, const struct place *built_place,
    const struct json *node, struct built *built)
{
	struct place place = place_member(built_place, TEXT("inputs"));
	struct json_member member = { 0 };
	struct built_input *inputs;
	size_t n = 0;

	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_OBJECT))
		return;
	inputs = arena_zalloc(reader->arena, json_size(node), sizeof *inputs);
	while (json_next(node, &member)) {
		struct place at = place_member(&place, member.name);

		inputs[n].key = read_input_key(reader, &at, member.name);
		if (json_type_of(member.value) != JSON_TYPE_NULL)
			inputs[n].transaction =
			    read_rid_node(reader, &at, member.value);
		n++;
	}
	if (n > 0)
		qsort(inputs, n, sizeof *inputs, compare_inputs);
	built->inputs = inputs;
	built->n_inputs = n;
}

static const struct built *
read_built(
    struct reader *reader, const struct place *branch, const struct json *node)
{
	static const char *const known[] = { "*logic", "*inputs", NULL };
	struct place place = place_member(branch, TEXT("built"));
	struct built *built;

	if (json_type_of(node) == JSON_TYPE_NULL ||
	    !read_object(reader, &place, node, known))
		return NULL;
	built = arena_zalloc(reader->arena, 1, sizeof *built);
	built->logic = read_text(reader, &place, node, "logic");
	read_built_inputs(reader, &place, json_get(node, "inputs"), built);
	return built;
}

static int
compare_branches(const void *left, const void *right)
{
	const struct branch *x = left, *y = right;

	return text_compare(x->name, y->name);
}

/*
 * Parents in a loop: walks from each branch until it meets one that an earlier
 * walk has passed (fine) or its own trail (a loop), so each is passed once.
 */
static void
check_parents(struct reader *reader, const struct place *place,
    const struct branch_list *branches)
{
	size_t *walk = arena_zalloc(reader->arena, branches->n, sizeof *walk);
	size_t i;

	for (i = 0; i < branches->n; i++) {
		const struct branch *branch = &branches->at[i];

		while (branch != NULL && walk[branch - branches->at] == 0) {
			walk[branch - branches->at] = i + 1;
			branch = branch_list_find(branches, branch->parent);
		}
		if (branch != NULL && walk[branch - branches->at] == i + 1)
			reader_fault(reader, place,
			    "the parents of branch %.*s are in a loop",
			    TEXT_ARG(branch->name));
	}
}

void
branches_read(struct reader *reader, const struct place *place,
    const struct json *node, struct branch_list *branches)
{
	static const char *const known[] = { "head", "parent", "built", NULL };
	struct json_member member = { 0 };
	struct branch *list;
	size_t n = 0;

	*branches = (struct branch_list){ NULL, 0 };
	if (!read_is(reader, place, node, JSON_TYPE_OBJECT))
		return;
	list = arena_zalloc(reader->arena, json_size(node), sizeof *list);
	while (json_next(node, &member)) {
		struct place at = place_member(place, member.name);
		struct branch *branch = &list[n++];

		branch->name =
		    read_key(reader, &at, member.name, DOCUMENT_TEXT_MAX);
		if (!read_object(reader, &at, member.value, known))
			continue;
		branch->head =
		    read_rid_or_null(reader, &at, member.value, "head");
		branch->parent =
		    read_text_or_null(reader, &at, member.value, "parent");
		branch->built =
		    read_built(reader, &at, json_get(member.value, "built"));
	}
	if (n > 0)
		qsort(list, n, sizeof *list, compare_branches);
	*branches = (struct branch_list){ list, n };
	check_parents(reader, place, branches);
}

int
branches_parse(struct text stored, struct arena *arena,
    struct branch_list *branches, struct error *err)
{
	const struct place root = { .parent = NULL };
	struct reader *reader = reader_create(arena);
	struct json_document *document =
	    json_parse(stored, DOCUMENT_DEPTH_MAX, err);

	if (document == NULL)
		return -1;
	branches_read(reader, &root, json_root(document), branches);
	json_destroy(document);
	return reader_result(reader, err);
}

static void
write_built(const struct built *built, struct buffer *out)
{
	size_t i;

	json_open(out, '{');
	json_member_open(out, "inputs", '{');
	for (i = 0; i < built->n_inputs; i++) {
		json_name_text(out, built->inputs[i].key);
		json_put_text(out, built->inputs[i].transaction);
	}
	json_close(out, '}');
	json_member_text(out, "logic", built->logic);
	json_close(out, '}');
}

void
branches_write(const struct branch_list *branches, struct buffer *out)
{
	size_t i;

	json_open(out, '{');
	for (i = 0; i < branches->n; i++) {
		const struct branch *branch = &branches->at[i];

		json_name_text(out, branch->name);
		json_open(out, '{');
		if (branch->built != NULL) {
			json_name(out, "built");
			write_built(branch->built, out);
		}
		json_member_text(out, "head", branch->head);
		if (branch->parent.at != NULL) {
			json_member_text(out, "parent", branch->parent);
		}
		json_close(out, '}');
	}
	json_close(out, '}');
}

int
spec_input_compare(
    const struct spec_input *left, const struct spec_input *right)
{
	int order = text_compare(left->rid, right->rid);

	if (order != 0)
		return order;
	if (left->branch.at == NULL || right->branch.at == NULL)
		return (left->branch.at != NULL) - (right->branch.at != NULL);
	return text_compare(left->branch, right->branch);
}

static int
compare_spec_inputs(const void *left, const void *right)
{
	return spec_input_compare(left, right);
}

static struct spec_input
read_spec_input(
    struct reader *reader, const struct place *place, const struct json *node)
{
	static const char *const known[] = { "*rid", "*branch", NULL };

	if (json_type_of(node) != JSON_TYPE_OBJECT)
		return (struct spec_input){
			.rid = read_rid_node(reader, place, node),
		};
	read_object(reader, place, node, known);
	return (struct spec_input){
		.rid = read_rid(reader, place, node, "rid"),
		.branch = read_text(reader, place, node, "branch"),
	};
}

static void
read_spec_inputs(struct reader *reader, const struct place *spec_place,
    const struct json *node, struct job_spec *spec)
{
	struct place place = place_member(spec_place, TEXT("inputs"));
	struct spec_input *inputs;
	size_t n, kept = 0, i;

	if (node == NULL || !read_is(reader, &place, node, JSON_TYPE_ARRAY))
		return;
	n = json_size(node);
	inputs = arena_zalloc(reader->arena, n, sizeof *inputs);
	for (i = 0; i < n; i++) {
		struct place at = place_index(&place, i);

		inputs[i] = read_spec_input(reader, &at, json_at(node, i));
	}
	if (n > 0)
		qsort(inputs, n, sizeof *inputs, compare_spec_inputs);
	for (i = 0; i < n; i++)
		if (kept == 0 ||
		    compare_spec_inputs(&inputs[kept - 1], &inputs[i]) != 0)
			inputs[kept++] = inputs[i];
	spec->inputs = inputs;
	spec->n_inputs = kept;
}

void
job_spec_read(struct reader *reader, const struct place *place,
    const struct json *node, struct job_spec *spec)
{
	static const char *const known[] = { "*rid", "*branch", "*outputs",
		"*inputs", "*logic", "staleness", NULL };
	struct text_list outputs = { NULL, 0 };
	size_t written;

	*spec = (struct job_spec){ 0 };
	if (!read_object(reader, place, node, known))
		return;
	spec->rid = read_rid(reader, place, node, "rid");
	spec->branch = read_text(reader, place, node, "branch");
	spec->logic = read_text(reader, place, node, "logic");
	spec->staleness = (enum staleness)read_choice(
	    reader, place, node, "staleness", staleness_names, STALE_BY_INPUTS);
	written = read_rid_set(reader, place, node, "outputs", &outputs);
	if (written == 0 && json_get(node, "outputs") != NULL)
		reader_fault(reader, place, "a job spec without outputs");
	if (outputs.n != written)
		reader_fault(reader, place, "names an output twice");
	spec->outputs = outputs.at;
	spec->n_outputs = outputs.n;
	read_spec_inputs(reader, place, json_get(node, "inputs"), spec);
}

int
job_spec_parse(struct text stored, struct arena *arena, struct job_spec *spec,
    struct error *err)
{
	const struct place root = { .parent = NULL };
	struct reader *reader = reader_create(arena);
	struct json_document *document =
	    json_parse(stored, DOCUMENT_DEPTH_MAX, err);

	if (document == NULL)
		return -1;
	job_spec_read(reader, &root, json_root(document), spec);
	json_destroy(document);
	return reader_result(reader, err);
}

static void
write_spec_input(const struct spec_input *input, struct buffer *out)
{
	if (input->branch.at == NULL) {
		json_put_text(out, input->rid);
		return;
	}
	json_open(out, '{');
	json_member_text(out, "branch", input->branch);
	json_member_text(out, "rid", input->rid);
	json_close(out, '}');
}

void
job_spec_write(const struct job_spec *spec, struct buffer *out)
{
	size_t i;

	json_open(out, '{');
	json_member_text(out, "branch", spec->branch);
	json_member_open(out, "inputs", '[');
	for (i = 0; i < spec->n_inputs; i++)
		write_spec_input(&spec->inputs[i], out);
	json_close(out, ']');
	json_member_text(out, "logic", spec->logic);
	json_member_open(out, "outputs", '[');
	for (i = 0; i < spec->n_outputs; i++)
		json_put_text(out, spec->outputs[i]);
	json_close(out, ']');
	json_member_text(out, "rid", spec->rid);
	if (spec->staleness != STALE_BY_INPUTS) {
		json_member_string(
		    out, "staleness", staleness_names[spec->staleness]);
	}
	json_close(out, '}');
}

int
dataset_parse(
    struct text stored, bool *trashed, struct text *project, struct error *err)
{
	static const struct text trash = { "\nt", 2 };
	struct text end = { NULL, 0 };

	*trashed = false;
	*project = stored;
	if (stored.size > trash.size)
		end = (struct text){ stored.at + stored.size - trash.size,
			trash.size };
	if (text_equal(end, trash)) {
		*trashed = true;
		project->size -= trash.size;
	}
	if (!rid_is_valid(*project))
		return error_set(err, ERROR_INPUT, "names no project's RID");
	return 0;
}

void
dataset_write(bool trashed, struct text project, struct buffer *out)
{
	buffer_append(out, project);
	if (trashed)
		buffer_append(out, TEXT("\nt"));
}

int
role_parse(struct text stored, enum role *role, struct error *err)
{
	static const char letters[] = "veo";
	const char *letter = stored.size == 1 && stored.at[0] != '\0'
	    ? strchr(letters, stored.at[0])
	    : NULL;

	if (letter == NULL)
		return error_set(err, ERROR_INPUT, "is no role (v, e, o)");
	*role = (enum role)(ROLE_VIEWER + (letter - letters));
	return 0;
}

const char *
role_name(enum role role)
{
	return role <= ROLE_NONE ? "none" : role_names[role - ROLE_VIEWER];
}

struct world_limits
limits_default(void)
{
	return (
	    struct world_limits){ WORLD_MAX_JOBS, WORLD_MAX_INPUTS, INT32_MAX };
}

struct world_limits
limits_capped(struct world_limits limits)
{
	if (limits.max_jobs > WORLD_MAX_JOBS)
		limits.max_jobs = WORLD_MAX_JOBS;
	if (limits.max_inputs > WORLD_MAX_INPUTS)
		limits.max_inputs = WORLD_MAX_INPUTS;
	return limits;
}

void
limits_read(struct reader *reader, const struct place *place,
    const struct json *node, struct world_limits *limits)
{
	static const char *const known[] = { "maxJobs", "maxInputs",
		"maxRetries", NULL };

	*limits = limits_default();
	if (!read_object(reader, place, node, known))
		return;
	limits->max_jobs =
	    read_int(reader, place, node, "maxJobs", limits->max_jobs);
	limits->max_inputs =
	    read_int(reader, place, node, "maxInputs", limits->max_inputs);
	limits->max_retries =
	    read_int(reader, place, node, "maxRetries", limits->max_retries);
	*limits = limits_capped(*limits);
}
