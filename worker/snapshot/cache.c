#include "worker/snapshot/cache.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define SLOTS_MIN 1024
#define PASSED_SLOTS 262144 /* a power of two; 1 MiB */
#define PLENTY 8            /* while less than this part of the bound is used */
#define PASSING_KEPT ((size_t)16 * 1024 * 1024)

/*
 * A hash table over kind and key, and a queue of all entries in which the
 * oldest goes first.  Three things keep an entry: that this batch has found it
 * (pointers to it are everywhere until the next begins), that it was used since
 * it was queued (a second round, so that one sweep through many schedules
 * doesn't drive out what each batch needs), and that what another remembers was
 * made of it (`grounds` points at it): a schedule keeps its version, a version
 * the branches that its answer rests on.
 *
 * An entry that passes is in the table only, and in an arena with all that is
 * made of it: to make it and to let it go touches no memory but what the batch
 * has at hand.  `passed` has a part of the hash of each that has, by another
 * part: the next that meets one of its own is kept.  Where two drive each other
 * out, both only pass once more.
 *
 * `change` is how a ground is told to have changed: not by its bytes, as those
 * may be dropped, and may come back to what they were while the answer was
 * looking elsewhere.  Each new value has a number that none had before.
 */
struct cache {
	struct cache_entry **slots;
	size_t n_slots; /* a power of two */
	size_t n, n_kept;
	size_t max_bytes, bytes, used;
	size_t counts[CACHE_KINDS];
	uint64_t batch, epoch, changes;
	struct cache_entry *newest, *oldest;
	struct cache_entry *passing; /* by `older` */
	struct arena *arena;         /* theirs */
	uint32_t *passed;
};

struct cache *
cache_create(size_t max_bytes)
{
	struct cache *cache = memory_zalloc(1, sizeof *cache);

	cache->max_bytes = max_bytes;
	cache->n_slots = SLOTS_MIN;
	cache->slots = memory_zalloc(SLOTS_MIN, sizeof(struct cache_entry *));
	cache->arena = arena_create((size_t)1 << 20);
	cache->passed = memory_zalloc(PASSED_SLOTS, sizeof *cache->passed);
	cache->batch = cache->epoch = 1;
	return cache;
}

/*
 * Nothing is known of it any more, as if it had just been made; what was built
 * on it doesn't stand any more, and what it was built on may go.
 */
static void
forget_value(struct cache *cache, struct cache_entry *entry)
{
	size_t own = sizeof *entry + entry->key.size;

	entry->change = ++cache->changes;
	entry->is_known = false;
	if (!entry->passes) {
		cache_unremember(cache, entry);
		free((void *)(uintptr_t)entry->bytes.at);
		arena_destroy(entry->arena);
		entry->arena = NULL;
		cache->bytes -= entry->cost - own;
		entry->cost = own;
	}
	entry->bytes = entry->damage = TEXT_NONE;
	entry->parsed = NULL;
}

/*
 * An answer is charged to its version, which holds it: a version that is in
 * demand keeps its answer, and a large answer makes room by itself.
 */
void
cache_unremember(struct cache *cache, struct cache_entry *entry)
{
	struct cache_memory *memory = entry->memory;
	size_t i;

	if (memory == NULL)
		return;
	for (i = 0; i < memory->n_grounds; i++)
		memory->grounds[i].entry->n_built--;
	if (entry->kind == CACHE_VERSION)
		cache->counts[CACHE_ANSWER]--;
	entry->cost -= memory->size;
	cache->bytes -= memory->size;
	entry->memory = NULL;
	free(memory);
}

/*
 * `used` only grows in a batch: it bounds what the batch has touched.  What
 * passes is counted by its arena.
 */
static void
charge(struct cache *cache, struct cache_entry *entry, size_t bytes)
{
	if (entry->passes)
		return;
	entry->cost += bytes;
	cache->bytes += bytes;
	cache->used += bytes;
}

/*
 * The queue: `newest` ... `newer` <-> `older` ... `oldest`.  A use does not
 * move an entry, it only notes the batch (cache_use): a hit, of which a batch
 * has thousands, then writes to no neighbour.
 */
static void
unlink_entry(struct cache *cache, struct cache_entry *entry)
{
	if (entry->newer != NULL)
		entry->newer->older = entry->older;
	else
		cache->newest = entry->older;
	if (entry->older != NULL)
		entry->older->newer = entry->newer;
	else
		cache->oldest = entry->newer;
}

