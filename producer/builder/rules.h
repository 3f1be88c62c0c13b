#ifndef SCHEDRUN_PRODUCER_BUILDER_RULES_H
#define SCHEDRUN_PRODUCER_BUILDER_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/config/config.h"
#include "schemas/stored/world.h"

/*
 * Which program carries a job out, and within which limits (docs/builder.md,
 * section 1): builder.command, unless a rule of the file builder.rules says
 * something else of the job.  Never changed once it is made, so any thread may
 * read.
 */
struct job_rules;

/* Of a try of a job; 0: none but the builder's own. */
struct job_limits {
	int64_t time_ms;
	int64_t memory; /* bytes of address space, of each process */
	int64_t files;  /* descriptors, of each process */
};

struct job_command {
	char *const
	    *argv; /* argv[0] is a path from the root on; ended by NULL */
	struct job_limits limits;
};

/*
 * Reads the settings and the file that they name.  NULL: ERROR_FATAL (78), of
 * the file the first fault with its JSON path.  Blocks for the disk.
 */
struct job_rules *job_rules_create(
    const struct config *config, struct error *err);
void job_rules_destroy(struct job_rules *rules); /* NULL is fine */

/*
 * By the first rule that is of this job; `projects` are those of its outputs,
 * or none.  The rules' own.
 */
const struct job_command *job_rules_choose(const struct job_rules *rules,
    const struct job_spec *spec, const struct text *projects);

#endif
