#ifndef SCHEDRUN_SCHEMAS_KEYSPACE_H
#define SCHEDRUN_SCHEMAS_KEYSPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/crypto/rid.h"
#include "common/redis/pipeline.h"

/*
 * Redis's keys, built in this one place (docs/keyspace.md, section 1).  Two are
 * ended by a script: a claim's hash by its bucket, for which Redis's clock is
 * asked, and `w:` by the schedules of an apply.  Nothing here but
 * keyspace_meta_* and keyspace_check_eviction talks to Redis; what was created
 * is never changed, so threads may share it.
 */
enum keyspace_key {
	KEY_META,        /* hash: what this Redis belongs to */
	KEY_HEADS,       /* `s`: schedule rid -> flags + current version */
	KEY_ABOUT,       /* `i`: schedule rid -> names, times, projects */
	KEY_VERSIONS,    /* `v`: version rid -> Version document */
	KEY_GENERATION,  /* `g`: the catalogue's current generation */
	KEY_GENERATIONS, /* `n`: the last number given out, never one twice */
	KEY_APPLY_LOCK,  /* `n:lock`: who is applying */
	KEY_APPLY_DONE,  /* `n:done`: the receipt of an apply's last step */
	KEY_SAID,        /* `n:said`: what the last apply said of schedules */
	KEY_BRANCHES,    /* `h`: dataset rid -> its branches */
	KEY_MOVED,       /* `h:at`: dataset, branch -> when its head moved */
	KEY_EDITION,     /* `e`: another text after each change of g, s, h */
	KEY_PAGE_SECRET, /* `k`: 32 random bytes */
	KEY_LEASES,      /* `o`: the last lease's number, never one twice */
	KEY_STOOD,       /* `t:at`: up to when all that was due is fired */
	KEY_REPLICAS,    /* `t:who`: the triggers that fire */
	KEYSPACE_KEYS,
};

/* A generation's hashes. */
enum catalogue_part {
	PART_DATASETS = 'd',
	PART_JOB_SPECS = 'j',
	PART_USERS = 'u',
	PART_PROJECTS = 'p',
	PART_LIMITS = 'l',
};

struct keyspace;

/* `prefix` is redis.prefix, copied. */
struct keyspace *keyspace_create(const char *prefix);
void keyspace_destroy(struct keyspace *keyspace); /* NULL is fine */

/* Both are valid as long as the keyspace is. */
struct text keyspace_prefix(const struct keyspace *keyspace);
struct text keyspace_key(
    const struct keyspace *keyspace, enum keyspace_key key);

/*
 * The keys below are appended to `out`; the text points into it, so it is valid
 * until `out` grows: append all, then take the texts, or one buffer per key.
 */
/* A generation's hash: g<G>:<letter>. */
struct text keyspace_part(const struct keyspace *keyspace, int64_t generation,
    enum catalogue_part part, struct buffer *out);
/* A stage of `apply`: g<G>:S:<letter>. */
struct text keyspace_stage(const struct keyspace *keyspace, int64_t generation,
    char letter, struct buffer *out);
struct text keyspace_versions_of(const struct keyspace *keyspace,
    struct text schedule_rid, struct buffer *out); /* `w:` */
struct text keyspace_run(const struct keyspace *keyspace,
    const struct uuid *run, struct buffer *out); /* `r:` */
struct text keyspace_runs_of(const struct keyspace *keyspace,
    struct text schedule_rid, struct buffer *out); /* `x:` */
struct text keyspace_build(const struct keyspace *keyspace,
    const struct uuid *build, struct buffer *out); /* `b:` */
struct text keyspace_jobs(const struct keyspace *keyspace,
    const struct uuid *build, struct buffer *out); /* `j:` */
struct text keyspace_made(const struct keyspace *keyspace,
    const struct uuid *fingerprint, struct buffer *out); /* `j:f:` */
struct text keyspace_lease(const struct keyspace *keyspace, struct text dataset,
    struct text branch, struct buffer *out); /* `o:`, of an output */
struct text keyspace_fold(const struct keyspace *keyspace, const char *topic,
    int32_t partition, struct buffer *out); /* `f:` */

/* `t:`, what keys of triggers begin with; index.lua ends those of events. */
struct text keyspace_triggers(
    const struct keyspace *keyspace, struct buffer *out);
/* `t:<kind>:<rid>@<branch>`: who waits for it; no branch: of a schedule. */
struct text keyspace_waiting(const struct keyspace *keyspace, const char *kind,
    struct text rid, struct text branch, struct buffer *out);
/* `t:<part>:<rid of a version>`: what its `and`s keep, "and" or "saw". */
struct text keyspace_and(const struct keyspace *keyspace, const char *part,
    struct text version_rid, struct buffer *out);
/* `t:done:`, of an event that was applied */
struct text keyspace_done(const struct keyspace *keyspace,
    const struct uuid *event, struct buffer *out);

