#ifndef SCHEDRUN_WORKER_PIPELINE_INTAKE_H
#define SCHEDRUN_WORKER_PIPELINE_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/kafka/consumer.h"
#include "worker/base/batch.h"
#include "worker/base/batch_protocol.h"
#include "worker/base/metrics.h"
#include "worker/claims/claims.h"
#include "worker/claims/marks.h"
#include "worker/claims/patience.h"
#include "worker/commit/publish.h"
#include "worker/pipeline/burial.h"
#include "worker/pipeline/decoder.h"
#include "worker/pipeline/questions.h"
#include "worker/snapshot/snapshot.h"

/*
 * What stage A does with a batch: fill it from Kafka, take claims while it
 * fills, judge them, plan, encode.  The pipeline decides when; here is how.
 * Thread: stage A.  Source: docs/delivery.md, sections 3, 4 and 7.
 */
/* For the watchdog: a call of the consumer's, with what it calls of ours. */
#define INTAKE_GUARD_MS 25000

struct owned { /* an assigned partition */
	int32_t partition;
	int64_t expected; /* mark that must be there; -1: none */
	int64_t next;     /* where the next batch begins */
	int64_t ended;    /* no record before this is still to come; -1 */
	bool is_checked;  /* its mark is not above the log's end */
	/* Its letter is refused: nothing from here on is read; -1: no. */
	int64_t stopped_at;
	int64_t stopped_ms; /* when it was */
	int64_t end;        /* the log's, as known last; -1: not known */
	/*
	 * The record at `next` or behind it can't be decided yet, as the
	 * registry has not told of its schema, or as its claim is that of a
	 * record which isn't decided: nothing from there on is read meanwhile.
	 */
	bool waits;
	bool is_found_waiting; /* during this poll */
	uint32_t awaited;      /* schema */
	int64_t waits_at;      /* offset */
	int64_t waits_ms;      /* the record's timestamp */
	/* It waits for a record of another partition, until it is looked at
	 * again; 0: for its schema.  See patience.h. */
	int64_t look_ms;
	struct patience patience;
	/* Since when nothing comes although the log goes on; 0: not so. */
	int64_t held_ms;
	/* Since when something was seen to wait behind `stood_at`; 0: nothing,
	 * or the next batch begins somewhere else by now.  Wall clock. */
	int64_t unread_ms, stood_at;
};

struct intake {
	struct kafka_consumer *consumer;
	const char *topic; /* of the requests */
	struct redis *redis;
	struct claims *claims;
	struct marks marks;
	struct decoder *decoder;
	struct snapshot *snapshot;
	struct questions *questions;
	struct publish_settings publish;
	struct metrics *metrics;
	struct burial burial;
	struct owned *owned;
	size_t n_owned;
	size_t n_waiting;     /* found so during this poll */
	struct batch *batch;  /* in work; NULL: none */
	bool was_interrupted; /* by Redis, while a batch was planned again */
	/*
	 * When the oldest record came that waits for an answer though it is not
	 * in the batch: dropped or with stage B.  0: none.
	 */
	int64_t dropped_ms, given_ms;
	/*
	 * Marks of the chunks that are out: an answer names one of its own.  A
	 * chunk is one poll's records and moves no more marks than it has.
	 */
	struct claim_mark sent_marks[CLAIMS_IN_FLIGHT][CLAIMS_CHUNK];
	size_t sent_first, sent_n;
	/* Claims of committed answers that don't count: to be given back. */
	struct claim released[CLAIMS_CHUNK];
	size_t n_released;
	bool revoked;             /* an assignment went during the last poll */
	int32_t behind_partition; /* after INTAKE_BEHIND */
	int64_t behind_mark;
};

/* An assigned partition; NULL: it is not. */
struct owned *intake_owned(struct intake *intake, int32_t partition);

/*
 * What a step came to, as an event of the batch protocol:
 *   INTAKE_STORE_DOWN  Redis, whatever it says
 *   INTAKE_BEHIND      a mark is too low: behind_partition, behind_mark
 *   INTAKE_LOST        the membership, or a seek: logged
 *   INTAKE_FATAL       Kafka's ERROR_FATAL
 * with `err` set, but for BEHIND.  All three block.
 */

/*
 * Polls up to `timeout_ms`, decodes, sends claims for what came.  A partition
 * whose record is by a schema that the registry does not tell is held there and
 * read on once it does; the others go on.
 * INTAKE_NOTHING, or INTAKE_REVOKED: the partitions went during the poll.
 */
enum intake_event intake_fill(
    struct intake *intake, int timeout_ms, struct error *err);

/*
 * Goes back, or on, to `place` of a partition: what was said of its end is to
 * be said again, behind the records that come again.  It is read from there
 * also if it was held for its schema.  Blocks for 5 s at most; -1: ERROR_RETRY,
 * or ERROR_ABORT, it is not assigned any more.
 */
int intake_seek(
    struct intake *intake, struct kafka_offset place, struct error *err);

/*
 * A batch was lost since the DLQ refused a letter of it: finds out which, or
 * stops its partition there.
 */
void intake_note_refused(struct intake *intake, const struct batch *batch);

/*
 * Tries partitions again that were stopped a while ago: what refused the letter
 * may have been mended.  Between batches only.  Whether it tries any.
 */
bool intake_try_stopped(struct intake *intake);

/*
 * Whether offsets behind the last record are to be committed: markers of
 * transactions, and records of aborted ones, are nothing that waits.
 */
bool intake_has_passed(const struct intake *intake);

/*
 * The batch is cut: takes the group's generation, hears and judges all claims.
 * INTAKE_CLAIMED.
 */
enum intake_event intake_claim(struct intake *intake, struct error *err);

/*
 * Decides each record by its claim.  Where a claim is another partition's, what
 * waits for that is left out and its partition held, what has waited for too
 * long overwrites it.  INTAKE_CLAIMED.  Blocks for a question to Kafka where
 * such a partition is not ours.
 */
enum intake_event intake_decide(struct intake *intake, struct error *err);

/*
 * Reads what the plans need, plans, encodes.  The batch may end earlier than it
 * was cut; what is behind it is read again.  INTAKE_PLANNED.
 */
enum intake_event intake_plan(struct intake *intake, struct error *err);

/*
 * Reads no more of a partition from its `waits_at` on, and that again once it
 * is let go.  -1: as intake_seek.  Blocks likewise.
 */
int intake_hold(struct intake *intake, struct owned *owned, struct error *err);

/* The event that a failure of Kafka's is, logged if it is not fatal. */
enum intake_event intake_broken(const struct error *err);

/* The batch is handed over: the next one is expected to begin at its end. */
void intake_advance(struct intake *intake);

/*
 * Forgets the batch in work, if there is one; its records are read again after
 * a rewind.  Blocks for answers that are under way.
 */
void intake_drop(struct intake *intake);

/*
 * Reading goes on at the group's committed offsets; -1 with ERROR_RETRY: not
 * yet.  Blocks.
 */
int intake_rewind(struct intake *intake, struct error *err);

#endif
