#ifndef SCHEDRUN_PRODUCER_CATALOGUE_MERGE_H
#define SCHEDRUN_PRODUCER_CATALOGUE_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/redis_pipeline.h"
#include "producer/catalogue_apply.h"
#include "producer/catalogue_file.h"
#include "producer/fields.h"
#include "schemas/keyspace.h"

/*
 * A file laid over what is stored: what the next generation consists of, and
 * which schedules, versions and branches change.  Only reads Redis.  Used by
 * catalogue_apply alone.
 */
struct merge_settings {
	struct redis *redis;
	const struct keyspace *keyspace;
	bool prune;
	int64_t now_ms;
};

/* One of a generation's hashes. */
struct merge_part {
	enum catalogue_part part;
	const char *what;
	struct fields *stored, *merged;
};
#define MERGE_PARTS 5

struct merge {
	struct merge_settings settings;
	struct arena *arena;
	int64_t generation; /* that was read; 0: none */
	struct merge_part parts[MERGE_PARTS];
	bool world_changed;
	struct fields *branches;           /* new values of h */
	struct fields *branches_seen;      /* the old ones; "" = none */
	struct fields *branches_removed;   /* names */
	struct fields *heads, *heads_seen; /* s */
	struct fields *about;              /* i */
	struct fields *versions;           /* v, new ones */
	struct fields *added_versions;     /* schedule -> rids by line, for w */
	struct apply_count schedules, branch_count;
};

void merge_init(struct merge *merge, const struct merge_settings *settings,
    int64_t generation, struct arena *arena);
void merge_finish(struct merge *merge);

/* Errors as of catalogue_apply. */
int merge_file(
    struct merge *merge, struct catalogue_file *file, struct error *err);

void merge_count(
    const struct merge *merge, struct apply_count counts[APPLY_COUNTS]);

/* Appends the added versions to their lists at once: a first load. */
int merge_write_version_lists(struct merge *merge, struct redis *redis,
    const struct keyspace *keyspace, struct error *err);
/* What was written at once needs no stage. */
void merge_forget_stages(struct merge *merge);

/* The schedules of a file: producer/schedule_merge.c. */
int merge_schedules(
    struct merge *merge, struct catalogue_file *file, struct error *err);

/* The merged hash of a part. */
struct fields *merge_part_of(
    const struct merge *merge, enum catalogue_part part);

#endif
