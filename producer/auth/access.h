#ifndef SCHEDRUN_PRODUCER_AUTH_ACCESS_H
#define SCHEDRUN_PRODUCER_AUTH_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "producer/auth/caller.h"
#include "producer/catalogue/about.h"
#include "producer/catalogue/schedule_store.h"
#include "schemas/stored/schedule.h"

/*
 * What a caller may do with schedules (docs/http.md, section 5, "Rights"): the
 * least of his roles over a schedule's projects.  The projects stand beside the
 * head and are computed anew when the catalogue has changed, so a check costs
 * no walk.  On a pool thread; everything goes to the arena.  All functions:
 *   ERROR_RETRY  Redis does not answer, or has no catalogue yet
 *   ERROR_INPUT, ERROR_FATAL  what is stored is not of our form
 */
enum right { RIGHT_NONE, RIGHT_VIEW, RIGHT_ACT };

struct access {
	struct schedule_store *store;
	const struct http_caller *caller; /* not known: may do everything */
	struct arena *arena;
	int64_t generation; /* of the catalogue, as of the last read; 0: none */
};

struct schedule_access {
	struct text rid;
	bool exists; /* it is known; it may be deleted */
	struct schedule_head head;
	struct schedule_about about;
	struct text head_seen; /* bytes, for schedule_store_write */
	struct text version;   /* the current one's JSON, if it was wanted */
	enum right right;      /* of the caller */
};

/* Looks `n` schedules up in a few rounds for all of them. */
int access_read(struct access *access, const struct text *rids, size_t n,
    bool want_versions, struct schedule_access *schedules, struct error *err);

/* What a role as stored allows; no text: nothing. */
enum right access_right_of_role(struct text stored);

/* A version by its rid: JSON and what it says; no JSON if it isn't there. */
struct version_access {
	struct text json;
	struct schedule_version version;
};
int access_read_version(struct access *access, struct text rid,
    struct version_access *version, struct error *err);

/* The right on a schedule as it is about to be stored. */
struct draft_access {
	enum right right;
	struct text_list projects; /* ascending */
	struct text_list unknown;  /* targets not in the catalogue, ascending */
};
int access_judge(struct access *access, const struct schedule_version *version,
    struct draft_access *draft, struct error *err);

#endif
