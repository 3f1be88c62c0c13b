#include "producer/dryrun/supposed.h"

#include <stdlib.h>

#include "common/base/buffer.h"

void
supposed_init(struct supposed *supposed, struct arena *arena)
{
	*supposed = (struct supposed){ .arena = arena };
	entry_table_reset(&supposed->table, arena);
}

struct branch_place {
	struct text dataset, branch;
};

static bool
is_at(const void *entry, const void *key)
{
	const struct supposed_branch *branch = entry;
	const struct branch_place *place = key;

	return text_equal(branch->dataset, place->dataset) &&
	    text_equal(branch->branch, place->branch);
}

static struct entry_slot *
find_slot(const struct supposed *supposed, const struct branch_place *place)
{
	return entry_table_find(
	    &supposed->table, text_hash(place->dataset), place, is_at);
}

/* Its place, whose head and origin are to be filled in. */
static struct supposed_branch *
put_branch(struct supposed *supposed, struct text dataset, struct text name)
{
	const struct branch_place place = { dataset, name };
	struct entry_slot *slot = find_slot(supposed, &place);
	struct supposed_branch *branch = slot->entry;

	if (branch != NULL)
		return branch;
	branch = arena_zalloc(supposed->arena, 1, sizeof *branch);
	branch->dataset = text_copy(supposed->arena, dataset);
	branch->branch = text_copy(supposed->arena, name);
	branch->next = supposed->first;
	supposed->first = branch;
	supposed->n++;
	entry_table_fill(&supposed->table, supposed->arena, slot,
	    text_hash(branch->dataset), branch);
	return branch;
}

static struct text
next_head(struct supposed *supposed)
{
	struct buffer out = { 0 };

	buffer_format(&out, "%s-%zu", SUPPOSED_HEAD, ++supposed->n_heads);
	return buffer_keep(&out, supposed->arena);
}

void
supposed_commit(
    struct supposed *supposed, struct text dataset, struct text branch)
{
	put_branch(supposed, dataset, branch)->head = next_head(supposed);
}

static int
compare_inputs(const void *left, const void *right)
{
	const struct built_input *a = left, *b = right;

	return text_compare(a->key, b->key);
}

/* What a job has read: of its producer in this build, what that has made. */
static const struct built *
built_of(const struct supposed *supposed, const struct build *build, size_t at)
{
	const struct job *job = &build->jobs[at];
	const struct job_spec *spec = job->spec;
	struct arena *arena = supposed->arena;
	struct built *built = arena_zalloc(arena, 1, sizeof *built);
	struct built_input *inputs =
	    arena_zalloc(arena, spec->n_inputs + 1, sizeof *inputs);
	size_t i;

	for (i = 0; i < spec->n_inputs; i++) {
		const struct job_input *input = &job->inputs[i];
		const struct branch_place place = { spec->inputs[i].rid,
			build->version->branch_name };
		const struct supposed_branch *made =
		    input->job >= 0 ? find_slot(supposed, &place)->entry : NULL;
		struct text head = made != NULL ? made->head
		    : input->read != NULL       ? input->read->head
						: TEXT_NONE;

		inputs[i].key =
		    text_copy(arena, job_input_key(arena, &spec->inputs[i]));
		if (head.at != NULL)
			inputs[i].transaction = text_copy(arena, head);
	}
	if (spec->n_inputs > 0)
		qsort(inputs, spec->n_inputs, sizeof *inputs, compare_inputs);
	*built = (struct built){ text_copy(arena, spec->logic), inputs,
		spec->n_inputs };
	return built;
}

bool
supposed_build(struct supposed *supposed, const struct build *build,
    void (*made)(void *opaque, const struct supposed_branch *branch),
    void *opaque)
{
	size_t i, k;

	for (i = 0; i < build->n_jobs; i++) {
		const struct job_spec *spec = build->jobs[i].spec;
		const struct branch_place place = { spec->outputs[0],
			build->version->branch_name };
		const struct built *built;

		if (find_slot(supposed, &place)->entry != NULL)
			continue;
		if (supposed->n + spec->n_outputs > SUPPOSED_MAX)
			return false;
		built = built_of(supposed, build, i);
		for (k = 0; k < spec->n_outputs; k++) {
			struct supposed_branch *branch = put_branch(
			    supposed, spec->outputs[k], place.branch);

			branch->head = next_head(supposed);
			branch->built = built;
			made(opaque, branch);
		}
	}
	return true;
}

void
supposed_merge(struct supposed *supposed, struct supposed *later)
{
	const struct supposed_branch *branch;

	for (branch = later->first; branch != NULL; branch = branch->next) {
		struct supposed_branch *mine =
		    put_branch(supposed, branch->dataset, branch->branch);

		mine->head = branch->head;
		mine->built = branch->built;
	}
	supposed->n_heads = later->n_heads;
	supposed_init(later, supposed->arena);
	later->n_heads = supposed->n_heads;
}
