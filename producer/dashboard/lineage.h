#ifndef SCHEDRUN_PRODUCER_DASHBOARD_LINEAGE_H
#define SCHEDRUN_PRODUCER_DASHBOARD_LINEAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"
#include "schemas/stored/world.h"

/*
 * A generation of the catalogue turned round: who writes and who reads each
 * dataset, which Redis has no index of.  Read whole once for all callers, some
 * 500 bytes a job, and kept until another generation is asked for; a generation
 * never changes (docs/keyspace.md, section 3), so nothing of it does.
 */
#define LINEAGE_JOBS_MAX 200000
#define LINEAGE_DATASETS_MAX 500000
#define LINEAGE_NONE UINT32_MAX

struct lineage_list {
	uint32_t *at; /* jobs, by (key, branch) */
	size_t n;
};

struct lineage_dataset {
	struct text rid, stored; /* its entry of `d` */
	uint32_t project;        /* number among the projects */
	bool trashed;
	struct lineage_list writers, readers; /* on all branches */
};

struct lineage_job {
	struct job_spec spec;
	/* Datasets of outputs and inputs; LINEAGE_NONE: it isn't there. */
	const uint32_t *outputs, *inputs;
};

struct lineage_kept;
struct lineage {
	int64_t generation;
	bool is_part;                     /* there is more than can be kept */
	struct lineage_dataset *datasets; /* by rid */
	size_t n_datasets;
	struct lineage_job *jobs; /* by (key, branch) */
	size_t n_jobs;
	const struct text *projects; /* ascending */
	size_t n_projects;
	const struct text *branches; /* that job specs are of, ascending */
	size_t n_branches;
	struct text usual_branch;  /* of most jobs; none: there is no job */
	struct lineage_kept *kept; /* the shelf's own */
};

/* The one that is kept; any thread. */
struct lineage_shelf;
struct lineage_shelf *lineage_shelf_create(void);        /* empty */
void lineage_shelf_destroy(struct lineage_shelf *shelf); /* NULL is fine */

/*
 * The current generation's, to be given back by lineage_release; reads it if it
 * isn't kept, which may take seconds.  NULL without an error: another thread
 * is reading it, come again.  NULL: ERROR_RETRY no answer, or no catalogue;
 * else as of fields_scan.
 */
const struct lineage *lineage_take(struct lineage_shelf *shelf,
    struct redis *redis, const struct keyspace *keyspace, struct error *err);
/* Any thread; NULL is fine. */
void lineage_release(
    struct lineage_shelf *shelf, const struct lineage *lineage);

/* The dataset's number; LINEAGE_NONE: there is none of the name. */
uint32_t lineage_find(const struct lineage *lineage, struct text rid);

/* The job's input is read on the branch that the job writes. */
static inline bool
lineage_is_edge(const struct lineage_job *job, size_t input)
{
	struct text pin = job->spec.inputs[input].branch;

	return pin.at == NULL || text_equal(pin, job->spec.branch);
}

#endif
