#ifndef SCHEDRUN_PRODUCER_CATALOGUE_FILE_H
#define SCHEDRUN_PRODUCER_CATALOGUE_FILE_H

#include <stdbool.h>

#include "producer/catalogue/doubts.h"
#include "producer/catalogue/fields.h"
#include "schemas/stored/document.h"
#include "schemas/stored/schedule.h"
#include "schemas/stored/world.h"

/*
 * A Catalogue document (docs/semantics.md, section 5), checked whole and turned
 * into what is stored (docs/keyspace.md, section 1).  Everything is in the
 * reader's arena.  There may be a million of each: what stands in the JSON of a
 * thing is not kept beside it, and schedules stay in the document, where they
 * are read again, some at a time.
 */
struct file_version {
	struct text rid;
	struct text json;      /* canonical: what it holds is read again */
	bool has_created_time; /* else it gets the time of its first store */
};

struct file_schedule {
	struct text rid;
	struct text display_name, description; /* none: not in the file */
	bool has_paused, paused;
	struct file_version *versions; /* oldest first */
	size_t n_versions;
};

/* Some of the file's, one behind the other. */
struct file_schedules {
	struct file_schedule *at;
	size_t from, n; /* the first one's number, and how many */
};

struct file_spec {
	struct text rid, branch;
	const struct text *outputs; /* as of struct job_spec */
	size_t n_outputs;
	struct text json;
};

/* Which top-level members the file has: what it is about. */
struct catalogue_file {
	bool has_datasets, has_specs, has_users, has_projects, has_limits,
	    has_schedules;
	struct fields *datasets; /* as of hash d */
	struct fields *branches; /* as of hash h: those that the file names */
	struct fields *users;    /* as of hash u, grants included */
	struct fields *projects; /* as of hash p, references included */
	struct fields *limits;   /* as of hash l */
	struct file_spec *specs;
	size_t n_specs;
	const struct json *schedules; /* of the document; NULL: none */
	size_t n_schedules;
	struct doubts doubts; /* what only the store can settle */
};

/*
 * Reads the document, which must outlive the file; with faults (the reader's)
 * the file is not to be used.  Given back by catalogue_file_finish.
 */
void catalogue_file_read(struct reader *reader, const struct json *root,
    struct catalogue_file *file);
void catalogue_file_finish(struct catalogue_file *file);

#endif
