#include "worker/snapshot/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "schemas/stored/canonical.h"
#include "schemas/stored/catalogue.h"

#define CACHE_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
#define ARENA_KEPT ((size_t)4 * 1024 * 1024)

static const char *const kind_names[CACHE_KINDS] = {
	[CACHE_SCHEDULE] = "schedules",
	[CACHE_VERSION] = "versions",
	[CACHE_HEAD] = "heads",
	[CACHE_DATASET] = "datasets",
	[CACHE_SPEC] = "job_specs",
	[CACHE_USER] = "users",
	[CACHE_PROJECT] = "projects",
	[CACHE_ANSWER] = "answers",
};

/* The names of the series are literals in a table: they live that long. */
static void
register_metrics(struct snapshot *snapshot, struct metrics *metrics)
{
	size_t i;

	for (i = 0; metrics != NULL && i < CACHE_KINDS; i++) {
		struct buffer labels = { 0 };

		buffer_format(&labels, "cache=\"%s\"", kind_names[i]);
		buffer_byte(&labels, '\0');
		snapshot->entries[i] = metrics_series(metrics, METRIC_GAUGE,
		    "schedrun_cache_entries", labels.at,
		    "Entries in the worker's caches.");
		labels.size--;
		buffer_format(&labels, ",result=\"hit\"");
		buffer_byte(&labels, '\0');
		snapshot->hits[i] = metrics_series(metrics, METRIC_COUNTER,
		    "schedrun_cache_requests_total", labels.at,
		    "Look-ups in the worker's caches.");
		labels.size -= strlen("hit\"") + 1;
		buffer_format(&labels, "miss\"");
		buffer_byte(&labels, '\0');
		snapshot->misses[i] = metrics_series(metrics, METRIC_COUNTER,
		    "schedrun_cache_requests_total", labels.at,
		    "Look-ups in the worker's caches.");
		buffer_finish(&labels);
	}
}

struct snapshot *
snapshot_create(const struct snapshot_settings *settings)
{
	struct snapshot *snapshot = memory_zalloc(1, sizeof *snapshot);

	snapshot->redis = settings->redis;
	snapshot->keyspace = settings->keyspace;
	snapshot->cache =
	    cache_create(settings->cache_bytes > 0 ? settings->cache_bytes
						   : CACHE_BYTES_DEFAULT);
	snapshot->world = world_create(false);
	snapshot->arena = arena_create((size_t)1 << 20);
	register_metrics(snapshot, settings->metrics);
	return snapshot;
}

void
snapshot_destroy(struct snapshot *snapshot)
{
	size_t i;

	if (snapshot == NULL)
		return;
	for (i = 0; i < CACHE_ANSWER; i++)
		free(snapshot->lists[i].entries);
	free(snapshot->asked.at);
	free(snapshot->judged);
	world_destroy(snapshot->world);
	cache_destroy(snapshot->cache);
	arena_destroy(snapshot->arena);
	free(snapshot);
}

void
snapshot_forget(struct snapshot *snapshot)
{
	snapshot->is_stale = true;
}

void
snapshot_tell(struct snapshot *snapshot)
{
	size_t i;

	for (i = 0; i < CACHE_KINDS && snapshot->entries[i] != NULL; i++) {
		metric_set(snapshot->entries[i],
		    (double)cache_count(snapshot->cache, (enum cache_kind)i));
		metric_add(snapshot->hits[i], snapshot->n_hits[i]);
		metric_add(snapshot->misses[i], snapshot->n_misses[i]);
		snapshot->n_hits[i] = snapshot->n_misses[i] = 0;
	}
}

void
snapshot_begin(struct snapshot *snapshot)
{
	struct cache *cache = snapshot->cache;
	size_t i;

	for (i = 0; i < CACHE_ANSWER; i++)
		snapshot->lists[i].n = snapshot->lists[i].asked = 0;
	world_reset(snapshot->world);
	arena_reset(snapshot->arena, ARENA_KEPT);
	cache_begin(cache);
	if (snapshot->is_stale) {
		cache_forget(cache, CACHE_SCHEDULE);
		snapshot->cached_generation = 0;
		snapshot->judged_generation = 0;
		snapshot->is_stale = false;
	}
	snapshot->asked.n = 0;
	snapshot->generation = 0;
}

