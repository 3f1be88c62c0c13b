#include "schemas/keyspace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

#define EX_CONFIG 78
#define OURS_MS 5000 /* between two looks whether Redis is still ours */

struct keyspace {
	struct buffer prefix;
	struct buffer keys[KEYSPACE_KEYS];
};

static const char *const names[KEYSPACE_KEYS] = {
	[KEY_META] = "meta",
	[KEY_HEADS] = "s",
	[KEY_ABOUT] = "i",
	[KEY_VERSIONS] = "v",
	[KEY_GENERATION] = "g",
	[KEY_GENERATIONS] = "n",
	[KEY_APPLY_LOCK] = "n:lock",
	[KEY_APPLY_DONE] = "n:done",
	[KEY_SAID] = "n:said",
	[KEY_BRANCHES] = "h",
	[KEY_MOVED] = "h:at",
	[KEY_EDITION] = "e",
	[KEY_PAGE_SECRET] = "k",
	[KEY_LEASES] = "o",
	[KEY_STOOD] = "t:at",
	[KEY_REPLICAS] = "t:who",
};

struct keyspace *
keyspace_create(const char *prefix)
{
	struct keyspace *keyspace = memory_zalloc(1, sizeof *keyspace);
	size_t i;

	buffer_append(&keyspace->prefix, text_from(prefix));
	for (i = 0; i < KEYSPACE_KEYS; i++)
		buffer_format(&keyspace->keys[i], "%s%s", prefix, names[i]);
	return keyspace;
}

void
keyspace_destroy(struct keyspace *keyspace)
{
	size_t i;

	if (keyspace == NULL)
		return;
	buffer_finish(&keyspace->prefix);
	for (i = 0; i < KEYSPACE_KEYS; i++)
		buffer_finish(&keyspace->keys[i]);
	free(keyspace);
}

struct text
keyspace_prefix(const struct keyspace *keyspace)
{
	return buffer_text(&keyspace->prefix);
}

struct text
keyspace_key(const struct keyspace *keyspace, enum keyspace_key key)
{
	return buffer_text(&keyspace->keys[key]);
}

static struct text
text_since(const struct buffer *out, size_t start)
{
	return (struct text){ out->at + start, out->size - start };
}

/* prefix, letter and colon, then the rest. */
static struct text
append_key(const struct keyspace *keyspace, const char *kind, struct text rest,
    struct buffer *out)
{
	size_t start = out->size;

	buffer_append(out, buffer_text(&keyspace->prefix));
	buffer_append(out, text_from(kind));
	buffer_append(out, rest);
	return text_since(out, start);
}

static struct text
append_uuid_key(const struct keyspace *keyspace, const char *kind,
    const struct uuid *uuid, struct buffer *out)
{
	return append_key(keyspace, kind,
	    (struct text){ (const char *)uuid->bytes, sizeof uuid->bytes },
	    out);
}

struct text
keyspace_part(const struct keyspace *keyspace, int64_t generation,
    enum catalogue_part part, struct buffer *out)
{
	size_t start = out->size;

	buffer_append(out, buffer_text(&keyspace->prefix));
	buffer_format(out, "g%lld:%c", (long long)generation, (char)part);
	return text_since(out, start);
}

struct text
keyspace_stage(const struct keyspace *keyspace, int64_t generation, char letter,
    struct buffer *out)
{
	size_t start = out->size;

	buffer_append(out, buffer_text(&keyspace->prefix));
	buffer_format(out, "g%lld:S:%c", (long long)generation, letter);
	return text_since(out, start);
}

struct text
keyspace_versions_of(const struct keyspace *keyspace, struct text schedule_rid,
    struct buffer *out)
{
	return append_key(keyspace, "w:", schedule_rid, out);
}

struct text
keyspace_run(
    const struct keyspace *keyspace, const struct uuid *run, struct buffer *out)
{
	return append_uuid_key(keyspace, "r:", run, out);
}

struct text
keyspace_runs_of(const struct keyspace *keyspace, struct text schedule_rid,
    struct buffer *out)
{
	return append_key(keyspace, "x:", schedule_rid, out);
}

struct text
keyspace_build(const struct keyspace *keyspace, const struct uuid *build,
    struct buffer *out)
{
	return append_uuid_key(keyspace, "b:", build, out);
}

