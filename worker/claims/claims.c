#include "worker/claims/claims.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "schemas/embedded.h"
#include "worker/claims/blame.h"

/*
 * A chunk on its way (docs/delivery.md, section 3):
 *
 *     claims_send      pack_claims ──EVALSHA──> take.lua, whole or not
 *         at most 3 unanswered, in order: each one's expected marks are the
 *         ends of those before, so what goes on from a refused one is refused
 *     claims_receive   hear_answer <───────────────  holders, or a low mark
 *                        hear_taken    a verdict for each claim
 *                        hear_behind   the caller repairs
 *                        blame_chunk   a key is of another type
 *     claims_settle    overwrite_claim ──EVALSHA──> overwrite.lua, claim by
 * claim
 *
 * Whatever fails, nothing is undone: the same records come again, and find
 * their own claims.
 */
#define MARKS_MAX 1024 /* of one chunk: it has no more records than claims */
#define SETTLE_ROUNDS 8
#define ARENA_KEPT ((size_t)256 * 1024)

/* ARGV of take.lua, then of each mark; and what it answers. */
enum {
	TAKE_TTL,
	TAKE_PREFIX,
	TAKE_EXPIRY_BUCKET,
	TAKE_FIRST_BUCKET,
	TAKE_CLAIMS,
	TAKE_SHARDS,
	TAKE_ARGS
};
enum { MARK_EXPECTED, MARK_NEXT, MARK_ARGS };
enum { TAKEN_BUCKET, TAKEN_NOW, TAKEN_HOLDERS };
enum { BEHIND_FLAG, BEHIND_MARK, BEHIND_VALUE, BEHIND_NOW, BEHIND_SIZE };

/* ARGV of overwrite.lua. */
enum {
	OVERWRITE_TTL,
	OVERWRITE_PREFIX,
	OVERWRITE_SHARD,
	OVERWRITE_RUN,
	OVERWRITE_SEEN,
	OVERWRITE_VALUE,
	OVERWRITE_ARGS
};

/* ARGV of release.lua. */
enum { RELEASE_TTL, RELEASE_PREFIX, RELEASE_CLAIMS, RELEASE_ARGS };

/* The caller keeps both in place until its answer is there. */
struct chunk {
	struct claim *items;
	const struct claim_mark *marks;
	size_t n, n_marks;
};

struct claims {
	const struct marks *marks;
	struct redis *redis;
	struct redis_script take, overwrite, release;
	struct buffer prefix; /* of the claims' keys, up to the bucket */
	uint32_t shards;
	int64_t ttl_ms, first_bucket;
	bool is_loaded; /* the script is in this server's cache */
	/*
	 * A hash gets its expiry with its first claim.  Which hashes have it is
	 * remembered here: a PEXPIREAT for each claim would be a third command
	 * of the script's two.
	 */
	int64_t expiry_bucket;  /* what the bits are for; -1: nothing */
	unsigned char *expires; /* a bit per shard: its hash has an expiry */
	struct chunk chunks[CLAIMS_IN_FLIGHT];
	size_t oldest, n_chunks;
	/* What the chunk that is sent now is made of. */
	struct arena *arena;
	struct buffer packed, shard_list;
	struct text keys[MARKS_MAX], args[TAKE_ARGS + MARK_ARGS * MARKS_MAX];
};

