#ifndef SCHEDRUN_COMMON_BASE_ZONES_H
#define SCHEDRUN_COMMON_BASE_ZONES_H

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/base/zone.h"

/*
 * Time zones by name, each read once: a change on disk needs a restart.  One
 * thread.
 */
struct zones;

struct named_zone {
	struct zone *zone;
	struct text name;
};

/* None is read yet; the caller's. */
struct zones *zones_create(void);
void zones_destroy(struct zones *zones); /* NULL is fine */

/*
 * The zones' own, until they are destroyed.  NULL with ERROR_INPUT: there is no
 * such zone (zone_load).  Blocks for the disk, at a zone's first time.
 */
const struct named_zone *zones_find(
    struct zones *zones, struct text name, struct error *err);

#endif
