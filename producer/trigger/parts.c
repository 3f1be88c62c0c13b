#include "producer/trigger/parts.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "producer/trigger/fan_out.h"

#define ARENA_KEPT ((size_t)1024 * 1024)

struct parts {
	struct fan_out fan_out;
	struct arena *arena; /* of what was added */
	struct waiter *waiters;
	size_t n, room;
};

struct parts *
parts_create(struct redis *redis, const struct keyspace *keyspace,
    struct firing *firing, int64_t keep_ms)
{
	struct parts *parts = memory_zalloc(1, sizeof *parts);

	fan_out_init(&parts->fan_out, redis, keyspace, firing, keep_ms);
	parts->arena = arena_create(0);
	return parts;
}

void
parts_destroy(struct parts *parts)
{
	if (parts == NULL)
		return;
	arena_destroy(parts->arena);
	free(parts->waiters);
	free(parts);
}

static void
add_fact(void *opaque, const struct time_trigger *time)
{
	struct facts *facts = opaque;

	facts->at[facts->n++] =
	    (struct fact){ TRIGGER_TIME, time->expression, time->zone_name };
}

void
parts_add(struct parts *parts, const struct part_due *due)
{
	struct arena *arena = parts->arena;
	struct happening *happening = arena_zalloc(arena, 1, sizeof *happening);
	char *cause = arena_alloc(arena, FIRING_CAUSE_SIZE);

	happening->cause = firing_cause(due->at_s, cause);
	happening->at_ms = due->at_s * 1000;
	happening->facts.at = arena_zalloc(
	    arena, timetable_size(due->times), sizeof *happening->facts.at);
	timetable_each_due(due->times, due->at_s, add_fact, &happening->facts);
	if (parts->n == parts->room) {
		parts->room = 2 * parts->room + 64;
		parts->waiters = memory_resize(
		    parts->waiters, parts->room, sizeof *parts->waiters);
	}
	parts->waiters[parts->n++] = (struct waiter){ .happening = happening,
		.schedule_rid = due->schedule_rid,
		.version_rid = due->version_rid };
}

void
parts_forget(struct parts *parts)
{
	parts->n = 0;
	arena_reset(parts->arena, ARENA_KEPT);
}

int
parts_fire(struct parts *parts, struct error *err)
{
	return fan_out_tell(&parts->fan_out, parts->waiters, parts->n, err);
}
