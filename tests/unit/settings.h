#ifndef SCHEDRUN_TESTS_UNIT_SETTINGS_H
#define SCHEDRUN_TESTS_UNIT_SETTINGS_H

#include "common/config/config.h"

/*
 * The configuration that a file of this text gives; NULL with `err` if it is
 * refused.  The environment's SCHEDRUN_ variables must not be set.
 */
struct config *settings_load(const char *text, struct error *err);

#endif
