#include "worker/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/memory.h"
#include "schemas/catalogue.h"
#include "schemas/keyspace.h"
#include "worker/snapshot_cache.h"
#include "worker/snapshot_fetch.h"

#define CACHE_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
#define ARENA_KEPT ((size_t)4 * 1024 * 1024)
#define EX_CONFIG 78

struct snapshot {
	struct redis *redis;
	struct keyspace *keyspace;
	struct cache *cache;
	struct world *world;
	struct arena *arena; /* of the batch */
	struct fetch_list lists[CACHE_KINDS];
	struct snapshot_plan *plans;
	struct cache_entry **schedules; /* of each plan */
	size_t n_plans, capacity;
	int64_t generation;        /* of this batch; 0: none */
	int64_t cached_generation; /* of the structure in the cache */
	struct world_limits limits;
	struct metric *entries[CACHE_KINDS], *hits[CACHE_KINDS],
	    *misses[CACHE_KINDS];
};

static const char *const kind_names[CACHE_KINDS] = {
	[CACHE_SCHEDULE] = "schedules",
	[CACHE_VERSION] = "versions",
	[CACHE_HEAD] = "heads",
	[CACHE_DATASET] = "datasets",
	[CACHE_SPEC] = "job_specs",
	[CACHE_USER] = "users",
	[CACHE_PROJECT] = "projects",
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
	snapshot->keyspace = keyspace_create(settings->prefix);
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
	for (i = 0; i < CACHE_KINDS; i++)
		fetch_list_finish(&snapshot->lists[i]);
	free(snapshot->plans);
	free(snapshot->schedules);
	world_destroy(snapshot->world);
	cache_destroy(snapshot->cache);
	keyspace_destroy(snapshot->keyspace);
	arena_destroy(snapshot->arena);
	free(snapshot);
}

static void
count_entries(struct snapshot *snapshot)
{
	size_t i;

	for (i = 0; i < CACHE_KINDS && snapshot->entries[i] != NULL; i++)
		metric_set(snapshot->entries[i],
		    (double)cache_count(snapshot->cache, (enum cache_kind)i));
}

void
snapshot_begin(struct snapshot *snapshot)
{
	size_t i;

	count_entries(snapshot);
	for (i = 0; i < CACHE_KINDS; i++)
		fetch_list_reset(&snapshot->lists[i]);
	world_reset(snapshot->world);
	arena_reset(snapshot->arena, ARENA_KEPT);
	cache_begin(snapshot->cache);
	snapshot->n_plans = 0;
	snapshot->generation = 0;
}

static void
count_lookup(struct snapshot *snapshot, enum cache_kind kind, bool hit)
{
	struct metric *metric =
	    hit ? snapshot->hits[kind] : snapshot->misses[kind];

	if (metric != NULL)
		metric_add(metric, 1);
}

/* Puts an entry on its list, once per batch. */
static void
want(struct snapshot *snapshot, struct cache_entry *entry)
{
	if (entry->asked == cache_batch(snapshot->cache))
		return;
	entry->asked = cache_batch(snapshot->cache);
	fetch_list_add(&snapshot->lists[entry->kind], entry);
}

static bool
is_fresh(const struct snapshot *snapshot, const struct cache_entry *entry)
{
	return entry->is_known && entry->read == cache_batch(snapshot->cache);
}

size_t
snapshot_add(
    struct snapshot *snapshot, struct text schedule_rid, struct text pin)
{
	size_t n = snapshot->n_plans;

	if (n == snapshot->capacity) {
		snapshot->capacity = snapshot->capacity * 2 + 1024;
		snapshot->plans = memory_resize(snapshot->plans,
		    snapshot->capacity, sizeof *snapshot->plans);
		snapshot->schedules = memory_resize(snapshot->schedules,
		    snapshot->capacity, sizeof(struct cache_entry *));
	}
	snapshot->plans[n] = (struct snapshot_plan){
		.schedule_rid = schedule_rid,
		.pin = pin,
	};
	snapshot->schedules[n] =
	    cache_entry(snapshot->cache, CACHE_SCHEDULE, schedule_rid);
	want(snapshot, snapshot->schedules[n]);
	return snapshot->n_plans++;
}