void
snapshot_count(struct snapshot *snapshot, enum cache_kind kind, bool hit)
{
	snapshot->n_hits[kind] += hit;
	snapshot->n_misses[kind] += !hit;
}

void
snapshot_want(struct snapshot *snapshot, struct cache_entry *entry)
{
	struct fetch_list *list = &snapshot->lists[entry->kind];

	if (entry->wanted == cache_batch(snapshot->cache))
		return;
	entry->wanted = cache_batch(snapshot->cache);
	if (list->n == list->capacity) {
		list->capacity = list->capacity * 2 + 64;
		list->entries = memory_resize(
		    list->entries, list->capacity, sizeof *list->entries);
	}
	list->entries[list->n++] = entry;
}

void
snapshot_want_fresh(struct snapshot *snapshot, struct cache_entry *entry)
{
	if (!cache_is_fresh(snapshot->cache, entry))
		snapshot_want(snapshot, entry);
}

/* One limit of hash `l`; false: it is there and no number. */
static bool
read_limit(const struct redis_reply *list, size_t i, int32_t *limit)
{
	struct text text = redis_reply_text(redis_reply_at(list, i));
	int64_t value;

	if (text.at == NULL)
		return true;
	if (!text_to_number(text, INT32_MAX, &value))
		return false;
	*limit = (int32_t)value;
	return true;
}

/* The generation's limits.  What can't be read must not be guessed. */
static int
read_limits(struct snapshot *snapshot, struct text key, struct error *err)
{
	struct world_limits limits = limits_default();
	const struct text get[5] = { TEXT("HMGET"), key, TEXT("maxJobs"),
		TEXT("maxInputs"), TEXT("maxRetries") };
	struct redis_reply *reply = redis_command(snapshot->redis, get, 5, err);
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(snapshot->redis, reply, "HMGET limits", err);
	if (rc != 0)
		error_prefix(err, "%.*s", TEXT_ARG(key));
	else if (redis_reply_size(reply) != 3 ||
	    !read_limit(reply, 0, &limits.max_jobs) ||
	    !read_limit(reply, 1, &limits.max_inputs) ||
	    !read_limit(reply, 2, &limits.max_retries))
		rc = error_set(err, ERROR_RETRY,
		    "redis %s: a limit in %.*s is not a number; run schedrun "
		    "apply with `limits`",
		    redis_address(snapshot->redis), TEXT_ARG(key));
	redis_reply_destroy(reply);
	if (rc == 0)
		snapshot->limits = limits_capped(limits);
	return rc;
}

int
snapshot_follow_generation(struct snapshot *snapshot, struct error *err)
{
	struct buffer key = { 0 };
	int rc;

	if (snapshot->generation != snapshot->cached_generation) {
		rc = read_limits(snapshot,
		    keyspace_part(snapshot->keyspace, snapshot->generation,
			PART_LIMITS, &key),
		    err);
		buffer_finish(&key);
		if (rc != 0)
			return -1;
		cache_forget(snapshot->cache, CACHE_DATASET);
		snapshot->cached_generation = snapshot->generation;
	}
	world_set_limits(snapshot->world, snapshot->limits);
	return 0;
}

/* A field's parts are divided by a line break, shown as people write it. */
struct text
snapshot_damage(struct snapshot *snapshot, enum cache_kind kind,
    struct text field, const char *why)
{
	struct buffer message = { 0 };
	struct text reason = text_cut(text_from(why), 300);
	size_t i;

	buffer_append(&message, TEXT("The stored entry "));
	for (i = 0; i < field.size; i++)
		if (field.at[i] == '\n')
			buffer_append(&message, TEXT("\\n"));
		else
			buffer_byte(&message, field.at[i]);
	buffer_append(&message, TEXT(" of "));
	snapshot_key(snapshot, kind, &message);
	buffer_format(&message,
	    " is unreadable: %.*s. Once it is mended, the request may be asked "
	    "again by its id.",
	    TEXT_ARG(reason));
	return buffer_keep(&message, snapshot->arena);
}

int64_t
snapshot_generation(const struct snapshot *snapshot)
{
	return snapshot->generation;
}

struct world *
snapshot_world(struct snapshot *snapshot)
{
	return snapshot->world;
}

/*
 * Whether an entry of the structure is known: it is wanted again only for a new
 * generation, or if it could not be read: somebody may have mended it.
 */
