#include "worker/claims/claims.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "worker/claims/blame.h"

#define MARKS_MAX 1024 /* of one chunk: it has no more records than claims */
#define SETTLE_ROUNDS 8

/*
 * KEYS  the marks
 * ARGV  ttl in ms, prefix of the claims' keys, bucket that the expiry bits are
 *       for, first bucket with claims, packed claims, packed shards to expire,
 *       then expected and next of each mark
 * Says  {-1, mark's number from 1, its value, now} and writes nothing, or
 *       {bucket, now, index from 0, occupant, index, occupant, ...}
 *
 * An occupant is cut after one byte too many, so that a foreign value can't
 * blow the answer up.  Offsets stay below 2^53.  Where the bucket isn't the one
 * that the expiry bits are for, every hash that is touched gets its expiry.
 */
static const char take_source[] =
    "local call, sub = redis.call, string.sub\n"
    "local time = call('TIME')\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local ttl = tonumber(ARGV[1])\n"
    "local current = {}\n"
    "for i = 1, #KEYS do\n"
    "  local s = call('GET', KEYS[i])\n"
    "  local mark = -1\n"
    "  if s and #s <= 15 and string.match(s, '^%d+$') then\n"
    "    mark = tonumber(s)\n"
    "  end\n"
    "  if mark < tonumber(ARGV[5 + 2 * i]) then return {-1, i, mark, now} end\n"
    "  current[i] = mark\n"
    "end\n"
    "local bucket = math.floor(now / ttl)\n"
    "local key = ARGV[2] .. string.format('%.0f:', bucket)\n"
    "local before = ARGV[2] .. string.format('%.0f:', bucket - 1)\n"
    "local look = bucket > tonumber(ARGV[4])\n"
    "local all = bucket ~= tonumber(ARGV[3])\n"
    "local ends = string.format('%.0f', (bucket + 2) * ttl)\n"
    "local claims, answer, n = ARGV[5], {bucket, now}, 2\n"
    "for at = 0, #claims - 37, 37 do\n"
    "  local shard = sub(claims, at + 1, at + 3)\n"
    "  local id = sub(claims, at + 4, at + 19)\n"
    "  local v = look and call('HGET', before .. shard, id)\n"
    "  if not v then\n"
    "    local hash = key .. shard\n"
    "    if call('HSETNX', hash, id, sub(claims, at + 20, at + 37)) == 0 then\n"
    "      v = call('HGET', hash, id)\n"
    "    elseif all then\n"
    "      call('PEXPIREAT', hash, ends)\n"
    "    end\n"
    "  end\n"
    "  if v then\n"
    "    answer[n + 1] = at / 37\n"
    "    answer[n + 2] = sub(v, 1, 19)\n"
    "    n = n + 2\n"
    "  end\n"
    "end\n"
    "if not all then\n"
    "  local shards = ARGV[6]\n"
    "  for at = 1, #shards - 2, 3 do\n"
    "    call('PEXPIREAT', key .. sub(shards, at, at + 2), ends)\n"
    "  end\n"
    "end\n"
    "for i = 1, #KEYS do\n"
    "  if tonumber(ARGV[6 + 2 * i]) > current[i] then\n"
    "    call('SET', KEYS[i], ARGV[6 + 2 * i])\n"
    "  end\n"
    "end\n"
    "return answer\n";

/*
 * ARGV  ttl in ms, prefix of the claims' keys, then shard, id, occupant seen,
 *       new value.  Says the occupant if it is another by now, else 1.
 */
static const char overwrite_source[] =
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local ttl = tonumber(ARGV[1])\n"
    "local bucket = math.floor(now / ttl)\n"
    "for b = bucket - 1, bucket do\n"
    "  local key = ARGV[2] .. string.format('%.0f:', b) .. ARGV[3]\n"
    "  local v = redis.call('HGET', key, ARGV[4])\n"
    "  if v then\n"
    "    v = string.sub(v, 1, 19)\n"
    "    if v ~= ARGV[5] then return v end\n"
    "    redis.call('HSET', key, ARGV[4], ARGV[6])\n"
    "    return 1\n"
    "  end\n"
    "end\n"
    "local key = ARGV[2] .. string.format('%.0f:', bucket) .. ARGV[3]\n"
    "redis.call('HSET', key, ARGV[4], ARGV[6])\n"
    "redis.call('PEXPIREAT', key, string.format('%.0f', (bucket + 2) * ttl))\n"
    "return 1\n";