void
snapshot_ask(struct snapshot *snapshot)
{
	const struct text get[2] = { TEXT("GET"),
		keyspace_key(snapshot->keyspace, KEY_GENERATION) };

	redis_append(snapshot->redis, get, 2);
	fetch_list_ask(&snapshot->lists[CACHE_SCHEDULE], snapshot->redis,
	    keyspace_key(snapshot->keyspace, KEY_HEADS));
}

static int
hear_generation(struct snapshot *snapshot, struct error *err)
{
	struct redis_reply *reply = redis_receive(snapshot->redis, err);
	struct text value;
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(snapshot->redis, reply, "GET g", err);
	value = redis_reply_text(reply);
	if (rc == 0 && value.at != NULL) {
		snapshot->generation = strtoll(value.at, NULL, 10);
		if (snapshot->generation <= 0)
			rc = error_fatal(err, EX_CONFIG,
			    "redis %s: %.*s is not a generation's number",
			    redis_address(snapshot->redis),
			    TEXT_ARG(keyspace_key(
				snapshot->keyspace, KEY_GENERATION)));
	}
	redis_reply_destroy(reply);
	return rc;
}

int
snapshot_hear(struct snapshot *snapshot, struct error *err)
{
	if (hear_generation(snapshot, err) != 0 ||
	    fetch_list_hear(&snapshot->lists[CACHE_SCHEDULE], snapshot->cache,
		snapshot->redis, err) != 0)
		return -1;
	if (snapshot->generation == 0)
		return error_set(err, ERROR_RETRY,
		    "redis %s has no catalogue; run schedrun apply",
		    redis_address(snapshot->redis));
	return 0;
}

/* One limit of hash `l`: what is no number counts as not set. */
static int32_t
limit_of(const struct redis_reply *list, size_t i, int32_t fallback)
{
	struct text text = redis_reply_text(redis_reply_at(list, i));
	long long value;

	if (text.at == NULL)
		return fallback;
	value = strtoll(text.at, NULL, 10);
	return value >= 0 && value <= INT32_MAX ? (int32_t)value : fallback;
}

/* A new generation: its limits, and nothing cached of the old structure. */
static int
follow_generation(struct snapshot *snapshot, struct error *err)
{
	struct world_limits limits = limits_default();
	struct buffer key = { 0 };
	struct text get[5] = { TEXT("HMGET"), TEXT_NONE, TEXT("maxJobs"),
		TEXT("maxInputs"), TEXT("maxRetries") };
	struct redis_reply *reply;
	int rc = -1;

	if (snapshot->generation == snapshot->cached_generation)
		return 0;
	get[1] = keyspace_part(
	    snapshot->keyspace, snapshot->generation, PART_LIMITS, &key);
	reply = redis_command(snapshot->redis, get, 5, err);
	buffer_finish(&key);
	if (reply == NULL)
		return -1;
	if (redis_reply_error(snapshot->redis, reply, "HMGET l", err) == 0) {
		if (redis_reply_size(reply) == 3) {
			limits.max_jobs = limit_of(reply, 0, limits.max_jobs);
			limits.max_inputs =
			    limit_of(reply, 1, limits.max_inputs);
			limits.max_retries =
			    limit_of(reply, 2, limits.max_retries);
		}
		snapshot->limits = limits_capped(limits);
		cache_forget_structure(snapshot->cache);
		snapshot->cached_generation = snapshot->generation;
		rc = 0;
	}
	redis_reply_destroy(reply);
	return rc;
}

static struct text
damage_of(struct snapshot *snapshot, const char *hash, struct text field,
    const char *why)
{
	struct buffer message = { 0 };
	struct text text;

	buffer_format(&message,
	    "The stored entry %.*s of %.*s%s is "
	    "unreadable: %.300s.",
	    TEXT_ARG(field), TEXT_ARG(keyspace_prefix(snapshot->keyspace)),
	    hash, why);
	text = text_copy(snapshot->arena, buffer_text(&message));
	buffer_finish(&message);
	return text;
}

static void
damage_plan(struct snapshot *snapshot, struct snapshot_plan *plan,
    const char *hash, struct text field, const char *why)
{
	plan->damage = "versionUnreadable";
	plan->damage_message = damage_of(snapshot, hash, field, why);
}