static bool
has_structure(struct snapshot *snapshot, struct cache_entry *entry)
{
	bool known = cache_is_settled(snapshot->cache, entry);

	snapshot_count(snapshot, entry->kind, known);
	if (known)
		return true;
	snapshot_want(snapshot, entry);
	return false;
}

/* "a⏎b" in the batch's arena. */
static struct text
joined(struct snapshot *snapshot, struct text first, struct text second)
{
	size_t size = first.size + second.size + 1;
	char *at = arena_alloc(snapshot->arena, size);

	assert(first.at != NULL && second.at != NULL);
	memcpy(at, first.at, first.size);
	at[first.size] = '\n';
	memcpy(at + first.size + 1, second.at, second.size);
	return (struct text){ at, size };
}

static int
parse_spec(
    struct text stored, struct arena *arena, void **parsed, struct error *err)
{
	struct job_spec *spec = arena_alloc(arena, sizeof *spec);

	*parsed = spec;
	return canonical_job_spec(stored, arena, spec)
	    ? 0
	    : job_spec_parse(stored, arena, spec, err);
}

static int
parse_branches(
    struct text stored, struct arena *arena, void **parsed, struct error *err)
{
	struct branch_list *list = arena_alloc(arena, sizeof *list);

	*parsed = list;
	return canonical_branches(stored, arena, list)
	    ? 0
	    : branches_parse(stored, arena, list, err);
}

/* What the kind makes of an entry's bytes; said once, in the entry. */
static void
parse_entry(struct snapshot *snapshot, struct cache_entry *entry)
{
	struct arena *arena;
	struct error err;
	void *parsed;
	int rc;

	if (entry->bytes.at == NULL || entry->parsed != NULL ||
	    entry->damage.at != NULL)
		return;
	arena = cache_parsing(entry);
	rc = entry->kind == CACHE_SPEC
	    ? parse_spec(entry->bytes, arena, &parsed, &err)
	    : parse_branches(entry->bytes, arena, &parsed, &err);
	if (rc != 0)
		cache_spoil(snapshot->cache, entry, err.message);
	else
		cache_parsed(snapshot->cache, entry, parsed);
}

/* Whether the entry can be read; else the need is answered by its damage. */
static bool
is_sound(struct snapshot *snapshot, const struct need *need,
    const struct cache_entry *entry, struct text field)
{
	if (entry->damage.at == NULL)
		return true;
	world_put_damage(snapshot->world, need,
	    snapshot_damage(snapshot, entry->kind, field, entry->damage.at));
	return false;
}

static void
put_dataset(struct snapshot *snapshot, const struct need *need,
    struct cache_entry *entry, struct cache_entry *head)
{
	struct world_dataset *dataset = need->dataset;
	struct error err;

	dataset->known = KNOWN_PRESENT;
	if (entry->damage.at == NULL &&
	    dataset_parse(
		entry->bytes, &dataset->trashed, &dataset->project, &err) != 0)
		cache_spoil(snapshot->cache, entry, err.message);
	if (!is_sound(snapshot, need, entry, entry->key))
		return;
	parse_entry(snapshot, head);
	if (is_sound(snapshot, need, head, head->key) && head->parsed != NULL)
		dataset->branches = *(struct branch_list *)head->parsed;
}

/*
 * Where a dataset's or a job spec's entries are: looked for once for all rounds
 * of a fetch.  Of thousands each look is a wait for memory: first all hashes
 * are made, and each look's way begins when others are still to be done.
 */
struct sought {
	struct text key;
	size_t hash;                      /* as the first's kind */
	struct cache_entry *entry, *head; /* NULL: not yet */
};
#define SOON 8 /* needs, of a step in memory */

static void
begin_search(
    struct snapshot *snapshot, const struct need *need, struct sought *sought)
{
	*sought = (struct sought){ 0 };
	if (need->kind == NEED_SPEC) {
		sought->key =
		    joined(snapshot, need->dataset->rid, need->spec->branch);
		sought->hash = cache_hash(CACHE_SPEC, sought->key);
	} else if (need->kind == NEED_DATASET) {
		sought->key = need->dataset->rid;
		sought->hash = cache_hash(CACHE_DATASET, sought->key);
		cache_expect_soon(snapshot->cache,
		    cache_hash_as(sought->hash, CACHE_DATASET, CACHE_HEAD));
	} else {
		return;
	}
	cache_expect_soon(snapshot->cache, sought->hash);
}

