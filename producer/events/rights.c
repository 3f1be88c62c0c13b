#include "producer/events/rights.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/entry_table.h"
#include "common/base/memory.h"
#include "producer/auth/access.h"

#define KNOWN_MAX 100000 /* then all is forgotten */
#define JOB_MAX 500      /* pairs of one job */
#define RETRY_MS 500

struct known {
	struct known *wanted; /* the next of those to be looked up */
	bool is_wanted;
	enum event_right right;
	int64_t until_ms; /* monotonic; it holds until then */
	struct http_caller caller;
	struct text rid;
	char bytes[];
};

/* The look-ups of one job; the entries stay untouched meanwhile. */
struct look_up {
	struct work_job job;
	struct event_rights *rights;
	struct known *entries[JOB_MAX];
	enum event_right found[JOB_MAX];
	size_t n;
};

struct event_rights {
	struct http_app *app;
	loop_call *changed;
	void *argument;
	int64_t fresh_ms; /* catalogue.poll */
	struct entry_table known;
	struct known *wanted, **wanted_end;
	struct look_up look_up;
	bool busy; /* the job is under way, or waits for its next try */
	struct loop_timer *retry;
};

struct event_rights *
event_rights_create(struct http_app *app, loop_call *changed, void *argument)
{
	struct event_rights *rights = memory_zalloc(1, sizeof *rights);

	rights->app = app;
	rights->changed = changed;
	rights->argument = argument;
	rights->fresh_ms = config_number(app->config, "catalogue.poll");
	rights->wanted_end = &rights->wanted;
	rights->look_up.rights = rights;
	entry_table_reset(&rights->known, NULL);
	return rights;
}

static void
forget_all(struct event_rights *rights)
{
	size_t i;

	for (i = 0; i <= rights->known.mask; i++)
		free(rights->known.slots[i].entry);
	entry_table_reset(&rights->known, NULL);
	rights->wanted = NULL;
	rights->wanted_end = &rights->wanted;
}

void
event_rights_destroy(struct event_rights *rights)
{
	if (rights == NULL)
		return;
	loop_timer_stop(rights->retry);
	forget_all(rights);
	entry_table_finish(&rights->known);
	free(rights);
}

/* What an entry is found by. */
struct pair {
	const struct http_caller *caller;
	struct text rid;
};

static bool
is_pair(const void *entry, const void *key)
{
	const struct known *known = entry;
	const struct pair *pair = key;

	return text_equal(known->rid, pair->rid) &&
	    memcmp(known->caller.user, pair->caller->user, UUID_TEXT_SIZE) == 0;
}

/* What is known of the pair, made if need be; `rid_hash` is its text_hash. */
static struct known *
find_known(struct event_rights *rights, const struct http_caller *caller,
    struct text rid, size_t rid_hash)
{
	const struct pair pair = { caller, rid };
	size_t hash = rid_hash ^ text_hash(http_caller_user(caller)) * 31;
	struct entry_slot *slot =
	    entry_table_find(&rights->known, hash, &pair, is_pair);
	struct known *known = slot->entry;

	if (known != NULL)
		return known;
	known = memory_zalloc(1, sizeof *known + rid.size);
	memcpy(known->bytes, rid.at, rid.size);
	known->rid = (struct text){ known->bytes, rid.size };
	known->caller = *caller;
	entry_table_fill(&rights->known, NULL, slot, hash, known);
	return known;
}

/*
 * Entries `from` to `to` have the same caller.  -1: Redis does not answer; 1:
 * one of them is damaged.
 */
static int
look_up_range(
    struct look_up *look, size_t from, size_t to, struct work_redis *redis)
{
	struct arena *arena = arena_create(0);
	struct access access = { .store = &redis->store,
		.caller = &look->entries[from]->caller,
		.arena = arena,
		.roles = redis->roles };
	size_t n = to - from, i;
	struct text *rids = arena_alloc(arena, n * sizeof *rids);
	struct schedule_access *found = arena_zalloc(arena, n, sizeof *found);
	int rc;

