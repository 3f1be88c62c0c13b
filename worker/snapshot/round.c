#include "worker/snapshot/internal.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "schemas/keyspace.h"

#define EPOCH_MAX_MS 5000

/* Where a kind's hash is: a key of its own, or a part of the generation. */
static const struct hash {
	enum keyspace_key key;
	enum catalogue_part part; /* 0: none */
} hashes[CACHE_KINDS] = {
	[CACHE_SCHEDULE] = { .key = KEY_HEADS },
	[CACHE_VERSION] = { .key = KEY_VERSIONS },
	[CACHE_HEAD] = { .key = KEY_BRANCHES },
	[CACHE_DATASET] = { .part = PART_DATASETS },
	[CACHE_SPEC] = { .part = PART_JOB_SPECS },
	[CACHE_USER] = { .part = PART_USERS },
	[CACHE_PROJECT] = { .part = PART_PROJECTS },
};

struct text
snapshot_key(
    const struct snapshot *snapshot, enum cache_kind kind, struct buffer *out)
{
	const struct hash *hash = &hashes[kind];
	size_t start = out->size;

	if (hash->part != 0)
		return keyspace_part(
		    snapshot->keyspace, snapshot->generation, hash->part, out);
	buffer_append(out, keyspace_key(snapshot->keyspace, hash->key));
	return (struct text){ out->at + start, out->size - start };
}

/*
 * Whoever changes a schedule's or a dataset's head, or the catalogue, sets the
 * edition to another random text in the same script: as long as a batch's first
 * look finds the same one, so are the heads that were read since it was first
 * seen, and need not be read again.  A change by somebody who knows nothing of
 * it is seen within EPOCH_MAX_MS.
 */
static void
begin_epoch(struct snapshot *snapshot, int64_t now_ms)
{
	cache_begin_epoch(snapshot->cache);
	snapshot->epoch_ms = now_ms;
}

void
snapshot_age(struct snapshot *snapshot)
{
	int64_t now = clock_monotonic_ms();

	if (now - snapshot->epoch_ms >= EPOCH_MAX_MS)
		begin_epoch(snapshot, now);
}

/* In one command: they change together. */
static void
ask_first(struct snapshot *snapshot)
{
	const struct text get[3] = { TEXT("MGET"),
		keyspace_key(snapshot->keyspace, KEY_GENERATION),
		keyspace_key(snapshot->keyspace, KEY_EDITION) };

	redis_append(snapshot->redis, get, 3);
}

/* None, or one that is too long, is always another one. */
static void
take_edition(struct snapshot *snapshot, struct text edition)
{
	bool is_sound =
	    edition.size > 0 && edition.size <= sizeof snapshot->edition;

	if (is_sound &&
	    text_equal(edition,
		(struct text){ snapshot->edition, snapshot->edition_size }))
		return;
	snapshot->edition_size = is_sound ? edition.size : 0;
	if (is_sound)
		memcpy(snapshot->edition, edition.at, edition.size);
	begin_epoch(snapshot, clock_monotonic_ms());
}

static void
ask_generation(struct snapshot *snapshot)
{
	const struct text get[2] = { TEXT("GET"),
		keyspace_key(snapshot->keyspace, KEY_GENERATION) };

	redis_append(snapshot->redis, get, 2);
}

static void
ask_store(struct snapshot *snapshot)
{
	const struct text get[3] = { TEXT("HGET"),
		keyspace_key(snapshot->keyspace, KEY_META), TEXT("created") };

	redis_append(snapshot->redis, get, 3);
}

/* A decimal above 0, or 0. */
static int64_t
number_of(struct text text)
{
	int64_t number = 0;
	size_t i;

	if (text.size == 0 || text.size > 18)
		return 0;
	for (i = 0; i < text.size; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return 0;
		number = number * 10 + (text.at[i] - '0');
	}
	return number;
}

/*
 * The next answer, which is text; -1: `missing` says what it means that the key
 * isn't there.  Another type is named.
 */
static int
hear_text(struct snapshot *snapshot, enum keyspace_key key, const char *missing,
    struct redis_reply **reply, struct error *err)
{
	char name[120];

	*reply = redis_receive(snapshot->redis, err);
	if (*reply == NULL)
		return -1;
	snprintf(name, sizeof name, "%.*s",
	    TEXT_ARG(keyspace_key(snapshot->keyspace, key)));
	if (redis_reply_error(snapshot->redis, *reply, name, err) != 0)
		return -1;
	if (redis_reply_text(*reply).at != NULL)
		return 0;
	return error_set(err, ERROR_RETRY, "redis %s %s",
	    redis_address(snapshot->redis), missing);
}

