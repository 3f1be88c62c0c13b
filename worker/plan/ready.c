#include "worker/plan/ready.h"

#include <string.h>

/* How many of the bytes that both begin with, up to `n`, are the same. */
static size_t
count_same(struct text one, struct text other, size_t n)
{
	size_t same = 0;

	if (n > other.size)
		n = other.size;
	if (memcmp(one.at, other.at, n) == 0)
		return n;
	while (one.at[same] == other.at[same])
		same++;
	return same;
}

#define AHEAD 16 /* keys that are asked for before they are compared */

void
ready_init(struct ready *ready, const struct graph *graph)
{
	const struct text *first = NULL;
	uint32_t j;

	*ready = (struct ready){ .graph = graph };
	/* How many jobs run, and how many bytes all their keys begin with. */
	for (j = 0; j < graph->jobs.n; j++) {
		const struct graph_job *job = graph_job(graph, j);

		if (j + AHEAD < graph->jobs.n)
			__builtin_prefetch(graph_job(graph, j + AHEAD)->key.at);
		if ((job->flags & JOB_RUNS) == 0)
			continue;
		ready->capacity++;
		if (first == NULL) {
			first = &job->key;
			ready->shared = first->size;
		}
		ready->shared = count_same(*first, job->key, ready->shared);
	}
	ready->queue =
	    arena_alloc(graph->arena, ready->capacity * sizeof *ready->queue);
}

/*
 * Keys mostly share a long beginning ("ri.foundry.main.dataset."); the 8 bytes
 * after it nearly always decide, so that a comparison seldom looks elsewhere.
 */
static struct ready_job
make_entry(const struct ready *ready, uint32_t job)
{
	struct text key = graph_job(ready->graph, job)->key;
	struct ready_job entry = { 0, job };
	size_t i;

	for (i = ready->shared; i < ready->shared + 8; i++)
		entry.head = entry.head << 8 |
		    (i < key.size ? (unsigned char)key.at[i] : 0);
	return entry;
}

static bool
is_before(const struct ready *ready, const struct ready_job *one,
    const struct ready_job *other)
{
	if (one->head != other->head)
		return one->head < other->head;
	return text_compare(graph_job(ready->graph, one->job)->key,
		   graph_job(ready->graph, other->job)->key) < 0;
}

static uint32_t
pop_heap(struct ready *ready)
{
	struct ready_job *heap = ready->heap, moved = heap[--ready->n];
	uint32_t top = heap[0].job, at = 0, child;

	for (;;) {
		child = 2 * at + 1;
		if (child >= ready->n)
			break;
		if (child + 1 < ready->n &&
		    is_before(ready, &heap[child + 1], &heap[child]))
			child++;
		if (!is_before(ready, &heap[child], &moved))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = moved;
	return top;
}

void
ready_put(struct ready *ready, uint32_t job)
{
	struct ready_job entry = make_entry(ready, job);
	struct ready_job *heap;
	uint32_t at;

	if (ready->first == ready->end ||
	    is_before(ready, &ready->queue[ready->end - 1], &entry)) {
		ready->queue[ready->end++] = entry;
		return;
	}
	if (ready->heap == NULL)
		ready->heap = arena_alloc(
		    ready->graph->arena, ready->capacity * sizeof *ready->heap);
	heap = ready->heap;
	at = ready->n++;
	while (at > 0 && is_before(ready, &entry, &heap[(at - 1) / 2])) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = entry;
}

bool
ready_take(struct ready *ready, uint32_t *job)
{
	bool has_queued = ready->first < ready->end;

	if (!has_queued && ready->n == 0)
		return false;
	if (ready->n == 0 ||
	    (has_queued &&
		is_before(ready, &ready->queue[ready->first], &ready->heap[0])))
		*job = ready->queue[ready->first++].job;
	else
		*job = pop_heap(ready);
	return true;
}
