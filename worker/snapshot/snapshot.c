#include "worker/snapshot/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "schemas/keyspace.h"
#include "schemas/stored/catalogue.h"
#include "worker/snapshot/internal.h"

#define CACHE_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
#define ARENA_KEPT ((size_t)4 * 1024 * 1024)
#define ATTEMPTS_MAX 8 /* applies in a row that a batch waits out */

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
	for (i = 0; i < CACHE_KINDS; i++)
		fetch_list_reset(&snapshot->lists[i]);
	world_reset(snapshot->world);
	arena_reset(snapshot->arena, ARENA_KEPT);
	cache_begin(snapshot->cache);
	if (snapshot->is_stale) {
		cache_forget(snapshot->cache, CACHE_SCHEDULE);
		snapshot->cached_generation = 0;
		snapshot->is_stale = false;
	}
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

void
snapshot_want(struct snapshot *snapshot, struct cache_entry *entry)
{
	if (entry->asked == cache_batch(snapshot->cache))
		return;
	entry->asked = cache_batch(snapshot->cache);
	fetch_list_add(&snapshot->lists[entry->kind], entry);
}

void
snapshot_want_fresh(struct snapshot *snapshot, struct cache_entry *entry)
{
	if (!cache_is_fresh(snapshot->cache, entry))
		snapshot_want(snapshot, entry);
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
	return snapshot->n_plans++;
}

