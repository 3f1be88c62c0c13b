#ifndef SCHEDRUN_WORKER_COMMIT_COMMITTER_H
#define SCHEDRUN_WORKER_COMMIT_COMMITTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/kafka/transaction.h"
#include "worker/base/batch.h"
#include "worker/base/metrics.h"

/*
 * Stage B: a thread that writes one batch's records and offsets in one Kafka
 * transaction, while stage A prepares the next.  It carries out the commit
 * table of worker/base/batch_protocol; the producer is rebuilt after whatever
 * was not a clean commit.  All calls from stage A's thread.  Source:
 * docs/delivery.md, sections 4, 5 and 9.
 */
struct committer;

struct committer_settings {
	struct kafka_transaction_options
	    transaction; /* copied, not its texts */
	const char *requests_topic;
	int64_t deadline_ms; /* commit.deadline, from begin */
	struct metrics *metrics;
	/* Called when a batch is through, or the committer's state changed. */
	void (*wake)(void *opaque);
	void *opaque;
};

/* Starts the thread, which opens the producer.  NULL: ERROR_FATAL. */
struct committer *committer_start(
    const struct committer_settings *settings, struct error *err);

enum committer_state {
	COMMITTER_OPENING, /* no producer yet, or being rebuilt */
	COMMITTER_READY,   /* takes a batch */
	COMMITTER_BUSY,
	COMMITTER_FAILED, /* committer_error says by what; the process ends */
};
/* READY is told only after what it had was handed back. */
enum committer_state committer_state(struct committer *committer);
/* Of FAILED: ERROR_FATAL with the exit code. */
void committer_error(struct committer *committer, struct error *err);

/* Why it is not READY: "transaction: …"; "" if it is. */
void committer_reason(struct committer *committer, char *out, size_t size);

/* Hands a batch over; only when READY. */
void committer_give(struct committer *committer, struct batch *batch);

/*
 * The batch that is through, to be reset and filled again; NULL: none.  `lost`:
 * it was not committed, or nobody knows: what is committed is to be asked for
 * before reading goes on, and a batch prepared behind it is worth nothing.
 */
struct batch *committer_take(struct committer *committer, bool *lost);

/*
 * A batch was lost since a record was too large: the topics' limits have
 * changed, and no producer is opened until they are told.
 */
bool committer_wants_limits(struct committer *committer);
void committer_set_limits(struct committer *committer,
    int64_t message_max_bytes, int64_t batch_max_bytes);

/*
 * The partitions go: waits until the batch in work is through.  It may finish
 * within `timeout_ms` unless the assignment is `lost`; then it is aborted if
 * its offsets are not in.  False: it hangs, fencing decides.
 */
bool committer_revoke(
    struct committer *committer, bool lost, int64_t timeout_ms);

/*
 * Ends the thread within `timeout_ms`, when no batch is in work; -1: it hangs,
 * end the process.
 */
int committer_stop(struct committer *committer, int64_t timeout_ms);

#endif
