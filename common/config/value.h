#ifndef SCHEDRUN_COMMON_CONFIG_VALUE_H
#define SCHEDRUN_COMMON_CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/config/config.h"

/*
 * A key's value as text: what its type and bounds allow, and the number that it
 * stands for.  Inside common/ only.
 */

/*
 * Checks `value`; sets the number (ms, bytes, 1 or 0 of switches; 0 of texts).
 * ERROR_FATAL names `source`, key, value and what is allowed.
 */
int config_value_parse(const struct config_key *key, const char *value,
    const char *source, int64_t *number, struct error *err);

/* The value, or "***" if it is a secret's. */
const char *config_value_shown(const struct config_key *key, const char *value);

/* A whole number without a unit; false on anything else. */
bool config_parse_integer(const char *text, int64_t *value);

#endif
