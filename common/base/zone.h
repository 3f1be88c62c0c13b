#ifndef SCHEDRUN_COMMON_BASE_ZONE_H
#define SCHEDRUN_COMMON_BASE_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"

/*
 * Time zones of the system's zoneinfo ($TZDIR, else /usr/share/zoneinfo), read
 * from their files (RFC 8536, version 2 and up) with the rule at their end, by
 * which the years behind their table go.  Not by localtime_r: that knows one
 * zone a process, TZ, and setting it is safe with one thread only.
 */
struct zone;

/*
 * Reads the zone "Europe/Berlin"; blocks for the disk.  NULL with ERROR_INPUT:
 * no such name, no such file, or one that is damaged.  Never changed once it is
 * there, so threads may share it.
 */
struct zone *zone_load(struct text name, struct error *err);
/* Whether this machine has zones at all: without tzdata it has none. */
bool zone_is_any(void);
void zone_destroy(struct zone *zone); /* NULL is fine */

/* A time in which clocks ran on: local time = UTC + offset.  In seconds. */
struct zone_span {
	int64_t from, until; /* since 1970 UTC; until: the first behind it */
	int32_t offset;
};
/* The one that `at_s` is in, at most to the end of the year behind it. */
struct zone_span zone_span_at(const struct zone *zone, int64_t at_s);

#endif