struct chunk {
	struct claim *items;
	const struct claim_mark *marks;
	size_t n, n_marks;
};

struct claims {
	const struct marks *marks;
	struct redis *redis;
	struct redis_script take, overwrite;
	struct buffer prefix; /* of the claims' keys, up to the bucket */
	uint32_t shards;
	int64_t ttl_ms, first_bucket;
	bool is_loaded;         /* the script is in this server's cache */
	int64_t expiry_bucket;  /* what the bits below are for; -1: nothing */
	unsigned char *expires; /* a bit per shard: its hash has an expiry */
	struct chunk chunks[CLAIMS_IN_FLIGHT];
	size_t oldest, n_chunks;
	struct buffer packed, shard_list, numbers;
	struct text keys[MARKS_MAX], args[6 + 2 * MARKS_MAX];
};

struct claims *
claims_create(const struct claims_settings *settings)
{
	struct claims *claims = memory_zalloc(1, sizeof *claims);

	claims->marks = settings->marks;
	claims->redis = settings->marks->redis;
	claims->take.source = take_source;
	claims->overwrite.source = overwrite_source;
	claims->ttl_ms = settings->ttl_ms;
	claims_set_space(claims, KEYSPACE_SHARDS_DEFAULT, 0);
	return claims;
}

void
claims_destroy(struct claims *claims)
{
	if (claims == NULL)
		return;
	buffer_finish(&claims->prefix);
	buffer_finish(&claims->packed);
	buffer_finish(&claims->shard_list);
	buffer_finish(&claims->numbers);
	free(claims->expires);
	free(claims);
}

/* Of another namespace, of more shards: nothing that is known is true of it. */
void
claims_set_space(struct claims *claims, uint32_t shards, int64_t created_ms)
{
	struct buffer prefix = { 0 };

	assert(shards > 0 && shards <= CLAIM_SHARDS_MAX);
	assert((shards & (shards - 1)) == 0);
	keyspace_claims(claims->marks->keyspace, claims->marks->space, &prefix);
	if (claims->shards == shards &&
	    claims->first_bucket == created_ms / claims->ttl_ms &&
	    text_equal(buffer_text(&claims->prefix), buffer_text(&prefix))) {
		buffer_finish(&prefix);
		return;
	}
	buffer_finish(&claims->prefix);
	claims->prefix = prefix;
	claims->first_bucket = created_ms / claims->ttl_ms;
	claims->shards = shards;
	free(claims->expires);
	claims->expires = memory_zalloc((shards + 7) / 8, 1);
	claims_reset(claims);
}

static void
forget_expiries(struct claims *claims, int64_t bucket)
{
	memset(claims->expires, 0, (claims->shards + 7) / 8);
	claims->expiry_bucket = bucket;
}

void
claims_reset(struct claims *claims)
{
	claims->oldest = claims->n_chunks = 0;
	claims->is_loaded = false;
	forget_expiries(claims, -1);
}

void
claims_discard(struct claims *claims)
{
	struct redis_reply *reply = NULL;

	while (claims->n_chunks > 0) {
		reply = redis_receive(claims->redis, NULL);
		if (reply == NULL)
			break; /* the connection is closed: nothing comes */
		redis_reply_destroy(reply);
		claims->oldest = (claims->oldest + 1) % CLAIMS_IN_FLIGHT;
		claims->n_chunks--;
	}
	claims->n_chunks = 0;
}

static bool
has_expiry(const struct claims *claims, uint32_t shard)
{
	return (claims->expires[shard / 8] >> (shard % 8) & 1) != 0;
}

static void
note_expiry(struct claims *claims, uint32_t shard)
{
	claims->expires[shard / 8] |= (unsigned char)(1u << (shard % 8));
}