struct text
keyspace_jobs(const struct keyspace *keyspace, const struct uuid *build,
    struct buffer *out)
{
	return append_uuid_key(keyspace, "j:", build, out);
}

struct text
keyspace_made(const struct keyspace *keyspace, const struct uuid *fingerprint,
    struct buffer *out)
{
	return append_uuid_key(keyspace, "j:f:", fingerprint, out);
}

struct text
keyspace_lease(const struct keyspace *keyspace, struct text dataset,
    struct text branch, struct buffer *out)
{
	size_t start = out->size;

	append_key(keyspace, "o:", dataset, out);
	buffer_byte(out, '\n');
	buffer_append(out, branch);
	return text_since(out, start);
}

struct text
keyspace_triggers(const struct keyspace *keyspace, struct buffer *out)
{
	return append_key(keyspace, "t:", TEXT(""), out);
}

struct text
keyspace_waiting(const struct keyspace *keyspace, const char *kind,
    struct text rid, struct text branch, struct buffer *out)
{
	size_t start = out->size;

	keyspace_triggers(keyspace, out);
	buffer_format(out, "%s:%.*s%s%.*s", kind, TEXT_ARG(rid),
	    branch.at != NULL ? "@" : "", TEXT_ARG(branch));
	return text_since(out, start);
}

struct text
keyspace_and(const struct keyspace *keyspace, const char *part,
    struct text version_rid, struct buffer *out)
{
	return keyspace_waiting(keyspace, part, version_rid, TEXT_NONE, out);
}

struct text
keyspace_done(const struct keyspace *keyspace, const struct uuid *event,
    struct buffer *out)
{
	return append_uuid_key(keyspace, "t:done:", event, out);
}

struct text
keyspace_fold(const struct keyspace *keyspace, const char *topic,
    int32_t partition, struct buffer *out)
{
	size_t start = out->size;

	append_key(keyspace, "f:", text_from(topic), out);
	buffer_format(out, ":%d", (int)partition);
	return text_since(out, start);
}

/* "<prefix><letter><namespace>:" and the rest. */
static struct text
append_space(const struct keyspace *keyspace, char letter, struct text space,
    struct text rest, struct buffer *out)
{
	size_t start = out->size;

	buffer_append(out, buffer_text(&keyspace->prefix));
	buffer_byte(out, letter);
	buffer_append(out, space);
	buffer_byte(out, ':');
	buffer_append(out, rest);
	return text_since(out, start);
}

struct text
keyspace_mark(const struct keyspace *keyspace, struct text space,
    struct text topic, int32_t partition, struct buffer *out)
{
	size_t start = out->size;

	append_space(keyspace, 'm', space, topic, out);
	buffer_format(out, ":%d", (int)partition);
	return text_since(out, start);
}

struct text
keyspace_attempts(const struct keyspace *keyspace, struct text space,
    struct text topic, int32_t partition, struct buffer *out)
{
	size_t start = out->size;

	append_space(keyspace, 'a', space, topic, out);
	buffer_format(out, ":%d", (int)partition);
	return text_since(out, start);
}

struct text
keyspace_write_check(
    const struct keyspace *keyspace, struct text space, struct buffer *out)
{
	return append_space(keyspace, 'a', space, TEXT("write-check"), out);
}

struct text
keyspace_claims(
    const struct keyspace *keyspace, struct text space, struct buffer *out)
{
	return append_space(keyspace, 'c', space, TEXT(""), out);
}

struct text
keyspace_claims_of(const struct keyspace *keyspace, struct text space,
    int64_t bucket, struct text shard, struct buffer *out)
{
	size_t start = out->size;

	append_space(keyspace, 'c', space, TEXT(""), out);
	buffer_format(out, "%lld:", (long long)bucket);
	buffer_append(out, shard);
	return text_since(out, start);
}

struct text
keyspace_new_edition(char out[KEYSPACE_EDITION_SIZE])
{
	struct uuid uuid = uuid_random();

	uuid_format(&uuid, out);
	return (struct text){ out, KEYSPACE_EDITION_SIZE };
}

struct text
keyspace_field(struct text owner, struct text owned, struct buffer *out)
{
	size_t start = out->size;

	buffer_append(out, owner);
	buffer_byte(out, '\n');
	buffer_append(out, owned);
	return text_since(out, start);
}

