#ifndef SCHEDRUN_WORKER_CLAIMS_CLAIMS_H
#define SCHEDRUN_WORKER_CLAIMS_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/crypto/rid.h"
#include "common/redis/pipeline.h"
#include "schemas/stored/claim.h"
#include "worker/claims/marks.h"

/*
 * Takes claims in Redis: one script per chunk of at most CLAIMS_CHUNK claims,
 * atomic in Redis and in whatever it can fall back to, so that a partition's
 * mark proves all claims below it.  Chunks go out in order, each one's expected
 * mark being the end of the one before; up to CLAIMS_IN_FLIGHT may be
 * unanswered.  Repeating a chunk is safe.  Thread: stage A only.  Source:
 * docs/delivery.md, sections 2 and 3.
 *
 * Errors of all calls:
 *   ERROR_RETRY  Redis did not answer; what it did is unknown
 *   ERROR_FATAL  credentials (77), or a key of the wrong type (78)
 */
#define CLAIMS_CHUNK 1000
#define CLAIMS_IN_FLIGHT 3

struct claims;

struct claims_settings {
	const struct marks *marks; /* borrowed: whose Redis and namespace */
	int64_t ttl_ms;            /* dedup.ttl */
};

/* In the marks' namespace as it is; asks nothing of Redis. */
struct claims *claims_create(const struct claims_settings *settings);
void claims_destroy(struct claims *claims); /* NULL is fine */

/*
 * What Redis's `meta` says of claims, which changes only while the group is
 * empty: to be called whenever the marks' namespace was set.  `shards` is a
 * power of two; no claim is older than `created_ms` (0: not known).
 */
void claims_set_space(
    struct claims *claims, uint32_t shards, int64_t created_ms);

/*
 * The connection was made anew, or Redis went back: nothing is in flight, and
 * which hashes have an expiry is not known any more.
 */
void claims_reset(struct claims *claims);

/*
 * Takes and forgets the answers that are still to come: what they say of claims
 * is seen when these are taken again.  Blocks.
 */
void claims_discard(struct claims *claims);

struct claim {
	struct uuid run;            /* in: whose claim */
	struct claim_value value;   /* in: the record's place and fingerprint */
	enum claim_verdict verdict; /* out */
	uint32_t record;            /* the caller's: which record it is for */
	unsigned char occupant[CLAIM_VALUE_SIZE + 1]; /* out: if not TAKEN */
	uint8_t occupant_size;
};

/* What one chunk proves of a partition, and will prove. */
struct claim_mark {
	int32_t partition;
	int64_t expected; /* where the chunk before ended */
	int64_t next;     /* the chunk's last offset + 1 */
};

/* What a chunk's answer says. */
struct claims_answer {
	bool behind;        /* a mark is lower than expected; none was taken */
	size_t mark;        /* behind: which of the chunk's marks */
	int64_t mark_value; /* behind: what it says; -1: missing, unreadable */
	int64_t store_now_ms; /* Redis's clock */
	size_t n_own;         /* claims that this very record had already */
};

/*
 * Sends a chunk without waiting; `items` and `marks` stay the caller's and must
 * stay in place until claims_receive has answered.  At most CLAIMS_CHUNK items
 * and as many marks as partitions in them; no items is fine: then only marks
 * move.
 */
int claims_send(struct claims *claims, const struct claim_mark *marks,
    size_t n_marks, struct claim *items, size_t n, struct error *err);

/* The oldest unanswered chunk's verdicts.  Blocks. */
int claims_receive(
    struct claims *claims, struct claims_answer *answer, struct error *err);

/*
 * Overwrites, by compare-and-set, the claims of which claim_is_overwritten; one
 * that changed meanwhile is judged again, and so is one among the `n` that was
 * found to be its own record's.  So `items` are all of a batch.  Nothing may be
 * in flight.  `settled` is increased by how many were overwritten, and by how
 * many of all claim_is_crossed.  Blocks.
 */
struct claims_settled {
	size_t overwritten, crossed;
};
int claims_settle(struct claims *claims, struct claim *items, size_t n,
    struct claims_settled *settled, struct error *err);

/*
 * Gives back these claims, CLAIMS_CHUNK at most, as far as their records still
 * have them: whoever asks again is answered.  Only what is committed may be
 * given back, so that nobody else can still come to another answer.  Nothing
 * may be in flight.  Repeating it is safe.  Blocks.
 */
int claims_release(struct claims *claims, const struct claim *items, size_t n,
    struct error *err);

#endif
