#include "producer/catalogue/branch_store.h"

#include <string.h>

#include "common/base/buffer.h"
#include "producer/catalogue/hashes.h"
#include "schemas/embedded.h"
#include "schemas/stored/catalogue.h"

/* KEYS and ARGV of write_branches.lua, then of each dataset. */
enum { WRITE_BRANCHES, WRITE_EDITION, WRITE_KEYS };
enum {
	GENERATION_KEY,
	SEEN_GENERATION,
	NEW_EDITION,
	MARK_FIELD,
	MARK_VALUE,
	MARK_TTL,
	MARK_NUMBER,
	MARK_KEYS,
	MOVED_KEY,
	N_DATASETS,
	WRITE_ARGS
};
enum { DATASET_RID, DATASET_SEEN, DATASET_VALUE, DATASET_ARGS };

static struct redis_script write_branches = { .source = lua_write_branches };

/* ERROR_RETRY: the catalogue may come yet. */
static int
read_generation(struct redis *redis, const struct keyspace *keyspace,
    int64_t *generation, struct error *err)
{
	if (catalogue_generation(redis, keyspace, generation, err) != 0)
		return -1;
	if (*generation > 0)
		return 0;
	return error_set(err, ERROR_RETRY,
	    "redis %s has no catalogue; run schedrun apply",
	    redis_address(redis));
}

/* What is stored of the datasets, piece by piece: both hashes by one round
 * trip.
 */
static int
read_both(struct redis *redis, const struct text keys[2],
    struct fields *const into[2], const struct branch_view *view,
    struct error *err)
{
	size_t n = view->n, done = 0, i;
	struct text *names =
	    arena_alloc(fields_arena(into[0]), (n + 1) * sizeof *names);

	for (i = 0; i < n; i++)
		names[i] = view->changes[i].dataset;
	while (done < n) {
		int taken, as_many;

		fields_ask_some(redis, keys[0], names + done, n - done);
		fields_ask_some(redis, keys[1], names + done, n - done);
		taken = fields_hear_some(
		    into[0], redis, keys[0], names + done, n - done, err);
		if (taken < 0) {
			/* The other's answer would be taken for another. */
			redis_disconnect(redis);
			return -1;
		}
		as_many = fields_hear_some(
		    into[1], redis, keys[1], names + done, n - done, err);
		if (as_many < 0)
			return -1;
		/* Each may have had less, for its size. */
		done += (size_t)(taken < as_many ? taken : as_many);
	}
	return 0;
}

int
branch_store_read(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, struct branch_view *view, struct error *err)
{
	struct fields *const into[2] = { fields_create(arena),
		fields_create(arena) };
	struct buffer part = { 0 };
	size_t i;
	int rc = read_generation(redis, keyspace, &view->generation, err);

	if (rc == 0)
		rc = read_both(redis,
		    (const struct text[]){
			keyspace_part(
			    keyspace, view->generation, PART_DATASETS, &part),
			keyspace_key(keyspace, KEY_BRANCHES) },
		    into, view, err);
	for (i = 0; rc == 0 && i < view->n; i++) {
		struct branch_change *change = &view->changes[i];

		struct text dataset = fields_get(into[0], change->dataset);
		struct error ignored;
		bool trashed;

		change->exists = dataset.at != NULL;
		if (!change->exists ||
		    dataset_parse(
			dataset, &trashed, &change->project, &ignored) != 0)
			change->project = TEXT_NONE;
		change->seen = fields_get(into[1], change->dataset);
	}
	buffer_finish(&part);
	fields_destroy(into[0]);
	fields_destroy(into[1]);
	return rc;
}

/* What the script takes of each value that is to be written; how many. */
static size_t
list_changes(const struct branch_view *view, struct text *args)
{
	size_t n = 0, i;

	for (i = 0; i < view->n; i++) {
		const struct branch_change *change = &view->changes[i];

		if (change->value.at == NULL)
			continue;
		args[n + DATASET_RID] = change->dataset;
		args[n + DATASET_SEEN] =
		    change->seen.at != NULL ? change->seen : TEXT("");
		args[n + DATASET_VALUE] = change->value;
		n += DATASET_ARGS;
	}
	return n;
}

static int
parse_list(struct text stored, struct arena *arena, struct branch_list *list,
    struct error *err)
{
	*list = (struct branch_list){ NULL, 0 };
	return stored.at == NULL ? 0 : branches_parse(stored, arena, list, err);
}

/* Of the branches in a value those whose head is new, as the script takes them.
 */
static size_t
list_moves(const struct branch_change *change, struct arena *arena,
    struct text **moves)
{
	struct branch_list before, after;
	size_t n = 0, i;

	if (parse_list(change->seen, arena, &before, NULL) != 0 ||
	    parse_list(change->value, arena, &after, NULL) != 0)
		return 0; /* who wrote the value has told what is wrong */
	*moves = arena_alloc(arena, (2 * after.n + 1) * sizeof **moves);
	for (i = 0; i < after.n; i++) {
		const struct branch *branch = &after.at[i];
		const struct branch *old =
		    branch_list_find(&before, branch->name);
		struct buffer field = { 0 };

		if (branch->head.at == NULL ||
		    (old != NULL && text_equal(old->head, branch->head)))
			continue;
		keyspace_field(change->dataset, branch->name, &field);
		(*moves)[n++] = buffer_keep(&field, arena);
		(*moves)[n++] = branch->head;
	}
	return n;
}

/* The changes, and behind them the moves of all. */
static size_t
list_args(const struct branch_view *view, const struct text *header,
    struct arena *arena, struct text **args)
{
	struct text **moves = arena_zalloc(arena, view->n + 1, sizeof *moves);
	size_t *n_moves = arena_zalloc(arena, view->n + 1, sizeof *n_moves);
	size_t n = WRITE_ARGS + DATASET_ARGS * view->n, i;

