#ifndef SCHEDRUN_COMMON_BASE_CLOCK_H
#define SCHEDRUN_COMMON_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/base/text.h"

/*
 * Time: what the wall says, what has passed, and RFC 3339 in UTC.  Any thread.
 */
#define CLOCK_TEXT_SIZE 24                    /* "2026-01-31T09:05:07.042Z" */
#define CLOCK_MAX_MS INT64_C(253402300799999) /* the end of the year 9999 */

int64_t clock_wall_ms(void);      /* since 1970, UTC */
int64_t clock_monotonic_ms(void); /* for durations and deadlines only */

/*
 * A condition whose timed waits end at a moment of clock_after's, `ms` from now
 * whatever is done to the wall's clock meanwhile.
 */
void clock_condition_init(pthread_cond_t *condition);
struct timespec clock_after(int64_t ms);

/* Blocks for `ms`; a signal that has a handler ends it early. */
void clock_wait(int64_t ms);

/*
 * Writes 24 characters and no NUL, always three digits of fraction.  Times
 * outside 0 to CLOCK_MAX_MS are clamped.
 */
void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_SIZE]);

/*
 * Reads "2024-09-25T17:29:35Z" with 0 to 9 digits of fraction (cut to
 * milliseconds), UTC only, years 1970 to 9999.  False on anything else.
 */
bool clock_parse(struct text text, int64_t *wall_ms);
/* Whether it has that form and is in the calendar, from the year 1 on. */
bool clock_is_time(struct text text);

/* The calendar: days since 1970 to year, month (1 to 12), day; and back. */
void clock_date_of(int64_t days, int date[3]);
int64_t clock_days_to(int year, int month, int day);
int clock_month_days(int year, int month); /* 28 to 31 */

#endif