static void
queue_entry(struct cache *cache, struct cache_entry *entry)
{
	entry->newer = NULL;
	entry->older = cache->newest;
	if (cache->newest != NULL)
		cache->newest->newer = entry;
	else
		cache->oldest = entry;
	cache->newest = entry;
	entry->queued = cache->batch;
}

static void
unchain_entry(struct cache *cache, struct cache_entry *entry)
{
	struct cache_entry **link =
	    &cache->slots[entry->hash & (cache->n_slots - 1)];

	while (*link != entry)
		link = &(*link)->chain;
	*link = entry->chain;
	cache->n--;
}

/* Nothing may be built on it any more, and nobody of this batch know it. */
static void
remove_entry(struct cache *cache, struct cache_entry *entry)
{
	unchain_entry(cache, entry);
	unlink_entry(cache, entry);
	forget_value(cache, entry);
	cache->bytes -= entry->cost;
	cache->counts[entry->kind]--;
	cache->n_kept--;
	free(entry);
}

static void
let_pass(struct cache *cache)
{
	for (; cache->passing != NULL; cache->passing = cache->passing->older)
		unchain_entry(cache, cache->passing);
	arena_reset(cache->arena, PASSING_KEPT);
}

void
cache_destroy(struct cache *cache)
{
	struct cache_entry *entry;

	if (cache == NULL)
		return;
	/* First all values: grounds must outlive what is built on them. */
	for (entry = cache->oldest; entry != NULL; entry = entry->newer)
		forget_value(cache, entry);
	while (cache->oldest != NULL)
		remove_entry(cache, cache->oldest);
	arena_destroy(cache->arena);
	free(cache->passed);
	free(cache->slots);
	free(cache);
}

/* The oldest goes, or to the other end if it is a ground or `kept`. */
static void
turn_over(struct cache *cache, bool kept)
{
	struct cache_entry *entry = cache->oldest;

	if (kept || entry->n_built > 0) {
		unlink_entry(cache, entry);
		queue_entry(cache, entry);
	} else {
		remove_entry(cache, entry);
	}
}

/*
 * The only place where entries go, but for cache_forget: within a batch
 * everybody may keep pointers to what was found.  A batch may therefore exceed
 * the bound; snapshot_used tells, and the intake cuts it.
 *
 * One that was used since it was queued gets a second round.  What is a ground
 * of others goes once they have gone, a branch after the version after the
 * schedule: three rounds then end the rest.
 */
void
cache_begin(struct cache *cache)
{
	size_t left = cache->n_kept, round;

	let_pass(cache);
	for (; cache->bytes > cache->max_bytes && left > 0; left--)
		turn_over(cache, cache->oldest->used > cache->oldest->queued);
	for (round = 0; round < 3; round++)
		for (left = cache->n_kept;
		     cache->bytes > cache->max_bytes && left > 0; left--)
			turn_over(cache, false);
	cache->batch++;
	cache->used = 0;
}

uint64_t
cache_batch(const struct cache *cache)
{
	return cache->batch;
}

/*
 * What may have changed is only doubted, not dropped: read again, it is the
 * same as a rule, and what was parsed of it and rests on it stands (cache_put).
 */
void
cache_begin_epoch(struct cache *cache)
{
	cache->epoch++;
}

uint64_t
cache_epoch(const struct cache *cache)
{
	return cache->epoch;
}

bool
cache_is_fresh(const struct cache *cache, const struct cache_entry *entry)
{
	return cache_is_settled(cache, entry) && entry->epoch == cache->epoch;
}

/* Entries stay where they are; only their chains are made anew. */
static void
grow_slots(struct cache *cache)
{
	size_t n = cache->n_slots * 2, i;
	struct cache_entry **slots =
	    memory_zalloc(n, sizeof(struct cache_entry *));
	struct cache_entry *entry, *next;

	for (i = 0; i < cache->n_slots; i++)
		for (entry = cache->slots[i]; entry != NULL; entry = next) {
			next = entry->chain;
			entry->chain = slots[entry->hash & (n - 1)];
			slots[entry->hash & (n - 1)] = entry;
		}
	free(cache->slots);
	cache->slots = slots;
	cache->n_slots = n;
}

/*
 * Whether an entry that is made now is to be kept.  Users and projects are few,
 * and are asked for by all.
 */
