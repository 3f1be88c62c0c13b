#ifndef SCHEDRUN_PRODUCER_CLI_PROFILE_H
#define SCHEDRUN_PRODUCER_CLI_PROFILE_H

#include <stdbool.h>

#include "common/base/buffer.h"
#include "common/base/error.h"

/*
 * Profiles: configurations of one's own by name, each a folder with a
 * schedrun.conf, and schedrun.secrets beside it, below
 * $XDG_CONFIG_HOME/schedrun or ~/.config/schedrun; the file `profile` there
 * says which one is in use.  Of the command line alone.
 */

/* Letters, digits, ".", "_" and "-", at most 64; none begins by ".". */
bool profile_is_name(const char *name);

/*
 * The folder of all, with a NUL behind it; false: no home is known.
 */
bool profile_folder(struct buffer *path);
/* The configuration file of one: the same. */
bool profile_file(const char *name, struct buffer *path);

/* The name of the one in use, to be freed; NULL: none is. */
char *profile_in_use(void);

/* Makes the folder of all, unless it is there.  -1: ERROR_FATAL (2). */
int profile_make_folder(struct error *err);

/*
 * Uses this one from now on, NULL: none.  -1: ERROR_FATAL (2), and nothing has
 * changed.
 */
int profile_use(const char *name, struct error *err);

/*
 * The file that is read where -c names none: of the profile `name`, or if that
 * is NULL of the one in use, unless $SCHEDRUN_CONFIG or ./schedrun.conf go
 * first.  To be freed; NULL: as the daemons find it, or ERROR_FATAL (2) if
 * there is no such profile.
 */
char *profile_choose(const char *name, struct error *err);

#endif
