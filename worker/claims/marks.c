#include "worker/claims/marks.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/buffer.h"

#define OFFSET_MAX INT64_C(999999999999999) /* they stay below 2^53 */
#define OFFSET_DIGITS 15
#define ENTRIES_MAX 1000
/* Longer than a worker takes to be started again, shorter than a memory. */
#define ATTEMPT_TTL_S "3600"

struct text
marks_key(const struct marks *marks, int32_t partition, struct buffer *out)
{
	return keyspace_mark(
	    marks->keyspace, marks->space, marks->topic, partition, out);
}

static struct text
attempts_key(const struct marks *marks, int32_t partition, struct buffer *out)
{
	return keyspace_attempts(
	    marks->keyspace, marks->space, marks->topic, partition, out);
}

/* GET of one key; the reply is the caller's, NULL on failure. */
static struct redis_reply *
get_key(const struct marks *marks, struct text key, struct error *err)
{
	const struct text argv[] = { TEXT("GET"), key };
	struct redis_reply *reply =
	    redis_ask(marks->redis, argv, 2, "GET", err);

	if (reply == NULL)
		error_prefix(err, "key %.*s", TEXT_ARG(key));
	return reply;
}

int
marks_read(const struct marks *marks, int32_t partition, int64_t *mark,
    struct error *err)
{
	struct buffer key = { 0 };
	struct redis_reply *reply =
	    get_key(marks, marks_key(marks, partition, &key), err);

	buffer_finish(&key);
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

	snprintf(value, sizeof value, "%" PRId64, mark);
	rc = redis_do(marks->redis,
	    (struct text[]){ TEXT("SET"), marks_key(marks, partition, &key),
		text_from(value) },
	    3, "SET", err);
	buffer_finish(&key);
	return rc;
}

/* "<offset>:<entries>"; anything else is no note. */
static struct attempt
parse_attempt(struct text text)
{
	struct attempt attempt = { 0, 0 };
	int64_t offset, entries;

	if (text_take_number(&text, OFFSET_DIGITS, &offset) &&
	    text_starts_with(text, TEXT(":")) &&
	    text_to_number((struct text){ text.at + 1, text.size - 1 },
		ENTRIES_MAX, &entries))
		attempt = (struct attempt){ offset, (int32_t)entries };
	return attempt;
}

int
attempts_read(const struct marks *marks, int32_t partition,
    struct attempt *attempt, struct error *err)
{
	struct buffer key = { 0 };
	struct redis_reply *reply =
	    get_key(marks, attempts_key(marks, partition, &key), err);

	buffer_finish(&key);
	if (reply == NULL)
		return -1;
	*attempt = parse_attempt(redis_reply_text(reply));
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

	snprintf(value, sizeof value, "%" PRId64 ":%" PRId32, attempt.offset,
	    attempt.entries);
	rc = redis_do(marks->redis,
	    (struct text[]){ TEXT("SET"), attempts_key(marks, partition, &key),
		text_from(value), TEXT("EX"), TEXT(ATTEMPT_TTL_S) },
	    5, "SET", err);
	buffer_finish(&key);
	return rc;
}