/* Which version a plan is for, by its schedule's head as read now. */
static void
choose_version(struct snapshot *snapshot, size_t number)
{
	struct snapshot_plan *plan = &snapshot->plans[number];
	const struct cache_entry *entry = snapshot->schedules[number];
	struct schedule_head head = { 0 };
	struct error err;

	plan->planned_rid = plan->pin;
	if (entry->bytes.at == NULL)
		return;
	if (schedule_head_parse(entry->bytes, &head, &err) != 0) {
		damage_plan(
		    snapshot, plan, "s", plan->schedule_rid, err.message);
		return;
	}
	plan->paused = head.paused;
	plan->deleted = head.deleted;
	if (plan->pin.at == NULL)
		plan->planned_rid = head.current_version_rid;
}

static void
parse_version(struct snapshot *snapshot, struct cache_entry *entry)
{
	struct schedule_version *version;
	struct arena *arena;
	struct error err;

	if (entry->parsed != NULL || entry->damage.at != NULL)
		return;
	arena = cache_parsing(entry);
	version = arena_alloc(arena, sizeof *version);
	if (schedule_version_parse(
		entry->bytes, entry->key, arena, version, &err) != 0) {
		entry->damage = text_copy(arena, text_from(err.message));
		return;
	}
	cache_parsed(snapshot->cache, entry, version);
	cache_drop_bytes(snapshot->cache, entry);
}

static void
take_version(struct snapshot *snapshot, struct snapshot_plan *plan)
{
	struct cache_entry *entry;

	if (plan->planned_rid.at == NULL || plan->damage != NULL)
		return;
	entry = cache_entry(snapshot->cache, CACHE_VERSION, plan->planned_rid);
	if (entry->bytes.at == NULL) {
		if (plan->pin.at == NULL)
			damage_plan(snapshot, plan, "v", plan->planned_rid,
			    "the schedule's current version is missing");
		return;
	}
	parse_version(snapshot, entry);
	if (entry->damage.at != NULL)
		damage_plan(
		    snapshot, plan, "v", plan->planned_rid, entry->damage.at);
	else
		plan->version = entry->parsed;
}

int
snapshot_read_versions(struct snapshot *snapshot, struct error *err)
{
	size_t i;

	if (follow_generation(snapshot, err) != 0)
		return -1;
	world_set_limits(snapshot->world, snapshot->limits);
	for (i = 0; i < snapshot->n_plans; i++) {
		struct snapshot_plan *plan = &snapshot->plans[i];
		struct cache_entry *entry;

		choose_version(snapshot, i);
		if (plan->planned_rid.at == NULL)
			continue;
		entry = cache_entry(
		    snapshot->cache, CACHE_VERSION, plan->planned_rid);
		/* Immutable: one that is there is known for good. */
		if (!entry->is_known ||
		    (entry->bytes.at == NULL && !is_fresh(snapshot, entry)))
			want(snapshot, entry);
		count_lookup(snapshot, CACHE_VERSION, entry->is_known);
	}
	fetch_list_ask(&snapshot->lists[CACHE_VERSION], snapshot->redis,
	    keyspace_key(snapshot->keyspace, KEY_VERSIONS));
	if (fetch_list_hear(&snapshot->lists[CACHE_VERSION], snapshot->cache,
		snapshot->redis, err) != 0)
		return -1;
	for (i = 0; i < snapshot->n_plans; i++)
		take_version(snapshot, &snapshot->plans[i]);
	return 0;
}

int
snapshot_read(struct snapshot *snapshot, struct error *err)
{
	snapshot_ask(snapshot);
	if (snapshot_hear(snapshot, err) != 0)
		return -1;
	return snapshot_read_versions(snapshot, err);
}

int64_t
snapshot_generation(const struct snapshot *snapshot)
{
	return snapshot->generation;
}

const struct snapshot_plan *
snapshot_plan(const struct snapshot *snapshot, size_t number)
{
	return &snapshot->plans[number];
}

struct world *
snapshot_world(struct snapshot *snapshot)
{
	return snapshot->world;
}

size_t
snapshot_used(const struct snapshot *snapshot)
{
	return cache_used(snapshot->cache) + arena_used(snapshot->arena);
}

