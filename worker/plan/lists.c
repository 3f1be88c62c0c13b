#include "worker/plan/lists.h"

#include <string.h>

void
lister_add(struct lister *lister, struct text text)
{
	int32_t at =
	    lister->count < LISTING_FIRST ? lister->count : LISTING_FIRST;

	lister->count++;
	if (at == LISTING_FIRST && text_compare(text, lister->first[--at]) > 0)
		return;
	for (; at > 0 && text_compare(text, lister->first[at - 1]) < 0; at--)
		lister->first[at] = lister->first[at - 1];
	lister->first[at] = text;
}

struct listing
lister_finish(const struct lister *lister, struct arena *arena)
{
	int32_t n =
	    lister->count < LISTING_FIRST ? lister->count : LISTING_FIRST;
	struct text *first;

	if (n == 0)
		return (struct listing){ 0 };
	first = arena_alloc(arena, (size_t)n * sizeof *first);
	memcpy(first, lister->first, (size_t)n * sizeof *first);
	return (struct listing){ lister->count, (uint32_t)n, first };
}

struct text
input_key(struct arena *arena, const struct spec_input *input)
{
	size_t size;
	char *key;

	if (input->branch.at == NULL)
		return input->rid;
	size = input->rid.size + 1 + input->branch.size;
	key = arena_alloc(arena, size);
	memcpy(key, input->rid.at, input->rid.size);
	key[input->rid.size] = '@';
	memcpy(key + input->rid.size + 1, input->branch.at, input->branch.size);
	return (struct text){ key, size };
}

int
input_key_compare(struct text key, const struct spec_input *input)
{
	size_t size = input->rid.size;
	struct text head = { key.at, key.size < size ? key.size : size };
	int order = text_compare(head, input->rid);

	if (order != 0 || input->branch.at == NULL)
		return order != 0 ? order : key.size > size;
	if (key.size == size)
		return -1;
	if (key.at[size] != '@')
		return (unsigned char)key.at[size] < '@' ? -1 : 1;
	return text_compare(
	    (struct text){ key.at + size + 1, key.size - size - 1 },
	    input->branch);
}

void
pile_add(struct text_pile *pile, struct text text)
{
	struct text *more;

	if (pile->n == pile->capacity) {
		pile->capacity = pile->n == 0 ? 16 : 2 * pile->n;
		more = arena_alloc(pile->arena, pile->capacity * sizeof *more);
		if (pile->n > 0)
			memcpy(more, pile->at, pile->n * sizeof *more);
		pile->at = more;
	}
	pile->at[pile->n++] = text;
}

/*
 * Merges neighbouring runs of `run` elements from one array into the other.
 * A merge sort, from the bottom up: no recursion, no bad case, and unlike
 * qsort no memory but the arena's.
 */
static void
merge_texts(const struct text *from, struct text *to, size_t n, size_t run)
{
	size_t start, middle, end, a, b, out = 0;

	for (start = 0; start < n; start = end) {
		middle = n - start > run ? start + run : n;
		end = n - middle > run ? middle + run : n;
		for (a = start, b = middle; a < middle || b < end;) {
			if (b == end ||
			    (a < middle && text_compare(from[a], from[b]) <= 0))
				to[out++] = from[a++];
			else
				to[out++] = from[b++];
		}
	}
}

static void
sort_texts(struct text_pile *pile)
{
	struct text *from = pile->at, *to, *other;
	size_t run;

	if (pile->n < 2)
		return;
	to = arena_alloc(pile->arena, pile->n * sizeof *to);
	for (run = 1; run < pile->n; run *= 2) {
		merge_texts(from, to, pile->n, run);
		other = from;
		from = to;
		to = other;
	}
	pile->at = from;
}

void
pile_list(struct text_pile *pile, struct lister *lister)
{
	size_t i;

	sort_texts(pile);
	for (i = 0; i < pile->n; i++)
		if (i == 0 || !text_equal(pile->at[i], pile->at[i - 1]))
			lister_add(lister, pile->at[i]);
}

static void
merge_positions(const int32_t *from, int32_t *to, size_t n, size_t run)
{
	size_t start, middle, end, a, b, out = 0;

	for (start = 0; start < n; start = end) {
		middle = n - start > run ? start + run : n;
		end = n - middle > run ? middle + run : n;
		for (a = start, b = middle; a < middle || b < end;) {
			if (b == end || (a < middle && from[a] <= from[b]))
				to[out++] = from[a++];
			else
				to[out++] = from[b++];
		}
	}
}

static bool
is_ascending(const int32_t *positions, size_t n)
{
	size_t i;

	for (i = 1; i < n; i++)
		if (positions[i] <= positions[i - 1])
			return false;
	return true;
}

size_t
sort_positions(struct arena *arena, int32_t *positions, size_t n)
{
	int32_t *from = positions, *to, *other;
	size_t run, i, left = 0;

	if (is_ascending(positions, n))
		return n;
	to = arena_alloc(arena, n * sizeof *to);
	for (run = 1; run < n; run *= 2) {
		merge_positions(from, to, n, run);
		other = from;
		from = to;
		to = other;
	}
	for (i = 0; i < n; i++)
		if (left == 0 || from[i] != positions[left - 1])
			positions[left++] = from[i];
	return left;
}
