#ifndef SCHEDRUN_WORKER_SNAPSHOT_CACHE_H
#define SCHEDRUN_WORKER_SNAPSHOT_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/text.h"

/*
 * Fields of Redis's hashes with what was made of them, bounded in bytes: those
 * that no batch has used for longest go first.  An entry that a batch has found
 * stays until the next batch begins.  Part of snapshot; one thread.
 *
 * What is asked for the first time seldom comes again: unless there is room in
 * plenty its entry passes, it goes with its batch.  When it is asked for once
 * more soon after, it is kept.
 *
 * The table is by hand: a chain through the entries costs 16 bytes each, an
 * entry_table, half empty, 32 to 64, which the bound on bytes does not see.
 */
struct cache;

enum cache_kind {       /* by the letter of their hash */
	CACHE_SCHEDULE, /* s */
	CACHE_VERSION,  /* v */
	CACHE_HEAD,     /* h */
	CACHE_DATASET,  /* g<G>:d, as the three below */
	CACHE_SPEC,     /* j */
	CACHE_USER,     /* u */
	CACHE_PROJECT,  /* p */
	CACHE_ANSWER,   /* no entries: what is remembered of versions */
	CACHE_KINDS
};

/* What something was made of: an entry's value as it was at that change. */
struct cache_ground {
	struct cache_entry *entry;
	uint64_t change;
};

/*
 * What was made of an entry's value and of others', in one block of memory with
 * its list of those.  It goes with the entry's value.
 */
struct cache_memory {
	void *value;    /* its bytes, behind the list */
	size_t size;    /* of the block */
	uint64_t epoch; /* that found it to stand */
	size_t n_grounds;
	struct cache_ground grounds[];
};

/* What a look-up that finds it reads comes first: a line of the processor's. */
struct cache_entry {
	struct cache_entry *chain; /* the table's */
	size_t hash;
	struct text key;
	struct cache_memory *memory; /* owned; NULL: nothing is remembered */
	uint64_t used;               /* batch that found it last */
	uint64_t epoch;              /* that it was read in last */
	enum cache_kind kind;
	uint32_t number;   /* of a schedule: the first of its questions, */
	uint64_t asked;    /* of this batch */
	struct text bytes; /* as stored; none: absent; owned unless it passes */
	struct text damage;  /* why they can't be parsed; none: they can */
	void *parsed;        /* what the kind makes of the bytes; or NULL */
	struct arena *arena; /* holds what is made; NULL: nothing yet; the
				cache's if it passes */
	uint64_t read;       /* batch that read it last */
	uint64_t wanted;     /* batch whose list it is on */
	uint64_t change;     /* another number for each value it has had */
	uint32_t n_built;    /* memories that it is a ground of: it stays */
	bool is_known;       /* the bytes are what Redis has */
	bool passes;         /* it and all of it is gone with this batch */
	bool came_again;     /* it had passed before it was made */
	struct cache_entry *newer, *older; /* the queue's */
	uint64_t queued;                   /* batch that put it there */
	size_t cost;                       /* bytes that it holds */
};

/* `max_bytes` is the bound when a batch begins; never NULL. */
struct cache *cache_create(size_t max_bytes);
void cache_destroy(struct cache *cache); /* NULL is fine */

/* A batch begins: entries beyond the bound go. */
void cache_begin(struct cache *cache);
uint64_t cache_batch(const struct cache *cache);

/*
 * Redis may have changed: an entry is fresh if it was read in this epoch; one
 * that can't be read, if it was in this batch: somebody may have mended it.
 */
void cache_begin_epoch(struct cache *cache);
uint64_t cache_epoch(const struct cache *cache);
bool cache_is_fresh(const struct cache *cache, const struct cache_entry *entry);

/* The entry, made if there is none; it stays for this batch. */
struct cache_entry *cache_entry(
    struct cache *cache, enum cache_kind kind, struct text key);

/*
 * The same with the key's hash known.  Who is going to look for several has
 * their way to memory begin together: cache_expect, for each.
 */
size_t cache_hash(enum cache_kind kind, struct text key);
struct cache_entry *cache_entry_of(
    struct cache *cache, enum cache_kind kind, struct text key, size_t hash);
void cache_expect(const struct cache *cache, size_t hash);
/* The same for what is looked for later still: first the place in the table. */
void cache_expect_soon(const struct cache *cache, size_t hash);
/* The hash that the same key has as another kind. */
size_t cache_hash_as(size_t hash, enum cache_kind is, enum cache_kind as);

/* As if the entry had been looked up: it stays for this batch. */
void cache_use(struct cache *cache, struct cache_entry *entry);

/*
 * Sets what Redis has; `bytes` none: nothing.  Returns whether that is news;
 * then nothing is parsed any more.  What was damaged is judged anew.
 */
bool cache_put(
    struct cache *cache, struct cache_entry *entry, struct text bytes);

/* Redis has something that can't be read; `why` is copied. */
void cache_put_damage(
    struct cache *cache, struct cache_entry *entry, struct text why);

/* Notes why what Redis has, be it nothing, can't be right. */
void cache_spoil(
    struct cache *cache, struct cache_entry *entry, const char *why);

/* Whether it is known and can be read, or has been read in this batch. */
bool cache_is_settled(
    const struct cache *cache, const struct cache_entry *entry);

/*
 * An arena for what is parsed, which may point into the entry's bytes; and its
 * size counted when it is done.
 */
struct arena *cache_parsing(struct cache_entry *entry);
void cache_parsed(struct cache *cache, struct cache_entry *entry, void *parsed);

/*
 * Whether the entry was asked for before this batch, and is kept: what is made
 * of one that was not is seldom asked for again, and is not worth to be
 * remembered.
 */
bool cache_is_old(const struct cache *cache, const struct cache_entry *entry);

/*
 * Room for `size` bytes that were made of this entry's value and of those of
 * `n` others, which stay as long as these bytes do; they replace what was
 * remembered.  Filled by the caller.  NULL: one of them passes.  `stands`: no
 * ground has changed since.
 */
void *cache_remember(struct cache *cache, struct cache_entry *entry,
    struct cache_entry *const *grounds, size_t n, size_t size);
bool cache_stands(const struct cache_entry *entry);
void cache_unremember(struct cache *cache, struct cache_entry *entry);

/*
 * Forgets what is known of all kinds from `first` on, but for what this batch
 * has read: a new generation, or another store.
 */
void cache_forget(struct cache *cache, enum cache_kind first);

/* What is kept holds, and how many of a kind, or answers, there are. */
size_t cache_bytes(const struct cache *cache);
size_t cache_count(const struct cache *cache, enum cache_kind kind);
/* Bytes of the entries that this batch uses. */
size_t cache_used(const struct cache *cache);

#endif
