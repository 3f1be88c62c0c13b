#include "producer/runs/follow.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

#define WAIT_MS 1000
#define GIVEN_UP_MS 5000
#define PAUSE_MAX_MS 4

struct view_follow {
	struct redis *redis;
	struct run_view view;
	int64_t again_ms; /* monotonic: until then nothing is waited for */
};

struct view_follow *
view_follow_create(const struct config *config,
    const struct redis_settings *settings, const struct keyspace *keyspace,
    struct error *err)
{
	struct redis *redis = redis_create(settings, err);
	struct view_follow *follow;

	if (redis == NULL)
		return NULL;
	follow = memory_zalloc(1, sizeof *follow);
	follow->redis = redis;
	run_view_init(
	    &follow->view, redis, keyspace, config_number(config, "view.ttl"));
	return follow;
}

void
view_follow_destroy(struct view_follow *follow)
{
	if (follow == NULL)
		return;
	redis_destroy(follow->redis);
	free(follow);
}

/* 1: all of them are folded; 0: not yet. */
static int
look_at_places(struct view_follow *follow, const struct fold_position *places,
    size_t n, struct error *err)
{
	struct fold_position *folded = memory_zalloc(n, sizeof *folded);
	int rc;
	size_t i;

	memcpy(folded, places, n * sizeof *folded);
	redis_drop_closed(follow->redis);
	rc = run_view_positions(&follow->view, folded, n, err) == 0 ? 1 : -1;
	for (i = 0; rc == 1 && i < n; i++)
		rc = folded[i].offset >= places[i].offset;
	free(folded);
	return rc;
}

bool
view_follow_wait(
    struct view_follow *follow, const struct fold_position *places, size_t n)
{
	int64_t started_ms = clock_monotonic_ms();
	struct error ignored; /* the fold says what is wrong with the view */
	long pause_ms = 1;
	int rc;

	if (n == 0 || started_ms < follow->again_ms)
		return n == 0;
	while ((rc = look_at_places(follow, places, n, &ignored)) == 0 &&
	    clock_monotonic_ms() - started_ms < WAIT_MS) {
		clock_wait(pause_ms);
		if (pause_ms < PAUSE_MAX_MS)
			pause_ms *= 2;
	}
	if (rc != 1)
		follow->again_ms = clock_monotonic_ms() + GIVEN_UP_MS;
	return rc == 1;
}