	for (i = 0; i < view->n; i++) {
		if (view->changes[i].value.at != NULL)
			n_moves[i] =
			    list_moves(&view->changes[i], arena, &moves[i]);
		n += n_moves[i];
	}
	*args = arena_alloc(arena, n * sizeof **args);
	memcpy(*args, header, WRITE_ARGS * sizeof **args);
	n = WRITE_ARGS + list_changes(view, *args + WRITE_ARGS);
	for (i = 0; i < view->n; i++) {
		if (n_moves[i] > 0)
			memcpy(*args + n, moves[i], n_moves[i] * sizeof **args);
		n += n_moves[i];
	}
	return n;
}

static size_t
count_values(const struct branch_view *view)
{
	size_t n = 0, i;

	for (i = 0; i < view->n; i++)
		n += view->changes[i].value.at != NULL;
	return n;
}

int
branch_store_write(struct redis *redis, const struct keyspace *keyspace,
    const struct branch_view *view, const struct build_mark *mark,
    struct error *err)
{
	struct arena *arena = arena_create(0);
	struct text args[WRITE_ARGS], *all;
	struct text *keys = arena_alloc(
	    arena, (WRITE_KEYS + mark->n_keys + mark->n_leases) * sizeof *keys);
	char seen[TEXT_NUMBER_SIZE], ttl[TEXT_NUMBER_SIZE];
	char marks[TEXT_NUMBER_SIZE], datasets[TEXT_NUMBER_SIZE];
	char edition[KEYSPACE_EDITION_SIZE];
	size_t n_keys = WRITE_KEYS, n_args, i;
	struct redis_reply *reply;
	int rc = -1;

	args[GENERATION_KEY] = keyspace_key(keyspace, KEY_GENERATION);
	args[SEEN_GENERATION] = text_of_number(view->generation, seen);
	args[NEW_EDITION] = keyspace_new_edition(edition);
	args[MARK_FIELD] = mark->field;
	args[MARK_VALUE] = mark->value;
	args[MARK_TTL] = text_of_number(mark->ttl_ms, ttl);
	args[MARK_NUMBER] = mark->number;
	args[MARK_KEYS] = text_of_number((int64_t)mark->n_keys, marks);
	args[MOVED_KEY] = keyspace_key(keyspace, KEY_MOVED);
	args[N_DATASETS] =
	    text_of_number((int64_t)count_values(view), datasets);
	n_args = list_args(view, args, arena, &all);
	keys[WRITE_BRANCHES] = keyspace_key(keyspace, KEY_BRANCHES);
	keys[WRITE_EDITION] = keyspace_key(keyspace, KEY_EDITION);
	for (i = 0; i < mark->n_keys; i++)
		keys[n_keys++] = mark->keys[i];
	for (i = 0; i < mark->n_leases; i++)
		keys[n_keys++] = mark->leases[i];
	reply = redis_ask_script(redis, &write_branches,
	    &(struct redis_arguments){ keys, n_keys, all, n_args }, "branches",
	    err);
	if (reply != NULL)
		rc = (int)redis_reply_integer(reply);
	redis_reply_destroy(reply);
	arena_destroy(arena);
	return rc;
}

int
branch_value_set(struct text stored, const struct branch *branch,
    struct arena *arena, struct text *value, struct error *err)
{
	struct branch_list list, checked;
	struct branch *merged;
	struct buffer out = { 0 };
	size_t n = 0, i;

	if (parse_list(stored, arena, &list, err) != 0)
		return -1;
	merged = arena_alloc(arena, (list.n + 1) * sizeof *merged);
	for (i = 0;
	     i < list.n && text_compare(list.at[i].name, branch->name) < 0; i++)
		merged[n++] = list.at[i];
	merged[n++] = *branch;
	if (i < list.n && text_equal(list.at[i].name, branch->name))
		i++;
	for (; i < list.n; i++)
		merged[n++] = list.at[i];
	branches_write(&(struct branch_list){ merged, n }, &out);
	*value = buffer_keep(&out, arena);
	/* What a worker reads is what it would refuse: loops above all. */
	return branches_parse(*value, arena, &checked, err);
}

int
branch_value_built(struct text stored, const struct branch *made,
    struct arena *arena, struct text *value, struct error *err)
{
	struct branch branch = *made;
	const struct branch *old;

	if (branch_value_get(stored, branch.name, arena, &old, err) != 0)
		return -1;
	if (old != NULL)
		branch.parent = old->parent;
	if (branch_value_set(stored, &branch, arena, value, err) == 0)
		return 0;
	/*
	 * The parent may itself be told to come from this branch, which was not
	 * there when the build was planned: a root is better than a loop.
	 */
	branch.parent = TEXT_NONE;
	return branch_value_set(stored, &branch, arena, value, err);
}

int
branch_value_get(struct text stored, struct text name, struct arena *arena,
    const struct branch **branch, struct error *err)
{
	struct branch_list *list = arena_alloc(arena, sizeof *list);

	*branch = NULL;
	if (parse_list(stored, arena, list, err) != 0)
		return -1;
	*branch = branch_list_find(list, name);
	return 0;
}

int64_t
branch_moved_ms(struct text stored, struct text head)
{
	int64_t ms;

	if (stored.at == NULL || !text_take_number(&stored, 18, &ms) ||
	    stored.size != head.size + 1 || head.at == NULL ||
	    memcmp(stored.at + 1, head.at, head.size) != 0)
		return 0;
	return ms;
}
