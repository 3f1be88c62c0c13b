#ifndef SCHEDRUN_PRODUCER_CATALOGUE_MERGE_H
#define SCHEDRUN_PRODUCER_CATALOGUE_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "producer/catalogue/apply.h"
#include "producer/catalogue/fields.h"
#include "producer/catalogue/file.h"
#include "producer/catalogue/hashes.h"
#include "schemas/keyspace.h"

/*
 * A file laid over what is stored: what the next generation consists of, and
 * which schedules, versions and branches change.  Only reads Redis.  Used by
 * catalogue_apply alone.  What contradicts the store becomes a fault of the
 * reader, at its place in the file; reading goes on, so that all are found.
 */
struct merge_settings {
	struct redis *redis;
	const struct keyspace *keyspace;
	struct reader *reader; /* of the file: faults go there */
	bool prune;
	bool missing;         /* references to what isn't there pass */
	bool heads;           /* what others have moved is set back */
	struct buffer *notes; /* lines for a person */
	const struct apply_progress *progress; /* NULL: nobody is told */
	int64_t now_ms;
};

/* What others may change meanwhile: merged again after each that did. */
struct merge_changes {
	struct fields *branches;           /* new values of h */
	struct fields *branches_seen;      /* the old ones; "" = none */
	struct fields *branches_removed;   /* names */
	struct fields *heads, *heads_seen; /* s */
	struct fields *about;              /* i */
	struct fields *versions;           /* v, new ones */
	struct fields *added_versions;     /* schedule -> rids by line, for w */
	struct fields *pruned;             /* names: schedules that go */
	struct fields *said;               /* n:said */
	struct fields *named; /* dataset or schedule -> lines: with --heads */
	size_t kept_heads, kept_schedules; /* as others have moved them */
	struct apply_count schedules, branch_count;
};

/* More fields, or bytes of versions, are not published in one step. */
#define MERGE_ONE_STEP 6000
#define MERGE_ONE_STEP_BYTES ((size_t)1 << 20)

/* So many of the file's schedules are merged together. */
#define MERGE_WINDOW ((size_t)5000)

/*
 * What a million schedules become is more than all else, so they are merged a
 * window at a time: `window` has the changes of those from `window_from` on.
 * What all of them change is kept in `moving` as long as it is little enough to
 * be one step; else (`is_many`) `moving` has of schedules only those that are
 * pruned.  For many steps the windows that change something are merged once
 * more, each before its own.
 */
struct merge {
	struct merge_settings settings;
	struct arena *arena;        /* of both sets of hashes */
	struct arena *moving_arena; /* of what moves, but for a window */
	int64_t generation;         /* that was read; 0: none */
	struct fields *stored[CATALOGUE_HASHES], *merged[CATALOGUE_HASHES];
	bool world_changed;
	/* Of the catalogue that everybody reads now: theirs are branches. */
	const struct fields *datasets;
	struct merge_changes moving;
	struct arena *window_arena;
	struct merge_changes window;
	struct file_schedules window_schedules;
	bool *window_changes; /* of each: whether it has something to publish */
	bool has_window, is_many;
	size_t n_said; /* schedules of all windows that change */
};

/* Empty, over what is stored in `generation`; merge_finish gives all back. */
void merge_init(struct merge *merge, const struct merge_settings *settings,
    int64_t generation);
void merge_finish(struct merge *merge);

/* Datasets, job specs, users, projects, limits. */
int merge_world(
    struct merge *merge, const struct catalogue_file *file, struct error *err);

/* Branches, schedules, versions, as they are now; what was before is forgotten.
 */
int merge_moving(
    struct merge *merge, const struct catalogue_file *file, struct error *err);
/* The window that has the file's schedule `i`, if it isn't the one that is
 * there; the one before is forgotten. */
int merge_window(struct merge *merge, const struct catalogue_file *file,
    size_t i, struct error *err);
/* Whether that is the one that is there. */
bool merge_has_window(const struct merge *merge, size_t i);
/* Whether that changes anything, by the last merge_moving. */
bool merge_window_changes(const struct merge *merge, size_t i);

/* What changes, in the order in which it is told of. */
void merge_count(
    const struct merge *merge, struct apply_count counts[APPLY_COUNTS]);

/* Tables of changes, empty; given back by the second one, which may be called
 * on none. */
void merge_changes_create(struct merge_changes *changes, struct arena *arena);
void merge_changes_destroy(struct merge_changes *changes);

/* The rooms behind: job specs (spec_merge.c), branches (branch_merge.c),
 * schedules (schedule_merge.c). */
int merge_specs(
    struct merge *merge, const struct catalogue_file *file, struct error *err);
/* What the file left in doubt, by the merged world (doubt_merge.c). */
int merge_doubts(
    struct merge *merge, const struct catalogue_file *file, struct error *err);
int merge_branches(
    struct merge *merge, const struct catalogue_file *file, struct error *err);
/* Those of the window. */
int merge_schedules(
    struct merge *merge, const struct catalogue_file *file, struct error *err);
int merge_pruned(
    struct merge *merge, const struct catalogue_file *file, struct error *err);

#endif
