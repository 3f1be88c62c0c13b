#ifndef SCHEDRUN_SCHEMAS_STORED_CRON_H
#define SCHEDRUN_SCHEMAS_STORED_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/base/zone.h"

/*
 * Cron expressions of a time trigger: minute, hour, day of month, month, day of
 * week (docs/http.md, section 5, InvalidTimeTrigger), and when they are due
 * (docs/triggers.md, section 1).
 */
#define CRON_SIZE_MAX 200

/* Sets of values, a bit each. */
struct cron {
	uint64_t minutes;
	uint32_t hours, days, months;
	uint8_t weekdays;      /* Sunday is bit 0 */
	uint8_t last_weekdays; /* "5L": the last of a month */
	uint8_t nth[5];        /* "1#2": of weekdays, the n-th of a month */
	bool last_day;         /* "L" */
	bool every_hour, every_day, every_weekday; /* no value is left out */
};

/*
 * Five fields with blanks between them.  A field is a list of `*`, values,
 * ranges and steps ("0,30", "1-5", "0-59/10"); months and days of the week may
 * be named (JAN, mon), Sunday is 0 or 7.  Also `L` for the last day of the
 * month, and for days of the week the last ("5L") and the n-th ("1#2").  -1,
 * ERROR_INPUT: it is none, and `cron` is worth nothing; `err` (or NULL) names
 * the field.
 */
int cron_read(struct text expression, struct cron *cron, struct error *err);
bool cron_is_valid(struct text expression);

/* False for one that no date fits, "0 0 30 2 *". */
bool cron_is_ever_due(const struct cron *cron);

/* When it is due, and what clocks there then show.  In seconds since 1970. */
struct cron_instant {
	int64_t at_s;    /* UTC */
	int64_t local_s; /* the time that was asked for, as if it were UTC */
	enum {
		CRON_PLAIN,
		CRON_SKIPPED, /* clocks never show it: at_s is the next moment
				 that they show */
		CRON_TWICE,   /* clocks show it twice: at_s is the first */
	} how;
};

/*
 * The first instant after `after_s`, which is 0 or later.  False: none within
 * 41 years, as of "0 0 30 2 *".
 */
bool cron_next(const struct cron *cron, const struct zone *zone,
    int64_t after_s, struct cron_instant *instant);

#endif
