#include "worker/plan/graph.h"

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
	graph->numbers.slots = NULL;
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

static uint32_t
find_number(const struct graph *graph, const struct world_dataset *dataset)
{
	const struct numbers *numbers = &graph->numbers;
	uint32_t i;

	if (numbers->slots == NULL) {
		for (i = 0; i < graph->datasets.n; i++)
			if (graph_dataset(graph, i)->world == dataset)
				return i;
		return GRAPH_NONE;
	}
	i = hash_pointer(dataset) & numbers->mask;
	for (; numbers->slots[i] != 0; i = (i + 1) & numbers->mask)
		if (graph_dataset(graph, numbers->slots[i] - 1)->world ==
		    dataset)
			return numbers->slots[i] - 1;
	return GRAPH_NONE;
}

static void
put_number(struct graph *graph, uint32_t number)
{
	struct numbers *numbers = &graph->numbers;
	uint32_t i =
	    hash_pointer(graph_dataset(graph, number)->world) & numbers->mask;

	while (numbers->slots[i] != 0)
		i = (i + 1) & numbers->mask;
	numbers->slots[i] = number + 1;
}

/* Makes the last dataset, which has just come, findable. */
static void
add_number(struct graph *graph)
{
	struct numbers *numbers = &graph->numbers;
	uint32_t n = graph->datasets.n, slots, i;

	if (n <= FEW)
		return;
	if (numbers->slots != NULL && n <= numbers->mask / 2) {
		put_number(graph, n - 1);
		return;
	}
	slots = numbers->slots == NULL ? 4 * FEW : 4 * (numbers->mask + 1);
	numbers->slots =
	    arena_zalloc(graph->arena, slots, sizeof *numbers->slots);
	numbers->mask = slots - 1;
	for (i = 0; i < n; i++)
		put_number(graph, i);
}

static uint32_t
add_dataset(struct graph *graph, struct world_dataset *dataset)
{
	uint32_t number = find_number(graph, dataset);
	struct graph_dataset *added;

	if (number != GRAPH_NONE)
		return number;
	number = graph->datasets.n;
	assert(number < INPUT_PINNED);
	added = pieces_push(graph->arena, &graph->datasets, sizeof *added);
	*added = (struct graph_dataset){
		.world = dataset, .job = GRAPH_NONE, .keyed = GRAPH_NONE
	};
	add_number(graph);
	return number;
}

uint32_t
graph_add_dataset(struct graph *graph, struct text rid)
{
	return add_dataset(graph, world_dataset(graph->world, rid));
}

uint32_t
graph_find_dataset(const struct graph *graph, struct text rid)
{
	return find_number(graph, world_dataset(graph->world, rid));
}

static struct graph_job *
push_job(struct graph *graph, const struct job_spec *spec)
{
	struct graph_job *job =
	    pieces_push(graph->arena, &graph->jobs, sizeof *job);

	*job = (struct graph_job){ .spec = spec,
		.key = spec->outputs[0],
		.n_inputs = (uint32_t)spec->n_inputs,
		.n_outputs = (uint32_t)spec->n_outputs,
		.staleness = (int8_t)spec->staleness,
		.position = -1 };
	job->outputs = take_numbers(graph, spec->n_outputs);
	return job;
}

/* The number of the job that writes `dataset` by `spec`. */
static uint32_t
add_job(struct graph *graph, uint32_t dataset, const struct job_spec *spec)
{
	struct graph_dataset *key;
	struct graph_job *job;
	uint32_t number;
	size_t i;

	if (spec->n_outputs > 1)
		dataset = graph_add_dataset(graph, spec->outputs[0]);
	key = graph_dataset(graph, dataset);
	for (number = key->keyed; number != GRAPH_NONE; number = job->next) {
		job = graph_job(graph, number);
		if (job->spec == spec)
			return number;
	}
	number = graph->jobs.n;
	job = push_job(graph, spec);
	job->next = key->keyed;
	key->keyed = number;
	job->outputs[0] = dataset;
	for (i = 1; i < spec->n_outputs; i++)
		job->outputs[i] = graph_add_dataset(graph, spec->outputs[i]);
	return number;
}