/* Packs the claims, and the shards whose hash may lack its expiry. */
static void
pack(struct claims *claims, const struct claim *items, size_t n)
{
	unsigned char *at;
	uint32_t shard;
	size_t i;

	buffer_reset(&claims->packed);
	buffer_reset(&claims->shard_list);
	at = (unsigned char *)buffer_reserve(
	    &claims->packed, n * CLAIM_PACKED_SIZE + 1);
	for (i = 0; i < n; i++, at += CLAIM_PACKED_SIZE) {
		shard = claim_shard(&items[i].run, claims->shards);
		claim_pack(shard, &items[i].run, &items[i].value, at);
		if (!has_expiry(claims, shard))
			buffer_append(&claims->shard_list,
			    (struct text){
				(const char *)at, CLAIM_SHARD_SIZE });
	}
	claims->packed.size = n * CLAIM_PACKED_SIZE;
}

/* The number's digits at the end of `out`, which has room for them. */
static struct text
put_number(struct buffer *out, int64_t value)
{
	size_t start = out->size;

	buffer_format(out, "%" PRId64, value);
	return (struct text){ out->at + start, out->size - start };
}

#define NUMBER_SIZE 24

static size_t
key_size(const struct claims *claims)
{
	return claims->prefix.size + claims->marks->topic.size + NUMBER_SIZE;
}

static int
load_scripts(struct claims *claims, struct error *err)
{
	if (claims->is_loaded)
		return 0;
	assert(claims->n_chunks == 0);
	if (redis_load_script(claims->redis, &claims->take, err) != 0)
		return -1;
	claims->is_loaded = true;
	return 0;
}

/* Keys and arguments of the script; `claims->numbers` holds their bytes. */
static void
append_take(struct claims *claims, const struct claim_mark *marks, size_t n)
{
	struct buffer *out = &claims->numbers;
	struct text *keys = claims->keys, *args = claims->args;
	size_t i;

	buffer_reset(out);
	buffer_reserve(
	    out, n * (key_size(claims) + 2 * NUMBER_SIZE) + 3 * NUMBER_SIZE);
	args[0] = put_number(out, claims->ttl_ms);
	args[1] = buffer_text(&claims->prefix);
	args[2] = put_number(out, claims->expiry_bucket);
	args[3] = put_number(out, claims->first_bucket);
	args[4] = buffer_text(&claims->packed);
	args[5] = buffer_text(&claims->shard_list);
	for (i = 0; i < n; i++) {
		keys[i] = marks_key(claims->marks, marks[i].partition, out);
		args[6 + 2 * i] = put_number(out, marks[i].expected);
		args[7 + 2 * i] = put_number(out, marks[i].next);
	}
	redis_append_script(
	    claims->redis, &claims->take, keys, n, args, 6 + 2 * n);
}

int
claims_send(struct claims *claims, const struct claim_mark *marks,
    size_t n_marks, struct claim *items, size_t n, struct error *err)
{
	struct chunk *chunk;

	assert(n <= CLAIMS_CHUNK && n_marks <= MARKS_MAX);
	assert(claims->n_chunks < CLAIMS_IN_FLIGHT);
	if (load_scripts(claims, err) != 0)
		return -1;
	pack(claims, items, n);
	append_take(claims, marks, n_marks);
	chunk = &claims->chunks[(claims->oldest + claims->n_chunks++) %
	    CLAIMS_IN_FLIGHT];
	*chunk = (struct chunk){ items, marks, n, n_marks };
	return redis_send(claims->redis, err);
}

size_t
claims_in_flight(const struct claims *claims)
{
	return claims->n_chunks;
}

static int
refuse_answer(struct error *err)
{
	return error_set(err, ERROR_RETRY,
	    "Redis gave the claim script's caller an answer of another form");
}

static int
hear_behind(const struct redis_reply *reply, const struct chunk *chunk,
    struct claims_answer *answer, struct error *err)
{
	int64_t mark;

	if (redis_reply_size(reply) != 4)
		return refuse_answer(err);
	mark = redis_reply_integer(redis_reply_at(reply, 1));
	if (mark < 1 || (size_t)mark > chunk->n_marks)
		return refuse_answer(err);
	answer->behind = true;
	answer->mark = (size_t)mark - 1;
	answer->mark_value = redis_reply_integer(redis_reply_at(reply, 2));
	answer->store_now_ms = redis_reply_integer(redis_reply_at(reply, 3));
	return 0;
}

