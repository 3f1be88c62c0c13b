#include "worker/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/catalogue.h"
#include "schemas/keyspace.h"
#include "worker/snapshot_internal.h"

#define CACHE_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
#define ARENA_KEPT ((size_t)4 * 1024 * 1024)
#define EX_CONFIG 78

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
snapshot_forget(struct snapshot *snapshot)
{
	snapshot->is_stale = true;
}

void
snapshot_begin(struct snapshot *snapshot)
{
	size_t i;

	count_entries(snapshot);
	if (snapshot->is_stale) {
		cache_forget(snapshot->cache, CACHE_SCHEDULE);
		snapshot->cached_generation = 0;
		snapshot->is_stale = false;
	}
	for (i = 0; i < CACHE_KINDS; i++)
		fetch_list_reset(&snapshot->lists[i]);
	world_reset(snapshot->world);
	arena_reset(snapshot->arena, ARENA_KEPT);
	cache_begin(snapshot->cache);
	snapshot->n_plans = 0;
	snapshot->generation = 0;
}

void
snapshot_count_lookup(struct snapshot *snapshot, enum cache_kind kind, bool hit)
{
	struct metric *metric =
	    hit ? snapshot->hits[kind] : snapshot->misses[kind];

	if (metric != NULL)
		metric_add(metric, 1);
}

/* Puts an entry on its list, once per batch. */
void
snapshot_want(struct snapshot *snapshot, struct cache_entry *entry)
{
	if (entry->asked == cache_batch(snapshot->cache))
		return;
	entry->asked = cache_batch(snapshot->cache);
	fetch_list_add(&snapshot->lists[entry->kind], entry);
}

bool
snapshot_is_fresh(
    const struct snapshot *snapshot, const struct cache_entry *entry)
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
	snapshot_want(snapshot, snapshot->schedules[n]);
	return snapshot->n_plans++;
}

static void
ask_generation(struct snapshot *snapshot)
{
	const struct text get[2] = { TEXT("GET"),
		keyspace_key(snapshot->keyspace, KEY_GENERATION) };

	redis_append(snapshot->redis, get, 2);
}

void
snapshot_ask(struct snapshot *snapshot)
{
	fetch_list_ask(&snapshot->lists[CACHE_SCHEDULE], snapshot->redis,
	    keyspace_key(snapshot->keyspace, KEY_HEADS));
	ask_generation(snapshot);
}

static int
hear_generation(
    struct snapshot *snapshot, int64_t *generation, struct error *err)
{
	struct redis_reply *reply = redis_receive(snapshot->redis, err);
	struct text value;
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(snapshot->redis, reply, "GET g", err);
	value = redis_reply_text(reply);
	if (rc == 0 && value.at == NULL) {
		snapshot_forget(snapshot);
		rc = error_set(err, ERROR_RETRY,
		    "redis %s has no catalogue; run schedrun apply",
		    redis_address(snapshot->redis));
	}
	if (rc == 0) {
		*generation = strtoll(value.at, NULL, 10);
		if (*generation <= 0)
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
	if (fetch_list_hear(&snapshot->lists[CACHE_SCHEDULE], snapshot->cache,
		snapshot->redis, err) != 0)
		return -1;
	return hear_generation(snapshot, &snapshot->generation, err);
}

void
snapshot_ask_proof(struct snapshot *snapshot)
{
	ask_generation(snapshot);
}

int
snapshot_hear_proof(struct snapshot *snapshot, struct error *err)
{
	int64_t generation; /* a newer one is no harm: ours stays readable */

	return hear_generation(snapshot, &generation, err);
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
		cache_forget(snapshot->cache, CACHE_DATASET);
		snapshot->cached_generation = snapshot->generation;
		rc = 0;
	}
	redis_reply_destroy(reply);
	return rc;
}

/* A field's parts are divided by a line break, shown as people write it. */
static void
put_field(struct buffer *out, struct text field)
{
	size_t i;

	for (i = 0; i < field.size; i++)
		if (field.at[i] == '\n')
			buffer_append(out, TEXT("\\n"));
		else
			buffer_byte(out, field.at[i]);
}

struct text
snapshot_damage_of(struct snapshot *snapshot, const char *hash,
    struct text field, const char *why)
{
	struct buffer message = { 0 };
	struct text text, reason = text_cut(text_from(why), 300);

	buffer_append(&message, TEXT("The stored entry "));
	put_field(&message, field);
	buffer_format(&message, " of %.*s%s is unreadable: %.*s.",
	    TEXT_ARG(keyspace_prefix(snapshot->keyspace)), hash,
	    TEXT_ARG(reason));
	text = text_copy(snapshot->arena, buffer_text(&message));
	buffer_finish(&message);
	return text;
}

static void
damage_plan(struct snapshot *snapshot, struct snapshot_plan *plan,
    const char *hash, struct text field, const char *why)
{
	plan->damage = "versionUnreadable";
	plan->damage_message = snapshot_damage_of(snapshot, hash, field, why);
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
	plan->has_schedule = entry->bytes.at != NULL;
	if (!plan->has_schedule)
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

/* Behind the limits of a new generation, if it is one: proves these too. */
static int
fetch_versions(struct snapshot *snapshot, bool is_new, struct error *err)
{
	struct fetch_list *list = &snapshot->lists[CACHE_VERSION];

	if (list->n == 0 && !is_new)
		return 0;
	fetch_list_ask(list, snapshot->redis,
	    keyspace_key(snapshot->keyspace, KEY_VERSIONS));
	snapshot_ask_proof(snapshot);
	if (fetch_list_hear(list, snapshot->cache, snapshot->redis, err) != 0)
		return -1;
	return snapshot_hear_proof(snapshot, err);
}

int
snapshot_read_versions(struct snapshot *snapshot, struct error *err)
{
	bool is_new = snapshot->generation != snapshot->cached_generation;
	size_t i;

	if (is_new && follow_generation(snapshot, err) != 0)
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
		    (entry->bytes.at == NULL &&
			!snapshot_is_fresh(snapshot, entry)))
			snapshot_want(snapshot, entry);
		snapshot_count_lookup(snapshot, CACHE_VERSION, entry->is_known);
	}
	if (fetch_versions(snapshot, is_new, err) != 0)
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
