#ifndef SCHEDRUN_COMMON_CONFIG_FILE_H
#define SCHEDRUN_COMMON_CONFIG_FILE_H

#include "common/config/config.h"

/*
 * The configuration's files: the named one, or the first of $SCHEDRUN_CONFIG,
 * ./schedrun.conf, /etc/schedrun/schedrun.conf that is there; then
 * $CREDENTIALS_DIRECTORY/schedrun.secrets.  Syntax is libconfuse's.
 */
int config_read_files(
    struct config *config, const char *file, struct error *err);

/*
 * A secret's file without its last line break; the caller wipes and frees it.
 * NULL with ERROR_FATAL: missing, unreadable, a directory, over 64 KiB, empty.
 */
char *config_read_secret(
    const char *path, const char *source, struct error *err);

#endif
