#include "worker/claims/marks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"

#define OFFSET_MAX INT64_C(999999999999999) /* they stay below 2^53 */
#define ENTRIES_MAX 1000

/* "<prefix><letter><namespace>:<topic>:<partition>" */
static void
write_key(const struct marks *marks, char letter, int32_t partition,
    struct buffer *out)
{
	buffer_append(out, marks->prefix);
	buffer_byte(out, letter);
	buffer_append(out, marks->space);
	buffer_byte(out, ':');
	buffer_append(out, marks->topic);
	buffer_format(out, ":%" PRId32, partition);
}

/* GET of one key; the reply is the caller's, NULL on failure. */
static struct redis_reply *
get(const struct marks *marks, char letter, int32_t partition,
    struct error *err)
{
	struct buffer key = { 0 };
	struct redis_reply *reply;
	struct text argv[2] = { TEXT("GET"), TEXT_NONE };

	write_key(marks, letter, partition, &key);
	argv[1] = buffer_text(&key);
	reply = redis_command(marks->redis, argv, 2, err);
	if (reply != NULL &&
	    redis_reply_error(marks->redis, reply, "GET", err) != 0) {
		error_prefix(err, "key %.*s", TEXT_ARG(argv[1]));
		redis_reply_destroy(reply);
		reply = NULL;
	}
	buffer_finish(&key);
	return reply;
}

/* SET of one key, with "EX" and seconds if `seconds` is not NULL. */
static int
set(const struct marks *marks, const struct buffer *key, const char *value,
    const char *seconds, struct error *err)
{
	const struct text argv[] = { TEXT("SET"), buffer_text(key),
		text_from(value), TEXT("EX"), text_from(seconds) };
	struct redis_reply *reply;
	int rc;

	reply = redis_command(marks->redis, argv, seconds != NULL ? 5 : 3, err);
	if (reply == NULL)
		return -1;
	rc = redis_reply_error(marks->redis, reply, "SET", err);
	redis_reply_destroy(reply);
	return rc;
}

int
marks_read(const struct marks *marks, int32_t partition, int64_t *mark,
    struct error *err)
{
	struct redis_reply *reply = get(marks, 'm', partition, err);

	if (reply == NULL)
		return -1;
	if (!text_to_number(redis_reply_text(reply), OFFSET_MAX, mark))
		*mark = -1;
	redis_reply_destroy(reply);
	return 0;
}

int
marks_write(const struct marks *marks, int32_t partition, int64_t mark,
    struct error *err)
{
	struct buffer key = { 0 };
	char value[24];
	int rc;

	write_key(marks, 'm', partition, &key);
	snprintf(value, sizeof(value), "%" PRId64, mark);
	rc = set(marks, &key, value, NULL, err);
	buffer_finish(&key);
	return rc;
}

int
marks_now(const struct marks *marks, int64_t *now_ms, struct error *err)
{
	const struct text argv[] = { TEXT("TIME") };
	int64_t seconds = 0, micros = 0;
	struct redis_reply *reply;
	int rc;

	reply = redis_command(marks->redis, argv, 1, err);
	if (reply == NULL)
		return -1;
	rc = redis_reply_error(marks->redis, reply, "TIME", err);
	if (rc == 0 &&
	    (redis_reply_size(reply) != 2 ||
		!text_to_number(redis_reply_text(redis_reply_at(reply, 0)),
		    CLOCK_MAX_MS / 1000, &seconds) ||
		!text_to_number(redis_reply_text(redis_reply_at(reply, 1)),
		    999999, &micros)))
		rc = error_set(err, ERROR_RETRY, "Redis has no TIME");
	if (rc == 0)
		*now_ms = seconds * 1000 + micros / 1000;
	redis_reply_destroy(reply);
	return rc;
}

int
attempts_read(const struct marks *marks, int32_t partition,
    struct attempt *attempt, struct error *err)
{
	struct redis_reply *reply = get(marks, 'a', partition, err);
	struct text text, offset, entries;
	int64_t n;
	const char *colon;

	if (reply == NULL)
		return -1;
	*attempt = (struct attempt){ 0, 0 };
	text = redis_reply_text(reply);
	colon = text.size > 0 ? memchr(text.at, ':', text.size) : NULL;
	if (colon != NULL) {
		offset = (struct text){ text.at, (size_t)(colon - text.at) };
		entries =
		    (struct text){ colon + 1, text.size - offset.size - 1 };
		if (text_to_number(offset, OFFSET_MAX, &attempt->offset) &&
		    text_to_number(entries, ENTRIES_MAX, &n))
			attempt->entries = (int32_t)n;
	}
	redis_reply_destroy(reply);
	return 0;
}

int
attempts_write(const struct marks *marks, int32_t partition,
    struct attempt attempt, struct error *err)
{
	struct buffer key = { 0 };
	char value[48];
	int rc;

	write_key(marks, 'a', partition, &key);
	snprintf(value, sizeof(value), "%" PRId64 ":%" PRId32, attempt.offset,
	    attempt.entries);
	rc = set(marks, &key, value, "3600", err);
	buffer_finish(&key);
	return rc;
}