	for (i = 0; i < n; i++)
		rids[i] = look->entries[from + i]->rid;
	rc = access_read(&access, rids, n, false, found, &look->job.error);
	for (i = 0; i < n; i++)
		look->found[from + i] =
		    rc == 0 && found[i].exists && found[i].right != RIGHT_NONE
		    ? EVENT_VISIBLE
		    : EVENT_HIDDEN;
	arena_destroy(arena);
	if (rc == 0 || look->job.error.kind == ERROR_RETRY)
		return rc;
	return 1;
}

/* One that is damaged hides itself, not its neighbours. */
static void
look_up_some(
    struct look_up *look, size_t from, size_t to, struct work_redis *redis)
{
	size_t i = from;

	if (look_up_range(look, from, to, redis) != 1)
		return;
	while (i < to && look_up_range(look, i, i + 1, redis) != -1)
		i++;
}

/* On a pool thread. */
static void
do_look_up(void *owner, struct work_redis *redis)
{
	struct look_up *look = owner;
	size_t from = 0, to;

	for (; from < look->n && look->job.error.kind != ERROR_RETRY;
	     from = to) {
		const char *user = look->entries[from]->caller.user;

		for (to = from + 1; to < look->n &&
		     memcmp(look->entries[to]->caller.user, user,
			 UUID_TEXT_SIZE) == 0;
		     to++)
			;
		look_up_some(look, from, to, redis);
	}
}

static void start_job(void *argument);

static void
retry_later(struct event_rights *rights)
{
	loop_timer_stop(rights->retry);
	rights->retry =
	    loop_timer_start(rights->app->loop, RETRY_MS, 0, start_job, rights);
}

static void
after_look_up(void *owner)
{
	struct look_up *look = owner;
	struct event_rights *rights = look->rights;
	int64_t now = loop_now_ms(rights->app->loop);
	size_t i;

	if (look->job.error.kind == ERROR_RETRY) {
		retry_later(rights);
		return;
	}
	for (i = 0; i < look->n; i++) {
		look->entries[i]->right = look->found[i];
		look->entries[i]->until_ms = now + rights->fresh_ms;
		look->entries[i]->is_wanted = false;
	}
	look->n = 0;
	rights->busy = false;
	rights->changed(rights->argument);
}

/* Begins with what is wanted, or goes on with what has failed. */
static void
start_job(void *argument)
{
	struct event_rights *rights = argument;
	struct look_up *look = &rights->look_up;

	while (look->n < JOB_MAX && rights->wanted != NULL) {
		look->entries[look->n++] = rights->wanted;
		rights->wanted = rights->wanted->wanted;
	}
	if (rights->wanted == NULL)
		rights->wanted_end = &rights->wanted;
	look->job.owner = look;
	look->job.work = do_look_up;
	look->job.done = after_look_up;
	if (work_pool_submit(rights->app->pool, &look->job) != 0)
		retry_later(rights);
}

static void
want_known(struct event_rights *rights, struct known *known)
{
	if (known->is_wanted)
		return;
	known->is_wanted = true;
	known->wanted = NULL;
	*rights->wanted_end = known;
	rights->wanted_end = &known->wanted;
	if (rights->busy)
		return;
	/* In the loop's next turn: what else is wanted now comes along. */
	rights->busy = true;
	loop_post(rights->app->loop, start_job, rights);
}

enum event_right
event_rights_look(struct event_rights *rights, const struct http_caller *caller,
    struct text schedule_rid, size_t hash)
{
	struct known *known;

	if (!caller->known)
		return EVENT_VISIBLE;
	if (rights->known.n >= KNOWN_MAX && !rights->busy)
		forget_all(rights);
	known = find_known(rights, caller, schedule_rid, hash);
	if (known->until_ms > loop_now_ms(rights->app->loop))
		return known->right;
	want_known(rights, known);
	return EVENT_UNKNOWN;
}
