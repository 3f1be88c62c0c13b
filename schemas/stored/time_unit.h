#ifndef SCHEDRUN_SCHEMAS_STORED_TIME_UNIT_H
#define SCHEDRUN_SCHEMAS_STORED_TIME_UNIT_H

#include <stdint.h>

#include "common/base/text.h"

/* The API's TimeUnit, in the order of the symbols in build_requested.avsc. */
extern const char *const time_unit_names[]; /* ended by NULL */

/* Index of the unit's name; -1: none of them. */
int32_t time_unit_index(struct text name);
struct text time_unit_text(int64_t index); /* none if out of range */

#endif
