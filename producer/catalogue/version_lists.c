#include "producer/catalogue/version_lists.h"

#include <string.h>

#include "common/base/buffer.h"

#define AHEAD 500 /* lists that are asked for at once */

bool
version_list_next(struct text *rest, struct text *rid)
{
	const char *end;

	if (rest->size == 0)
		return false;
	end = memchr(rest->at, '\n', rest->size);
	*rid = *rest;
	if (end != NULL)
		rid->size = (size_t)(end - rest->at);
	rest->at += rid->size + (end != NULL);
	rest->size -= rid->size + (end != NULL);
	return true;
}

bool
version_list_has(struct text list, struct text rid)
{
	struct text each;

	while (version_list_next(&list, &each))
		if (text_equal(each, rid))
			return true;
	return false;
}

static void
ask_lists(
    struct redis *redis, const struct keyspace *keyspace, struct text schedule)
{
	struct buffer key = { 0 };
	struct text range[4] = { TEXT("LRANGE"), TEXT_NONE, TEXT("0"),
		TEXT("-1") };

	range[1] = keyspace_versions_of(keyspace, schedule, &key);
	redis_append(redis, range, 4);
	buffer_finish(&key);
}

/* One schedule's list, in lines. */
static int
hear(struct redis *redis, struct text schedule, struct fields *into,
    struct error *err)
{
	struct redis_reply *reply = redis_reply_checked(
	    redis, redis_receive(redis, err), "LRANGE", err);
	struct buffer list = { 0 };
	size_t i;

	if (reply == NULL) {
		error_prefix(
		    err, "versions of schedule %.*s", TEXT_ARG(schedule));
		return -1;
	}
	for (i = 0; i < redis_reply_size(reply); i++) {
		buffer_append(
		    &list, redis_reply_text(redis_reply_at(reply, i)));
		buffer_byte(&list, '\n');
	}
	if (list.size > 0)
		fields_put(into, schedule, buffer_text(&list));
	redis_reply_destroy(reply);
	buffer_finish(&list);
	return 0;
}

int
version_lists_read(struct redis *redis, const struct keyspace *keyspace,
    const struct text *schedules, size_t n, struct fields *into,
    struct error *err)
{
	size_t done, size, i;

	for (done = 0; done < n; done += size) {
		size = n - done < AHEAD ? n - done : AHEAD;
		for (i = 0; i < size; i++)
			ask_lists(redis, keyspace, schedules[done + i]);
		for (i = 0; i < size; i++)
			if (hear(redis, schedules[done + i], into, err) != 0)
				return -1;
	}
	return 0;
}
