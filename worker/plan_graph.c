#include "worker/plan_graph.h"

#include <assert.h>
#include <string.h>

#define FEW 8 /* so many are found faster by looking at each */
#define POOL_FIRST 32
#define POOL_LARGEST 16384

void
graph_init(struct graph *graph, struct arena *arena, struct world *world,
    const struct text *chain, uint32_t n_chain)
{
	graph->arena = arena;
	graph->world = world;
	graph->chain = chain;
	graph->n_chain = n_chain;
	graph->datasets.n = graph->jobs.n = 0;
	graph->dataset_numbers.slots = graph->job_numbers.slots = NULL;
	graph->pool_left = 0;
	graph->pool_size = POOL_FIRST;
}

/* Room for one more at the end; its number is what `n` was. */
static void *
pieces_push(struct arena *arena, struct pieces *pieces, size_t size)
{
	uint32_t shifted = pieces->n + 8;

	if ((shifted & (shifted - 1)) == 0)
		pieces->piece[31 - __builtin_clz(shifted) - 3] =
		    arena_alloc(arena, shifted * size);
	return pieces_at(pieces, pieces->n++, size);
}

static uint32_t *
take_numbers(struct graph *graph, size_t n)
{
	uint32_t *taken;

	if (n == 0)
		return NULL;
	if (n > graph->pool_left) {
		if (n > graph->pool_size / 4 && n > POOL_FIRST)
			return arena_alloc(graph->arena, n * sizeof *taken);
		graph->pool =
		    arena_alloc(graph->arena, graph->pool_size * sizeof *taken);
		graph->pool_left = graph->pool_size;
		if (graph->pool_size < POOL_LARGEST)
			graph->pool_size *= 2;
	}
	taken = graph->pool;
	graph->pool += n;
	graph->pool_left -= (uint32_t)n;
	return taken;
}

static inline uint32_t
hash_pointer(const void *pointer)
{
	uint64_t bits = (uint64_t)(uintptr_t)pointer;

	return (uint32_t)((bits * 0x9e3779b97f4a7c15u) >> 32);
}

/* What a numbered element is known by: its first field, a pointer. */
static inline const void *
identity(const struct pieces *pieces, uint32_t number, size_t size)
{
	const void *pointer;

	memcpy(&pointer, pieces_at(pieces, number, size), sizeof pointer);
	return pointer;
}

static inline uint32_t
find_number(const struct numbers *numbers, const struct pieces *pieces,
    const void *pointer, size_t size)
{
	uint32_t i;

	if (numbers->slots == NULL) {
		for (i = 0; i < pieces->n; i++)
			if (identity(pieces, i, size) == pointer)
				return i;
		return GRAPH_NONE;
	}
	i = hash_pointer(pointer) & numbers->mask;
	for (; numbers->slots[i] != 0; i = (i + 1) & numbers->mask)
		if (identity(pieces, numbers->slots[i] - 1, size) == pointer)
			return numbers->slots[i] - 1;
	return GRAPH_NONE;
}

static void
put_number(struct numbers *numbers, const void *pointer, uint32_t number)
{
	uint32_t i = hash_pointer(pointer) & numbers->mask;

	while (numbers->slots[i] != 0)
		i = (i + 1) & numbers->mask;
	numbers->slots[i] = number + 1;
}

/* Makes room for the last of `pieces`, which has just come, and puts it. */
static void
add_number(struct arena *arena, struct numbers *numbers,
    const struct pieces *pieces, size_t size)
{
	uint32_t i, slots;

	if (pieces->n <= FEW)
		return;
	if (numbers->slots != NULL &&
	    pieces->n <= numbers->mask - numbers->mask / 4) {
		put_number(numbers, identity(pieces, pieces->n - 1, size),
		    pieces->n - 1);
		return;
	}
	slots = numbers->slots == NULL ? 4 * FEW : 4 * (numbers->mask + 1);
	numbers->slots = arena_zalloc(arena, slots, sizeof *numbers->slots);
	numbers->mask = slots - 1;
	for (i = 0; i < pieces->n; i++)
		put_number(numbers, identity(pieces, i, size), i);
}