static void
expect_found(const struct sought *sought)
{
	__builtin_prefetch(sought->entry);
	__builtin_prefetch(&sought->entry->bytes);
	if (sought->head != NULL) {
		__builtin_prefetch(sought->head);
		__builtin_prefetch(&sought->head->bytes);
	}
}

/* The need that comes soon: its entries, or those that stand where they would.
 */
static void
expect_need(const struct snapshot *snapshot, const struct sought *sought)
{
	if (sought->entry != NULL) {
		expect_found(sought);
	} else if (sought->key.at != NULL) {
		cache_expect(snapshot->cache, sought->hash);
		cache_expect(snapshot->cache,
		    cache_hash_as(sought->hash, CACHE_DATASET, CACHE_HEAD));
	}
}

/* Whether the need is satisfied; else what it lacks is wanted; as below. */
static bool
satisfy_dataset(
    struct snapshot *snapshot, const struct need *need, struct sought *sought)
{
	struct cache_entry *entry, *head;
	bool known, is_fresh;

	if (sought->entry == NULL) {
		sought->entry = cache_entry_of(
		    snapshot->cache, CACHE_DATASET, sought->key, sought->hash);
		sought->head =
		    cache_entry_of(snapshot->cache, CACHE_HEAD, sought->key,
			cache_hash_as(sought->hash, CACHE_DATASET, CACHE_HEAD));
	}
	entry = sought->entry;
	head = sought->head;
	known = has_structure(snapshot, entry);
	is_fresh = cache_is_fresh(snapshot->cache, head);
	snapshot_count(snapshot, CACHE_HEAD, is_fresh);
	snapshot_want_fresh(snapshot, head);
	if (!known || !is_fresh)
		return false;
	if (entry->bytes.at == NULL && entry->damage.at == NULL)
		need->dataset->known = KNOWN_ABSENT;
	else
		put_dataset(snapshot, need, entry, head);
	return true;
}

/* Whether the entry holds the job spec that writes the needed dataset. */
static bool
is_writer(const struct need *need, const struct cache_entry *entry)
{
	const struct job_spec *spec = entry->parsed;
	struct text_list outputs;

	if (spec == NULL || !text_equal(spec->branch, need->spec->branch))
		return false;
	outputs = (struct text_list){ spec->outputs, spec->n_outputs };
	return text_list_has(&outputs, need->dataset->rid);
}

/*
 * The spec of `entry`, which `origin` leads to or is.  If it is none, both are
 * read again next time: either may have been mended.
 */
static void
put_spec(struct snapshot *snapshot, const struct need *need,
    struct cache_entry *origin, struct cache_entry *entry)
{
	static const char none[] =
	    "it leads to no job spec that writes the dataset";

	parse_entry(snapshot, entry);
	if (entry->damage.at == NULL && !is_writer(need, entry))
		cache_spoil(snapshot->cache, entry, none);
	if (entry->damage.at != NULL && origin->damage.at == NULL)
		cache_spoil(snapshot->cache, origin, none);
	if (!is_sound(snapshot, need, entry, origin->key))
		return;
	need->spec->known = KNOWN_PRESENT;
	need->spec->spec = entry->parsed;
}

static bool
satisfy_spec(
    struct snapshot *snapshot, const struct need *need, struct sought *sought)
{
	struct cache_entry *origin, *entry;
	struct text smallest;

	if (sought->entry == NULL)
		sought->entry = cache_entry_of(
		    snapshot->cache, CACHE_SPEC, sought->key, sought->hash);
	origin = entry = sought->entry;
	if (!has_structure(snapshot, origin))
		return false;
	if (origin->bytes.at == NULL && origin->damage.at == NULL) {
		need->spec->known = KNOWN_ABSENT;
		return true;
	}
	if (text_starts_with(origin->bytes, TEXT("="))) {
		smallest = (struct text){ origin->bytes.at + 1,
			origin->bytes.size - 1 };
		entry = cache_entry(snapshot->cache, CACHE_SPEC,
		    joined(snapshot, smallest, need->spec->branch));
		if (!has_structure(snapshot, entry))
			return false;
	}
	put_spec(snapshot, need, origin, entry);
	return true;
}

