#include "producer/dryrun/live.h"

#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/memory.h"
#include "producer/dryrun/supposed.h"
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

/* What is planned: of the schedule as stored, or as it is supposed. */
static int
read_input(struct live_plan *live, const struct run_request *request,
    const struct live_supposition *supposition, struct error *err)
{
	snapshot_begin(live->snapshot);
	if (supposition->version == NULL)
		snapshot_ask(live->snapshot, request,
		    snapshot_hash(request->schedule_rid));
	return redis_connect(live->redis, err) != 0
	    ? -1
	    : snapshot_read(live->snapshot, err);
}

/*
 * The branch with another head, in place of what the world has by now.  It is
 * of this plan alone: the snapshot's entry stays.
 */
static void
suppose_head(struct live_plan *live, const struct supposed_branch *supposed)
{
	struct world_dataset *dataset =
	    world_dataset(snapshot_world(live->snapshot), supposed->dataset);
	struct branch moved = { .name = supposed->branch };
	const struct branch *old;
	struct branch *branches;
	size_t n = 0, i;

	if (dataset->known != KNOWN_PRESENT || dataset->damaged)
		return;
	old = branch_list_find(&dataset->branches, supposed->branch);
	if (old != NULL && text_equal(old->head, supposed->head))
		return;
	if (old != NULL)
		moved = *old;
	moved.head = supposed->head;
	if (supposed->built != NULL)
		moved.built = supposed->built;
	branches = arena_alloc(
	    live->arena, (dataset->branches.n + 1) * sizeof *branches);
	for (i = 0; i < dataset->branches.n &&
	     text_compare(dataset->branches.at[i].name, moved.name) < 0;
	     i++)
		branches[n++] = dataset->branches.at[i];
	branches[n++] = moved;
	for (i += old != NULL; i < dataset->branches.n; i++)
		branches[n++] = dataset->branches.at[i];
	dataset->branches = (struct branch_list){ branches, n };
}

static void
suppose_heads(
    struct live_plan *live, const struct live_supposition *supposition)
{
	const struct supposed_branch *branch;

	for (branch = supposition->branches; branch != NULL;
	     branch = branch->next)
		suppose_head(live, branch);
}

/* Level by level, what it asks for is read. */
static const struct outcome *
plan_through(struct live_plan *live, const struct plan_input *input,
    const struct live_supposition *supposition, struct error *err)
{
	struct plan *plan =
	    plan_start(live->arena, snapshot_world(live->snapshot), input);

	while (plan_step(plan) == PLAN_NEEDS) {
		if (snapshot_fetch(live->snapshot, err) != 0)
			return NULL;
		suppose_heads(live, supposition);
	}
	return plan_outcome(plan);
}

static const struct outcome *
read_and_plan(struct live_plan *live, const struct run_request *request,
    bool forced, const struct live_supposition *supposition, struct error *err)
{
	struct plan_input input = { .request = request,
		.version = supposition->version };
	const struct question *read;

	if (read_input(live, request, supposition, err) != 0)
		return NULL;
	if (supposition->version == NULL) {
		read = snapshot_question(live->snapshot, 0);
		if (read->damage != NULL)
			return plan_internal(live->arena, request,
			    read->planned_rid, read->damage,
			    read->damage_message);
		input.version = read->version;
		input.paused = read->paused;
		input.deleted = read->deleted;
	}
	if (forced)
		force_input(live, &input);
	return plan_through(live, &input, supposition, err);
}

static const struct outcome *
plan_run(struct live_plan *live, const struct run_request *request, bool forced,
    const struct live_supposition *supposition, struct error *err)
{
	const struct outcome *outcome;

	arena_reset(live->arena, MEMORY_KEPT);
	outcome = read_and_plan(live, request, forced, supposition, err);
	if (outcome == NULL)
		redis_disconnect(live->redis); /* answers may be under way */
	return outcome;
}

const struct outcome *
live_plan_run(struct live_plan *live, const struct run_request *request,
    bool forced, struct error *err)
{
	static const struct live_supposition nothing = { 0 };

	return plan_run(live, request, forced, &nothing, err);
}

const struct outcome *
live_plan_suppose(struct live_plan *live, const struct run_request *request,
    const struct live_supposition *supposition, struct error *err)
{
	return plan_run(live, request, false, supposition, err);
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
