#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "producer/check/list.h"
#include "schemas/keyspace.h"
#include "schemas/topics.h"

#define CLOCK_DIFFERENCE_MAX_MS 5000
#define RIGHTS "redis-cli acl setuser USER, by deploy's ACL file"

static void
check_memory(struct check_list *list, struct redis *redis)
{
	struct error err = { 0 };
	char detail[128];
	int64_t evicted;

	if (keyspace_check_eviction(redis, &evicted, &err) != 0) {
		check_failed(list, "redis memory", &err,
		    "redis-cli config set maxmemory-policy noeviction");
		return;
	}
	if (evicted <= 0) {
		check_fine(list, "redis memory", "noeviction");
		return;
	}
	snprintf(detail, sizeof detail,
	    "noeviction now, but %lld keys were evicted since its start",
	    (long long)evicted);
	check_note(list, "redis memory", detail,
	    "schedrun apply CATALOGUE; claims repair themselves");
}

/*
 * Groups may share a prefix, topics may not: another one's name is another
 * environment's store.
 */
static void
compare_names(struct check_list *list, const struct keyspace *keyspace,
    const struct keyspace_meta *meta)
{
	const struct config *config = command_config(list->command);
	const char *topic = topic_name(config, TOPIC_REQUESTS);
	const char *group = config_text(config, "worker.group");
	char detail[1200];

	snprintf(detail, sizeof detail, "prefix \"%.*s\", format %d",
	    TEXT_ARG(keyspace_prefix(keyspace)), (int)meta->format);
	if (strcmp(meta->topic, topic) != 0) {
		snprintf(detail, sizeof detail,
		    "prefix \"%.*s\" belongs to topic %s, not to "
		    "topics.requests, %s",
		    TEXT_ARG(keyspace_prefix(keyspace)), meta->topic, topic);
		check_fault(list, "redis keys", detail,
		    "mend topics.requests, or give this environment a "
		    "redis.prefix of its own and run schedrun init");
	} else if (strcmp(meta->group, group) != 0) {
		snprintf(detail, sizeof detail,
		    "prefix \"%.*s\" was prepared for group %s, not for "
		    "worker.group, %s",
		    TEXT_ARG(keyspace_prefix(keyspace)), meta->group, group);
		check_note(list, "redis keys", detail,
		    "mend worker.group, unless both groups are meant");
	} else {
		check_fine(list, "redis keys", detail);
	}
}

static void
check_meta(
    struct check_list *list, struct redis *redis, struct keyspace *keyspace)
{
	struct keyspace_meta meta;
	struct error err = { 0 };
	char detail[700];
	int found = keyspace_meta_read(redis, keyspace, &meta, &err);

	if (found < 0) {
		check_failed(list, "redis keys", &err, "schedrun init");
	} else if (found == 0) {
		check_fault(list, "redis keys",
		    "nothing of schedrun's under redis.prefix",
		    "schedrun init");
	} else if (list->cluster != NULL &&
	    strcmp(meta.cluster, list->cluster) != 0) {
		snprintf(detail, sizeof detail,
		    "belong to Kafka cluster %s, not %s", meta.cluster,
		    list->cluster);
		check_fault(
		    list, "redis keys", detail, "schedrun init --cluster");
	} else {
		compare_names(list, keyspace, &meta);
	}
}

static void
check_catalogue(
    struct check_list *list, struct redis *redis, struct keyspace *keyspace)
{
	const struct text argv[] = { TEXT("GET"),
		keyspace_key(keyspace, KEY_GENERATION) };
	struct error err = { 0 };
	struct redis_reply *reply = redis_command(redis, argv, 2, &err);
	char detail[64], mend[160];

