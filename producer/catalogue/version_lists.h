#ifndef SCHEDRUN_PRODUCER_CATALOGUE_VERSION_LISTS_H
#define SCHEDRUN_PRODUCER_CATALOGUE_VERSION_LISTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/redis/pipeline.h"
#include "producer/catalogue/fields.h"
#include "schemas/keyspace.h"

/*
 * The lists of versions of many schedules (`w`), oldest first.  In memory a
 * list is one text with a rid in each line.
 */

/* Reads the lists of `n` schedules, pipelined; those without one stay out. */
int version_lists_read(struct redis *redis, const struct keyspace *keyspace,
    const struct text *schedules, size_t n, struct fields *into,
    struct error *err);

/* Whether a list has the rid. */
bool version_list_has(struct text list, struct text rid);

/* The list's next rid; false at its end.  `*rest` starts as the list. */
bool version_list_next(struct text *rest, struct text *rid);

#endif