struct claims *
claims_create(const struct claims_settings *settings)
{
	struct claims *claims = memory_zalloc(1, sizeof *claims);

	claims->marks = settings->marks;
	claims->redis = settings->marks->redis;
	claims->take.source = lua_take;
	claims->overwrite.source = lua_overwrite;
	claims->release.source = lua_release;
	claims->ttl_ms = settings->ttl_ms;
	claims->arena = arena_create(0);
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
	arena_destroy(claims->arena);
	free(claims->expires);
	free(claims);
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
	/* Without its claims a Redis that went back has no expiries either. */
	forget_expiries(claims, -1);
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

void
claims_discard(struct claims *claims)
{
	for (; claims->n_chunks > 0; claims->n_chunks--) {
		struct redis_reply *reply = redis_receive(claims->redis, NULL);

		if (reply == NULL)
			break; /* the connection is closed: nothing comes */
		redis_reply_destroy(reply);
	}
	claims->n_chunks = 0;
}

static bool
has_expiry(const struct claims *claims, uint32_t shard)
{
	return (claims->expires[shard / 8] >> (shard % 8) & 1) != 0;
}

/* Packs the claims, and the shards whose hash may lack its expiry. */
static void
pack_claims(struct claims *claims, const struct claim *items, size_t n)
{
	unsigned char *at;
	size_t i;

	buffer_reset(&claims->packed);
	buffer_reset(&claims->shard_list);
	at = (unsigned char *)buffer_reserve(
	    &claims->packed, n * CLAIM_PACKED_SIZE + 1);
	for (i = 0; i < n; i++, at += CLAIM_PACKED_SIZE) {
		uint32_t shard = claim_shard(&items[i].run, claims->shards);

		claim_pack(shard, &items[i].run, &items[i].value, at);
		if (!has_expiry(claims, shard))
			buffer_append(&claims->shard_list,
			    (struct text){
				(const char *)at, CLAIM_SHARD_SIZE });
	}
	claims->packed.size = n * CLAIM_PACKED_SIZE;
}

static struct text
number_text(struct claims *claims, int64_t number)
{
	return text_of_number(
	    number, arena_alloc(claims->arena, TEXT_NUMBER_SIZE));
}

/* The marks' keys, in claims->keys. */
static void
list_keys(struct claims *claims, const struct claim_mark *marks, size_t n)
{
	struct buffer key = { 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		buffer_reset(&key);
		claims->keys[i] = text_copy(claims->arena,
		    marks_key(claims->marks, marks[i].partition, &key));
	}
	buffer_finish(&key);
}

int
claims_send(struct claims *claims, const struct claim_mark *marks,
    size_t n_marks, struct claim *items, size_t n, struct error *err)
{
	struct text *args = claims->args;
	size_t i;

	assert(n <= CLAIMS_CHUNK && n_marks <= MARKS_MAX);
	assert(claims->n_chunks < CLAIMS_IN_FLIGHT);
	/*
	 * By its digest only: an EVAL in the place of one that is not known
	 * would come behind chunks that are out already.
	 */
	if (!claims->is_loaded) {
		assert(claims->n_chunks == 0);
		if (redis_load_script(claims->redis, &claims->take, err) != 0)
			return -1;
		claims->is_loaded = true;
	}
	/* What was sent before is copied: redis_append takes the bytes. */
	arena_reset(claims->arena, ARENA_KEPT);
	pack_claims(claims, items, n);
	list_keys(claims, marks, n_marks);
	args[TAKE_TTL] = number_text(claims, claims->ttl_ms);
	args[TAKE_PREFIX] = buffer_text(&claims->prefix);
	args[TAKE_EXPIRY_BUCKET] = number_text(claims, claims->expiry_bucket);
	args[TAKE_FIRST_BUCKET] = number_text(claims, claims->first_bucket);
	args[TAKE_CLAIMS] = buffer_text(&claims->packed);
	args[TAKE_SHARDS] = buffer_text(&claims->shard_list);
	for (i = 0, args += TAKE_ARGS; i < n_marks; i++, args += MARK_ARGS) {
		args[MARK_EXPECTED] = number_text(claims, marks[i].expected);
		args[MARK_NEXT] = number_text(claims, marks[i].next);
	}
	redis_append_script(claims->redis, &claims->take,
	    &(struct redis_arguments){ claims->keys, n_marks, claims->args,
		TAKE_ARGS + MARK_ARGS * n_marks });
	claims
	    ->chunks[(claims->oldest + claims->n_chunks++) % CLAIMS_IN_FLIGHT] =
	    (struct chunk){ items, marks, n, n_marks };
	return redis_send(claims->redis, err);
}

static int
refuse_answer(struct error *err)
{
	return error_set(err, ERROR_RETRY,
	    "Redis gave the claim script's caller an answer of another form");
}

static int64_t
integer_at(const struct redis_reply *reply, size_t i)
{
	return redis_reply_integer(redis_reply_at(reply, i));
}

/* Nothing was written: the script looks at all marks first. */
static int
hear_behind(const struct redis_reply *reply, const struct chunk *chunk,
    struct claims_answer *answer, struct error *err)
{
	int64_t mark;

	if (redis_reply_size(reply) != BEHIND_SIZE)
		return refuse_answer(err);
	mark = integer_at(reply, BEHIND_MARK);
	if (mark < 1 || (size_t)mark > chunk->n_marks)
		return refuse_answer(err);
	answer->behind = true;
	answer->mark = (size_t)mark - 1;
	answer->mark_value = integer_at(reply, BEHIND_VALUE);
	answer->store_now_ms = integer_at(reply, BEHIND_NOW);
	return 0;
}

/* Who has a claim, by what is stored; false: no answer of the scripts'. */
static bool
judge_holder(struct claim *item, const struct redis_reply *holder)
{
	struct text bytes = redis_reply_text(holder);

	if (redis_reply_type(holder) != REDIS_STRING ||
	    bytes.size > sizeof item->occupant)
		return false;
	memcpy(item->occupant, bytes.at, bytes.size);
	item->occupant_size = (uint8_t)bytes.size;
	item->verdict = claim_judge(&item->value, bytes);
	return true;
}

/* All are ours but those that somebody has. */
static int
hear_taken(struct claims *claims, const struct redis_reply *reply,
    const struct chunk *chunk, struct claims_answer *answer, struct error *err)
{
	int64_t bucket = integer_at(reply, TAKEN_BUCKET);
	size_t i, n = redis_reply_size(reply);

	for (i = 0; i < chunk->n; i++)
		chunk->items[i].verdict = CLAIM_TAKEN;
	answer->store_now_ms = integer_at(reply, TAKEN_NOW);
	for (i = TAKEN_HOLDERS; i + 1 < n; i += 2) {
		int64_t index = integer_at(reply, i);

		if (index < 0 || (size_t)index >= chunk->n ||
		    !judge_holder(
			&chunk->items[index], redis_reply_at(reply, i + 1)))
			return refuse_answer(err);
		answer->n_own += chunk->items[index].verdict == CLAIM_OWN;
	}
	/* Redis's clock has passed into another bucket, with other hashes. */
	if (bucket != claims->expiry_bucket)
		forget_expiries(claims, bucket);
	for (i = 0; i < chunk->n; i++) {
		uint32_t shard =
		    claim_shard(&chunk->items[i].run, claims->shards);

		/* What was taken now has given its hash an expiry. */
		if (chunk->items[i].verdict == CLAIM_TAKEN)
			claims->expires[shard / 8] |=
			    (unsigned char)(1u << (shard % 8));
	}
	return 0;
}

/* The claims' hashes of a chunk, in the bucket of `now_ms` and that before. */
static void
blame_claims(struct claims *claims, const struct chunk *chunk, int64_t now_ms,
    struct error *err)
{
	struct text *keys =
	    arena_alloc(claims->arena, (2 * chunk->n + 1) * sizeof *keys);
	struct buffer key = { 0 };
	size_t i;

	pack_claims(claims, chunk->items, chunk->n);
	for (i = 0; i < 2 * chunk->n; i++) {
		const char *packed =
		    claims->packed.at + i / 2 * CLAIM_PACKED_SIZE;

		buffer_reset(&key);
		keys[i] = text_copy(claims->arena,
		    keyspace_claims_of(claims->marks->keyspace,
			claims->marks->space,
			now_ms / claims->ttl_ms - (int64_t)(i % 2),
			(struct text){ packed, CLAIM_SHARD_SIZE }, &key));
	}
	buffer_finish(&key);
	blame_key(claims->redis, keys, 2 * chunk->n, "hash", err);
}

/* Names the key that is of another type; marks first, as they are few. */
static void
blame_chunk(struct claims *claims, const struct chunk *chunk, struct error *err)
{
	int64_t now_ms;

	claims_discard(claims); /* of no use: the batch is dropped */
	if (!redis_is_connected(claims->redis))
		return;
	arena_reset(claims->arena, ARENA_KEPT);
	list_keys(claims, chunk->marks, chunk->n_marks);
	if (!blame_key(
		claims->redis, claims->keys, chunk->n_marks, "string", err) &&
	    redis_clock(claims->redis, &now_ms, NULL) == 0)
		blame_claims(claims, chunk, now_ms, err);
}

int
claims_receive(
    struct claims *claims, struct claims_answer *answer, struct error *err)
{
	const struct chunk chunk = claims->chunks[claims->oldest];
	struct redis_reply *reply;
	int rc;

	assert(claims->n_chunks > 0);
	*answer = (struct claims_answer){ .mark_value = -1 };
	reply = redis_receive(claims->redis, err);
	if (reply == NULL)
		return -1;
	claims->oldest = (claims->oldest + 1) % CLAIMS_IN_FLIGHT;
	claims->n_chunks--;
	rc = redis_reply_error(claims->redis, reply, "claim script", err);
	if (rc != 0) {
		claims->is_loaded = false; /* NOSCRIPT, if it was that */
		if (strstr(err->message, "WRONGTYPE") != NULL)
			blame_chunk(claims, &chunk, err);
	} else if (redis_reply_size(reply) < TAKEN_HOLDERS ||
	    redis_reply_type(redis_reply_at(reply, 0)) != REDIS_INTEGER) {
		rc = refuse_answer(err);
	} else {
		rc = integer_at(reply, BEHIND_FLAG) == -1
		    ? hear_behind(reply, &chunk, answer, err)
		    : hear_taken(claims, reply, &chunk, answer, err);
	}
	redis_reply_destroy(reply);
	return rc;
}

/* One compare-and-set; where the claim has changed it is judged again. */
static int
overwrite_claim(struct claims *claims, struct claim *item, struct error *err)
{
	const size_t run_size = sizeof item->run.bytes;
	char ttl[TEXT_NUMBER_SIZE];
	const char *packed;
	struct text args[OVERWRITE_ARGS];
	struct redis_reply *reply;
	int rc = 0;

	pack_claims(claims, item, 1);
	packed = claims->packed.at;
	args[OVERWRITE_TTL] = text_of_number(claims->ttl_ms, ttl);
	args[OVERWRITE_PREFIX] = buffer_text(&claims->prefix);
	args[OVERWRITE_SHARD] = (struct text){ packed, CLAIM_SHARD_SIZE };
	args[OVERWRITE_RUN] =
	    (struct text){ packed + CLAIM_SHARD_SIZE, run_size };
	args[OVERWRITE_SEEN] =
	    (struct text){ (const char *)item->occupant, item->occupant_size };
	args[OVERWRITE_VALUE] =
	    (struct text){ packed + CLAIM_SHARD_SIZE + run_size,
		    CLAIM_VALUE_SIZE };
	reply = redis_ask_script(claims->redis, &claims->overwrite,
	    &(struct redis_arguments){ NULL, 0, args, OVERWRITE_ARGS },
	    "claim overwrite", err);
	if (reply == NULL)
		return -1;
	if (redis_reply_type(reply) == REDIS_INTEGER)
		item->verdict = CLAIM_TAKEN;
	else if (!judge_holder(item, reply))
		rc = refuse_answer(err);
	redis_reply_destroy(reply);
	return rc;
}

/*
 * Who had found his own claim there, taken when the one before him was dropped
 * or lost, has it no more: both would be processed.
 */
static void
yield_claim(const struct claims *claims, const struct claim *taker,
    struct claim *items, size_t n)
{
	unsigned char packed[CLAIM_PACKED_SIZE];
	size_t i;

	claim_pack(claim_shard(&taker->run, claims->shards), &taker->run,
	    &taker->value, packed);
	for (i = 0; i < n; i++) {
		struct claim *item = &items[i];

		if (item->verdict != CLAIM_OWN || item == taker ||
		    memcmp(&item->run, &taker->run, sizeof item->run) != 0)
			continue;
		item->occupant_size = CLAIM_VALUE_SIZE;
		memcpy(item->occupant,
		    packed + CLAIM_PACKED_SIZE - CLAIM_VALUE_SIZE,
		    CLAIM_VALUE_SIZE);
		item->verdict = claim_judge(&item->value,
		    (struct text){
			(const char *)item->occupant, CLAIM_VALUE_SIZE });
	}
}

/*
 * One by one: a repeat that stands before its claim's holder is as rare as a
 * topic made anew or a repair.
 */
int
claims_settle(struct claims *claims, struct claim *items, size_t n,
    struct claims_settled *settled, struct error *err)
{
	size_t i, round;

	assert(claims->n_chunks == 0);
	for (i = 0; i < n; i++) {
		if (items[i].verdict < CLAIM_CROSS) /* nearly all */
			continue;
		for (round = 0; claim_is_overwritten(items[i].verdict);
		     round++) {
			if (round == SETTLE_ROUNDS)
				return error_set(err, ERROR_RETRY,
				    "a claim changes faster than it can be "
				    "overwritten");
			if (overwrite_claim(claims, &items[i], err) != 0)
				return -1;
		}
		if (items[i].verdict == CLAIM_TAKEN) {
			settled->overwritten++;
			yield_claim(claims, &items[i], items, n);
		}
	}
	for (i = 0; i < n; i++)
		settled->crossed += claim_is_crossed(items[i].verdict);
	return 0;
}

/*
 * Compare and delete: whoever has a claim by now keeps it.  What is remembered
 * of expiries stays true, as the script leaves each hash where it is.
 */
int
claims_release(struct claims *claims, const struct claim *items, size_t n,
    struct error *err)
{
	char ttl[TEXT_NUMBER_SIZE];
	struct text args[RELEASE_ARGS];
	struct redis_reply *reply;
	int rc;

	assert(claims->n_chunks == 0 && n <= CLAIMS_CHUNK);
	pack_claims(claims, items, n);
	args[RELEASE_TTL] = text_of_number(claims->ttl_ms, ttl);
	args[RELEASE_PREFIX] = buffer_text(&claims->prefix);
	args[RELEASE_CLAIMS] = buffer_text(&claims->packed);
	reply = redis_ask_script(claims->redis, &claims->release,
	    &(struct redis_arguments){ NULL, 0, args, RELEASE_ARGS },
	    "claim release", err);
	rc = reply != NULL ? 0 : -1;
	redis_reply_destroy(reply);
	return rc;
}
