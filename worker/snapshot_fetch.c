#include "worker/snapshot_fetch.h"

#include <stdlib.h>

#include "common/memory.h"

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
		redis_append(redis, argv, 2 + n);
	}
}

static int
take(struct fetch_list *list, size_t start, struct cache *cache,
    struct redis *redis, struct error *err)
{
	size_t n = piece(list, start), i;
	struct redis_reply *reply = redis_receive(redis, err);
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(redis, reply, "HMGET", err);
	if (rc == 0 && redis_reply_size(reply) != n)
		rc = error_set(err, ERROR_RETRY,
		    "redis %s: HMGET answered %zu fields of %zu",
		    redis_address(redis), redis_reply_size(reply), n);
	for (i = 0; rc == 0 && i < n; i++)
		cache_put(cache, list->entries[start + i],
		    redis_reply_text(redis_reply_at(reply, i)));
	redis_reply_destroy(reply);
	return rc;
}

int
fetch_list_hear(struct fetch_list *list, struct cache *cache,
    struct redis *redis, struct error *err)
{
	size_t start = 0, n;

	while (start < list->asked) {
		n = piece(list, start);
		if (take(list, start, cache, redis, err) != 0)
			return -1;
		start += n;
	}
	fetch_list_reset(list);
	return 0;
}
