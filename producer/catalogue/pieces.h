#ifndef SCHEDRUN_PRODUCER_CATALOGUE_PIECES_H
#define SCHEDRUN_PRODUCER_CATALOGUE_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "producer/catalogue/merge.h"

/*
 * What an apply changes in steps that hold Redis for some milliseconds each.
 * What fits into one is one, with the new generation.  Else the order is such
 * that nobody reads half of a thing: branches of datasets that come are there
 * before their generation, schedules come after it, each whole; a first load
 * ends by its generation, for which readers wait (docs/keyspace.md, section 3).
 */
struct pieces;

/* Of a merge, of which but for its window nothing may change meanwhile;
 * generation as it was read. */
struct pieces *pieces_create(
    struct merge *merge, const struct catalogue_file *file);
void pieces_destroy(struct pieces *pieces);

/*
 * The next step, valid until the next call: 1, or 0 at the end.  `with_parts`:
 * the new generation goes with it.  -1: what it takes of the store could not be
 * read, or contradicts the file by now; errors as of catalogue_apply.
 */
int pieces_next(struct pieces *pieces, const struct merge_changes **step,
    bool *with_parts, struct error *err);

/* How long Redis took for the step: the next are as large as it can bear. */
void pieces_pace(struct pieces *pieces, int64_t took_ms);

/* Schedules and datasets that change, and those of the steps given out. */
size_t pieces_total(const struct pieces *pieces);
size_t pieces_given(const struct pieces *pieces);

#endif