/*
 * The worker's own, in the claims' namespace `space`, which is meta.claims;
 * `topic` is that of the requests.
 */
struct text keyspace_mark(const struct keyspace *keyspace, struct text space,
    struct text topic, int32_t partition, struct buffer *out); /* `m` */
struct text keyspace_attempts(const struct keyspace *keyspace,
    struct text space, struct text topic, int32_t partition,
    struct buffer *out); /* `a` */
/* What a look at Redis writes, to see that it may. */
struct text keyspace_write_check(
    const struct keyspace *keyspace, struct text space, struct buffer *out);
/* c<ns>: which the claims' script ends by bucket and shard ... */
struct text keyspace_claims(
    const struct keyspace *keyspace, struct text space, struct buffer *out);
/* ... as here: the hash of one shard; `shard` is its bytes. */
struct text keyspace_claims_of(const struct keyspace *keyspace,
    struct text space, int64_t bucket, struct text shard, struct buffer *out);

/*
 * A new edition: whoever changes `g`, or a field of `s` or `h`, sets `e` to one
 * in the same script.  A worker that sees the same edition again believes what
 * it has read of them before.  Random, so that a Redis that has gone back in
 * time can't come to the same one by other changes.
 */
#define KEYSPACE_EDITION_SIZE 36
/* The text is in `out`. */
struct text keyspace_new_edition(char out[KEYSPACE_EDITION_SIZE]);

/*
 * "owner⏎owned": a field of `j` (output, branch), `u` (user, project), `p`
 * (project, dataset).  As the keys, it is appended to `out`.
 */
struct text keyspace_field(
    struct text owner, struct text owned, struct buffer *out);
/* The first of such a field, or of one without a line break the whole. */
struct text keyspace_field_owner(struct text field);
/* The second of such a field; no text of one without a line break. */
struct text keyspace_field_owned(struct text field);

/* What `meta` says: which Kafka and which format this Redis belongs to. */
#define KEYSPACE_FORMAT 1
/*
 * Claims cost Redis least at 15 to 60 in a hash and bucket: this is right for 1
 * to 4 million requests in dedup.ttl, and good up to 33 million.  A hash of its
 * own for each claim costs twice the time and four times the memory.
 */
#define KEYSPACE_SHARDS_DEFAULT (1 << 16)
#define KEYSPACE_SHARDS_MAX (1 << 24)
#define KEYSPACE_NAME_MAX 256

struct keyspace_meta {
	int64_t format;
	char cluster[KEYSPACE_NAME_MAX];
	char topic[KEYSPACE_NAME_MAX];
	char group[KEYSPACE_NAME_MAX];
	int64_t created_ms;
	char claims[KEYSPACE_NAME_MAX]; /* the claims' namespace; "" at first */
	uint32_t shards;                /* a power of two */
};

/*
 * Reads `meta`; blocks for a round trip.  Returns 1 if it is there, 0 if not,
 * -1 with an error:
 *   ERROR_RETRY  Redis does not answer
 *   ERROR_FATAL  (exit code 78) of another format or malformed; (77) rights
 */
int keyspace_meta_read(struct redis *redis, const struct keyspace *keyspace,
    struct keyspace_meta *meta, struct error *err);

/*
 * Claims and results of one Kafka make no sense in another one: ERROR_FATAL
 * (78) if `meta` is of another cluster than this.  An id that is not known yet,
 * "", is no other.
 */
int keyspace_check_cluster(const struct redis *redis,
    const struct keyspace_meta *meta, const char *cluster, struct error *err);

/*
 * Reads `meta` and holds it against `cluster`: 0 if what is there is ours; -1
 * as of those two, or ERROR_RETRY where there is nothing, which says what to
 * do.  Blocks for a round trip.
 */
int keyspace_check_ours(struct redis *redis, const struct keyspace *keyspace,
    const char *cluster, struct keyspace_meta *meta, struct error *err);

/*
 * Connects where there is no connection, and holds Redis against `cluster`
 * again if `*ours_ms` (monotonic; 0: never), when that was done last, is 5 s
 * ago: one may be emptied, or taken over, behind a connection that stays.  An
 * id that is not known yet is asked for again by the next call.  Errors as of
 * redis_connect and the former, behind which the connection is closed.  Blocks.
 */
int keyspace_open_ours(struct redis *redis, const struct keyspace *keyspace,
    const char *cluster, int64_t *ours_ms, struct error *err);

/* Writes all of it; blocks for a round trip.  Errors as above. */
int keyspace_meta_write(struct redis *redis, const struct keyspace *keyspace,
    const struct keyspace_meta *meta, struct error *err);

/*
 * Whether Redis may hold claims: maxmemory-policy noeviction.  ERROR_FATAL (78)
 * if it evicts, ERROR_RETRY if it does not answer.  `evicted`: how many keys it
 * has evicted since its start, -1 if it doesn't say.  Blocks for a round trip.
 */
int keyspace_check_eviction(
    struct redis *redis, int64_t *evicted, struct error *err);

#endif
