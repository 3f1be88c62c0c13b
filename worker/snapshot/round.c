#include "worker/snapshot/internal.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/redis/bounded.h"

/*
 * One trip to Redis: commands for everything that is wanted go out together,
 * then their answers are heard in the same order.
 *
 *     MGET g e        first of a batch: its generation, and the edition
 *     HMGET s …       schedules, then versions, heads, and the generation's
 *     HMGET v …         datasets, job specs, users, projects
 *     GET g           another by now: the schedules may be of either
 *     HGET meta created   whose store all this was
 */
#define EPOCH_MAX_MS 5000
/*
 * An answer may have 12 MiB.  Once a hash has answered more, its list is read
 * with care from then on (common/redis/bounded): what is large costs rounds and
 * never stands in the way.
 */
#define FIELDS_MAX 4000  /* of one command (docs/keyspace.md, section 3) */
#define VERSIONS_MAX 128 /* the same; versions may be large */
#define AHEAD 8          /* entries, of a step in memory */
#define GENERATION_MAX INT64_C(999999999999999999)

/* Where a kind's hash is: a key of its own, or a part of the generation. */
static const struct hash {
	enum keyspace_key key;
	enum catalogue_part part; /* 0: none */
} hashes[CACHE_ANSWER] = {
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

/* Whether the text is the one that was seen last; notes it. */
static bool
is_seen(struct snapshot_seen *seen, struct text text)
{
	size_t size = text.size < sizeof seen->at ? text.size : sizeof seen->at;
	bool same = size == seen->size &&
	    (size == 0 || memcmp(seen->at, text.at, size) == 0);

	if (!same && size > 0)
		memcpy(seen->at, text.at, size);
	seen->size = size;
	return same;
}

/*
 * Whoever changes a schedule's or a dataset's head, or the catalogue, sets the
 * edition to another random text in the same script: as long as a batch's first
 * look finds the same one, so are the heads that were read since it was first
 * seen, and need not be read again.  None, or one that is too long, is always
 * another one.
 */
static void
take_edition(struct snapshot *snapshot, struct text edition)
{
	bool is_sound =
	    edition.size > 0 && edition.size <= sizeof snapshot->edition.at;

	if (is_seen(&snapshot->edition, is_sound ? edition : TEXT_NONE) &&
	    is_sound)
		return;
	cache_begin_epoch(snapshot->cache);
	snapshot->epoch_ms = clock_monotonic_ms();
}

void
snapshot_age(struct snapshot *snapshot)
{
	int64_t now = clock_monotonic_ms();

	if (now - snapshot->epoch_ms < EPOCH_MAX_MS)
		return;
	cache_begin_epoch(snapshot->cache);
	snapshot->epoch_ms = now;
}

/* How many fields one command has, from the list's `start`-th on. */
static size_t
piece(const struct fetch_list *list, size_t start)
{
	size_t max = list->entries[start]->kind == CACHE_VERSION ? VERSIONS_MAX
								 : FIELDS_MAX;

	return list->n - start < max ? list->n - start : max;
}

/* An entry that is looked at soon: its way through memory begins now. */
static void
expect_entry(const struct cache_entry *entry)
{
	const char *start = (const char *)entry;

	__builtin_prefetch(start);
	__builtin_prefetch(start + 64);
	__builtin_prefetch(start + 128);
	__builtin_prefetch(start + sizeof *entry);
}

/*
 * Queues the commands for all that is on a list.  The hash's key goes through
 * `key`, of a first trip without the generation: only lists of schedules and
 * versions have anything then.
 */
static void
ask_list(struct snapshot *snapshot, enum cache_kind kind, struct buffer *key)
{
	struct fetch_list *list = &snapshot->lists[kind];
	struct text argv[2 + FIELDS_MAX] = { TEXT("HMGET") };
	size_t n, i;

	buffer_reset(key);
	argv[1] = snapshot_key(snapshot, kind, key);
	for (; list->asked < list->n; list->asked += n) {
		n = piece(list, list->asked);
		for (i = 0; i < n; i++) {
			if (i + AHEAD < n)
				expect_entry(
				    list->entries[list->asked + i + AHEAD]);
			argv[2 + i] = list->entries[list->asked + i]->key;
		}
		if (list->careful)
			redis_append_fields(
			    snapshot->redis, argv[1], argv + 2, n);
		else
			redis_append(snapshot->redis, argv, 2 + n);
	}
}

/* As the pair is always there: a key of another type is missing in it. */
static int
hear_first(struct snapshot *snapshot, int64_t *generation, struct error *err)
{
	struct redis_reply *reply = redis_receive(snapshot->redis, err);
	int rc;

	if (reply == NULL)
		return -1;
	rc = redis_reply_error(snapshot->redis, reply, "MGET", err);
	if (rc == 0 && redis_reply_size(reply) != 2)
		rc = error_set(err, ERROR_RETRY,
		    "redis %s: MGET gave an answer of another form",
		    redis_address(snapshot->redis));
	if (rc == 0) {
		/* What it lacks is told by the trip's last look. */
		if (!text_to_number(redis_reply_text(redis_reply_at(reply, 0)),
			GENERATION_MAX, generation))
			*generation = 0;
		take_edition(
		    snapshot, redis_reply_text(redis_reply_at(reply, 1)));
	}
	redis_reply_destroy(reply);
	return rc;
}

static bool
is_wrong_type(const struct redis_reply *reply)
{
	return redis_reply_type(reply) == REDIS_ERROR &&
	    text_starts_with(redis_reply_text(reply), TEXT("WRONGTYPE"));
}

/*
 * One command's answer, for `n` entries; returns how many it is about, fewer
 * only of a list that is read with care.  -1: of another form.  A key that
 * holds no hash, or a value over REDIS_VALUE_MAX, is damage of the entries.
 */
static int
take_values(struct cache *cache, struct cache_entry **entries, size_t n,
    const struct redis_reply *reply, bool careful)
{
	bool wrong = is_wrong_type(reply);
	size_t size = wrong ? n : redis_reply_size(reply), i;
	char why[80];

	if (size > n || size == 0 || (size < n && !careful))
		return -1;
	for (i = 0; i < size; i++) {
		const struct redis_reply *value =
		    wrong ? NULL : redis_reply_at(reply, i);

		if (i + AHEAD < size)
			expect_entry(entries[i + AHEAD]);
		entries[i]->wanted = 0; /* it may be again */
		if (wrong) {
			cache_put_damage(cache, entries[i],
			    TEXT("the key holds another type than a hash"));
		} else if (redis_reply_type(value) != REDIS_INTEGER) {
			cache_put(cache, entries[i], redis_reply_text(value));
		} else {
			snprintf(why, sizeof why,
			    "it has %lld bytes, more than %d",
			    (long long)redis_reply_integer(value),
			    REDIS_VALUE_MAX);
			cache_put_damage(cache, entries[i], text_from(why));
		}
	}
	return (int)size;
}

/* The next answer of a list; an error of it names the key. */
static struct redis_reply *
receive_piece(struct fetch_list *list, struct text key, struct redis *redis,
    struct error *err)
{
	struct redis_reply *reply = redis_receive(redis, err);
	char what[120];

	if (reply == NULL) {
		list->careful =
		    list->careful || redis_answer_was_too_large(redis);
		error_prefix(err, "HMGET %.*s", TEXT_ARG(key));
		return NULL;
	}
	snprintf(what, sizeof what, "HMGET %.*s", TEXT_ARG(key));
	/* A reference has no way to be unreadable: that is not ready. */
	if ((is_wrong_type(reply) && list->entries[0]->kind != CACHE_PROJECT) ||
	    redis_reply_error(redis, reply, what, err) == 0)
		return reply;
	redis_reply_destroy(reply);
	return NULL;
}

/* Entries that did not fit stay on the list, to be asked for again. */
static int
hear_list(struct snapshot *snapshot, enum cache_kind kind, struct buffer *key,
    struct error *err)
{
	struct fetch_list *list = &snapshot->lists[kind];
	size_t start = 0, left = 0, asked = list->asked, n, i;
	struct text name;

	buffer_reset(key);
	name = snapshot_key(snapshot, kind, key);
	for (; start < asked; start += n) {
		struct redis_reply *reply =
		    receive_piece(list, name, snapshot->redis, err);
		int taken;

		if (reply == NULL)
			return -1;
		n = piece(list, start);
		taken = take_values(snapshot->cache, list->entries + start, n,
		    reply, list->careful);
		redis_reply_destroy(reply);
		if (taken < 0)
			return error_set(err, ERROR_RETRY,
			    "redis %s: %.*s gave an answer of another form",
			    redis_address(snapshot->redis), TEXT_ARG(name));
		for (i = (size_t)taken; i < n; i++)
			list->entries[left++] = list->entries[start + i];
	}
	list->n = left;
	list->asked = 0;
	return 0;
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

	if (rc == 0 &&
	    (!text_to_number(redis_reply_text(reply), GENERATION_MAX, number) ||
		*number == 0))
		rc = error_set(err, ERROR_RETRY,
		    "redis %s: %.*s is not a generation's number; run schedrun "
		    "apply",
		    redis_address(snapshot->redis),
		    TEXT_ARG(keyspace_key(snapshot->keyspace, KEY_GENERATION)));
	redis_reply_destroy(reply);
	return rc;
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
	bool is_other = snapshot->store.size > 0;

	if (rc == 0 && !is_seen(&snapshot->store, redis_reply_text(reply))) {
		cache_forget(snapshot->cache, CACHE_SCHEDULE);
		if (is_other)
			cache_begin_epoch(snapshot->cache);
		snapshot->cached_generation = 0;
		snapshot->judged_generation = 0;
		if (!first)
			rc = error_set(err, ERROR_RETRY,
			    "redis %s was emptied and made anew meanwhile",
			    redis_address(snapshot->redis));
	}
	redis_reply_destroy(reply);
	return rc;
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
int
snapshot_round(struct snapshot *snapshot, struct error *err)
{
	const struct text generation =
	    keyspace_key(snapshot->keyspace, KEY_GENERATION);
	const struct text both[3] = { TEXT("MGET"), generation,
		keyspace_key(snapshot->keyspace, KEY_EDITION) };
	const struct text again[2] = { TEXT("GET"), generation };
	const struct text store[3] = { TEXT("HGET"),
		keyspace_key(snapshot->keyspace, KEY_META), TEXT("created") };
	struct buffer key = { 0 };
	int rc = 0, kind;

	do {
		bool first = snapshot->generation == 0;
		int64_t before = snapshot->generation, after;

		if (first)
			redis_append(snapshot->redis, both, 3);
		for (kind = 0; kind < CACHE_ANSWER; kind++)
			ask_list(snapshot, (enum cache_kind)kind, &key);
		redis_append(snapshot->redis, again, 2);
		redis_append(snapshot->redis, store, 3);
		if (first)
			rc = hear_first(snapshot, &before, err);
		for (kind = 0; rc == 0 && kind < CACHE_ANSWER; kind++)
			rc = hear_list(
			    snapshot, (enum cache_kind)kind, &key, err);
		if (rc == 0)
			rc = hear_generation(snapshot, &after, err);
		if (rc == 0)
			rc = hear_store(snapshot, first, err);
		if (rc != 0)
			break;
		snapshot->generation = before;
		snapshot->moved = after != before;
	} while (snapshot_has_wants(snapshot));
	buffer_finish(&key);
	return rc;
}