static bool
is_kept(struct cache *cache, enum cache_kind kind, size_t hash, bool *again)
{
	uint32_t *passed = &cache->passed[hash & (PASSED_SLOTS - 1)];
	uint32_t mark = (uint32_t)(hash >> 32);

	*again = *passed == mark && mark != 0;
	if (*again || kind == CACHE_USER || kind == CACHE_PROJECT ||
	    cache->bytes < cache->max_bytes / PLENTY)
		return true;
	*passed = mark;
	return false;
}

static void
list_entry(struct cache *cache, struct cache_entry *entry)
{
	if (entry->passes) {
		entry->arena = cache->arena;
		entry->older = cache->passing;
		cache->passing = entry;
		return;
	}
	queue_entry(cache, entry);
	cache->n_kept++;
	cache->counts[entry->kind]++;
	charge(cache, entry, sizeof *entry + entry->key.size);
}

/* Entry and key are one block of memory. */
static struct cache_entry *
add_entry(
    struct cache *cache, enum cache_kind kind, struct text key, size_t hash)
{
	struct cache_entry *entry, **slot;
	bool again, kept = is_kept(cache, kind, hash, &again);
	char *bytes;

	if (cache->n >= cache->n_slots)
		grow_slots(cache);
	entry = kept ? memory_alloc(sizeof *entry + key.size)
		     : arena_alloc(cache->arena, sizeof *entry + key.size);
	bytes = (char *)(entry + 1);
	memcpy(bytes, key.at, key.size);
	*entry = (struct cache_entry){ .hash = hash,
		.kind = kind,
		.used = cache->batch,
		.passes = !kept,
		.came_again = again,
		.key = { bytes, key.size } };
	slot = &cache->slots[hash & (cache->n_slots - 1)];
	entry->chain = *slot;
	*slot = entry;
	cache->n++;
	list_entry(cache, entry);
	return entry;
}

void
cache_use(struct cache *cache, struct cache_entry *entry)
{
	if (entry->used == cache->batch)
		return;
	entry->used = cache->batch;
	cache->used += entry->cost;
}

#define KIND_STEP ((size_t)0x9e3779b97f4a7c15u)

size_t
cache_hash(enum cache_kind kind, struct text key)
{
	return text_hash(key) + (size_t)kind * KIND_STEP;
}

size_t
cache_hash_as(size_t hash, enum cache_kind is, enum cache_kind as)
{
	return hash + ((size_t)as - (size_t)is) * KIND_STEP;
}

void
cache_expect_soon(const struct cache *cache, size_t hash)
{
	__builtin_prefetch(&cache->slots[hash & (cache->n_slots - 1)]);
	__builtin_prefetch(&cache->passed[hash & (PASSED_SLOTS - 1)]);
}

/*
 * Only the chain's first entry, which is the only one as a rule.  Entry and key
 * take more than one line of memory: the second has what is compared.
 */
void
cache_expect(const struct cache *cache, size_t hash)
{
	const char *entry =
	    (const char *)cache->slots[hash & (cache->n_slots - 1)];

	__builtin_prefetch(entry);
	__builtin_prefetch(entry + sizeof(struct cache_entry));
}

struct cache_entry *
cache_entry(struct cache *cache, enum cache_kind kind, struct text key)
{
	return cache_entry_of(cache, kind, key, cache_hash(kind, key));
}

struct cache_entry *
cache_entry_of(
    struct cache *cache, enum cache_kind kind, struct text key, size_t hash)
{
	struct cache_entry *entry = cache->slots[hash & (cache->n_slots - 1)];

	for (; entry != NULL; entry = entry->chain)
		if (entry->hash == hash && entry->kind == kind &&
		    entry->key.size == key.size &&
		    memcmp(entry->key.at, key.at, key.size) == 0)
			break;
	if (entry == NULL)
		return add_entry(cache, kind, key, hash);
	cache_use(cache, entry);
	return entry;
}

static void
note_read(const struct cache *cache, struct cache_entry *entry)
{
	entry->read = cache->batch;
	entry->epoch = cache->epoch;
}

