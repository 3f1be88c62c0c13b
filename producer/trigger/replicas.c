#include "producer/trigger/replicas.h"

#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/memory.h"
#include "schemas/embedded.h"

#define GONE_MS 5000 /* who has said nothing for so long is not there */

struct replicas {
	struct redis *redis;
	const struct keyspace *keyspace;
	struct redis_script meet;
	char name[UUID_TEXT_SIZE]; /* of this process */
	struct arena *arena;       /* of the names */
	struct text *names;
	size_t n;
};

struct replicas *
replicas_create(struct redis *redis, const struct keyspace *keyspace)
{
	struct replicas *replicas = memory_zalloc(1, sizeof *replicas);
	struct uuid name = uuid_random();

	replicas->redis = redis;
	replicas->keyspace = keyspace;
	replicas->meet.source = lua_meet;
	uuid_format(&name, replicas->name);
	replicas->arena = arena_create(0);
	return replicas;
}

static struct redis_reply *
tell_there(struct replicas *replicas, int64_t gone_ms, struct error *err)
{
	char digits[TEXT_NUMBER_SIZE];
	const struct text key = keyspace_key(replicas->keyspace, KEY_REPLICAS);
	const struct text args[] = { { replicas->name, UUID_TEXT_SIZE },
		text_of_number(gone_ms, digits) };

	return redis_ask_script(replicas->redis, &replicas->meet,
	    &(struct redis_arguments){ &key, 1, args, 2 }, "meet", err);
}

int
replicas_meet(struct replicas *replicas, struct error *err)
{
	struct redis_reply *reply = tell_there(replicas, GONE_MS, err);
	size_t i;

	if (reply == NULL)
		return -1;
	arena_reset(replicas->arena, 0);
	replicas->n = redis_reply_size(reply);
	replicas->names = arena_zalloc(
	    replicas->arena, replicas->n + 1, sizeof *replicas->names);
	for (i = 0; i < replicas->n; i++)
		replicas->names[i] = text_copy(replicas->arena,
		    redis_reply_text(redis_reply_at(reply, i)));
	redis_reply_destroy(reply);
	return 0;
}

void
replicas_destroy(struct replicas *replicas)
{
	struct error ignored;

	if (replicas == NULL)
		return;
	/* Who never met has nothing to leave. */
	if (replicas->n > 0 && redis_is_connected(replicas->redis))
		redis_reply_destroy(tell_there(replicas, 0, &ignored));
	arena_destroy(replicas->arena);
	free(replicas);
}

size_t
replicas_count(const struct replicas *replicas)
{
	return replicas->n;
}

/* Whose ----------------------------------------------------------------- */

/* FNV-1a: each replica must come to the same, so no hash of this process. */
static uint64_t
hash_of(struct text text)
{
	uint64_t hash = 0xcbf29ce484222325;
	size_t i;

	for (i = 0; i < text.size; i++)
		hash = (hash ^ (unsigned char)text.at[i]) * 0x100000001b3;
	return hash;
}

/* The last step of MurmurHash3: each bit counts for each. */
static uint64_t
weight_of(uint64_t name, uint64_t schedule)
{
	uint64_t mixed = name ^ schedule;

	mixed = (mixed ^ mixed >> 33) * 0xff51afd7ed558ccd;
	mixed = (mixed ^ mixed >> 33) * 0xc4ceb9fe1a85ec53;
	return mixed ^ mixed >> 33;
}

static size_t
choose_owner(const struct text *names, size_t n, struct text schedule_rid)
{
	uint64_t schedule = hash_of(schedule_rid), most = 0;
	size_t chosen = 0, i;

	/* Rendezvous: of who goes, only what he had changes hands. */
	for (i = 0; i < n; i++) {
		uint64_t weight = weight_of(hash_of(names[i]), schedule);

		if (i > 0 && weight <= most)
			continue;
		most = weight;
		chosen = i;
	}
	return chosen;
}

bool
replicas_owns(const struct replicas *replicas, struct text schedule_rid)
{
	if (replicas->n < 2)
		return true;
	return text_equal(replicas->names[choose_owner(
			      replicas->names, replicas->n, schedule_rid)],
	    (struct text){ replicas->name, UUID_TEXT_SIZE });
}
