#ifndef SCHEDRUN_COMMON_CONFIG_SCAN_H
#define SCHEDRUN_COMMON_CONFIG_SCAN_H

#include <stddef.h>

#include "common/base/error.h"
#include "common/base/text.h"

/*
 * Where the properties of free blocks stand: libconfuse keeps no line for them,
 * takes a repeated one silently, and a block that is never closed as well.
 */
struct config_property_place {
	struct text block; /* "kafka" */
	struct text name;
	int line;
};

#define CONFIG_PLACES_MAX 512

/*
 * Finds all of a file that libconfuse has taken; texts point into `content`.
 * Returns how many, or -1 with ERROR_FATAL: one is set twice in its block, or a
 * block is not closed.  `path` is for messages.
 */
int config_scan(const char *path, const char *content,
    struct config_property_place places[CONFIG_PLACES_MAX], struct error *err);

#endif
