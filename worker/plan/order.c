#include "worker/plan/order.h"

#include <assert.h>
#include <string.h>

#include "worker/plan/ready.h"

uint32_t
order_edge_reached(const struct graph *graph, uint32_t input)
{
	const struct graph_dataset *dataset =
	    graph_dataset(graph, INPUT_DATASET(input));

	if ((input & INPUT_ON_BRANCH) == 0 ||
	    (dataset->flags & DATASET_IGNORED) != 0 ||
	    dataset->job == GRAPH_NONE ||
	    (graph_job(graph, dataset->job)->flags & JOB_REACHED) == 0)
		return GRAPH_NONE;
	return dataset->job;
}

uint32_t
order_edge_selected(const struct graph *graph, uint32_t input)
{
	const struct graph_dataset *dataset =
	    graph_dataset(graph, INPUT_DATASET(input));

	if ((input & INPUT_ON_BRANCH) == 0 ||
	    (dataset->flags & DATASET_WRITTEN) == 0)
		return GRAPH_NONE;
	return dataset->job;
}

/* Counts each producer's readers one place further on. */
static void
find_producers(
    struct graph *graph, uint32_t flag, order_edge *edge, struct links *links)
{
	uint32_t j, i;

	for (j = 0; j < graph->jobs.n; j++) {
		struct graph_job *job = graph_job(graph, j);

		job->waits = 0;
		if ((job->flags & flag) == 0)
			continue;
		for (i = 0; i < job->n_inputs; i++) {
			uint32_t producer = edge(graph, job->inputs[i]);

			job->producers[i] = producer;
			if (producer == GRAPH_NONE)
				continue;
			links->from[producer + 1]++;
			job->waits++;
		}
	}
}

static void
place_readers(struct graph *graph, uint32_t flag, struct links *links)
{
	uint32_t j, i;

	for (j = 0; j < graph->jobs.n; j++) {
		const struct graph_job *job = graph_job(graph, j);

		if ((job->flags & flag) == 0 || job->waits == 0)
			continue;
		for (i = 0; i < job->n_inputs; i++) {
			uint32_t producer = job->producers[i];

			if (producer != GRAPH_NONE)
				links->readers[links->from[producer]++] = j;
		}
	}
}

void
order_link(
    struct graph *graph, uint32_t flag, order_edge *edge, struct links *links)
{
	uint32_t n = graph->jobs.n, j;

	links->from = arena_zalloc(graph->arena, n + 1, sizeof *links->from);
	find_producers(graph, flag, edge, links);
	for (j = 0; j < n; j++)
		links->from[j + 1] += links->from[j];
	links->readers = arena_alloc(
	    graph->arena, (links->from[n] + 1) * sizeof *links->readers);
	place_readers(graph, flag, links);
	/* Placing moved each start to its end, which is the next one's start.
	 */
	memmove(links->from + 1, links->from, n * sizeof *links->from);
	links->from[0] = 0;
}

void
order_jobs(struct graph *graph, const struct links *links, struct list *order)
{
	uint32_t done, j, i;

	for (j = 0; j < graph->jobs.n; j++) {
		const struct graph_job *job = graph_job(graph, j);

		if ((job->flags & JOB_SELECTED) != 0 && job->waits == 0)
			list_push(graph, order, j);
	}
	for (done = 0; done < order->n; done++) {
		j = order->at[done];
		for (i = links->from[j]; i < links->from[j + 1]; i++) {
			uint32_t reader = links->readers[i];

			if (--graph_job(graph, reader)->waits == 0)
				list_push(graph, order, reader);
		}
	}
}

static bool
is_blocked(const struct graph *graph, uint32_t job)
{
	return graph_job(graph, job)->waits > 0;
}

static uint32_t
smaller(const struct graph *graph, uint32_t one, uint32_t other)
{
	if (one == GRAPH_NONE)
		return other;
	return text_compare(
		   graph_job(graph, other)->key, graph_job(graph, one)->key) < 0
	    ? other
	    : one;
}

static uint32_t
smallest_blocked_producer(const struct graph *graph, uint32_t number)
{
	const struct graph_job *job = graph_job(graph, number);
	uint32_t least = GRAPH_NONE, i;

	for (i = 0; i < job->n_inputs; i++) {
		uint32_t producer = job->producers[i];

		if (producer != GRAPH_NONE && is_blocked(graph, producer))
			least = smaller(graph, least, producer);
	}
	return least;
}

/* `n` jobs that read from each other in a ring, from the smallest key on. */
static void
rotate(
    struct graph *graph, const uint32_t *ring, uint32_t n, struct list *cycle)
{
	uint32_t least = 0, i;

	for (i = 1; i < n; i++)
		if (smaller(graph, ring[least], ring[i]) == ring[i])
			least = i;
	for (i = 0; i < n; i++)
		list_push(graph, cycle, ring[(least + i) % n]);
}

void
order_cycle(struct graph *graph, struct list *cycle)
{
	struct list path = { 0 };
	uint32_t at = GRAPH_NONE, j, start;

	for (j = 0; j < graph->jobs.n; j++)
		if (is_blocked(graph, j))
			at = smaller(graph, at, j);
	while ((graph_job(graph, at)->flags & JOB_LISTED) == 0) {
		graph_job(graph, at)->flags |= JOB_LISTED;
		list_push(graph, &path, at);
		at = smallest_blocked_producer(graph, at);
	}
	assert(path.n > 0); /* a job that is blocked has a blocked producer */
	for (start = 0; path.at[start] != at; start++)
		;
	rotate(graph, path.at + start, path.n - start, cycle);
}

void
order_build(struct graph *graph, const struct links *links, struct list *order)
{
	struct ready ready;
	uint32_t j, i;

	ready_init(&ready, graph);
	list_reserve(graph, order, ready.capacity);
	for (j = 0; j < graph->jobs.n; j++) {
		const struct graph_job *job = graph_job(graph, j);

		if ((job->flags & JOB_RUNS) != 0 && job->waits == 0)
			ready_put(&ready, j);
	}
	while (ready_take(&ready, &j)) {
		graph_job(graph, j)->position = (int32_t)order->n;
		list_push(graph, order, j);
		for (i = links->from[j]; i < links->from[j + 1]; i++) {
			struct graph_job *reader =
			    graph_job(graph, links->readers[i]);

			if (--reader->waits == 0 &&
			    (reader->flags & JOB_RUNS) != 0)
				ready_put(&ready, links->readers[i]);
		}
	}
}
