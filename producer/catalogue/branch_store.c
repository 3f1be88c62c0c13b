#include "producer/catalogue/branch_store.h"

#include <stdio.h>
#include <string.h>

#include "common/base/buffer.h"
#include "producer/catalogue/fields.h"
#include "schemas/stored/catalogue.h"

/*
 * KEYS  g, h, e, and b of the build if there is one
 * ARGV  generation seen, number of datasets, edition, then (dataset, value
 *       seen, value) of each, then state and ttl of the build's mark
 * A value seen that is empty: the dataset had no entry.
 */
static struct redis_script write_all = {
	.source =
	    "local call = redis.call\n"
	    "if (call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end\n"
	    "local last = 3 * tonumber(ARGV[2]) + 1\n"
	    "if KEYS[4] and call('HGET', KEYS[4], 's') == ARGV[last + 3] then\n"
	    "  return 2\n"
	    "end\n"
	    "for i = 4, last, 3 do\n"
	    "  if (call('HGET', KEYS[2], ARGV[i]) or '') ~= ARGV[i + 1] then\n"
	    "    return 0\n"
	    "  end\n"
	    "end\n"
	    "for i = 4, last, 3 do\n"
	    "  call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])\n"
	    "end\n"
	    "call('SET', KEYS[3], ARGV[3])\n"
	    "if KEYS[4] then\n"
	    "  call('HSET', KEYS[4], 's', ARGV[last + 3])\n"
	    "  if call('PTTL', KEYS[4]) < 0 then\n"
	    "    call('PEXPIRE', KEYS[4], ARGV[last + 4])\n"
	    "  end\n"
	    "end\n"
	    "return 1\n",
};

/* The catalogue's generation as stored. */
static int
read_generation(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, struct text *generation, struct error *err)
{
	const struct text get[2] = { TEXT("GET"),
		keyspace_key(keyspace, KEY_GENERATION) };
	struct redis_reply *reply = redis_command(redis, get, 2, err);
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(redis, reply, "GET g", err);
	*generation = text_copy(arena, redis_reply_text(reply));
	redis_reply_destroy(reply);
	if (rc == 0 && generation->at == NULL)
		rc = error_set(err, ERROR_RETRY,
		    "redis %s has no catalogue; run schedrun apply",
		    redis_address(redis));
	return rc;
}

/* The fields of the datasets in one hash. */
static int
read_hash(struct redis *redis, struct text key, const struct branch_view *view,
    struct arena *arena, struct fields *into, struct error *err)
{
	struct text *names = arena_alloc(arena, (view->n + 1) * sizeof *names);
	size_t i;

	for (i = 0; i < view->n; i++)
		names[i] = view->changes[i].dataset;
	return fields_read_some(into, redis, key, names, view->n, err);
}

static struct text
part_key(const struct keyspace *keyspace, struct text generation,
    struct arena *arena)
{
	struct buffer key = { 0 };
	struct text copy;
	int64_t number;

	if (!text_to_number(generation, INT64_MAX, &number))
		number = 0; /* there is none: nothing is found */
	copy = text_copy(
	    arena, keyspace_part(keyspace, number, PART_DATASETS, &key));
	buffer_finish(&key);
	return copy;
}

int
branch_store_read(struct redis *redis, const struct keyspace *keyspace,
    struct arena *arena, struct branch_view *view, struct error *err)
{
	struct fields *datasets = fields_create(arena);
	struct fields *branches = fields_create(arena);
	size_t i;
	int rc =
	    read_generation(redis, keyspace, arena, &view->generation, err);

	if (rc == 0)
		rc = read_hash(redis,
		    part_key(keyspace, view->generation, arena), view, arena,
		    datasets, err);
	if (rc == 0)
		rc = read_hash(redis, keyspace_key(keyspace, KEY_BRANCHES),
		    view, arena, branches, err);
	for (i = 0; rc == 0 && i < view->n; i++) {
		struct branch_change *change = &view->changes[i];

		change->exists =
		    fields_get(datasets, change->dataset).at != NULL;
		change->seen = fields_get(branches, change->dataset);
	}
	fields_destroy(datasets);
	fields_destroy(branches);
	return rc;
}

/* Arguments of the script for all values that are to be written. */
static size_t
list_changes(const struct branch_view *view, struct text *args)
{
	size_t n = 3, i;

	for (i = 0; i < view->n; i++) {
		const struct branch_change *change = &view->changes[i];

		if (change->value.at == NULL)
			continue;
		args[n++] = change->dataset;
		args[n++] = change->seen.at != NULL ? change->seen : TEXT("");
		args[n++] = change->value;
	}
	return n;
}

int
branch_store_write(struct redis *redis, const struct keyspace *keyspace,
    const struct branch_view *view, const struct build_mark *mark,
    struct error *err)
{
	struct arena *arena = arena_create(0);
	struct text *args =
	    arena_alloc(arena, (3 * view->n + 5) * sizeof *args);
	struct buffer build = { 0 };
	struct text keys[4] = { keyspace_key(keyspace, KEY_GENERATION),
		keyspace_key(keyspace, KEY_BRANCHES),
		keyspace_key(keyspace, KEY_EDITION) };
	char number[24], ttl[24], edition[KEYSPACE_EDITION_SIZE];
	size_t n_keys = 3, n = list_changes(view, args);
	struct redis_reply *reply;
	int rc = -1;

	snprintf(number, sizeof number, "%zu", (n - 3) / 3);
	args[0] = view->generation;
	args[1] = text_from(number);
	args[2] = keyspace_new_edition(edition);
	if (mark->build != NULL) {
		snprintf(ttl, sizeof ttl, "%lld", (long long)mark->ttl_ms);
		keys[n_keys++] = keyspace_build(keyspace, mark->build, &build);
		args[n++] = text_from(mark->state);
		args[n++] = text_from(ttl);
	}
	reply = redis_run_script(redis, &write_all, keys, n_keys, args, n, err);
	if (reply != NULL &&
	    redis_reply_error(redis, reply, "branches", err) == 0)
		rc = (int)redis_reply_integer(reply);
	redis_reply_destroy(reply);
	buffer_finish(&build);
	arena_destroy(arena);
	return rc;
}

static int
parse(struct text stored, struct arena *arena, struct branch_list *list,
    struct error *err)
{
	*list = (struct branch_list){ NULL, 0 };
	return stored.at == NULL ? 0 : branches_parse(stored, arena, list, err);
}

int
branch_value_set(struct text stored, const struct branch *branch,
    struct arena *arena, struct text *value, struct error *err)
{
	struct branch_list list, checked;
	struct branch *merged;
	struct buffer out = { 0 };
	size_t n = 0, i;

	if (parse(stored, arena, &list, err) != 0)
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
	*value = text_copy(arena, buffer_text(&out));
	buffer_finish(&out);
	/* What a worker reads is what it would refuse: loops above all. */
	return branches_parse(*value, arena, &checked, err);
}

int
branch_value_get(struct text stored, struct text name, struct arena *arena,
    const struct branch **branch, struct error *err)
{
	struct branch_list *list = arena_alloc(arena, sizeof *list);

	*branch = NULL;
	if (parse(stored, arena, list, err) != 0)
		return -1;
	*branch = branch_list_find(list, name);
	return 0;
}