	snprintf(mend, sizeof mend,
	    "redis-cli del %.*s; schedrun apply CATALOGUE", TEXT_ARG(argv[1]));
	if (reply == NULL) {
		check_failed(list, "catalogue", &err, "schedrun check again");
	} else if (redis_reply_error(redis, reply, "GET g", &err) != 0 &&
	    err.exit_code == 77) {
		check_failed(list, "catalogue", &err, RIGHTS);
	} else if (redis_reply_type(reply) == REDIS_ERROR ||
	    redis_reply_text(reply).size > 18) {
		check_fault(list, "catalogue",
		    err.message[0] != '\0' ? err.message : "no number", mend);
	} else if (redis_reply_text(reply).at == NULL) {
		check_fault(list, "catalogue", "none is loaded",
		    "schedrun apply CATALOGUE");
	} else {
		snprintf(detail, sizeof detail, "generation %.*s",
		    TEXT_ARG(redis_reply_text(reply)));
		check_fine(list, "catalogue", detail);
	}
	redis_reply_destroy(reply);
}

static void
check_clock(struct check_list *list, struct redis *redis)
{
	struct error err = { 0 };
	int64_t theirs, difference;
	char detail[128];

	if (redis_clock(redis, &theirs, &err) != 0) {
		check_failed(list, "redis clock", &err, RIGHTS);
		return;
	}
	difference = theirs - clock_wall_ms();
	snprintf(detail, sizeof detail, "%lld s from this machine's",
	    (long long)(difference / 1000));
	if (llabs(difference) > CLOCK_DIFFERENCE_MAX_MS)
		check_fault(list, "redis clock", detail,
		    "synchronise both clocks, as by chrony");
	else
		check_fine(list, "redis clock", detail);
}

/* Commands that schedrun can't do without, none of which changes anything. */
static void
check_rights(
    struct check_list *list, struct redis *redis, struct keyspace *keyspace)
{
	const struct text heads = keyspace_key(keyspace, KEY_HEADS);
	const struct text probes[][4] = {
		{ TEXT("HGET"), heads, TEXT("-") },
		{ TEXT("TYPE"), heads },
		{ TEXT("EVAL"), TEXT("return 1"), TEXT("0") },
		{ TEXT("SCRIPT"), TEXT("LOAD"), TEXT("return 1") },
	};
	const size_t sizes[] = { 3, 2, 3, 3 };
	struct error err = { 0 };
	size_t i;

	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		if (redis_do(redis, probes[i], sizes[i], probes[i][0].at,
			&err) != 0) {
			check_failed(list, "redis rights", &err, RIGHTS);
			return;
		}
	check_fine(list, "redis rights", NULL);
}

/*
 * Whether a write is taken: none is where memory or replicas are too few, or a
 * snapshot failed.  XX, of a key that nobody has, changes nothing.
 */
static void
check_writes(
    struct check_list *list, struct redis *redis, struct keyspace *keyspace)
{
	struct buffer key = { 0 };
	struct text argv[] = { TEXT("SET"), TEXT_NONE, TEXT(""), TEXT("XX") };
	struct error err = { 0 };
	struct redis_reply *reply;

	buffer_append(&key, keyspace_prefix(keyspace));
	buffer_append(&key, TEXT("no-such-key"));
	argv[1] = buffer_text(&key);
	reply = redis_command(redis, argv, 4, &err);
	if (reply != NULL)
		redis_reply_error(redis, reply, "a write", &err);
	if (err.message[0] == '\0' || err.exit_code == 77)
		check_fine(list, "redis writes", NULL);
	else
		check_fault(list, "redis writes", err.message,
		    "give it what it lacks: redis-cli config get maxmemory, "
		    "config get min-replicas-to-write, info persistence");
	redis_reply_destroy(reply);
	buffer_finish(&key);
}

/* The value of a setting in the answer to CONFIG GET; none if it isn't known.
 */
static struct text
setting_of(const struct redis_reply *reply, const char *name)
{
	size_t i;

	for (i = 0; i + 1 < redis_reply_size(reply); i += 2)
		if (text_equal(redis_reply_text(redis_reply_at(reply, i)),
			text_from(name)))
			return redis_reply_text(redis_reply_at(reply, i + 1));
	return TEXT_NONE;
}

