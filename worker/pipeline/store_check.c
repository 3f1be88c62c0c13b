#include "worker/pipeline/store_check.h"

#include <string.h>

#include "common/base/log.h"

static void
warn_of_other(const char *what, const char *stored, const char *ours)
{
	if (strcmp(stored, ours) != 0)
		log_event(LOG_WARN, "redis", "meta_differs",
		    "Redis was initialised for another name",
		    LOG_S("what", what), LOG_S("stored", stored),
		    LOG_S("configured", ours), LOG_END);
}

static int
check_meta(const struct store_check *check, struct keyspace_meta *meta,
    struct error *err)
{
	if (keyspace_check_ours(check->redis, check->keyspace,
		check->cluster_id != NULL ? check->cluster_id : "", meta,
		err) != 0)
		return -1;
	warn_of_other("topic", meta->topic, check->topic);
	warn_of_other("group", meta->group, check->group);
	return 0;
}

static int
check_catalogue(const struct store_check *check, struct error *err)
{
	const struct text get[] = { TEXT("GET"),
		keyspace_key(check->keyspace, KEY_GENERATION) };
	struct redis_reply *reply =
	    redis_ask(check->redis, get, 2, "GET g", err);
	int rc = 0;

	if (reply == NULL)
		return -1;
	if (redis_reply_type(reply) != REDIS_STRING)
		rc = error_set(err, ERROR_RETRY,
		    "redis %s has no catalogue: run schedrun apply",
		    redis_address(check->redis));
	redis_reply_destroy(reply);
	return rc;
}

/* A Redis that is full or can't save answers reads and refuses this. */
static int
check_writable(const struct store_check *check,
    const struct keyspace_meta *meta, struct error *err)
{
	struct buffer key = { 0 };
	int rc = redis_do(check->redis,
	    (struct text[]){ TEXT("SET"),
		keyspace_write_check(
		    check->keyspace, text_from(meta->claims), &key),
		TEXT("1"), TEXT("EX"), TEXT("60") },
	    5, "write check", err);

	buffer_finish(&key);
	return rc;
}

int
store_check_run(const struct store_check *check, struct store_facts *facts,
    struct error *err)
{
	if (redis_connect(check->redis, err) != 0 ||
	    keyspace_check_eviction(check->redis, &facts->evicted, err) != 0 ||
	    check_meta(check, &facts->meta, err) != 0 ||
	    check_catalogue(check, err) != 0)
		return -1;
	return check_writable(check, &facts->meta, err);
}
