#ifndef SCHEDRUN_WORKER_SNAPSHOT_SNAPSHOT_H
#define SCHEDRUN_WORKER_SNAPSHOT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/metrics.h"
#include "common/base/text.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"
#include "schemas/message/run_request.h"
#include "schemas/stored/schedule.h"
#include "schemas/stored/world.h"

/*
 * What a batch of plans looks at, read from Redis: schedule heads and versions,
 * and the planner's partial world, filled level by level in bulk for all plans
 * together.  Structure is of one catalogue generation from the first read to
 * the end of the batch; heads of schedules and datasets are read once per batch
 * (docs/keyspace.md, sections 2 and 3).  Versions are cached for good,
 * structure by (generation, field), heads with their bytes, so that JSON is
 * parsed on change only; the caches are bounded together.
 *
 * It also remembers answers: a request whose answer is remembered needs no
 * plan, as long as nothing that the plan has looked at changes.  One thread at
 * a time.
 *
 *   snapshot_begin; snapshot_ask (per request); snapshot_read;
 *   plan_start for each question that has no answer, with snapshot_world;
 *   while some plan_step says PLAN_NEEDS: snapshot_fetch;
 *   snapshot_remember (per plan)
 */
struct snapshot;

struct snapshot_settings {
	struct redis *redis;             /* borrowed; connected by the caller */
	const struct keyspace *keyspace; /* borrowed */
	size_t cache_bytes;              /* 0: 64 MiB */
	struct metrics *metrics; /* borrowed; NULL: nothing is counted */
};

/* Never NULL; no I/O. */
struct snapshot *snapshot_create(const struct snapshot_settings *settings);
void snapshot_destroy(struct snapshot *snapshot); /* NULL is fine */

/*
 * Redis may be another one than before, or may have gone back in time: what is
 * cached of it is read again from the next batch on.
 */
void snapshot_forget(struct snapshot *snapshot);

/*
 * A batch begins: nothing of the one before may be looked at any more, its
 * questions, its world and the answers that were for it alone included.
 */
void snapshot_begin(struct snapshot *snapshot);

/*
 * Asks for what a request asks: a schedule, a pinned version, by somebody.
 * Requests that ask the same have one number, counted from 0.  The request is
 * borrowed until the next snapshot_begin.
 */
uint32_t snapshot_ask(
    struct snapshot *snapshot, const struct run_request *request);

/*
 * Reads what tells whether the remembered answers still stand, and for the
 * other questions the generation, their schedules as they were at it, and the
 * versions.  One round trip, and another where a version is not cached.
 *   ERROR_RETRY  Redis does not answer, or holds no catalogue, or something
 *                that is none: nothing may be planned; the message names the
 *                key
 *   ERROR_FATAL  77 credentials, 78 no Redis of ours
 */
int snapshot_read(struct snapshot *snapshot, struct error *err);

/* The catalogue's generation of this batch; 0: Redis has no catalogue. */
int64_t snapshot_generation(const struct snapshot *snapshot);

/* What a question's plan starts from, after snapshot_read. */
struct question {
	const struct run_request *request; /* the first that asked it */
	const void *answer; /* remembered, and it stands; NULL: none */
	/* If there is no answer: */
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

/* How many there are, and each, until the next snapshot_begin. */
size_t snapshot_questions(const struct snapshot *snapshot);
const struct question *snapshot_question(
    const struct snapshot *snapshot, size_t number);

/* The batch's world, for plan_start; all its needs go through snapshot_fetch.
 */
struct world *snapshot_world(struct snapshot *snapshot);

/*
 * Satisfies all needs of the world in a few bulk reads.  An unreadable entry
 * becomes the world's damage (world_put_damage), no failure.
 * Errors as snapshot_read.
 */
int snapshot_fetch(struct snapshot *snapshot, struct error *err);

#define SNAPSHOT_GROUNDS_MAX 63 /* datasets that an answer may rest on */

/* Where the answer of a question is made that had none. */
struct arena *snapshot_memory(struct snapshot *snapshot, size_t number);

/*
 * Takes the answer that was made there, once.  It stays for this batch, and, if
 * `datasets` says what it rests on, until the schedule's head, one of their
 * branches or the generation changes.  NULL: it is of this batch only.
 */
void snapshot_remember(struct snapshot *snapshot, size_t number, void *answer,
    const struct text *datasets, size_t n);

/* Bytes that this batch's reads hold: a batch is cut by it. */
size_t snapshot_used(const struct snapshot *snapshot);

#endif
