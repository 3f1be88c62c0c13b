#include "common/base/nearest.h"

#include <string.h>

#define NAME_MAX_SIZE 64

static size_t
least(size_t one, size_t other, size_t third)
{
	size_t ab = one < other ? one : other;

	return ab < third ? ab : third;
}

/* Levenshtein's distance, a row at a time. */
static size_t
distance(const char *left, const char *right)
{
	size_t row[NAME_MAX_SIZE + 1], size = strlen(right), i, j;

	for (j = 0; j <= size; j++)
		row[j] = j;
	for (i = 1; left[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (j = 1; j <= size; j++) {
			size_t above = row[j];

			row[j] = least(above + 1, row[j - 1] + 1,
			    diagonal + (left[i - 1] != right[j - 1]));
			diagonal = above;
		}
	}
	return row[size];
}

const char *
nearest_name(const char *wrong, const void *names, size_t n, size_t stride)
{
	const char *best = NULL;
	size_t best_distance = strlen(wrong) / 3 + 2, i;

	if (strlen(wrong) > NAME_MAX_SIZE)
		return NULL;
	for (i = 0; i < n; i++) {
		const char *name;
		size_t d;

		memcpy(&name, (const char *)names + i * stride, sizeof name);
		if (name == NULL || strlen(name) > NAME_MAX_SIZE)
			continue;
		d = distance(wrong, name);
		if (d < best_distance) {
			best = name;
			best_distance = d;
		}
	}
	return best;
}
