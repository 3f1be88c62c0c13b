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
 * It also remembers answers, with the versions that they are of: a request
 * whose answer is remembered needs no plan, as long as nothing that the plan
 * has looked at changes.  An answer is for anybody who may have it; who asks is
 * judged for each request.  One thread at a time.
 *
 *   snapshot_begin; snapshot_ask (per request); snapshot_read;
 *   plan_start for each question that has no answer, with snapshot_world;
 *   while some plan_step says PLAN_NEEDS: snapshot_fetch;
 *   snapshot_give (per plan); snapshot_admit (per request), which may make more
 *   questions, to be planned and given in the same way
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
 * Asks for what a request asks, whoever sends it: a schedule, or a pinned
 * version.  Requests that ask the same have one number, counted from 0.  The
 * request is borrowed until the next snapshot_begin.
 */
uint32_t snapshot_ask(
    struct snapshot *snapshot, const struct run_request *request, size_t hash);

/*
 * What `hash` is to be, of the request's schedule; and a request that is soon
 * asked for: its way through memory begins now.
 */
size_t snapshot_hash(struct text schedule_rid);
void snapshot_expect(const struct snapshot *snapshot,
    const struct run_request *request, size_t hash);

/*
 * Reads the generation, the schedules as they were at it, what tells whether
 * remembered answers still stand, and the versions.  One round trip; another
 * where something has changed, or a version is not cached.
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
	const void *answer; /* remembered, and it stands, or given; or NULL */
	/*
	 * To be planned for anybody, as if it were not paused; else for its
	 * request.
	 */
	bool for_anybody;
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

/* Where answers of this batch are made. */
struct arena *snapshot_arena(struct snapshot *snapshot);

#define SNAPSHOT_GROUNDS_MAX 63 /* datasets that an answer may rest on */

/* Who gets an answer, and what it rests on; the batch borrows the texts. */
struct answer_basis {
	bool is_judged;              /* who asks must be known and active, */
	const struct text *projects; /* and an editor of each of these */
	size_t n_projects;
	bool
	    is_sound; /* else it is of damage: who asks has a plan of his own */
	bool lasts;   /* it may be kept until one of these changes: */
	const struct text *datasets; /* SNAPSHOT_GROUNDS_MAX at most */
	size_t n_datasets;
};

/*
 * Takes a question's answer, for this batch; it stays the caller's.  If it is
 * kept beyond it: room for `size` bytes that the caller fills with it, aligned
 * for pointers; else NULL.
 */
void *snapshot_give(struct snapshot *snapshot, size_t number, void *answer,
    const struct answer_basis *basis, size_t size);

/*
 * Whether the request's question is known, after its common one has its answer:
 * `number` becomes that of a question of his own if who asks does not get what
 * anybody gets.  False: what tells is wanted; to be asked again after
 * snapshot_look, whose errors are snapshot_read's.
 */
bool snapshot_admit(struct snapshot *snapshot,
    const struct run_request *request, uint32_t *number);
int snapshot_look(struct snapshot *snapshot, struct error *err);

/* Moves the metrics by what the batch has looked up. */
void snapshot_tell(struct snapshot *snapshot);

/* Bytes that this batch's reads hold: a batch is cut by it. */
size_t snapshot_used(const struct snapshot *snapshot);

#endif
