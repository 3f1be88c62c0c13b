#ifndef SCHEDRUN_SCHEMAS_STORED_CATALOGUE_H
#define SCHEDRUN_SCHEMAS_STORED_CATALOGUE_H

#include <stdbool.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "schemas/stored/document.h"
#include "schemas/stored/world.h"

/*
 * Elements of the catalogue: as they stand in a World document
 * (docs/semantics.md, section 5) and as they are stored (docs/keyspace.md,
 * section 1).  A stored value is checked as hostile input, by the same readers.
 */

/* Branches: member of a dataset, and the whole value of hash `h`. */
void branches_read(struct reader *reader, const struct place *place,
    const struct json *node, struct branch_list *branches);
int branches_parse(struct text stored, struct arena *arena,
    struct branch_list *branches, struct error *err);
void branches_write(const struct branch_list *branches, struct buffer *out);

/* A job spec: element of jobSpecs, and a value of hash `g<G>:j`. */
void job_spec_read(struct reader *reader, const struct place *place,
    const struct json *node, struct job_spec *spec);
int job_spec_parse(struct text stored, struct arena *arena,
    struct job_spec *spec, struct error *err);
void job_spec_write(const struct job_spec *spec, struct buffer *out);

/* A value of hash `g<G>:d`: project, then a line break and "t" if trashed. */
int dataset_parse(
    struct text stored, bool *trashed, struct text *project, struct error *err);
void dataset_write(bool trashed, struct text project, struct buffer *out);

/* 'v', 'e', 'o' as stored; "viewer", "editor", "owner" in documents. */
int role_parse(struct text stored, enum role *role, struct error *err);
const char *role_name(enum role role);
extern const char *const role_names[];      /* from viewer on, ended by NULL */
extern const char *const staleness_names[]; /* by enum staleness; the same */
/* By rid, then branch, unpinned first. */
int spec_input_compare(
    const struct spec_input *left, const struct spec_input *right);

/* The limits of a document or of hash `g<G>:l`, capped to the hard ones. */
void limits_read(struct reader *reader, const struct place *place,
    const struct json *node, struct world_limits *limits);
struct world_limits limits_default(void);
struct world_limits limits_capped(struct world_limits limits);

/*
 * Loads a World document whole: datasets, job specs, users, projects, limits.
 * `with_schedules`: the member "schedules" may be there and is left alone (a
 * Catalogue).  Texts are copied to the reader's arena, which must outlive the
 * world.  `world` must be complete and empty; with faults it is not to be used.
 */
void world_read(struct reader *reader, const struct place *place,
    const struct json *node, bool with_schedules, struct world *world);

#endif
