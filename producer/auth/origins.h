#ifndef SCHEDRUN_PRODUCER_AUTH_ORIGINS_H
#define SCHEDRUN_PRODUCER_AUTH_ORIGINS_H

#include <stdbool.h>

#include "common/base/error.h"
#include "common/base/text.h"

/*
 * http.cors.origins: origins as browsers send them, divided by commas or
 * blanks.  Pure.
 */

/* -1: ERROR_FATAL (78), names one that no browser sends, or anybody can. */
int origins_check(const char *list, struct error *err);

/* Whether exactly this one is among them. */
bool origins_have(const char *list, struct text origin);

#endif
