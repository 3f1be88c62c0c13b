#ifndef SCHEDRUN_COMMON_CONFIG_FILE_H
#define SCHEDRUN_COMMON_CONFIG_FILE_H

#include "common/base/error.h"
#include "common/base/text.h"

/*
 * The form of a configuration file: plain properties, as Kafka's own clients
 * have them (docs/operation.md, section 2).  Pure: what a key or a value means
 * is others' business.
 */
struct config_line {
	struct text key, value; /* point into the file's bytes */
	int number;             /* from 1 */
};

/* More of them in a file are refused. */
#define CONFIG_LINES_MAX 512

/*
 * Finds the settings of a file, in their order.  Returns how many; or -1 with
 * ERROR_FATAL, which names `path` and line and never shows a value: a line of
 * another form, bytes that are no UTF-8, a control character, a line over 64
 * KiB, a key that stands twice, also as KEY and KEY.file.
 */
int config_file_parse(const char *path, struct text bytes,
    struct config_line lines[CONFIG_LINES_MAX], struct error *err);

#endif
