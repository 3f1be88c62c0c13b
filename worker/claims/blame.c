#include "worker/claims/blame.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"

/* Redis's clock in ms; -1 if it does not answer. */
static int64_t
read_clock(struct redis *redis)
{
	const struct text time = TEXT("TIME");
	struct redis_reply *reply = redis_command(redis, &time, 1, NULL);
	int64_t seconds, ms = -1;

	if (reply == NULL)
		return -1;
	if (redis_reply_size(reply) == 2 &&
	    text_to_number(redis_reply_text(redis_reply_at(reply, 0)),
		CLOCK_MAX_MS / 1000, &seconds))
		ms = seconds * 1000;
	redis_reply_destroy(reply);
	return ms;
}

/* A key for people: a claim's ends in raw bytes. */
static void
put_key(struct buffer *out, struct text key)
{
	size_t i;

	for (i = 0; i < key.size; i++)
		if (key.at[i] >= ' ' && key.at[i] <= '~')
			buffer_byte(out, key.at[i]);
		else
			buffer_format(out, "\\x%02x", (unsigned char)key.at[i]);
}

static void
say(const struct claims_blame *blame, struct text key, struct text type,
    const char *wanted, struct error *err)
{
	struct buffer out = { 0 };

	put_key(&out, key);
	error_set(err, ERROR_RETRY,
	    "redis %s: the key %.*s holds a %.*s, not a %s; it is the worker's "
	    "own: remove it, and it is made anew",
	    redis_address(blame->redis), TEXT_ARG(buffer_text(&out)),
	    TEXT_ARG(type), wanted);
	buffer_finish(&out);
}

/* Whether the key is of the wanted type or none; -1: no answer. */
static int
is_fine(const struct claims_blame *blame, struct text key, const char *wanted,
    struct error *err)
{
	const struct text ask[2] = { TEXT("TYPE"), key };
	struct redis_reply *reply = redis_command(blame->redis, ask, 2, NULL);
	struct text type;
	int fine = 1;

	if (reply == NULL)
		return -1;
	type = redis_reply_text(reply);
	if (redis_reply_type(reply) == REDIS_STATUS &&
	    !text_equal(type, TEXT("none")) &&
	    !text_equal(type, text_from(wanted))) {
		say(blame, key, type, wanted, err);
		fine = 0;
	}
	redis_reply_destroy(reply);
	return fine;
}

/* The claim's hash in one bucket. */
static int
is_claim_fine(const struct claims_blame *blame, const struct claim *item,
    int64_t bucket, struct error *err)
{
	unsigned char packed[CLAIM_PACKED_SIZE];
	struct buffer key = { 0 };
	int fine;

	claim_pack(claim_shard(&item->run, blame->shards), &item->run,
	    &item->value, packed);
	buffer_append(&key, blame->claim_prefix);
	buffer_format(&key, "%lld:", (long long)bucket);
	buffer_append(
	    &key, (struct text){ (const char *)packed, CLAIM_SHARD_SIZE });
	fine = is_fine(blame, buffer_text(&key), "hash", err);
	buffer_finish(&key);
	return fine;
}

void
claims_blame(const struct claims_blame *blame, struct error *err)
{
	int64_t bucket;
	size_t i;

	for (i = 0; i < blame->n_marks; i++)
		if (is_fine(blame, blame->marks[i], "string", err) != 1)
			return;
	bucket = read_clock(blame->redis);
	if (bucket < 0)
		return;
	bucket /= blame->ttl_ms;
	for (i = 0; i < blame->n; i++)
		if (is_claim_fine(blame, &blame->items[i], bucket, err) != 1 ||
		    is_claim_fine(blame, &blame->items[i], bucket - 1, err) !=
			1)
			return;
}
