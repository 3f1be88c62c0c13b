#ifndef SCHEDRUN_COMMON_CRYPTO_RID_H
#define SCHEDRUN_COMMON_CRYPTO_RID_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/text.h"

/*
 * Resource identifiers `ri.<service>.<instance>.<type>.<locator>` and the ids
 * that are functions of a request: UUIDv5 (RFC 9562) in the namespace
 * fe988db1-2db0-579e-8f7f-872f9f1084bd, over names whose parts are joined by
 * line breaks.  The same request gives the same ids on any worker, at any time.
 */

#define UUID_TEXT_SIZE 36
#define RID_SIZE_MAX 200

struct uuid {
	uint8_t bytes[16];
};

/* The prefixes before the UUID of the ids that we give out. */
#define RID_RUN_PREFIX "ri.scheduler.main.run."
#define RID_BUILD_PREFIX "ri.foundry.main.build."
#define RID_JOB_PREFIX "ri.foundry.main.job."
#define RID_TRANSACTION_PREFIX "ri.foundry.main.transaction."

/* Writes 36 lower-case characters, no NUL. */
void uuid_format(const struct uuid *uuid, char out[UUID_TEXT_SIZE]);

/* Strict: 36 characters, lower case only.  Returns false on anything else. */
bool uuid_parse(struct text text, struct uuid *uuid);

/* The same of either case. */
bool uuid_read(struct text text, struct uuid *uuid);

/* A random UUIDv4 (getrandom); ends the process with 71 if there is none. */
struct uuid uuid_random(void);

/*
 * uuid5("run\n" scheduleRid "\n" requestId) and so on: docs/semantics.md,
 * section 3.
 */
struct uuid rid_run(struct text schedule_rid, struct text request_id);
struct uuid rid_build(const struct uuid *run);
struct uuid rid_job(const struct uuid *build, struct text key);
struct uuid rid_transaction(const struct uuid *job, struct text output);
/* The requestId of a version's run that is due at an instant, RFC 3339. */
/* Of what makes a job's outputs: what it reads, and the rest of it. */
struct uuid rid_fingerprint(struct text read, struct text rest);
struct uuid rid_firing(struct text version_rid, struct text instant);

/*
 * Whether `text` is
 *   ri\.[a-z][a-z0-9-]*\.([a-z0-9][a-z0-9-]*)?\.[a-z][a-z0-9-]*\.[A-Za-z0-9._-]+
 * of at most RID_SIZE_MAX bytes.
 */
bool rid_is_valid(struct text text);

/* Bytes of the RID that `text` begins with, as many as can be; 0: of none. */
size_t rid_size(struct text text);

/*
 * Whether it is a valid RID of this service and type ("scheduler", "schedule").
 * A locator that is a UUID must be in lower case.
 */
bool rid_is(struct text text, struct text service, struct text type);

/*
 * Who is meant by a token's subject that is no UUID: UUIDv5 of its bytes in the
 * namespace c50de838-4288-5acf-9ab5-1d48325cd8c7, which has no other use
 * (docs/http.md, section 6).
 */
struct uuid rid_user(struct text subject);

/* Copies prefix and UUID into `out` (prefix size + 36 bytes), returns the size.
 */
size_t rid_format(struct text prefix, const struct uuid *uuid, char *out);
/* The UUID of a RID that rid_format has written; false: it is none such. */
bool rid_parse(struct text rid, struct text prefix, struct uuid *uuid);

/* The first 4 bytes of a SHA-1, big-endian: the claim's fingerprint. */
uint32_t sha1_prefix32(struct text bytes);

#endif
