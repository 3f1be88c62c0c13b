#ifndef SCHEDRUN_WORKER_PLAN_LISTS_H
#define SCHEDRUN_WORKER_PLAN_LISTS_H

#include "common/base/arena.h"
#include "common/base/text.h"
#include "schemas/stored/world.h"
#include "worker/plan/planner.h"

/* Listings, and what goes into them (docs/semantics.md, section 3). */

/* Gathers a listing: counts, and keeps the smallest.  Each text comes once. */
struct lister {
	int32_t count;
	struct text first[LISTING_FIRST];
};
void lister_add(struct lister *lister, struct text text);
struct listing lister_finish(const struct lister *lister, struct arena *arena);

/* Texts of which some may be the same. */
struct text_pile {
	struct arena *arena;
	struct text *at;
	size_t n, capacity;
};
void pile_add(struct text_pile *pile, struct text text);
/* Adds each text of the pile to `lister` once; the pile gets sorted. */
void pile_list(struct text_pile *pile, struct lister *lister);

/* The order of a key's bytes against those of an input's key. */
int input_key_compare(struct text key, const struct spec_input *input);

/* Sorts ascending, drops repeats, returns how many are left. */
size_t sort_positions(struct arena *arena, int32_t *positions, size_t n);

#endif
