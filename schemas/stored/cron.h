#ifndef SCHEDRUN_SCHEMAS_STORED_CRON_H
#define SCHEDRUN_SCHEMAS_STORED_CRON_H

#include <stdbool.h>

#include "common/base/text.h"

/*
 * Cron expressions of a time trigger: minute, hour, day of month, month, day of
 * week (docs/http.md, section 5, InvalidTimeTrigger).  Only their form is
 * looked at: whoever fires triggers interprets them.
 */
#define CRON_SIZE_MAX 200

/*
 * Five fields with blanks between them.  A field is a list of `*`, values,
 * ranges and steps ("0,30", "1-5", "0-59/10"); months and days of the week may
 * be named (JAN, mon), Sunday is 0 or 7.  Also `L` for the last day of the
 * month, and for days of the week the last ("5L") and the n-th ("1#2").
 */
bool cron_is_valid(struct text expression);

#endif
