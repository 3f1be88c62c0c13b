#include "producer/dryrun/live.h"

#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/memory.h"
#include "worker/snapshot/snapshot.h"

#define MEMORY_KEPT ((size_t)1024 * 1024)

struct live_plan {
	struct redis *redis;
	struct snapshot *snapshot;
	struct arena *arena;
};

struct live_plan *
live_plan_create(
    struct redis *redis, const struct keyspace *keyspace, size_t cache_bytes)
{
	struct live_plan *live = memory_zalloc(1, sizeof *live);
	const struct snapshot_settings settings = {
		.redis = redis, .keyspace = keyspace, .cache_bytes = cache_bytes
	};

	live->redis = redis;
	live->snapshot = snapshot_create(&settings);
	live->arena = arena_create(0);
	return live;
}

void
live_plan_destroy(struct live_plan *live)
{
	if (live == NULL)
		return;
	snapshot_destroy(live->snapshot);
	arena_destroy(live->arena);
	free(live);
}

/* Everything is stale to it, and a pause doesn't count. */
static void
force_input(struct live_plan *live, struct plan_input *input)
{
	struct schedule_version *version;

	if (input->version == NULL)
		return;
	version = arena_alloc(live->arena, sizeof *version);
	*version = *input->version;
	version->force_build = true;
	input->version = version;
	input->paused = false;
}

static const struct outcome *
read_and_plan(struct live_plan *live, const struct run_request *request,
    bool forced, struct error *err)
{
	const struct question *read;
	struct plan_input input = { .request = request };
	struct plan *plan;

	snapshot_begin(live->snapshot);
	snapshot_ask(
	    live->snapshot, request, snapshot_hash(request->schedule_rid));
	if (redis_connect(live->redis, err) != 0 ||
	    snapshot_read(live->snapshot, err) != 0)
		return NULL;
	read = snapshot_question(live->snapshot, 0);
	if (read->damage != NULL)
		return plan_internal(live->arena, request, read->planned_rid,
		    read->damage, read->damage_message);
	input.version = read->version;
	input.paused = read->paused;
	input.deleted = read->deleted;
	if (forced)
		force_input(live, &input);
	/* Level by level, what it asks for is read. */
	plan = plan_start(live->arena, snapshot_world(live->snapshot), &input);
	while (plan_step(plan) == PLAN_NEEDS)
		if (snapshot_fetch(live->snapshot, err) != 0)
			return NULL;
	return plan_outcome(plan);
}

const struct outcome *
live_plan_run(struct live_plan *live, const struct run_request *request,
    bool forced, struct error *err)
{
	const struct outcome *outcome;

	arena_reset(live->arena, MEMORY_KEPT);
	outcome = read_and_plan(live, request, forced, err);
	if (outcome == NULL)
		redis_disconnect(live->redis); /* answers may be under way */
	return outcome;
}

const struct schedule_version *
live_plan_version(const struct live_plan *live)
{
	const struct question *read = snapshot_question(live->snapshot, 0);

	return read->damage == NULL ? read->version : NULL;
}

bool
live_plan_found_schedule(const struct live_plan *live)
{
	return snapshot_question(live->snapshot, 0)->has_schedule;
}