struct text
keyspace_field_owner(struct text field)
{
	const char *end = memchr(field.at, '\n', field.size);

	if (end != NULL)
		field.size = (size_t)(end - field.at);
	return field;
}

struct text
keyspace_field_owned(struct text field)
{
	size_t owner = keyspace_field_owner(field).size;

	if (owner == field.size)
		return TEXT_NONE;
	return (struct text){ field.at + owner + 1, field.size - owner - 1 };
}

enum meta_field {
	META_FORMAT,
	META_CLUSTER,
	META_TOPIC,
	META_GROUP,
	META_CREATED,
	META_CLAIMS,
	META_SHARDS,
	META_FIELDS,
};

static const char *const meta_names[META_FIELDS] = { "format", "cluster",
	"topic", "group", "created", "claims", "shards" };

/* -1 of anything that is no number. */
static int64_t
parse_decimal(struct text text)
{
	int64_t number;

	return text_to_number(text, INT64_MAX, &number) ? number : -1;
}

static bool
copy_name(char out[KEYSPACE_NAME_MAX], struct text text)
{
	if (text.size >= KEYSPACE_NAME_MAX || text_has_control(text) ||
	    !text_is_utf8(text))
		return false;
	if (text.size > 0)
		memcpy(out, text.at, text.size);
	out[text.size] = '\0';
	return true;
}

static int
refuse_meta(struct redis *redis, const struct keyspace *keyspace,
    const char *field, struct error *err)
{
	return error_fatal(err, EX_CONFIG,
	    "redis %s: field %s of %.*s is malformed; is this another "
	    "program's Redis? give redis.prefix, or run `schedrun init`",
	    redis_address(redis), field,
	    TEXT_ARG(keyspace_key(keyspace, KEY_META)));
}

static int
parse_meta(struct redis *redis, const struct keyspace *keyspace,
    const struct text fields[META_FIELDS], struct keyspace_meta *meta,
    struct error *err)
{
	int64_t shards = parse_decimal(fields[META_SHARDS]);

	meta->format = parse_decimal(fields[META_FORMAT]);
	meta->created_ms = parse_decimal(fields[META_CREATED]);
	if (meta->format != KEYSPACE_FORMAT)
		return error_fatal(err, EX_CONFIG,
		    "redis %s: keys under \"%.*s\" are of format \"%.*s\", "
		    "this version reads format %d: run the version that wrote "
		    "them, or give another redis.prefix",
		    redis_address(redis), TEXT_ARG(keyspace_prefix(keyspace)),
		    TEXT_ARG(fields[META_FORMAT]), KEYSPACE_FORMAT);
	if (shards < 1 || shards > KEYSPACE_SHARDS_MAX ||
	    (shards & (shards - 1)) != 0)
		return refuse_meta(redis, keyspace, "shards", err);
	meta->shards = (uint32_t)shards;
	if (meta->created_ms < 0)
		return refuse_meta(redis, keyspace, "created", err);
	if (!copy_name(meta->cluster, fields[META_CLUSTER]) ||
	    !copy_name(meta->topic, fields[META_TOPIC]) ||
	    !copy_name(meta->group, fields[META_GROUP]) ||
	    !copy_name(meta->claims, fields[META_CLAIMS]))
		return refuse_meta(redis, keyspace, "cluster", err);
	return 1;
}

int
keyspace_meta_read(struct redis *redis, const struct keyspace *keyspace,
    struct keyspace_meta *meta, struct error *err)
{
	struct text argv[2 + META_FIELDS] = { TEXT("HMGET"),
		keyspace_key(keyspace, KEY_META) };
	struct text fields[META_FIELDS];
	struct redis_reply *reply;
	bool is_there = false;
	int rc = -1;
	size_t i;

	for (i = 0; i < META_FIELDS; i++)
		argv[2 + i] = text_from(meta_names[i]);
	reply = redis_ask(redis, argv, 2 + META_FIELDS, "HMGET meta", err);
	if (reply == NULL)
		return -1;
	if (redis_reply_size(reply) != META_FIELDS) {
		refuse_meta(redis, keyspace, "answer", err);
		goto out;
	}
	for (i = 0; i < META_FIELDS; i++) {
		fields[i] = redis_reply_text(redis_reply_at(reply, i));
		is_there = is_there || fields[i].at != NULL;
	}
	rc = is_there ? parse_meta(redis, keyspace, fields, meta, err) : 0;
out:
	redis_reply_destroy(reply);
	return rc;
}

