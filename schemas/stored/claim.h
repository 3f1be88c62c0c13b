#ifndef SCHEDRUN_SCHEMAS_STORED_CLAIM_H
#define SCHEDRUN_SCHEMAS_STORED_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/text.h"
#include "common/crypto/rid.h"

/*
 * What a claim says and what follows from it; pure.  A claim names the record
 * that may answer a request by its place in the topic, never a worker: whoever
 * gets the record again after a crash finds itself and goes on.  Source:
 * docs/delivery.md, sections 2 and 3.
 */
#define CLAIM_VALUE_SIZE 18 /* partition, offset, timestamp, fingerprint */
#define CLAIM_SHARD_SIZE 3
#define CLAIM_PACKED_SIZE (CLAIM_SHARD_SIZE + 16 + CLAIM_VALUE_SIZE)
#define CLAIM_PARTITIONS_MAX 65536
#define CLAIM_SHARDS_MAX (1u << 24)

struct claim_value {
	uint32_t partition;   /* below CLAIM_PARTITIONS_MAX */
	int64_t offset;       /* 47 bits */
	int64_t timestamp_ms; /* 48 bits; -1 (none) is all ones */
	uint32_t fingerprint; /* of what a repeated request must repeat */
};

/* As it is stored: big-endian, without gaps. */
void claim_value_write(
    const struct claim_value *value, unsigned char out[CLAIM_VALUE_SIZE]);
/* False: not of our form. */
bool claim_value_read(struct text bytes, struct claim_value *value);

enum claim_verdict {
	CLAIM_TAKEN,     /* nobody had it: ours now; process */
	CLAIM_OWN,       /* this very record's, entered again: process */
	CLAIM_CONFLICT,  /* another payload under this requestId: DLQ */
	CLAIM_DUPLICATE, /* the holder stands before it in this log: drop */
	/* The holder is in another partition: once it is decided, drop or DLQ.
	 */
	CLAIM_CROSS,
	CLAIM_CROSS_CONFLICT,
	CLAIM_LOWER,      /* the holder stands after it: overwrite, process */
	CLAIM_UNREADABLE, /* a foreign writer: overwrite, process */
	CLAIM_GIVEN_UP,   /* no judgement: the holder is waited for no more */
	CLAIM_VERDICTS
};

/* Whether a holder in another partition must be decided first. */
static inline bool
claim_is_crossed(enum claim_verdict verdict)
{
	return verdict == CLAIM_CROSS || verdict == CLAIM_CROSS_CONFLICT;
}

/* Whether the claim is to be overwritten before its record is processed. */
static inline bool
claim_is_overwritten(enum claim_verdict verdict)
{
	return verdict >= CLAIM_LOWER;
}

/* Judges the occupant's bytes; `at == NULL`: there is none. */
enum claim_verdict claim_judge(
    const struct claim_value *mine, struct text occupant);

/* The shard of a run's claim; `shards` is a power of two up to 2^24. */
uint32_t claim_shard(const struct uuid *run, uint32_t shards);

/* One entry of the claim script's packed argument. */
void claim_pack(uint32_t shard, const struct uuid *run,
    const struct claim_value *value, unsigned char out[CLAIM_PACKED_SIZE]);

#define CLAIM_FINGERPRINT_NONE 0xbe673e8au /* neither: nearly all */
/*
 * First 4 bytes of SHA-1 over length-prefixed (createdBy, the version that the
 * client pinned, only if the request came without a runRid).
 */
uint32_t claim_fingerprint(
    struct text created_by, struct text version_rid, bool has_run_rid);

/* Whether a stored mark proves less than what is expected of it. */
static inline bool
claim_mark_is_behind(int64_t mark, int64_t expected)
{
	return mark < expected;
}

#endif
