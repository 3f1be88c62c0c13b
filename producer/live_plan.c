#include "producer/live_plan.h"

#include <stdlib.h>

#include "common/arena.h"
#include "common/memory.h"
#include "worker/snapshot.h"

#define MEMORY_KEPT ((size_t)1024 * 1024)

struct live_plan {
	struct redis *redis;
	struct snapshot *snapshot;
	struct arena *arena;
};

struct live_plan *
live_plan_create(struct redis *redis, const char *prefix)
{
	const struct snapshot_settings settings = { .redis = redis,
		.prefix = prefix };
	struct live_plan *live = memory_zalloc(1, sizeof *live);

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

/* Steps the plan, reading level by level what it asks for. */
static const struct outcome *
plan(struct live_plan *live, const struct plan_input *input, struct error *err)
{
	struct plan *plan =
	    plan_start(live->arena, snapshot_world(live->snapshot), input);

	while (plan_step(plan) == PLAN_NEEDS)
		if (snapshot_answer(live->snapshot, err) != 0)
			return NULL;
	return plan_outcome(plan);
}

static const struct outcome *
read_and_plan(struct live_plan *live, const struct run_request *request,
    struct error *err)
{
	const struct snapshot_plan *read;
	struct plan_input input = { .request = request };

	snapshot_begin(live->snapshot);
	snapshot_add(live->snapshot, request->schedule_rid,
	    request->schedule_version_rid);
	if (redis_connect(live->redis, err) != 0 ||
	    snapshot_read(live->snapshot, err) != 0)
		return NULL;
	read = snapshot_plan(live->snapshot, 0);
	if (read->damage != NULL)
		return plan_internal(live->arena, request, read->planned_rid,
		    read->damage, read->damage_message);
	input.version = read->version;
	input.paused = read->paused;
	input.deleted = read->deleted;
	return plan(live, &input, err);
}

const struct outcome *
live_plan_run(struct live_plan *live, const struct run_request *request,
    struct error *err)
{
	const struct outcome *outcome;

	arena_reset(live->arena, MEMORY_KEPT);
	outcome = read_and_plan(live, request, err);
	if (outcome == NULL)
		redis_disconnect(live->redis); /* answers may be under way */
	return outcome;
}

bool
live_plan_found_schedule(const struct live_plan *live)
{
	return snapshot_plan(live->snapshot, 0)->has_schedule;
}

int64_t
live_plan_generation(const struct live_plan *live)
{
	return snapshot_generation(live->snapshot);
}