/* An entry of the structure: read again only for a new generation. */
static bool
has_structure(struct snapshot *snapshot, struct cache_entry *entry)
{
	count_lookup(snapshot, entry->kind, entry->is_known);
	if (entry->is_known)
		return true;
	want(snapshot, entry);
	return false;
}

/* A dataset's branches: read once in each batch. */
static bool
has_head(struct snapshot *snapshot, struct cache_entry *entry)
{
	if (is_fresh(snapshot, entry))
		return true;
	want(snapshot, entry);
	return false;
}

/* "a⏎b" in the batch's arena. */
static struct text
joined(struct snapshot *snapshot, struct text a, struct text b)
{
	char *at = arena_alloc(snapshot->arena, a.size + b.size + 1);

	memcpy(at, a.at, a.size);
	at[a.size] = '\n';
	memcpy(at + a.size + 1, b.at, b.size);
	return (struct text){ at, a.size + b.size + 1 };
}

static void
parse_branches(struct snapshot *snapshot, struct cache_entry *entry)
{
	struct branch_list *branches;
	struct arena *arena;
	struct error err;

	if (entry->parsed != NULL || entry->damage.at != NULL)
		return;
	arena = cache_parsing(entry);
	branches = arena_alloc(arena, sizeof *branches);
	if (branches_parse(entry->bytes, arena, branches, &err) != 0)
		entry->damage = text_copy(arena, text_from(err.message));
	else
		cache_parsed(snapshot->cache, entry, branches);
}

/* Whether the need is satisfied; else what it lacks is wanted. */
static bool
answer_dataset(struct snapshot *snapshot, struct world_dataset *dataset)
{
	struct cache_entry *entry =
	    cache_entry(snapshot->cache, CACHE_DATASET, dataset->rid);
	struct cache_entry *head =
	    cache_entry(snapshot->cache, CACHE_HEAD, dataset->rid);
	bool known = has_structure(snapshot, entry);
	struct error err;

	if (!has_head(snapshot, head) || !known)
		return false;
	dataset->known = entry->bytes.at != NULL ? KNOWN_PRESENT : KNOWN_ABSENT;
	if (entry->bytes.at == NULL)
		return true;
	if (dataset_parse(
		entry->bytes, &dataset->trashed, &dataset->project, &err) != 0)
		world_put_damage(snapshot->world, dataset,
		    damage_of(snapshot, "g:d", dataset->rid, err.message));
	if (head->bytes.at == NULL)
		return true;
	parse_branches(snapshot, head);
	if (head->damage.at != NULL)
		world_put_damage(snapshot->world, dataset,
		    damage_of(snapshot, "h", dataset->rid, head->damage.at));
	else
		dataset->branches = *(struct branch_list *)head->parsed;
	return true;
}

