#include "producer/runs/view.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "producer/runs/internal.h"

/*
 * KEYS f, then r and x of each run, then b of each build; ARGV next offset,
 * view.ttl, oldest member to keep, number of runs, what f was, then (json, ttl,
 * member, partition, offset) of each run, then (value, ttl) of each build.  A
 * result that is there with a lower place stays: the first one counts.
 */
const char run_view_fold_source[] =
    "local at = tonumber(redis.call('GET', KEYS[1]) or '-1') or -1 "
    "if at < tonumber(ARGV[5]) then return 0 end "
    "local runs = tonumber(ARGV[4]) "
    "local a = 6 "
    "for i = 1, runs do "
    "  local r, x = KEYS[2 * i], KEYS[2 * i + 1] "
    "  local old = redis.call('GET', r) "
    "  local p, o = string.match(old or '', '^{\"at\":\"(%d+)%.(%d+)\"')"
    "  if not p or (p == ARGV[a + 3] and tonumber(o) > "
    "tonumber(ARGV[a + 4])) then "
    "    redis.call('SET', r, ARGV[a], 'PX', ARGV[a + 1]) "
    "    redis.call('ZADD', x, 0, ARGV[a + 2]) "
    "    redis.call('PEXPIRE', x, ARGV[2]) "
    "    redis.call('ZREMRANGEBYLEX', x, '-', '(' .. ARGV[3]) "
    "  end "
    "  a = a + 5 "
    "end "
    "for i = 2 * runs + 2, #KEYS do "
    "  redis.call('HSET', KEYS[i], 'e', ARGV[a]) "
    "  redis.call('PEXPIRE', KEYS[i], ARGV[a + 1]) "
    "  a = a + 2 "
    "end "
    "if tonumber(ARGV[1]) > at then "
    "  redis.call('SET', KEYS[1], ARGV[1]) "
    "end "
    "return 1";

static struct text
position_key(struct run_view *view, const char *topic, int32_t partition,
    struct arena *arena)
{
	char name[300];
	int n = snprintf(name, sizeof name, "%s:%ld", topic, (long)partition);

	return run_view_text_key(
	    view, "f:", (struct text){ name, (size_t)n }, arena);
}

/* Digits only; anything else is no position. */
static int64_t
read_position(struct text value)
{
	int64_t offset = 0;
	size_t i;

	if (value.size == 0 || value.size > 15)
		return -1;
	for (i = 0; i < value.size; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return -1;
		offset = offset * 10 + (value.at[i] - '0');
	}
	return offset;
}

int
run_view_positions(struct run_view *view, struct fold_position *positions,
    size_t n, struct error *err)
{
	struct arena *arena = arena_create(0);
	size_t i;
	int rc = redis_connect(view->redis, err);

	for (i = 0; rc == 0 && i < n; i++)
		redis_append(view->redis,
		    (struct text[]){ TEXT("GET"),
			position_key(view, positions[i].topic,
			    positions[i].partition, arena) },
		    2);
	for (i = 0; rc == 0 && i < n; i++) {
		struct redis_reply *reply = redis_receive(view->redis, err);

		rc = reply == NULL
		    ? -1
		    : redis_reply_error(view->redis, reply, "run view", err);
		if (rc == 0)
			positions[i].offset =
			    read_position(redis_reply_text(reply));
		else
			redis_disconnect(view->redis);
		redis_reply_destroy(reply);
	}
	arena_destroy(arena);
	return rc;
}

int
run_view_set_position(struct run_view *view,
    const struct fold_position *position, struct error *err)
{
	struct arena *arena = arena_create(1024);
	struct redis_reply *reply = run_view_command(view,
	    (struct text[]){ TEXT("SET"),
		position_key(view, position->topic, position->partition, arena),
		run_view_number(position->offset, arena) },
	    3, err);
	int rc = reply != NULL ? 0 : -1;

	redis_reply_destroy(reply);
	arena_destroy(arena);
	return rc;
}

struct fold {
	struct text keys[2 * FOLD_MAX + 1], args[5 * FOLD_MAX + 5];
	size_t n_keys, n_args;
};

static void
fold_run(struct run_view *view, const struct fold_item *item,
    struct arena *arena, struct fold *fold)
{
	const struct schedule_run *run = item->run;

	fold->keys[fold->n_keys++] =
	    run_view_run_key(view, "r:", &run->id, arena);
	fold->keys[fold->n_keys++] =
	    run_view_text_key(view, "x:", run->schedule_rid, arena);
	fold->args[fold->n_args++] = run_view_stored(run, arena);
	fold->args[fold->n_args++] = run_view_number(item->ttl_ms, arena);
	fold->args[fold->n_args++] = run_view_place(run, arena);
	fold->args[fold->n_args++] = run_view_number(run->partition, arena);
	fold->args[fold->n_args++] = run_view_number(run->offset, arena);
}

static struct text
oldest_place(struct run_view *view, struct arena *arena)
{
	static const struct uuid lowest = { { 0 } };
	char *out = arena_alloc(arena, RUN_PLACE_SIZE);
	int64_t oldest = clock_wall_ms() - view->ttl_ms;

	run_place_write(oldest > 0 ? oldest : 0, &lowest, out);
	return (struct text){ out, RUN_PLACE_SIZE };
}

static void
fill_fold(struct run_view *view, const struct fold_item *items, size_t n,
    struct arena *arena, struct fold *fold)
{
	size_t i, runs = 0;

	fold->n_args = 5;
	for (i = 0; i < n; i++)
		if (items[i].ttl_ms > 0 && items[i].run != NULL) {
			fold_run(view, &items[i], arena, fold);
			runs++;
		}
	fold->args[3] = run_view_number((int64_t)runs, arena);
	for (i = 0; i < n; i++) {
		if (items[i].ttl_ms <= 0 || items[i].run != NULL)
			continue;
		fold->keys[fold->n_keys++] =
		    run_view_run_key(view, "b:", &items[i].build_id, arena);
		fold->args[fold->n_args++] = items[i].build_event;
		fold->args[fold->n_args++] =
		    run_view_number(items[i].ttl_ms, arena);
	}
}

int
run_view_fold(
    struct run_view *view, const struct fold_step *step, struct error *err)
{
	struct arena *arena = arena_create(0);
	struct fold *fold = arena_zalloc(arena, 1, sizeof *fold);
	struct redis_reply *reply;
	int rc = -1;

	fold->keys[fold->n_keys++] =
	    position_key(view, step->topic, step->partition, arena);
	fold->args[0] = run_view_number(step->next, arena);
	fold->args[1] = run_view_number(view->ttl_ms, arena);
	fold->args[2] = oldest_place(view, arena);
	fold->args[4] = run_view_number(step->folded, arena);
	fill_fold(view, step->items, step->n, arena, fold);
	reply = run_view_script(view, &view->fold, fold->keys, fold->n_keys,
	    fold->args, fold->n_args, err);
	if (reply != NULL)
		rc = redis_reply_integer(reply) == 1;
	redis_reply_destroy(reply);
	arena_destroy(arena);
	return rc;
}

/* A step that goes nowhere: no topic has an empty name. */
int
run_view_keep(
    struct run_view *view, const struct schedule_run *record, struct error *err)
{
	const struct fold_item item = { .ttl_ms = view->ttl_ms, .run = record };
	const struct fold_step step = {
		.topic = "", .folded = -1, .next = -1, .items = &item, .n = 1
	};

	return run_view_fold(view, &step, err) < 0 ? -1 : 0;
}
