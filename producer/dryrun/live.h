#ifndef SCHEDRUN_PRODUCER_DRYRUN_LIVE_H
#define SCHEDRUN_PRODUCER_DRYRUN_LIVE_H

#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"
#include "schemas/message/run_request.h"
#include "worker/plan/planner.h"

/*
 * A dry run against the live catalogue: reads and plans as a worker does, by
 * the worker's own code, and publishes nothing.  Holds the worker's caches, so
 * repeated plans read what has changed.  One thread at a time.
 */
struct live_plan;
struct supposed_branch;

/* Both are borrowed; `cache_bytes` 0: 64 MiB. */
struct live_plan *live_plan_create(
    struct redis *redis, const struct keyspace *keyspace, size_t cache_bytes);
void live_plan_destroy(struct live_plan *live); /* NULL is fine */

/*
 * Plans one request; a null pin means the schedule's current version.  The
 * outcome is valid until the next call; its texts are borrowed from `request`
 * too.  `forced`: everything is built anew, paused or not, which says what the
 * schedule could build at all.  Connects where needed, blocks for a round trip
 * per level. ERROR_RETRY  Redis does not answer, or has no catalogue
 *   ERROR_FATAL  77 credentials, 78 no Redis of ours
 */
const struct outcome *live_plan_run(struct live_plan *live,
    const struct run_request *request, bool forced, struct error *err);

/* What is supposed to be otherwise than it is stored. */
struct live_supposition {
	/* Planned in place of the schedule's, which need not exist; or NULL. */
	const struct schedule_version *version;
	/* These branches have other heads; NULL: none has. */
	const struct supposed_branch *branches;
};

/*
 * Plans as live_plan_run does, unforced, with what is supposed: what a commit
 * would lead to before it is made, or what a schedule would do that nobody has
 * written.  Nothing of it is stored or remembered.
 */
const struct outcome *live_plan_suppose(struct live_plan *live,
    const struct run_request *request,
    const struct live_supposition *supposition, struct error *err);

/*
 * The version that was planned, NULL if there is none that can be read; after
 * live_plan_run, until the next.
 */
const struct schedule_version *live_plan_version(const struct live_plan *live);

/* Whether Redis has the schedule, deleted or not; after live_plan_run. */
bool live_plan_found_schedule(const struct live_plan *live);

#endif
