#include "producer/catalogue/fields.h"

#include <stdio.h>
#include <string.h>

#include "common/redis/bounded.h"

#define PIECE 1000                            /* fields of one command */
#define PIECE_BYTES ((size_t)2 * 1024 * 1024) /* of values, written at once */
#define PIECES_AHEAD 8 /* commands that may be unanswered */
#define SCAN_COUNT "500"

static int
malformed(struct redis *redis, struct text key, struct error *err)
{
	return error_fatal(err, 78,
	    "redis %s: %.*s gave an answer of another form",
	    redis_address(redis), TEXT_ARG(key));
}

/* The next answer, if it is no error; one of it names the key. */
static struct redis_reply *
receive(struct redis *redis, struct text key, struct error *err)
{
	char what[120];

	snprintf(what, sizeof what, "%.*s", TEXT_ARG(key));
	return redis_reply_checked(redis, redis_receive(redis, err), what, err);
}

void
fields_ask_some(
    struct redis *redis, struct text key, const struct text *names, size_t n)
{
	redis_append_fields(redis, key, names, n < PIECE ? n : PIECE);
}

int
fields_hear_some(struct fields *fields, struct redis *redis, struct text key,
    const struct text *names, size_t n, struct error *err)
{
	struct redis_reply *reply = receive(redis, key, err);
	size_t size, i;

	if (reply == NULL)
		return -1;
	size = redis_reply_size(reply);
	if (size == 0 || size > n) {
		redis_reply_destroy(reply);
		return malformed(redis, key, err);
	}
	for (i = 0; i < size; i++) {
		const struct redis_reply *value = redis_reply_at(reply, i);

		if (redis_reply_type(value) == REDIS_INTEGER) {
			error_set(err, ERROR_INPUT,
			    "redis %s: field %.*s of %.*s has %lld bytes, more "
			    "than %d",
			    redis_address(redis), TEXT_ARG(names[i]),
			    TEXT_ARG(key),
			    (long long)redis_reply_integer(value),
			    REDIS_VALUE_MAX);
			redis_reply_destroy(reply);
			return -1;
		}
		if (redis_reply_text(value).at != NULL)
			fields_put(fields, names[i], redis_reply_text(value));
	}
	redis_reply_destroy(reply);
	return (int)size;
}

int
fields_read_some(struct fields *fields, struct redis *redis, struct text key,
    const struct text *names, size_t n, struct error *err)
{
	size_t done = 0;

	while (done < n) {
		int taken;

		fields_ask_some(redis, key, names + done, n - done);
		taken = fields_hear_some(
		    fields, redis, key, names + done, n - done, err);
		if (taken < 0)
			return -1;
		done += (size_t)taken;
	}
	return 0;
}

/* A step's names and values; names whose value did not fit go to `left`. */
static int
take_scan(struct fields *fields, struct fields *left, struct redis *redis,
    struct text key, const struct redis_reply *list, struct error *err)
{
	size_t i;

	for (i = 0; i + 1 < redis_reply_size(list); i += 2) {
		struct text name = redis_reply_text(redis_reply_at(list, i));
		struct text value =
		    redis_reply_text(redis_reply_at(list, i + 1));

		if (name.at == NULL)
			return malformed(redis, key, err);
		if (value.at != NULL)
			fields_put(fields, name, value);
		else
			fields_put(left, name, TEXT(""));
	}
	return 0;
}

/* The values that did not fit, by name. */
static int
read_left(struct fields *fields, struct fields *left, struct redis *redis,
    struct text key, struct error *err)
{
	const struct field *list = fields_list(left);
	size_t i;

	for (i = 0; i < fields_size(left); i++)
		if (fields_read_some(
			fields, redis, key, &list[i].name, 1, err) != 0)
			return -1;
	return 0;
}

int
fields_scan(struct fields *fields, struct redis *redis, struct text key,
    char cursor[FIELDS_CURSOR_SIZE], struct error *err)
{
	struct fields *left = fields_create(fields_arena(fields));
	struct redis_reply *reply;
	struct text next;
	int rc = -1;

	redis_append_scan(redis, key, text_from(cursor), TEXT(SCAN_COUNT));
	reply = receive(redis, key, err);
	if (reply == NULL)
		goto out;
	next = redis_reply_size(reply) == 2
	    ? redis_reply_text(redis_reply_at(reply, 0))
	    : TEXT_NONE;
	if (next.at == NULL || next.size >= FIELDS_CURSOR_SIZE) {
		malformed(redis, key, err);
		goto out;
	}
	memcpy(cursor, next.at, next.size);
	cursor[next.size] = '\0';
	rc = take_scan(fields, left, redis, key, redis_reply_at(reply, 1), err);
	if (rc == 0)
		rc = read_left(fields, left, redis, key, err);
out:
	redis_reply_destroy(reply);
	fields_destroy(left);
	return rc;
}

int
fields_read(struct fields *fields, struct redis *redis, struct text key,
    struct error *err)
{
	char cursor[FIELDS_CURSOR_SIZE] = "0";
	int rc;

	do
		rc = fields_scan(fields, redis, key, cursor, err);
	while (rc == 0 && strcmp(cursor, "0") != 0);
	return rc;
}

static int
drop_answer(struct redis *redis, struct text key, struct error *err)
{
	struct redis_reply *reply = receive(redis, key, err);

	redis_reply_destroy(reply);
	return reply != NULL ? 0 : -1;
}

/* Queues the next HSET; returns how many fields it has. */
static size_t
append_piece(
    struct redis *redis, struct text key, const struct field *list, size_t n)
{
	struct text argv[2 + 2 * PIECE] = { TEXT("HSET"), key };
	size_t bytes = 0, i;

	for (i = 0; i < n && i < PIECE && bytes < PIECE_BYTES; i++) {
		argv[2 + 2 * i] = list[i].name;
		argv[3 + 2 * i] = list[i].value;
		bytes += list[i].name.size + list[i].value.size;
	}
	redis_append(redis, argv, 2 + 2 * i);
	return i;
}

int
fields_write(struct redis *redis, struct text key, const struct field *list,
    size_t n, struct error *err)
{
	size_t ahead = 0, done = 0;
	int rc = 0;

	while (done < n && rc == 0) {
		done += append_piece(redis, key, list + done, n - done);
		rc = redis_send(redis, err);
		if (rc == 0 && ++ahead >= PIECES_AHEAD) {
			rc = drop_answer(redis, key, err);
			ahead--;
		}
	}
	for (; ahead > 0 && rc == 0; ahead--)
		rc = drop_answer(redis, key, err);
	return rc;
}