/* One limit of hash `l`; false: it is there and no number. */
static bool
read_limit(const struct redis_reply *list, size_t i, int32_t *limit)
{
	struct text text = redis_reply_text(redis_reply_at(list, i));
	int64_t value = 0;
	size_t digit;

	if (text.at == NULL)
		return true;
	if (text.size == 0 || text.size > 10)
		return false;
	for (digit = 0; digit < text.size; digit++) {
		if (text.at[digit] < '0' || text.at[digit] > '9')
			return false;
		value = value * 10 + (text.at[digit] - '0');
	}
	*limit = (int32_t)value;
	return value <= INT32_MAX;
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

/* A new generation: its limits, and nothing cached of the old structure. */
static int
follow_generation(struct snapshot *snapshot, struct error *err)
{
	struct buffer key = { 0 };
	int rc = 0;

	if (snapshot->generation != snapshot->cached_generation) {
		rc = read_limits(snapshot,
		    keyspace_part(snapshot->keyspace, snapshot->generation,
			PART_LIMITS, &key),
		    err);
		buffer_finish(&key);
	}
	if (rc != 0)
		return -1;
	if (snapshot->generation != snapshot->cached_generation)
		cache_forget(snapshot->cache, CACHE_DATASET);
	snapshot->cached_generation = snapshot->generation;
	world_set_limits(snapshot->world, snapshot->limits);
	return 0;
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
snapshot_damage_of(struct snapshot *snapshot, enum cache_kind kind,
    struct text field, const char *why)
{
	struct buffer message = { 0 };
	struct text text, reason = text_cut(text_from(why), 300);

	buffer_append(&message, TEXT("The stored entry "));
	put_field(&message, field);
	buffer_append(&message, TEXT(" of "));
	snapshot_key(snapshot, kind, &message);
	buffer_format(&message, " is unreadable: %.*s.", TEXT_ARG(reason));
	text = text_copy(snapshot->arena, buffer_text(&message));
	buffer_finish(&message);
	return text;
}

static void
damage_plan(struct snapshot *snapshot, struct snapshot_plan *plan,
    enum cache_kind kind, struct text field, const char *why)
{
	plan->damage = "versionUnreadable";
	plan->damage_message = snapshot_damage_of(snapshot, kind, field, why);
}

/* Which version a plan is for, by its schedule's head as read now. */
static void
choose_version(struct snapshot *snapshot, size_t number)
{
	struct snapshot_plan *plan = &snapshot->plans[number];
	struct cache_entry *entry = snapshot->schedules[number];
	struct schedule_head head = { 0 };
	struct error err;

	plan->planned_rid = plan->pin;
	plan->has_schedule =
	    entry->bytes.at != NULL || entry->damage.at != NULL;
	if (!plan->has_schedule)
		return;
	if (entry->damage.at == NULL &&
	    schedule_head_parse(entry->bytes, &head, &err) != 0)
		cache_spoil(snapshot->cache, entry, err.message);
	if (entry->damage.at != NULL) {
		damage_plan(snapshot, plan, CACHE_SCHEDULE, plan->schedule_rid,
		    entry->damage.at);
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
		cache_spoil(snapshot->cache, entry, err.message);
		return;
	}
	cache_parsed(snapshot->cache, entry, version);
	cache_drop_bytes(snapshot->cache, entry);
}

/* Immutable: one that is there and can be read is known for good. */
static void
want_version(struct snapshot *snapshot, const struct snapshot_plan *plan)
{
	struct cache_entry *entry;
	bool known;

	if (plan->planned_rid.at == NULL || plan->damage != NULL)
		return;
	entry = cache_entry(snapshot->cache, CACHE_VERSION, plan->planned_rid);
	known = cache_is_settled(snapshot->cache, entry) &&
	    (entry->bytes.at != NULL || entry->damage.at != NULL ||
		cache_is_fresh(snapshot->cache, entry));
	snapshot_count_lookup(snapshot, CACHE_VERSION, known);
	if (!known)
		snapshot_want(snapshot, entry);
}

static void
take_version(struct snapshot *snapshot, struct snapshot_plan *plan)
{
	struct cache_entry *entry;

	if (plan->planned_rid.at == NULL || plan->damage != NULL)
		return;
	entry = cache_entry(snapshot->cache, CACHE_VERSION, plan->planned_rid);
	if (entry->bytes.at != NULL)
		parse_version(snapshot, entry);
	if (entry->damage.at != NULL)
		damage_plan(snapshot, plan, CACHE_VERSION, plan->planned_rid,
		    entry->damage.at);
	else if (entry->bytes.at != NULL)
		plan->version = entry->parsed;
	else if (plan->pin.at == NULL)
		damage_plan(snapshot, plan, CACHE_VERSION, plan->planned_rid,
		    "the schedule's current version is missing");
}

int
snapshot_settle(struct snapshot *snapshot, void (*want)(void *opaque),
    void *opaque, struct error *err)
{
	int attempts;

	snapshot_age(snapshot);
	for (attempts = 0; attempts < ATTEMPTS_MAX; attempts++) {
		snapshot->generation = 0;
		want(opaque);
		if (snapshot_round(snapshot, err) != 0)
			return -1;
		want(opaque); /* what the round has shown to be stale */
		if (snapshot_has_wants(snapshot) &&
		    snapshot_round(snapshot, err) != 0)
			return -1;
		if (!snapshot->moved)
			return follow_generation(snapshot, err);
	}
	return error_set(
	    err, ERROR_RETRY, "the catalogue is replaced again and again");
}

int
snapshot_choose(struct snapshot *snapshot, struct error *err)
{
	size_t i;

	for (i = 0; i < snapshot->n_plans; i++) {
		choose_version(snapshot, i);
		want_version(snapshot, &snapshot->plans[i]);
	}
	if (snapshot_has_wants(snapshot) && snapshot_round(snapshot, err) != 0)
		return -1;
	for (i = 0; i < snapshot->n_plans; i++)
		take_version(snapshot, &snapshot->plans[i]);
	return 0;
}

static void
want_schedules(void *opaque)
{
	struct snapshot *snapshot = opaque;
	size_t i;

	for (i = 0; i < snapshot->n_plans; i++)
		snapshot_want_fresh(snapshot, snapshot->schedules[i]);
}

int
snapshot_read(struct snapshot *snapshot, struct error *err)
{
	if (snapshot_settle(snapshot, want_schedules, snapshot, err) != 0)
		return -1;
	return snapshot_choose(snapshot, err);
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