static int
hear_occupants(const struct redis_reply *reply, const struct chunk *chunk,
    struct claims_answer *answer, struct error *err)
{
	const struct redis_reply *occupant;
	struct claim *item;
	struct text bytes;
	size_t i, n = redis_reply_size(reply);
	int64_t index;

	for (i = 2; i + 1 < n; i += 2) {
		index = redis_reply_integer(redis_reply_at(reply, i));
		occupant = redis_reply_at(reply, i + 1);
		if (index < 0 || (size_t)index >= chunk->n ||
		    redis_reply_type(occupant) != REDIS_STRING)
			return refuse_answer(err);
		item = &chunk->items[index];
		bytes = redis_reply_text(occupant);
		if (bytes.size > sizeof(item->occupant))
			return refuse_answer(err);
		memcpy(item->occupant, bytes.at, bytes.size);
		item->occupant_size = (uint8_t)bytes.size;
		item->verdict = claim_judge(&item->value, bytes);
		answer->n_own += item->verdict == CLAIM_OWN;
	}
	return 0;
}

/* Those that were taken just now made their hash, and gave it its expiry. */
static void
note_expiries(struct claims *claims, const struct chunk *chunk, int64_t bucket)
{
	size_t i;

	if (bucket != claims->expiry_bucket)
		forget_expiries(claims, bucket);
	for (i = 0; i < chunk->n; i++)
		if (chunk->items[i].verdict == CLAIM_TAKEN)
			note_expiry(claims,
			    claim_shard(&chunk->items[i].run, claims->shards));
}

static int
hear_taken(struct claims *claims, const struct redis_reply *reply,
    const struct chunk *chunk, struct claims_answer *answer, struct error *err)
{
	size_t i;

	for (i = 0; i < chunk->n; i++)
		chunk->items[i].verdict = CLAIM_TAKEN;
	answer->store_now_ms = redis_reply_integer(redis_reply_at(reply, 1));
	if (hear_occupants(reply, chunk, answer, err) != 0)
		return -1;
	note_expiries(
	    claims, chunk, redis_reply_integer(redis_reply_at(reply, 0)));
	return 0;
}

/* The claims' hashes of a chunk, in the bucket of `now_ms` and that before. */
static bool
blame_claims(const struct claims *claims, const struct chunk *chunk,
    int64_t now_ms, struct error *err)
{
	struct arena *arena = arena_create(0);
	struct text *keys =
	    arena_alloc(arena, (2 * chunk->n + 1) * sizeof *keys);
	struct buffer key = { 0 };
	bool found;
	size_t i;

	for (i = 0; i < 2 * chunk->n; i++) {
		const struct claim *item = &chunk->items[i / 2];
		unsigned char packed[CLAIM_PACKED_SIZE];

		claim_pack(claim_shard(&item->run, claims->shards), &item->run,
		    &item->value, packed);
		buffer_reset(&key);
		keys[i] = text_copy(arena,
		    keyspace_claims_of(claims->marks->keyspace,
			claims->marks->space,
			now_ms / claims->ttl_ms - (int64_t)(i % 2),
			(struct text){ (const char *)packed, CLAIM_SHARD_SIZE },
			&key));
	}
	found = blame_key(claims->redis, keys, 2 * chunk->n, "hash", err);
	buffer_finish(&key);
	arena_destroy(arena);
	return found;
}

/* Names the key that is of another type. */
static void
blame(struct claims *claims, const struct chunk *chunk, struct error *err)
{
	struct buffer *out = &claims->numbers;
	int64_t now_ms;
	size_t i;

	claims_discard(claims); /* of no use: the batch is dropped */
	if (!redis_is_connected(claims->redis))
		return;
	buffer_reset(out);
	buffer_reserve(out, chunk->n_marks * key_size(claims));
	for (i = 0; i < chunk->n_marks; i++)
		claims->keys[i] =
		    marks_key(claims->marks, chunk->marks[i].partition, out);
	if (!blame_key(
		claims->redis, claims->keys, chunk->n_marks, "string", err) &&
	    redis_clock(claims->redis, &now_ms, NULL) == 0)
		blame_claims(claims, chunk, now_ms, err);
}

