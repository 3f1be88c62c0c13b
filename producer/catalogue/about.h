#ifndef SCHEDRUN_PRODUCER_CATALOGUE_ABOUT_H
#define SCHEDRUN_PRODUCER_CATALOGUE_ABOUT_H

#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "producer/catalogue/fields.h"
#include "schemas/stored/schedule.h"

/*
 * What is kept of a schedule for people and for rights: hash `i`
 * (docs/keyspace.md, section 2).  Texts are borrowed, after a parse from the
 * arena.
 */
#define DISPLAY_NAME_MAX 255 /* characters */
#define DESCRIPTION_MAX 4096

struct schedule_about {
	struct text created_by, created_time;
	struct text updated_by, updated_time;
	struct text display_name, description; /* may be none */
	struct text_list projects; /* of its targets and scope, ascending */
	int64_t projects_at;       /* generation at which they were found */
};

/* Reads and writes what hash `i` holds; texts go to `arena`.  ERROR_INPUT. */
int schedule_about_parse(struct text stored, struct arena *arena,
    struct schedule_about *about, struct error *err);
void schedule_about_write(
    const struct schedule_about *about, struct buffer *out);

/*
 * The projects of a version's targets that exist, and those of a project scope:
 * ascending, once each, in `arena`.  `datasets` holds what hash `g<G>:d` has of
 * the targets.
 */
struct text_list schedule_projects(struct fields *datasets,
    const struct schedule_version *version, struct arena *arena);

#endif
