#ifndef SCHEDRUN_WORKER_BASE_BATCH_H
#define SCHEDRUN_WORKER_BASE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/crypto/rid.h"
#include "common/kafka/client.h"
#include "common/kafka/consumer.h"
#include "schemas/message/dead_reason.h"
#include "schemas/message/run_request.h"
#include "worker/claims/claims.h"
#include "worker/plan/planner.h"

/*
 * One batch on its way through the worker: its records, what was decided about
 * them, where it begins and ends in each partition, and the records to be
 * written for it.  One thread at a time has it: stage A fills it, stage B
 * commits it, then it goes back.  Its memory is kept by a reset.
 */
enum batch_fate {
	FATE_NONE,    /* read, nothing is decided */
	FATE_SKIP,    /* left out: as if it had not come */
	FATE_CLAIMED, /* asks for its claim */
	FATE_PLAN,    /* has its claim: gets a result */
	FATE_DROP,    /* a duplicate: gets nothing */
	FATE_DEAD,    /* goes to the DLQ */
	FATE_CRASHED, /* killed workers: result Internal, and DLQ */
};

struct batch_record {
	struct run_request request; /* borrows from the Kafka record */
	struct uuid run;
	size_t schedule_hash; /* snapshot_hash's, once it is decoded */
	enum batch_fate fate;
	bool has_other_key;      /* than its schedule */
	bool is_damage;          /* its answer: keeps no claim */
	bool has_headers;        /* of Kafka's; none is worth looking for */
	uint32_t question;       /* FATE_PLAN: its number */
	enum dead_reason reason; /* FATE_DEAD, FATE_CRASHED */
	struct text detail;      /* the same: for people; in the arena */
};

/* A batch's stretch of one partition. */
struct batch_span {
	int32_t partition;
	int64_t first, next; /* first offset; last offset + 1 */
	int64_t claimed;     /* up to where claims were sent */
	uint32_t n_records;
};

struct traced; /* a record whose run is traced: worker/commit/traced.h */

enum batch_topic { BATCH_RESULTS, BATCH_BUILDS, BATCH_DEAD, BATCH_TOPICS };

/* What the batch adds to the counters once it is committed. */
struct batch_counts {
	uint32_t submitted, ignored, errors[RUN_ERRORS];
	uint64_t planned_jobs;
	uint32_t same_partition, cross_partition;
	uint32_t key_mismatches;
	uint32_t dead[DEAD_REASONS];
};

struct batch_messages {
	struct kafka_message *at;
	size_t n, capacity;
};

struct batch {
	size_t max_records, max_bytes; /* bounds, set at creation */
	struct kafka_record *kafka;    /* n, as polled */
	struct batch_record *records;  /* n, in the order of arrival */
	size_t n, bytes;
	int64_t oldest_ms; /* timestamp of the oldest record; 0: none has one */
	struct claim *claims; /* n_claims, in the order of their records */
	size_t n_claims;
	size_t n_crossed; /* of them, as they came: another partition's */
	struct batch_span *spans;
	size_t n_spans, spans_capacity;
	bool letters_refused; /* lost, since the DLQ refused one for what it is
			       */
	bool entered_again;   /* a first record of a partition had its claim */
	struct kafka_group *group; /* as of the cut; owned */
	struct arena *arena;       /* plans, details, headers; until reset */
	struct buffer out;         /* the encoded records */
	struct batch_messages messages[BATCH_TOPICS];
	struct batch_counts counts;
	/* In the arena, in the order of the records; NULL: none. */
	struct traced *traced;
	size_t n_traced;
	int64_t polled_ns; /* its first records, if anything is traced; or 0 */
};

/*
 * Of at most `max_records`; it is full from `max_bytes` of keys and values on,
 * which a poll may exceed.  Never NULL.
 */
struct batch *batch_create(size_t max_records, size_t max_bytes);
void batch_destroy(struct batch *batch); /* NULL is fine */

/* Releases its records and group and empties it; the memory is kept. */
void batch_reset(struct batch *batch);

/* Whether nothing more is to be polled into it. */
bool batch_is_full(const struct batch *batch);

/* Where poll may put records, and how many at most. */
struct kafka_record *batch_room(struct batch *batch, size_t *n);

/* Takes the `n` records that poll put there, and notes the oldest. */
void batch_take(struct batch *batch, size_t n);

/* Gives the last record back: it is read again later. */
void batch_drop_last(struct batch *batch);

/* The span of a partition, made at `offset` if it has none. */
struct batch_span *batch_span(
    struct batch *batch, int32_t partition, int64_t offset);

/*
 * Leaves out a partition's records from `offset` on, which lies in its span:
 * they are read again later.  Its span ends there, and their claims go.
 */
void batch_leave_out(struct batch *batch, int32_t partition, int64_t offset);

/*
 * Decides each record that has a claim by the claim's verdict, which is none
 * that must be overwritten first; a holder in another partition is decided.
 */
void batch_decide(struct batch *batch);

/*
 * Cuts the batch before record `n`: the later ones are released, spans end
 * where the remaining records do (a span may become empty: first == next).
 */
void batch_truncate(struct batch *batch, size_t n);

/* The earlier of two times of which 0 is none. */
static inline int64_t
batch_earlier(int64_t a, int64_t b)
{
	return a == 0 || (b > 0 && b < a) ? b : a;
}

/* A new message for a topic, zeroed. */
struct kafka_message *batch_message(
    struct batch *batch, enum batch_topic topic);

#endif
