#ifndef SCHEDRUN_PRODUCER_RUNS_REPEAT_H
#define SCHEDRUN_PRODUCER_RUNS_REPEAT_H

#include <stdbool.h>

#include "common/config/config.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"
#include "schemas/message/run_request.h"
#include "schemas/message/schedule_run.h"
#include "schemas/stored/claim.h"

/*
 * A request whose id was asked before: its answer may be in the run view, or in
 * the results topic alone, if no adapter folds or view.ttl is over.  Then the
 * claim says from when on it is to be looked for there.  What can't be looked
 * up counts as not known: asking again is safe.  Block for Redis or Kafka.
 */
enum repeat {
	REPEAT_UNKNOWN,
	REPEAT_ANSWERED, /* the one answer that there is */
	REPEAT_OTHER,    /* the id is that of a request by somebody else */
};

/* What a run of the view is to who asks for it now; blocks for nothing. */
enum repeat repeat_judge(
    const struct schedule_run *stored, const struct run_request *request);

struct repeat_store {
	struct redis *redis; /* connected */
	const struct keyspace *keyspace;
	int64_t ttl_ms; /* dedup.ttl */
};

/* Whether a record has its claim, and which. */
bool repeat_claim(const struct repeat_store *store, const struct uuid *run,
    struct claim_value *claim);

/*
 * Whether records have the claims of `n` runs, any number: whoever asks for one
 * of these is answered already, or will be.  Blocks for a few round trips.
 * Errors as of redis_receive and redis_reply_error, or ERROR_RETRY: Redis is
 * not prepared.
 */
int repeat_are_claimed(const struct repeat_store *store,
    const struct uuid *runs, size_t n, bool *are_claimed, struct error *err);

/* Whether workers have passed that record: an answer was given. */
bool repeat_is_decided(const struct config *config,
    const struct claim_value *claim, int timeout_ms);

#endif
