#ifndef SCHEDRUN_WORKER_SNAPSHOT_SNAPSHOT_H
#define SCHEDRUN_WORKER_SNAPSHOT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/metrics.h"
#include "common/base/text.h"
#include "common/redis/pipeline.h"
#include "schemas/stored/schedule.h"
#include "schemas/stored/world.h"

/*
 * What a batch of plans looks at, read from Redis: schedule heads and versions,
 * and the planner's partial world, filled level by level in bulk for all plans
 * together.  Structure is of one catalogue generation from the first read to
 * the end of the batch; heads of schedules and datasets are read once per batch
 * (docs/keyspace.md, sections 2 and 3).  Versions are cached for good,
 * structure by (generation, field), heads with their bytes, so that JSON is
 * parsed on change only; the caches are bounded together.  One thread at a
 * time.
 *
 *   snapshot_begin; snapshot_add (per plan); snapshot_read;
 *   plan_start for each with snapshot_world;
 *   while some plan_step says PLAN_NEEDS: snapshot_answer
 */
struct snapshot;

struct snapshot_settings {
	struct redis *redis;     /* borrowed; connected by the caller */
	const char *prefix;      /* redis.prefix */
	size_t cache_bytes;      /* 0: 64 MiB */
	struct metrics *metrics; /* borrowed; NULL: nothing is counted */
};

struct snapshot *snapshot_create(const struct snapshot_settings *settings);
void snapshot_destroy(struct snapshot *snapshot); /* NULL is fine */

/*
 * Redis may be another one than before, or may have gone back in time: what is
 * cached of it is read again from the next batch on.
 */
void snapshot_forget(struct snapshot *snapshot);

/* Forgets the batch before: nothing of it may be looked at any more. */
void snapshot_begin(struct snapshot *snapshot);

/*
 * Wants the schedule for one plan; `pin` is a version's rid or none.  Both are
 * borrowed until the next snapshot_begin.  Returns the plan's number, counted
 * from 0.
 */
size_t snapshot_add(
    struct snapshot *snapshot, struct text schedule_rid, struct text pin);

/*
 * Reads generation, schedules, versions: schedules as they were at that
 * generation.  One round, and another where a version is not cached.
 *   ERROR_RETRY  Redis does not answer, or holds no catalogue, or something
 *                that is none: nothing may be planned; the message names the
 * key ERROR_FATAL  77 credentials, 78 no Redis of ours
 */
int snapshot_read(struct snapshot *snapshot, struct error *err);

/* The catalogue's generation of this batch; 0: Redis has no catalogue. */
int64_t snapshot_generation(const struct snapshot *snapshot);

/* What a plan starts from, after snapshot_read. */
struct snapshot_plan {
	struct text schedule_rid, pin;
	const struct schedule_version *version; /* NULL: the store has none */
	bool has_schedule, paused, deleted;
	/*
	 * The stored schedule or version is unreadable: the outcome is Internal
	 * with this cause ("versionUnreadable") and a message that names the
	 * key.  NULL: it is fine.
	 */
	const char *damage;
	struct text damage_message;
	struct text planned_rid; /* of the version that is planned; or none */
};
const struct snapshot_plan *snapshot_plan(
    const struct snapshot *snapshot, size_t number);

/* The batch's world, for plan_start; all its needs go through snapshot_answer.
 */
struct world *snapshot_world(struct snapshot *snapshot);

/*
 * Satisfies all needs of the world in a few bulk reads.  An unreadable entry
 * becomes the world's damage (world_put_damage), no failure.
 * Errors as snapshot_read.
 */
int snapshot_answer(struct snapshot *snapshot, struct error *err);

/* Bytes that this batch's reads hold: a batch is cut by it. */
size_t snapshot_used(const struct snapshot *snapshot);

#endif
