#ifndef SCHEDRUN_SCHEMAS_STORED_CANONICAL_H
#define SCHEDRUN_SCHEMAS_STORED_CANONICAL_H

#include <stdbool.h>

#include "common/base/arena.h"
#include "common/base/text.h"
#include "schemas/stored/schedule.h"
#include "schemas/stored/world.h"

/*
 * Stored values as our programs write them (docs/keyspace.md: members in
 * ascending order, no blanks), read in one pass, without a tree and without
 * copies: texts point into `stored`, lists are in `arena`.  For who reads many
 * and keeps the bytes.
 *
 * True is what the full reader (schedule.h, catalogue.h) would have read of the
 * same bytes.  False says nothing, neither that they are wrong nor why:
 * escapes, blanks, another order and all faults are the full reader's.
 */
bool canonical_version(struct text stored, struct text rid, struct arena *arena,
    struct schedule_version *version);
bool canonical_branches(
    struct text stored, struct arena *arena, struct branch_list *branches);
bool canonical_job_spec(
    struct text stored, struct arena *arena, struct job_spec *spec);

#endif
