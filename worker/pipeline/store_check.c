#include "worker/pipeline/store_check.h"

#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "schemas/keyspace.h"

#define FORMAT 1

/* One command whose reply is no error; NULL on failure. */
static struct redis_reply *
ask(const struct store_check *check, const struct text *argv, size_t n,
    struct error *err)
{
	struct redis_reply *reply = redis_command(check->redis, argv, n, err);

	if (reply == NULL)
		return NULL;
	if (redis_reply_error(check->redis, reply, "check", err) == 0)
		return reply;
	error_prefix(err, "redis %s: %.*s", redis_address(check->redis),
	    TEXT_ARG(argv[0]));
	redis_reply_destroy(reply);
	return NULL;
}

/* The value behind "name:" in INFO's answer; none if it isn't there. */
static struct text
info_value(struct text info, const char *name)
{
	size_t size = strlen(name), at, end;

	for (at = 0; at < info.size; at = end + 1) {
		const char *line = info.at + at;
		const char *stop = memchr(line, '\n', info.size - at);

		end = stop != NULL ? (size_t)(stop - info.at) : info.size;
		if (end - at <= size || memcmp(line, name, size) != 0 ||
		    line[size] != ':')
			continue;
		at += size + 1;
		return (struct text){ info.at + at,
			end - at - (end > at && info.at[end - 1] == '\r') };
	}
	return TEXT_NONE;
}

/* A policy that evicts loses claims silently. */
static int
check_memory(const struct store_check *check, struct store_facts *facts,
    struct error *err)
{
	const struct text argv[] = { TEXT("INFO"), TEXT("everything") };
	struct redis_reply *reply = ask(check, argv, 2, err);
	struct text info, policy;
	int64_t evicted;
	int rc = 0;

	if (reply == NULL)
		return -1;
	info = redis_reply_text(reply);
	policy = info_value(info, "maxmemory_policy");
	facts->evicted = 0;
	if (text_to_number(
		info_value(info, "evicted_keys"), INT64_MAX, &evicted))
		facts->evicted = (uint64_t)evicted;
	if (!text_equal(policy, TEXT("noeviction")))
		rc = error_fatal(err, 78,
		    "redis %s: maxmemory-policy is \"%.*s\", which loses "
		    "claims: set it to noeviction",
		    redis_address(check->redis), TEXT_ARG(policy));
	redis_reply_destroy(reply);
	return rc;
}

static void
warn_of_other(const char *what, struct text stored, struct text ours)
{
	if (stored.at != NULL && !text_equal(stored, ours))
		log_event(LOG_WARN, "redis", "meta_differs",
		    "Redis was initialised for another name",
		    LOG_S("what", what), LOG_T("stored", stored),
		    LOG_T("configured", ours), LOG_END);
}

enum {
	META_FORMAT,
	META_CLUSTER,
	META_TOPIC,
	META_GROUP,
	META_CREATED,
	META_CLAIMS,
	META_SHARDS,
	META_FIELDS
};

static int
judge_meta(const struct store_check *check, const struct text *meta,
    struct arena *arena, struct store_facts *facts, struct error *err)
{
	const char *address = redis_address(check->redis);
	int64_t number;

