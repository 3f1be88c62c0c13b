#ifndef SCHEDRUN_SCHEMAS_STORED_WORLD_H
#define SCHEDRUN_SCHEMAS_STORED_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "schemas/stored/schedule.h"

/*
 * The world a plan looks at: datasets, job specs, users, grants, references, in
 * tables in memory.  It is either complete (read from a document: what is not
 * in it does not exist) or partial (filled level by level from Redis: what is
 * not known yet is a need, which the owner of the world satisfies before the
 * plan goes on).  One thread at a time.
 */
struct built_input {
	struct text key;         /* "rid" or "rid@branch" */
	struct text transaction; /* none: null */
};

struct built { /* the last successful build of one output on one branch */
	struct text logic;
	const struct built_input *inputs; /* ascending by key */
	size_t n_inputs;
};

struct branch {
	struct text name;
	struct text head;          /* latest transaction; none: no data yet */
	struct text parent;        /* none: a root */
	const struct built *built; /* NULL: never built here */
};

struct branch_list {
	const struct branch *at; /* ascending by name */
	size_t n;
};

enum staleness { STALE_BY_INPUTS, STALE_ALWAYS, STALE_NEVER };

struct spec_input {
	struct text rid;
	struct text branch; /* none: not pinned */
};

struct job_spec {
	const struct text *outputs; /* ascending, no repeats, at least one */
	size_t n_outputs;
	const struct spec_input
	    *inputs; /* by rid, then branch, unpinned first */
	size_t n_inputs;
	enum staleness staleness;
	struct text logic, branch, rid;
};

enum role {
	ROLE_UNREADABLE = -1, /* gives no right; world_role_damage says why */
	ROLE_NONE,
	ROLE_VIEWER,
	ROLE_EDITOR,
	ROLE_OWNER,
};

enum known {
	KNOWN_NOT = 0, /* nobody has asked */
	KNOWN_NEEDED,  /* in the world's list of needs */
	KNOWN_ABSENT,  /* it does not exist */
	KNOWN_PRESENT,
};

/* The job spec that writes a dataset on one branch, if any. */
struct world_spec {
	struct world_spec *next;     /* of the same dataset, another branch */
	const struct job_spec *spec; /* if present; shared by its outputs */
	struct text branch;
	enum known known;
	bool damaged; /* world_damage says by what */
};

struct world_referrer; /* a project that references a dataset */

struct world_dataset {
	struct text rid;
	enum known known; /* covers trashed, project, branches */
	bool trashed;
	bool damaged; /* world_damage says by what */
	uint32_t n_specs;
	struct text project;
	struct branch_list branches;
	struct world_spec *specs;         /* places made so far, newest first */
	struct world_referrer *referrers; /* of a complete world */
};

struct world_user {
	struct text name;
	enum known known;
	bool active;
	bool damaged;
};

/* Already capped to the hard limits of docs/semantics.md, section 6. */
struct world_limits {
	int32_t max_jobs, max_inputs;
	int32_t max_retries;
};
#define WORLD_MAX_JOBS 100000
#define WORLD_MAX_INPUTS 1000000

/* One thing that a plan must know before it can go on. */
enum need_kind {
	NEED_DATASET,   /* dataset: project, trash, branches */
	NEED_SPEC,      /* dataset, spec: who writes it on spec->branch */
	NEED_USER,      /* user */
	NEED_GRANT,     /* user `a` on project `b` -> role */
	NEED_PROJECT,   /* project `a` is listed, so may reference something? */
	NEED_REFERENCE, /* project `a` references dataset `b`? */
};

struct need {
	enum need_kind kind;
	struct world_dataset *dataset;
	struct world_spec *spec;
	struct world_user *user;
	struct text a, b;
	void *slot; /* the world's own place for grants and references */
};

struct world;

/* An empty world.  `complete`: what is asked for and not there is absent. */
struct world *world_create(bool complete);
void world_destroy(struct world *world); /* NULL is fine */
void world_reset(struct world *world);   /* forgets everything */

/*
 * Texts handed in below are borrowed: they must live until the world is reset
 * (an arena beside it).
 */

/* The dataset's place, made if it isn't there; never NULL. */
struct world_dataset *world_dataset(struct world *world, struct text rid);
#define WORLD_LOOKUPS 16
/*
 * As world_dataset for `n` inputs of a job, at most WORLD_LOOKUPS: datasets[i]
 * is that of inputs[i].  They are looked up side by side, and what a plan asks
 * of them next is fetched, so that the cache misses of one hide behind those of
 * the others.
 */
void world_inputs(struct world *world, const struct spec_input *inputs,
    size_t n, struct world_dataset **datasets);
/* The place for who writes `dataset` on `branch`, made if need be. */
struct world_spec *world_spec(
    struct world *world, struct world_dataset *dataset, struct text branch);
/* The user's place, made likewise. */
struct world_user *world_user(struct world *world, struct text name);

/*
 * What the planner asks.  True: the answer is there (perhaps "absent").  False:
 * it has become a need, once however often it is asked for.
 */
/*
 * Who writes `dataset` on `branch`: *writer; NULL if nobody does, and not
 * damaged if somebody does.  Unlike world_spec it makes no place in a complete
 * world.
 */
bool world_knows_writer(struct world *world, struct world_dataset *dataset,
    struct text branch, const struct world_spec **writer);
bool world_knows_dataset(struct world *world, struct world_dataset *dataset);
bool world_knows_user(struct world *world, struct world_user *user);
bool world_knows_role(struct world *world, struct text user,
    struct text project, enum role *role);
/*
 * Whether one of `projects`, which ascend, references the dataset.  In a
 * complete world the cost follows the projects that do.  Else each is asked
 * for; of many projects only those that are listed at all, or a scope of
 * thousands would ask for thousands of things per dataset.
 */
bool world_knows_reference(struct world *world,
    const struct text_list *projects, struct world_dataset *dataset,
    bool *references);

/* What is wanted since the last world_needs_taken, in the order of asking. */
const struct need *world_needs(const struct world *world, size_t *n);
/* They are on their way: what is asked for again is no second need. */
void world_needs_taken(struct world *world);

/* Answers, for needs and for loading a document alike. */
void world_put_role(
    struct world *world, struct text user, struct text project, enum role role);
void world_put_reference(struct world *world, struct text project,
    struct text dataset, bool references);
void world_put_project(struct world *world, struct text project, bool listed);

/* The branch of this name, NULL if the dataset hasn't got it. */
const struct branch *branch_list_find(
    const struct branch_list *branches, struct text name);

/*
 * Answers a need whose stored entry is unreadable: every plan that it matters
 * to ends as Internal, with this message (it names the key).  Borrowed like all
 * texts.  A reference can't be damaged.
 */
void world_put_damage(
    struct world *world, const struct need *need, struct text message);
/* Of a dataset, spec or user that is damaged; of a role that is unreadable. */
struct text world_damage(const struct world *world, const void *thing);
struct text world_role_damage(
    struct world *world, struct text user, struct text project);

/* Those of the hard limits until others are set. */
struct world_limits world_limits(const struct world *world);
/* By whoever fills the world, capped by him; until the next reset. */
void world_set_limits(struct world *world, struct world_limits limits);

#endif
