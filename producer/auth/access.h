#ifndef SCHEDRUN_PRODUCER_AUTH_ACCESS_H
#define SCHEDRUN_PRODUCER_AUTH_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "producer/auth/caller.h"
#include "producer/auth/role_cache.h"
#include "producer/catalogue/about.h"
#include "producer/catalogue/schedule_store.h"
#include "schemas/stored/schedule.h"

/*
 * What a caller may do with schedules (docs/http.md, section 5, "Rights"): the
 * least of his roles over a schedule's projects.  The projects stand beside the
 * head and are computed anew when the catalogue has changed, so a check costs
 * no walk.
 *
 *   HEADS ──> VERSIONS ──> DATASETS ──> ABOUTS ──> ROLES ──> DONE
 *             who wants    ┊ of schedules whose    ┊ that aren't
 *             or needs one ┊ projects are of       ┊ remembered
 *                          ┊ another catalogue     ┊
 *
 * A step in which nothing is to be asked is left out: of a schedule as usual
 * the heads are the only one.  Who is alone calls access_read; who shares his
 * round trips with others calls access_begin, then access_ask and access_hear
 * in turns.  On a thread that may block; all texts go to the arena.  Errors of
 * all functions:
 *   ERROR_RETRY  Redis does not answer, or has no catalogue yet
 *   ERROR_INPUT, ERROR_FATAL  what is stored is not of our form
 */
struct fields;

struct schedule_access {
	struct text rid;
	bool exists; /* it is known; it may be deleted */
	struct schedule_head head;
	struct schedule_about about;
	struct text head_seen; /* bytes, for schedule_store_write */
	struct text version;   /* the current one's JSON, if it was wanted */
	enum right right;      /* of the caller */
	/* The look-up's own: */
	struct text about_seen;                 /* bytes */
	const struct schedule_version *current; /* if the right needs it */
};

/* One look-up after the other; made by its first four members. */
struct access {
	struct schedule_store *store;     /* borrowed, as all pointers here */
	const struct http_caller *caller; /* not known: may do everything */
	struct arena *arena;
	struct role_cache *roles; /* of this thread */
	int64_t generation; /* of the catalogue, as of the last read; 0: none */
	/* The look-up's own: */
	enum access_step {
		ACCESS_HEADS,
		ACCESS_VERSIONS,
		ACCESS_DATASETS,
		ACCESS_ABOUTS,
		ACCESS_ROLES,
		ACCESS_DONE,
	} step;
	struct schedule_access *schedules;
	size_t n;
	bool want_versions;
	struct text *names; /* of DATASETS, ROLES: what is asked for */
	size_t n_names;
	size_t *owners;       /* of ROLES: the schedule that each name is for */
	size_t heard;         /* of the names */
	struct fields *found; /* what they stand for */
	size_t due;           /* of ABOUTS: answers */
};

/*
 * Begins to look `n` schedules up, of which their `rid` is read and the rest is
 * written until access_ask has nothing more to ask.  Cheap; asks nothing yet.
 */
void access_begin(struct access *access, struct schedule_access *schedules,
    size_t n, bool want_versions);

/*
 * Queues the commands of the next step on a connected Redis, waits for nothing.
 * False: there is nothing more to ask, all is known.
 */
bool access_ask(struct access *access);

/*
 * Hears the answers, blocking, in all cases as many as were asked for, so that
 * whoever asked on the same connection finds his own.  -1: it failed; nothing
 * may be asked any more.
 */
int access_hear(struct access *access, struct error *err);

/* The same alone, of `n` rids, from the connection to the end: blocks. */
int access_read(struct access *access, const struct text *rids, size_t n,
    bool want_versions, struct schedule_access *schedules, struct error *err);

/*
 * The right in each of the projects of a catalogue's generation.  Blocks, on a
 * connected Redis.
 */
int access_projects(struct access *access, int64_t generation,
    const struct text_list *projects, enum right *rights, struct error *err);

/* A version by its rid: JSON and what it says; no JSON if it isn't there. */
struct version_access {
	struct text json;
	struct schedule_version version;
};
int access_read_version(struct access *access, struct text rid,
    struct version_access *version, struct error *err);

/*
 * The right on a schedule as it is about to be stored.  A dataset that the
 * caller may not view is as one that isn't in the catalogue: no answer tells
 * them apart.  Blocks.
 */
struct draft_access {
	enum right right; /* by the targets that are there, and scope */
	struct text_list projects;        /* ascending */
	struct text_list targets, inputs; /* those not there, ascending */
};
int access_judge(struct access *access, const struct schedule_version *version,
    struct draft_access *draft, struct error *err);

#endif