static int
hear_answer(struct claims *claims, const struct redis_reply *reply,
    const struct chunk *chunk, struct claims_answer *answer, struct error *err)
{
	const struct redis_reply *first;

	if (redis_reply_error(claims->redis, reply, "claim script", err) != 0) {
		claims->is_loaded = false; /* NOSCRIPT, if it was that */
		if (strstr(err->message, "WRONGTYPE") != NULL)
			blame(claims, chunk, err);
		return -1;
	}
	if (redis_reply_type(reply) != REDIS_ARRAY ||
	    redis_reply_size(reply) < 2)
		return refuse_answer(err);
	first = redis_reply_at(reply, 0);
	if (redis_reply_type(first) != REDIS_INTEGER)
		return refuse_answer(err);
	if (redis_reply_integer(first) == -1)
		return hear_behind(reply, chunk, answer, err);
	return hear_taken(claims, reply, chunk, answer, err);
}

int
claims_receive(
    struct claims *claims, struct claims_answer *answer, struct error *err)
{
	struct chunk chunk;
	struct redis_reply *reply;
	int rc;

	assert(claims->n_chunks > 0);
	chunk = claims->chunks[claims->oldest];
	*answer = (struct claims_answer){ .mark_value = -1 };
	reply = redis_receive(claims->redis, err);
	if (reply == NULL)
		return -1;
	claims->oldest = (claims->oldest + 1) % CLAIMS_IN_FLIGHT;
	claims->n_chunks--;
	rc = hear_answer(claims, reply, &chunk, answer, err);
	redis_reply_destroy(reply);
	return rc;
}

static bool
must_overwrite(const struct claim *item)
{
	return item->verdict == CLAIM_LOWER ||
	    item->verdict == CLAIM_UNREADABLE;
}

/* One compare-and-set; where the claim has changed it is judged again. */
static int
overwrite(struct claims *claims, struct claim *item, struct error *err)
{
	unsigned char packed[CLAIM_PACKED_SIZE];
	char ttl[NUMBER_SIZE];
	const char *at = (const char *)packed;
	struct redis_reply *reply;
	struct text args[6], now;
	int rc;

	claim_pack(claim_shard(&item->run, claims->shards), &item->run,
	    &item->value, packed);
	snprintf(ttl, sizeof(ttl), "%" PRId64, claims->ttl_ms);
	args[0] = text_from(ttl);
	args[1] = buffer_text(&claims->prefix);
	args[2] = (struct text){ at, CLAIM_SHARD_SIZE };
	args[3] = (struct text){ at + CLAIM_SHARD_SIZE, 16 };
	args[4] =
	    (struct text){ (const char *)item->occupant, item->occupant_size };
	args[5] = (struct text){ at + CLAIM_SHARD_SIZE + 16, CLAIM_VALUE_SIZE };
	reply = redis_run_script(
	    claims->redis, &claims->overwrite, NULL, 0, args, 6, err);
	if (reply == NULL)
		return -1;
	rc = redis_reply_error(claims->redis, reply, "claim overwrite", err);
	now = redis_reply_text(reply);
	if (rc == 0 && redis_reply_type(reply) == REDIS_INTEGER) {
		item->verdict = CLAIM_TAKEN;
	} else if (rc == 0 && now.size <= sizeof(item->occupant)) {
		memcpy(item->occupant, now.at, now.size);
		item->occupant_size = (uint8_t)now.size;
		item->verdict = claim_judge(&item->value, now);
	}
	redis_reply_destroy(reply);
	return rc;
}

int
claims_settle(struct claims *claims, struct claim *items, size_t n,
    size_t *overwritten, struct error *err)
{
	size_t i, round;

	assert(claims->n_chunks == 0);
	for (i = 0; i < n; i++) {
		if (!must_overwrite(&items[i]))
			continue;
		for (round = 0; must_overwrite(&items[i]); round++) {
			if (round == SETTLE_ROUNDS)
				return error_set(err, ERROR_RETRY,
				    "a claim changes faster than it can be "
				    "overwritten");
			if (overwrite(claims, &items[i], err) != 0)
				return -1;
		}
		*overwritten += items[i].verdict == CLAIM_TAKEN;
	}
	return 0;
}