static bool
names_output(const struct job_spec *spec, struct text output)
{
	size_t low = 0, high = spec->n_outputs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = text_compare(spec->outputs[middle], output);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static void
parse_spec(struct snapshot *snapshot, struct cache_entry *entry)
{
	struct job_spec *spec;
	struct arena *arena;
	struct error err;

	if (entry->parsed != NULL || entry->damage.at != NULL)
		return;
	arena = cache_parsing(entry);
	spec = arena_alloc(arena, sizeof *spec);
	if (job_spec_parse(entry->bytes, arena, spec, &err) != 0)
		entry->damage = text_copy(arena, text_from(err.message));
	else
		cache_parsed(snapshot->cache, entry, spec);
}

static void
put_spec(struct snapshot *snapshot, const struct need *need,
    struct cache_entry *entry)
{
	const struct job_spec *spec;

	need->spec->known = KNOWN_PRESENT;
	if (entry->bytes.at != NULL)
		parse_spec(snapshot, entry);
	spec = entry->parsed;
	if (entry->bytes.at == NULL || entry->damage.at != NULL ||
	    !text_equal(spec->branch, need->spec->branch) ||
	    !names_output(spec, need->dataset->rid)) {
		need->spec->known = KNOWN_ABSENT;
		world_put_damage(snapshot->world, need->dataset,
		    damage_of(snapshot, "g:j", need->dataset->rid,
			entry->damage.at != NULL
			    ? entry->damage.at
			    : "it names no job spec that writes it"));
		return;
	}
	need->spec->spec = spec;
}

static bool
answer_spec(struct snapshot *snapshot, const struct need *need)
{
	struct text field =
	    joined(snapshot, need->dataset->rid, need->spec->branch);
	struct cache_entry *entry =
	    cache_entry(snapshot->cache, CACHE_SPEC, field);

	if (!has_structure(snapshot, entry))
		return false;
	if (entry->bytes.at == NULL) {
		need->spec->known = KNOWN_ABSENT;
		return true;
	}
	if (entry->bytes.at[0] == '=') {
		struct text smallest = { entry->bytes.at + 1,
			entry->bytes.size - 1 };

		entry = cache_entry(snapshot->cache, CACHE_SPEC,
		    joined(snapshot, smallest, need->spec->branch));
		if (!has_structure(snapshot, entry))
			return false;
	}
	put_spec(snapshot, need, entry);
	return true;
}

static bool
answer_user(struct snapshot *snapshot, struct world_user *user)
{
	struct cache_entry *entry =
	    cache_entry(snapshot->cache, CACHE_USER, user->name);

	if (!has_structure(snapshot, entry))
		return false;
	user->known = entry->bytes.at != NULL ? KNOWN_PRESENT : KNOWN_ABSENT;
	user->active = text_equal(entry->bytes, TEXT("1"));
	return true;
}

/* A role that can't be read gives no right. */
static bool
answer_grant(struct snapshot *snapshot, const struct need *need)
{
	struct cache_entry *entry = cache_entry(
	    snapshot->cache, CACHE_USER, joined(snapshot, need->a, need->b));
	enum role role = ROLE_NONE;

	if (!has_structure(snapshot, entry))
		return false;
	if (entry->bytes.at != NULL &&
	    role_parse(entry->bytes, &role, NULL) != 0)
		role = ROLE_NONE;
	world_put_role(snapshot->world, need->a, need->b, role);
	return true;
}

static bool
answer_reference(struct snapshot *snapshot, const struct need *need)
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
answer_need(struct snapshot *snapshot, const struct need *need)
{
	switch (need->kind) {
	case NEED_DATASET:
		return answer_dataset(snapshot, need->dataset);
	case NEED_SPEC:
		return answer_spec(snapshot, need);
	case NEED_USER:
		return answer_user(snapshot, need->user);
	case NEED_GRANT:
		return answer_grant(snapshot, need);
	case NEED_REFERENCE:
		break;
	}
	return answer_reference(snapshot, need);
}

/* Reads all that is wanted, every hash in one pipeline. */
static int
fetch_wanted(struct snapshot *snapshot, struct error *err)
{
	static const struct {
		enum cache_kind kind;
		enum catalogue_part part;
	} parts[] = {
		{ CACHE_DATASET, PART_DATASETS },
		{ CACHE_SPEC, PART_JOB_SPECS },
		{ CACHE_USER, PART_USERS },
		{ CACHE_PROJECT, PART_PROJECTS },
	};
	struct buffer key = { 0 };
	size_t i;
	int rc;

	fetch_list_ask(&snapshot->lists[CACHE_HEAD], snapshot->redis,
	    keyspace_key(snapshot->keyspace, KEY_BRANCHES));
	for (i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		buffer_reset(&key);
		fetch_list_ask(&snapshot->lists[parts[i].kind], snapshot->redis,
		    keyspace_part(snapshot->keyspace, snapshot->generation,
			parts[i].part, &key));
	}
	buffer_finish(&key);
	rc = fetch_list_hear(&snapshot->lists[CACHE_HEAD], snapshot->cache,
	    snapshot->redis, err);
	for (i = 0; rc == 0 && i < sizeof parts / sizeof parts[0]; i++)
		rc = fetch_list_hear(&snapshot->lists[parts[i].kind],
		    snapshot->cache, snapshot->redis, err);
	return rc;
}

int
snapshot_answer(struct snapshot *snapshot, struct error *err)
{
	const struct need *needs;
	size_t n, i, left;

	needs = world_needs(snapshot->world, &n);
	do {
		left = 0;
		for (i = 0; i < n; i++)
			if (!answer_need(snapshot, &needs[i]))
				left++;
		if (left > 0 && fetch_wanted(snapshot, err) != 0)
			return -1;
	} while (left > 0);
	world_needs_taken(snapshot->world);
	return 0;
}
