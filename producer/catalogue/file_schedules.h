#ifndef SCHEDRUN_PRODUCER_CATALOGUE_FILE_SCHEDULES_H
#define SCHEDRUN_PRODUCER_CATALOGUE_FILE_SCHEDULES_H

#include "producer/catalogue/file.h"

/*
 * The schedules of a Catalogue document, of which there may be a million: they
 * are checked once, and read again some at a time.
 */

/* All, each by itself and none twice, with faults of the reader's. */
void file_schedules_check(struct reader *reader, const struct place *root,
    const struct json *node, struct catalogue_file *file);

/*
 * Those from `some->from` on, `some->n` of them, in `arena`.  They were without
 * fault: if one has a fault now, somebody writes to the file (-1, ERROR_INPUT).
 */
int file_schedules_read(const struct catalogue_file *file,
    struct file_schedules *some, struct arena *arena, struct error *err);

/* The RIDs of all, as names with empty values. */
void file_schedules_name(
    const struct catalogue_file *file, struct fields *names);

/* What a version of the file holds, in `arena`. */
void file_version_read(const struct file_version *version, struct arena *arena,
    struct schedule_version *read);

/* The text where it stands in its JSON; a copy if it is written otherwise. */
struct text file_keep_within(
    struct arena *kept, struct text json, struct text text);

#endif