int
keyspace_check_cluster(const struct redis *redis,
    const struct keyspace_meta *meta, const char *cluster, struct error *err)
{
	if (meta->cluster[0] == '\0' || cluster[0] == '\0' ||
	    strcmp(meta->cluster, cluster) == 0)
		return 0;
	return error_fatal(err, EX_CONFIG,
	    "redis %s belongs to the Kafka cluster \"%s\", not to \"%s\": run "
	    "schedrun init --cluster to take it over",
	    redis_address(redis), meta->cluster, cluster);
}

int
keyspace_check_ours(struct redis *redis, const struct keyspace *keyspace,
    const char *cluster, struct keyspace_meta *meta, struct error *err)
{
	int found = keyspace_meta_read(redis, keyspace, meta, err);

	if (found < 0)
		return -1;
	if (found == 0)
		return error_set(err, ERROR_RETRY,
		    "redis %s holds nothing of schedrun's under \"%.*s\": run "
		    "schedrun init, then schedrun apply",
		    redis_address(redis), TEXT_ARG(keyspace_prefix(keyspace)));
	return keyspace_check_cluster(redis, meta, cluster, err);
}

int
keyspace_open_ours(struct redis *redis, const struct keyspace *keyspace,
    const char *cluster, int64_t *ours_ms, struct error *err)
{
	struct keyspace_meta meta;

	/* Whoever has nothing to ask notices a restart, too. */
	redis_drop_closed(redis);
	if (redis_is_connected(redis) && *ours_ms != 0 &&
	    clock_monotonic_ms() - *ours_ms < OURS_MS)
		return 0;
	if (redis_connect(redis, err) != 0)
		return -1;
	if (keyspace_check_ours(redis, keyspace, cluster, &meta, err) == 0) {
		*ours_ms = cluster[0] != '\0' ? clock_monotonic_ms() : 0;
		return 0;
	}
	redis_disconnect(redis);
	return -1;
}

int
keyspace_meta_write(struct redis *redis, const struct keyspace *keyspace,
    const struct keyspace_meta *meta, struct error *err)
{
	struct text argv[2 + 2 * META_FIELDS] = { TEXT("HSET"),
		keyspace_key(keyspace, KEY_META) };
	char format[24], created[24], shards[24];
	size_t i;

	snprintf(format, sizeof format, "%lld", (long long)meta->format);
	snprintf(created, sizeof created, "%lld", (long long)meta->created_ms);
	snprintf(shards, sizeof shards, "%u", (unsigned)meta->shards);
	for (i = 0; i < META_FIELDS; i++)
		argv[2 + 2 * i] = text_from(meta_names[i]);
	argv[3 + 2 * META_FORMAT] = text_from(format);
	argv[3 + 2 * META_CLUSTER] = text_from(meta->cluster);
	argv[3 + 2 * META_TOPIC] = text_from(meta->topic);
	argv[3 + 2 * META_GROUP] = text_from(meta->group);
	argv[3 + 2 * META_CREATED] = text_from(created);
	argv[3 + 2 * META_CLAIMS] = text_from(meta->claims);
	argv[3 + 2 * META_SHARDS] = text_from(shards);
	return redis_do(redis, argv, 2 + 2 * META_FIELDS, "HSET meta", err);
}

int
keyspace_check_eviction(
    struct redis *redis, int64_t *evicted, struct error *err)
{
	const struct text ask[] = { TEXT("INFO"), TEXT("memory"),
		TEXT("stats") };
	struct redis_reply *reply = redis_ask(redis, ask, 3, "INFO", err);
	struct text info, policy;
	int rc = 0;

	*evicted = -1;
	if (reply == NULL)
		return -1;
	info = redis_reply_text(reply);
	policy = redis_info_value(info, "maxmemory_policy");
	*evicted = parse_decimal(redis_info_value(info, "evicted_keys"));
	if (!text_equal(policy, TEXT("noeviction")))
		rc = error_fatal(err, EX_CONFIG,
		    "redis %s: maxmemory-policy is %.*s, which loses claims "
		    "silently; CONFIG SET maxmemory-policy noeviction",
		    redis_address(redis), TEXT_ARG(policy));
	redis_reply_destroy(reply);
	return rc;
}