static bool
is_set_to(const struct redis_reply *reply, const char *name, const char *value)
{
	return text_equal(setting_of(reply, name), text_from(value));
}

/* What a restart, or a crash, of this server and of its replicas loses. */
static void
check_persistence(struct check_list *list, const struct redis_reply *reply)
{
	static const char what[] = "redis persistence";
	static const char mend[] =
	    "redis-cli config set appendonly yes, and in redis.conf";

	if (is_set_to(reply, "appendonly", "no") &&
	    is_set_to(reply, "save", ""))
		check_note(list, what,
		    "neither an AOF nor snapshots: a restart loses the "
		    "catalogue, the heads of all branches, the claims and the "
		    "run view, its replicas' with them",
		    mend);
	else if (is_set_to(reply, "appendonly", "no"))
		check_note(list, what,
		    "snapshots alone: a crash loses what came since the last "
		    "one, of catalogue, heads, claims and run view",
		    mend);
	else if (is_set_to(reply, "appendfsync", "no"))
		check_note(list, what,
		    "appendfsync no: a machine that crashes loses what its "
		    "kernel had not written, of catalogue, heads, claims and "
		    "run view",
		    "redis-cli config set appendfsync everysec, and in "
		    "redis.conf");
	else
		check_fine(list, what, NULL);
}

/* A hash of a generation that expires must not block all others. */
static void
check_lazy_free(struct check_list *list, const struct redis_reply *reply)
{
	if (is_set_to(reply, "lazyfree-lazy-expire", "no") ||
	    is_set_to(reply, "lazyfree-lazy-user-del", "no"))
		check_note(list, "redis settings",
		    "an old catalogue that expires blocks Redis meanwhile",
		    "redis-cli config set lazyfree-lazy-expire yes; redis-cli "
		    "config set lazyfree-lazy-user-del yes");
	else
		check_fine(list, "redis settings", NULL);
}

static void
check_settings(struct check_list *list, struct redis *redis)
{
	const struct text argv[] = { TEXT("CONFIG"), TEXT("GET"),
		TEXT("lazyfree-lazy-expire"), TEXT("lazyfree-lazy-user-del"),
		TEXT("appendonly"), TEXT("save"), TEXT("appendfsync") };
	struct error err = { 0 };
	struct redis_reply *reply = redis_command(redis, argv, 7, &err);

	if (reply == NULL) {
		check_failed(
		    list, "redis settings", &err, "schedrun check again");
	} else if (redis_reply_type(reply) == REDIS_ERROR) {
		check_note(list, "redis settings",
		    "this user may not look at them (CONFIG GET)",
		    "schedrun check as another user");
	} else {
		check_lazy_free(list, reply);
		check_persistence(list, reply);
	}
	redis_reply_destroy(reply);
}

static void
check_view(struct check_list *list)
{
	struct command *command = list->command;
	struct error err = { 0 };

	if (config_text(command_config(command), "view.redis.url") == NULL)
		return;
	if (command_open(command, COMMAND_VIEW | COMMAND_UNPREPARED, &err) != 0)
		check_failed(list, "view's redis", &err,
		    "start it, or mend view.redis.url");
	else
		check_fine(
		    list, "view's redis", redis_address(command->view.redis));
}

static void
check_store(
    struct check_list *list, struct redis *redis, struct keyspace *keyspace)
{
	check_fine(list, "redis", redis_address(redis));
	check_rights(list, redis, keyspace);
	check_writes(list, redis, keyspace);
	check_memory(list, redis);
	check_clock(list, redis);
	check_settings(list, redis);
	check_meta(list, redis, keyspace);
	check_catalogue(list, redis, keyspace);
}

void
check_redis(struct check_list *list)
{
	struct command *command = list->command;
	struct error err = { 0 };

	if (command_open(command, COMMAND_STORE | COMMAND_UNPREPARED, &err) !=
	    0)
		check_failed(list, "redis", &err,
		    "start it, or give --redis URL (redis.url)");
	else
		check_store(list, command->redis, command->keyspace);
	check_view(list);
}