static int
hear_generation(struct snapshot *snapshot, int64_t *number, struct error *err)
{
	struct redis_reply *reply;
	int rc = hear_text(snapshot, KEY_GENERATION,
	    "has no catalogue; run schedrun apply", &reply, err);

	if (rc == 0) {
		*number = number_of(redis_reply_text(reply));
		if (*number == 0)
			rc = error_set(err, ERROR_RETRY,
			    "redis %s: %.*s is not a generation's number; run "
			    "schedrun apply",
			    redis_address(snapshot->redis),
			    TEXT_ARG(keyspace_key(
				snapshot->keyspace, KEY_GENERATION)));
	}
	redis_reply_destroy(reply);
	return rc;
}

/* As the pair is always there: a key of another type is missing in it. */
static int
hear_first(struct snapshot *snapshot, int64_t *generation, struct error *err)
{
	struct redis_reply *reply = redis_receive(snapshot->redis, err);
	struct text number;
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(snapshot->redis, reply, "MGET", err);
	if (rc == 0 && redis_reply_size(reply) != 2)
		rc = error_set(err, ERROR_RETRY,
		    "redis %s: MGET gave an answer of another form",
		    redis_address(snapshot->redis));
	if (rc == 0) {
		/* What it lacks is told by the round's last look. */
		number = redis_reply_text(redis_reply_at(reply, 0));
		*generation = number_of(number);
		take_edition(
		    snapshot, redis_reply_text(redis_reply_at(reply, 1)));
	}
	redis_reply_destroy(reply);
	return rc;
}

/* Whether the store is the one of before; notes it if it is the first. */
static bool
is_same_store(struct snapshot *snapshot, struct text created)
{
	size_t size = created.size < sizeof snapshot->store
	    ? created.size
	    : sizeof snapshot->store;

	if (size == snapshot->store_size &&
	    memcmp(snapshot->store, created.at, size) == 0)
		return true;
	memcpy(snapshot->store, created.at, size);
	snapshot->store_size = size;
	return false;
}

/*
 * Which store it was.  Another one than before has other versions under the
 * same names: nothing that was cached counts any more, and a batch that has
 * begun on the old one is lost.
 */
static int
hear_store(struct snapshot *snapshot, bool first, struct error *err)
{
	struct redis_reply *reply;
	int rc = hear_text(snapshot, KEY_META,
	    "holds nothing of schedrun's; run schedrun init, then schedrun "
	    "apply",
	    &reply, err);

	if (rc == 0 && !is_same_store(snapshot, redis_reply_text(reply))) {
		cache_forget(snapshot->cache, CACHE_SCHEDULE);
		snapshot->cached_generation = 0;
		if (!first)
			rc = error_set(err, ERROR_RETRY,
			    "redis %s was emptied and made anew meanwhile",
			    redis_address(snapshot->redis));
	}
	redis_reply_destroy(reply);
	return rc;
}

static int
hear_lists(struct snapshot *snapshot, struct error *err)
{
	struct buffer key = { 0 };
	int rc = 0, kind;

	for (kind = 0; rc == 0 && kind < CACHE_ANSWER; kind++) {
		buffer_reset(&key);
		rc = fetch_list_hear(&snapshot->lists[kind],
		    snapshot_key(snapshot, (enum cache_kind)kind, &key),
		    snapshot->cache, snapshot->redis, err);
	}
	buffer_finish(&key);
	return rc;
}

static void
ask_lists(struct snapshot *snapshot)
{
	struct buffer key = { 0 };
	int kind;

	for (kind = 0; kind < CACHE_ANSWER; kind++) {
		buffer_reset(&key);
		fetch_list_ask(&snapshot->lists[kind], snapshot->redis,
		    snapshot_key(snapshot, (enum cache_kind)kind, &key));
	}
	buffer_finish(&key);
}

bool
snapshot_has_wants(const struct snapshot *snapshot)
{
	size_t i;

	for (i = 0; i < CACHE_ANSWER; i++)
		if (snapshot->lists[i].n > 0)
			return true;
	return false;
}

/*
 * Schedules are read between two looks at the generation: an apply moves both
 * in one step, so if it is the same they belong together.
 */
static int
round_once(struct snapshot *snapshot, struct error *err)
{
	bool first = snapshot->generation == 0;
	int64_t before = snapshot->generation, after;

	if (first)
		ask_first(snapshot);
	ask_lists(snapshot);
	ask_generation(snapshot);
	ask_store(snapshot);
	if ((first && hear_first(snapshot, &before, err) != 0) ||
	    hear_lists(snapshot, err) != 0 ||
	    hear_generation(snapshot, &after, err) != 0 ||
	    hear_store(snapshot, first, err) != 0)
		return -1;
	snapshot->generation = before;
	snapshot->moved = after != before;
	return 0;
}

int
snapshot_round(struct snapshot *snapshot, struct error *err)
{
	do {
		if (round_once(snapshot, err) != 0)
			return -1;
	} while (snapshot_has_wants(snapshot));
	return 0;
}