/* The same bytes again leave what was parsed of them, and what rests on it. */
bool
cache_put(struct cache *cache, struct cache_entry *entry, struct text bytes)
{
	char *copy;

	note_read(cache, entry);
	if (entry->is_known && entry->damage.at == NULL &&
	    text_equal(entry->bytes, bytes))
		return false;
	forget_value(cache, entry);
	entry->is_known = true;
	if (bytes.at == NULL)
		return true;
	copy = entry->passes ? arena_alloc(cache->arena, bytes.size + 1)
			     : memory_alloc(bytes.size + 1);
	memcpy(copy, bytes.at, bytes.size);
	entry->bytes = (struct text){ copy, bytes.size };
	charge(cache, entry, bytes.size + 1);
	return true;
}

/* A value that is another by now, too: what was built on it must not stand. */
void
cache_put_damage(
    struct cache *cache, struct cache_entry *entry, struct text why)
{
	note_read(cache, entry);
	forget_value(cache, entry);
	entry->is_known = true;
	entry->damage = text_copy(cache_parsing(entry), why);
	charge(cache, entry, why.size);
}

/*
 * The value is what it was, and so is `change`: what is remembered was made of
 * these very bytes.
 */
void
cache_spoil(struct cache *cache, struct cache_entry *entry, const char *why)
{
	entry->damage = text_copy(cache_parsing(entry), text_from(why));
	charge(cache, entry, arena_used(entry->arena));
}

/* What can't be read may have been mended meanwhile, by hand. */
bool
cache_is_settled(const struct cache *cache, const struct cache_entry *entry)
{
	return entry->is_known &&
	    (entry->damage.at == NULL || entry->read == cache->batch);
}

/* Parsed values are about as large as their JSON. */
struct arena *
cache_parsing(struct cache_entry *entry)
{
	if (entry->arena == NULL)
		entry->arena = arena_create(entry->bytes.size + 256);
	return entry->arena;
}

void
cache_parsed(struct cache *cache, struct cache_entry *entry, void *parsed)
{
	entry->parsed = parsed;
	charge(cache, entry, arena_used(entry->arena) + 128);
}

bool
cache_is_old(const struct cache *cache, const struct cache_entry *entry)
{
	return !entry->passes &&
	    (entry->came_again || entry->queued != cache->batch);
}

/*
 * The grounds are noted as they are now: what is remembered was made of them in
 * this batch, in which none of them is read again.
 */
void *
cache_remember(struct cache *cache, struct cache_entry *entry,
    struct cache_entry *const *grounds, size_t n, size_t size)
{
	struct cache_memory *memory;
	size_t head = sizeof *memory + n * sizeof memory->grounds[0], i;
	bool passes = entry->passes;

	for (i = 0; i < n; i++)
		passes |= grounds[i]->passes;
	if (passes)
		return NULL;
	cache_unremember(cache, entry);
	memory = memory_alloc(head + size);
	*memory = (struct cache_memory){
		.size = head + size, .epoch = cache->epoch, .n_grounds = n
	};
	memory->value = (char *)memory + head;
	for (i = 0; i < n; i++) {
		memory->grounds[i] =
		    (struct cache_ground){ grounds[i], grounds[i]->change };
		grounds[i]->n_built++;
	}
	if (entry->kind == CACHE_VERSION)
		cache->counts[CACHE_ANSWER]++;
	entry->memory = memory;
	charge(cache, entry, memory->size);
	return memory->value;
}

bool
cache_stands(const struct cache_entry *entry)
{
	const struct cache_memory *memory = entry->memory;
	size_t i;

	for (i = 0; i < memory->n_grounds; i++)
		if (memory->grounds[i].entry->change !=
		    memory->grounds[i].change)
			return false;
	return true;
}

/*
 * Those that this batch points to, or that are built upon, only lose what is
 * known of them.  What passes has been read in this batch, or not at all.
 */
void
cache_forget(struct cache *cache, enum cache_kind first)
{
	struct cache_entry *entry, *next;

	for (entry = cache->oldest; entry != NULL; entry = next) {
		next = entry->newer;
		if (entry->kind < first || entry->read == cache->batch)
			continue;
		if (entry->used == cache->batch || entry->n_built > 0)
			forget_value(cache, entry);
		else
			remove_entry(cache, entry);
	}
}

size_t
cache_bytes(const struct cache *cache)
{
	return cache->bytes;
}

size_t
cache_count(const struct cache *cache, enum cache_kind kind)
{
	return cache->counts[kind];
}

size_t
cache_used(const struct cache *cache)
{
	return cache->used + arena_used(cache->arena);
}
