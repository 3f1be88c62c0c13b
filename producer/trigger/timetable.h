#ifndef SCHEDRUN_PRODUCER_TRIGGER_TIMETABLE_H
#define SCHEDRUN_PRODUCER_TRIGGER_TIMETABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/base/zones.h"
#include "schemas/stored/cron.h"

/*
 * When a version's time triggers are due (docs/triggers.md): the one that it
 * has, or each of its `or`s and `and`s.
 */

struct time_trigger {
	struct cron cron;
	struct text expression, zone_name; /* as written */
	const struct zone *zone;           /* of the zones */
	bool is_part; /* of an `and`: alone it fires nothing */
};

struct timetable;

/*
 * Reads it off a version's JSON: `*table` is the caller's, NULL if nothing of
 * it is ever due by time.  -1 with ERROR_INPUT: a trigger can't be read, say
 * for its zone; the table has the others nevertheless.  Blocks for the disk, at
 * a zone's first time.
 */
int timetable_read(struct text version, struct zones *zones,
    struct timetable **table, struct error *err);
void timetable_destroy(struct timetable *table); /* NULL is fine */

struct due {
	struct cron_instant instant;
	const struct time_trigger *trigger; /* of the table */
};

/* The first instant after `after_s` (UTC, since 1970), and of those that are
 * due then rather one that fires alone.  False: none comes. */
bool timetable_next(
    const struct timetable *table, int64_t after_s, struct due *due);

/* How many times there are, parts of `and`s, too. */
size_t timetable_size(const struct timetable *table);
/* Whether any of them is part of an `and`. */
bool timetable_has_parts(const struct timetable *table);

/* Calls `each` with those that are due at an instant. */
void timetable_each_due(const struct timetable *table, int64_t at_s,
    void (*each)(void *opaque, const struct time_trigger *trigger),
    void *opaque);

/*
 * Of the instants after `after_s`, up to `now_s`: the newest `max`, ascending.
 * Returns how many there are in `list`.  However many are left out, it looks at
 * no more than some hundred times `max`.
 */
size_t timetable_missed(const struct timetable *table, int64_t after_s,
    int64_t now_s, struct due *list, size_t max);

#endif