	if (meta[META_FORMAT].at == NULL)
		return error_set(err, ERROR_RETRY,
		    "redis %s holds nothing of schedrun's under \"%.*s\": run "
		    "schedrun init, then schedrun apply",
		    address, TEXT_ARG(check->prefix));
	if (!text_to_number(meta[META_FORMAT], INT64_MAX, &number) ||
	    number != FORMAT)
		return error_fatal(err, 78,
		    "redis %s: format \"%.*s\" is not %d: run schedrun init "
		    "--upgrade with this version",
		    address, TEXT_ARG(meta[META_FORMAT]), FORMAT);
	if (!text_equal(meta[META_CLUSTER], check->cluster_id))
		return error_fatal(err, 78,
		    "redis %s belongs to the Kafka cluster \"%.*s\", not to "
		    "\"%.*s\": run schedrun init --cluster to take it over",
		    address, TEXT_ARG(meta[META_CLUSTER]),
		    TEXT_ARG(check->cluster_id));
	warn_of_other("topic", meta[META_TOPIC], check->topic);
	warn_of_other("group", meta[META_GROUP], check->group);
	facts->shards = KEYSPACE_SHARDS_DEFAULT;
	if (text_to_number(meta[META_SHARDS], KEYSPACE_SHARDS_MAX, &number) &&
	    number > 0 && (number & (number - 1)) == 0)
		facts->shards = (uint32_t)number;
	if (!text_to_number(
		meta[META_CREATED], CLOCK_MAX_MS, &facts->created_ms) &&
	    (meta[META_CREATED].at == NULL ||
		!clock_parse(meta[META_CREATED], &facts->created_ms)))
		facts->created_ms = 0;
	facts->claims = meta[META_CLAIMS].at != NULL
	    ? text_copy(arena, meta[META_CLAIMS])
	    : TEXT("");
	return 0;
}

static int
check_meta(const struct store_check *check, struct arena *arena,
    struct store_facts *facts, struct error *err)
{
	struct buffer key = { 0 };
	struct text argv[2 + META_FIELDS] = { TEXT("HMGET"), TEXT_NONE,
		TEXT("format"), TEXT("cluster"), TEXT("topic"), TEXT("group"),
		TEXT("created"), TEXT("claims"), TEXT("shards") };
	struct text meta[META_FIELDS];
	struct redis_reply *reply;
	size_t i;
	int rc = -1;

	buffer_append(&key, check->prefix);
	buffer_append(&key, TEXT("meta"));
	argv[1] = buffer_text(&key);
	reply = ask(check, argv, 2 + META_FIELDS, err);
	if (reply != NULL && redis_reply_size(reply) == META_FIELDS) {
		for (i = 0; i < META_FIELDS; i++)
			meta[i] = redis_reply_text(redis_reply_at(reply, i));
		rc = judge_meta(check, meta, arena, facts, err);
	} else if (reply != NULL) {
		error_set(err, ERROR_RETRY, "redis: odd answer to HMGET meta");
	}
	redis_reply_destroy(reply);
	buffer_finish(&key);
	return rc;
}

static int
check_catalogue(const struct store_check *check, struct error *err)
{
	struct buffer key = { 0 };
	struct text argv[2] = { TEXT("GET"), TEXT_NONE };
	struct redis_reply *reply;
	int rc = -1;

	buffer_append(&key, check->prefix);
	buffer_append(&key, TEXT("g"));
	argv[1] = buffer_text(&key);
	reply = ask(check, argv, 2, err);
	if (reply != NULL && redis_reply_type(reply) == REDIS_STRING)
		rc = 0;
	else if (reply != NULL)
		error_set(err, ERROR_RETRY,
		    "redis %s has no catalogue: run schedrun apply",
		    redis_address(check->redis));
	redis_reply_destroy(reply);
	buffer_finish(&key);
	return rc;
}

/* A Redis that is full or can't save answers reads and refuses this. */
static int
check_writable(const struct store_check *check, const struct store_facts *facts,
    struct error *err)
{
	struct buffer key = { 0 };
	struct text argv[5] = { TEXT("SET"), TEXT_NONE, TEXT("1"), TEXT("EX"),
		TEXT("60") };
	struct redis_reply *reply;

	buffer_append(&key, check->prefix);
	buffer_byte(&key, 'a');
	buffer_append(&key, facts->claims);
	buffer_append(&key, TEXT(":write-check"));
	argv[1] = buffer_text(&key);
	reply = ask(check, argv, 5, err);
	buffer_finish(&key);
	if (reply == NULL)
		return -1;
	redis_reply_destroy(reply);
	return 0;
}

int
store_check_run(const struct store_check *check, struct arena *arena,
    struct store_facts *facts, struct error *err)
{
	if (redis_connect(check->redis, err) != 0 ||
	    check_memory(check, facts, err) != 0 ||
	    check_meta(check, arena, facts, err) != 0 ||
	    check_catalogue(check, err) != 0)
		return -1;
	return check_writable(check, facts, err);
}