static uint32_t
add_world_dataset(struct graph *graph, struct world_dataset *dataset)
{
	uint32_t number = find_number(&graph->dataset_numbers, &graph->datasets,
	    dataset, sizeof(struct graph_dataset));
	struct graph_dataset *added;

	if (number != GRAPH_NONE)
		return number;
	number = graph->datasets.n;
	assert(number < INPUT_ON_BRANCH);
	added = pieces_push(graph->arena, &graph->datasets, sizeof *added);
	*added = (struct graph_dataset){ .world = dataset, .job = GRAPH_NONE };
	add_number(graph->arena, &graph->dataset_numbers, &graph->datasets,
	    sizeof *added);
	return number;
}

uint32_t
graph_add_dataset(struct graph *graph, struct text rid)
{
	return add_world_dataset(graph, world_dataset(graph->world, rid));
}

uint32_t
graph_find_dataset(const struct graph *graph, struct text rid)
{
	return find_number(&graph->dataset_numbers, &graph->datasets,
	    world_dataset(graph->world, rid), sizeof(struct graph_dataset));
}

uint32_t
graph_add_job(struct graph *graph, const struct job_spec *spec)
{
	uint32_t number = find_number(
	    &graph->job_numbers, &graph->jobs, spec, sizeof(struct graph_job));
	struct graph_job *job;
	size_t i;

	if (number != GRAPH_NONE)
		return number;
	number = graph->jobs.n;
	job = pieces_push(graph->arena, &graph->jobs, sizeof *job);
	*job = (struct graph_job){ .spec = spec, .position = -1 };
	add_number(
	    graph->arena, &graph->job_numbers, &graph->jobs, sizeof *job);
	job->outputs = take_numbers(graph, spec->n_outputs);
	for (i = 0; i < spec->n_outputs; i++)
		job->outputs[i] = graph_add_dataset(graph, spec->outputs[i]);
	return number;
}

void
graph_add_inputs(struct graph *graph, struct graph_job *job)
{
	const struct job_spec *spec = job->spec;
	size_t i;

	if (job->inputs != NULL)
		return;
	job->inputs = take_numbers(graph, spec->n_inputs);
	for (i = 0; i < spec->n_inputs; i++) {
		const struct spec_input *input = &spec->inputs[i];

		job->inputs[i] = graph_add_dataset(graph, input->rid);
		if (input->branch.at == NULL ||
		    text_equal(input->branch, graph->chain[0]))
			job->inputs[i] |= INPUT_ON_BRANCH;
	}
}

bool
graph_resolve(struct graph *graph, uint32_t number)
{
	struct graph_dataset *dataset = graph_dataset(graph, number);
	const struct job_spec *spec = NULL;
	bool known = true;
	uint32_t i;

	if ((dataset->flags & DATASET_RESOLVED) != 0)
		return true;
	for (i = 0; i < graph->n_chain && (spec == NULL || !known); i++)
		if (!world_knows_writer(
			graph->world, dataset->world, graph->chain[i], &spec))
			known = false;
	if (!known)
		return false;
	dataset->flags |= DATASET_RESOLVED;
	dataset->spec = spec;
	return true;
}

uint32_t
graph_first_branch(
    const struct graph *graph, const struct world_dataset *dataset)
{
	uint32_t i;

	for (i = 0; i < graph->n_chain; i++)
		if (branch_list_find(&dataset->branches, graph->chain[i]))
			return i;
	return graph->n_chain;
}

const struct branch *
graph_read(const struct graph *graph, const struct world_dataset *dataset,
    struct text pinned)
{
	const struct branch *branch = NULL;
	uint32_t i;

	if (pinned.at != NULL)
		return branch_list_find(&dataset->branches, pinned);
	for (i = 0; i < graph->n_chain && branch == NULL; i++)
		branch = branch_list_find(&dataset->branches, graph->chain[i]);
	return branch;
}

void
list_push(struct graph *graph, struct list *list, uint32_t number)
{
	uint32_t *more;

	if (list->n == list->capacity) {
		list->capacity = list->n == 0 ? 8 : 2 * list->n;
		more = arena_alloc(graph->arena, list->capacity * sizeof *more);
		if (list->n > 0)
			memcpy(more, list->at, list->n * sizeof *more);
		list->at = more;
	}
	list->at[list->n++] = number;
}
