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
 * Sorts `n` elements of `size` bytes; returns where they are then, which may be
 * other memory of the arena.  A merge sort, from the bottom up: no recursion,
 * no bad case, and unlike qsort no memory but the arena's.  Inline, so that
 * size and comparison are known.
 */
static inline __attribute__((always_inline)) void *
merge_sort(struct arena *arena, void *elements, size_t n, size_t size,
    int (*compare)(const void *, const void *))
{
	char *from = elements, *to = arena_alloc(arena, n * size), *other;
	size_t run, start, middle, end, a, b, out;

	for (run = 1; run < n; run *= 2) {
		for (start = out = 0; start < n; start = end) {
			middle = n - start > run ? start + run : n;
			end = n - middle > run ? middle + run : n;
			for (a = start, b = middle; out < end; out++)
				memcpy(to + out * size,
				    from +
					(b == end ||
						    (a < middle &&
							compare(from + a * size,
							    from + b * size) <=
							    0)
						? a++
						: b++) *
					    size,
				    size);
		}
		other = from;
		from = to;
		to = other;
	}
	return from;
}

static int
compare_texts(const void *left, const void *right)
{
	return text_compare(
	    *(const struct text *)left, *(const struct text *)right);
}

static int
compare_positions(const void *left, const void *right)
{
	const int32_t *x = left, *y = right;

	return (*x > *y) - (*x < *y);
}

void
pile_list(struct text_pile *pile, struct lister *lister)
{
	size_t i;

	if (pile->n > 1)
		pile->at = merge_sort(pile->arena, pile->at, pile->n,
		    sizeof *pile->at, compare_texts);
	for (i = 0; i < pile->n; i++)
		if (i == 0 || !text_equal(pile->at[i], pile->at[i - 1]))
			lister_add(lister, pile->at[i]);
}

size_t
sort_positions(struct arena *arena, int32_t *positions, size_t n)
{
	const int32_t *from;
	size_t i, left = 0;

	for (i = 1; i < n && positions[i - 1] < positions[i]; i++)
		;
	if (i >= n)
		return n;
	from = merge_sort(
	    arena, positions, n, sizeof *positions, compare_positions);
	for (i = 0; i < n; i++)
		if (left == 0 || from[i] != positions[left - 1])
			positions[left++] = from[i];
	return left;
}