bool
snapshot_knows_user(struct snapshot *snapshot, struct text name,
    struct cache_entry **entry, bool *is_active)
{
	struct cache_entry *user =
	    cache_entry(snapshot->cache, CACHE_USER, name);

	*entry = user;
	*is_active = false;
	if (!has_structure(snapshot, user))
		return false;
	*is_active = text_equal(user->bytes, TEXT("1"));
	if (user->bytes.at != NULL && !*is_active &&
	    !text_equal(user->bytes, TEXT("0")))
		cache_spoil(snapshot->cache, user, "it is neither 1 nor 0");
	return true;
}

static bool
satisfy_user(struct snapshot *snapshot, const struct need *need)
{
	struct world_user *user = need->user;
	struct cache_entry *entry;

	if (!snapshot_knows_user(snapshot, user->name, &entry, &user->active))
		return false;
	user->known = entry->bytes.at != NULL ? KNOWN_PRESENT : KNOWN_ABSENT;
	is_sound(snapshot, need, entry, entry->key);
	return true;
}

bool
snapshot_knows_role(struct snapshot *snapshot, struct text user,
    struct text project, struct cache_entry **entry, enum role *role)
{
	struct cache_entry *grant = cache_entry(
	    snapshot->cache, CACHE_USER, joined(snapshot, user, project));
	struct error err;

	*entry = grant;
	*role = ROLE_NONE;
	if (!has_structure(snapshot, grant))
		return false;
	if (grant->bytes.at != NULL && grant->damage.at == NULL &&
	    role_parse(grant->bytes, role, &err) != 0)
		cache_spoil(snapshot->cache, grant, err.message);
	return true;
}

static bool
satisfy_grant(struct snapshot *snapshot, const struct need *need)
{
	struct cache_entry *entry;
	enum role role;

	if (!snapshot_knows_role(snapshot, need->a, need->b, &entry, &role))
		return false;
	if (is_sound(snapshot, need, entry, entry->key))
		world_put_role(snapshot->world, need->a, need->b, role);
	return true;
}

static bool
satisfy_project(struct snapshot *snapshot, const struct need *need)
{
	struct cache_entry *entry =
	    cache_entry(snapshot->cache, CACHE_PROJECT, need->a);

	if (!has_structure(snapshot, entry))
		return false;
	world_put_project(snapshot->world, need->a, entry->bytes.at != NULL);
	return true;
}

static bool
satisfy_reference(struct snapshot *snapshot, const struct need *need)
{
	struct cache_entry *entry = cache_entry(
	    snapshot->cache, CACHE_PROJECT, joined(snapshot, need->a, need->b));

	if (!has_structure(snapshot, entry))
		return false;
	world_put_reference(
	    snapshot->world, need->a, need->b, entry->bytes.at != NULL);
	return true;
}

static bool
satisfy(
    struct snapshot *snapshot, const struct need *need, struct sought *sought)
{
	switch (need->kind) {
	case NEED_DATASET:
		return satisfy_dataset(snapshot, need, sought);
	case NEED_SPEC:
		return satisfy_spec(snapshot, need, sought);
	case NEED_USER:
		return satisfy_user(snapshot, need);
	case NEED_GRANT:
		return satisfy_grant(snapshot, need);
	case NEED_PROJECT:
		return satisfy_project(snapshot, need);
	case NEED_REFERENCE:
		break;
	}
	return satisfy_reference(snapshot, need);
}

int
snapshot_fetch(struct snapshot *snapshot, struct error *err)
{
	const struct need *needs;
	struct sought *sought;
	size_t n, i, left;

	needs = world_needs(snapshot->world, &n);
	sought = arena_alloc(snapshot->arena, n * sizeof *sought);
	for (i = 0; i < n; i++)
		begin_search(snapshot, &needs[i], &sought[i]);
	do {
		left = 0;
		for (i = 0; i < n; i++) {
			if (i + SOON < n)
				expect_need(snapshot, &sought[i + SOON]);
			if (!satisfy(snapshot, &needs[i], &sought[i]))
				left++;
		}
		if (left > 0 && snapshot_round(snapshot, err) != 0)
			return -1;
	} while (left > 0);
	world_needs_taken(snapshot->world);
	return 0;
}

size_t
snapshot_used(const struct snapshot *snapshot)
{
	return cache_used(snapshot->cache) + arena_used(snapshot->arena);
}
