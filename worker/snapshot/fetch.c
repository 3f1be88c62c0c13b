#include "worker/snapshot/fetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/redis/bounded.h"

void
fetch_list_finish(struct fetch_list *list)
{
	free(list->entries);
	*list = (struct fetch_list){ 0 };
}

void
fetch_list_reset(struct fetch_list *list)
{
	list->n = list->asked = 0;
}

void
fetch_list_add(struct fetch_list *list, struct cache_entry *entry)
{
	if (list->n == list->capacity) {
		list->capacity = list->capacity * 2 + 64;
		list->entries = memory_resize(list->entries, list->capacity,
		    sizeof(struct cache_entry *));
	}
	list->entries[list->n++] = entry;
}

/* How many fields one command has, from the `start`-th on. */
static size_t
piece(const struct fetch_list *list, size_t start)
{
	size_t max = list->entries[start]->kind == CACHE_VERSION
	    ? FETCH_VERSIONS_MAX
	    : FETCH_FIELDS_MAX;

	return list->n - start < max ? list->n - start : max;
}

void
fetch_list_ask(struct fetch_list *list, struct redis *redis, struct text key)
{
	struct text argv[2 + FETCH_FIELDS_MAX] = { TEXT("HMGET"), key };
	size_t n, i;

	for (; list->asked < list->n; list->asked += n) {
		n = piece(list, list->asked);
		for (i = 0; i < n; i++)
			argv[2 + i] = list->entries[list->asked + i]->key;
		if (list->careful)
			redis_append_fields(redis, key, argv + 2, n);
		else
			redis_append(redis, argv, 2 + n);
	}
}

static void
take_value(struct cache *cache, struct cache_entry *entry,
    const struct redis_reply *value)
{
	char why[80];

	entry->asked = 0; /* it may be wanted again */
	if (redis_reply_type(value) != REDIS_INTEGER) {
		cache_put(cache, entry, redis_reply_text(value));
		return;
	}
	snprintf(why, sizeof why, "it has %lld bytes, more than %d",
	    (long long)redis_reply_integer(value), REDIS_VALUE_MAX);
	cache_put_damage(cache, entry, text_from(why));
}

static bool
is_wrong_type(const struct redis_reply *reply)
{
	return redis_reply_type(reply) == REDIS_ERROR &&
	    text_starts_with(redis_reply_text(reply), TEXT("WRONGTYPE"));
}

/* One command's answer, for `n` entries; returns how many it is about. */
static int
take(struct fetch_list *list, struct cache_entry **entries, size_t n,
    const struct redis_reply *reply, struct cache *cache)
{
	size_t size = redis_reply_size(reply), i;

	if (is_wrong_type(reply)) {
		for (i = 0; i < n; i++) {
			entries[i]->asked = 0;
			cache_put_damage(cache, entries[i],
			    TEXT("the key holds another type than a hash"));
		}
		return (int)n;
	}
	if (size > n || size == 0 || (size < n && !list->careful))
		return -1;
	for (i = 0; i < size; i++)
		take_value(cache, entries[i], redis_reply_at(reply, i));
	return (int)size;
}

/* The next answer; an error of it names the key. */
static struct redis_reply *
receive(struct fetch_list *list, struct text key, struct redis *redis,
    struct error *err)
{
	struct redis_reply *reply = redis_receive(redis, err);
	char what[120];

	if (reply == NULL) {
		list->careful =
		    list->careful || redis_answer_was_too_large(redis);
		error_prefix(err, "HMGET %.*s", TEXT_ARG(key));
		return NULL;
	}
	snprintf(what, sizeof what, "HMGET %.*s", TEXT_ARG(key));
	/* A reference has no way to be unreadable: that is not ready. */
	if ((is_wrong_type(reply) && list->entries[0]->kind != CACHE_PROJECT) ||
	    redis_reply_error(redis, reply, what, err) == 0)
		return reply;
	redis_reply_destroy(reply);
	return NULL;
}

int
fetch_list_hear(struct fetch_list *list, struct text key, struct cache *cache,
    struct redis *redis, struct error *err)
{
	size_t start = 0, left = 0, asked = list->asked, n, i;

	for (; start < asked; start += n) {
		struct redis_reply *reply = receive(list, key, redis, err);
		int taken;

		if (reply == NULL)
			return -1;
		n = piece(list, start);
		taken = take(list, list->entries + start, n, reply, cache);
		redis_reply_destroy(reply);
		if (taken < 0)
			return error_set(err, ERROR_RETRY,
			    "redis %s: %.*s gave an answer of another form",
			    redis_address(redis), TEXT_ARG(key));
		for (i = (size_t)taken; i < n; i++)
			list->entries[left++] = list->entries[start + i];
	}
	list->n = left;
	list->asked = 0;
	return 0;
}