/* Numbers a few inputs, looked up side by side. */
static void
add_inputs(struct graph *graph, const struct spec_input *inputs, size_t n,
    uint32_t *numbers)
{
	struct world_dataset *datasets[WORLD_LOOKUPS];
	size_t i;

	world_inputs(graph->world, inputs, n, datasets);
	for (i = 0; i < n; i++) {
		struct text branch = inputs[i].branch;

		numbers[i] = add_dataset(graph, datasets[i]);
		if (branch.at != NULL)
			numbers[i] |= INPUT_PINNED;
		if (branch.at == NULL || text_equal(branch, graph->chain[0]))
			numbers[i] |= INPUT_ON_BRANCH;
	}
}

uint32_t
graph_add_inputs(struct graph *graph, struct graph_job *job, uint32_t from)
{
	uint32_t n = job->n_inputs - from;

	if (from == 0) {
		job->inputs = take_numbers(graph, 2 * (size_t)job->n_inputs);
		job->producers = job->inputs + job->n_inputs;
	}
	if (n > WORLD_LOOKUPS)
		n = WORLD_LOOKUPS;
	add_inputs(graph, &job->spec->inputs[from], n, &job->inputs[from]);
	return n;
}

bool
graph_knows(struct graph *graph, struct graph_dataset *dataset)
{
	const struct branch_list *branches = &dataset->world->branches;
	uint32_t i;

	if ((dataset->flags & DATASET_KNOWN) != 0)
		return true;
	if (!world_knows_dataset(graph->world, dataset->world))
		return false;
	dataset->place = (uint16_t)graph->n_chain;
	if (dataset->world->damaged)
		return true;
	dataset->flags |= DATASET_KNOWN;
	if (dataset->world->known != KNOWN_PRESENT)
		return true;
	dataset->flags |= DATASET_PRESENT;
	if (dataset->world->trashed)
		dataset->flags |= DATASET_TRASHED;
	for (i = 0; i < graph->n_chain; i++) {
		dataset->read = branch_list_find(branches, graph->chain[i]);
		if (dataset->read != NULL)
			break;
	}
	dataset->place = (uint16_t)i;
	if (dataset->read != NULL && dataset->read->parent.at != NULL)
		dataset->flags |= DATASET_HAS_PARENT;
	return true;
}

bool
graph_resolves(
    struct graph *graph, uint32_t number, const struct world_spec **damaged)
{
	struct graph_dataset *dataset = graph_dataset(graph, number);
	const struct world_spec *writer = NULL;
	bool known = true;
	uint32_t i;

	if ((dataset->flags & DATASET_RESOLVED) != 0)
		return true;
	for (i = 0; i < graph->n_chain && (writer == NULL || !known); i++)
		if (!world_knows_writer(
			graph->world, dataset->world, graph->chain[i], &writer))
			known = false;
	if (!known)
		return false;
	if (writer != NULL && writer->damaged) {
		*damaged = writer;
		return true;
	}
	dataset->flags |= DATASET_RESOLVED;
	if (writer != NULL)
		dataset->job = add_job(graph, number, writer->spec);
	return true;
}

const struct branch *
graph_read(
    const struct graph *graph, const struct graph_job *job, uint32_t input)
{
	const struct graph_dataset *dataset =
	    graph_dataset(graph, INPUT_DATASET(job->inputs[input]));

	if ((job->inputs[input] & INPUT_PINNED) == 0)
		return dataset->read;
	return branch_list_find(
	    &dataset->world->branches, job->spec->inputs[input].branch);
}

void
list_reserve(struct graph *graph, struct list *list, uint32_t n)
{
	list->at = arena_alloc(graph->arena, n * sizeof *list->at);
	list->n = 0;
	list->capacity = n;
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
