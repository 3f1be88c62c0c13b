#include "worker/snapshot/cache.h"

#include <string.h>

#include "common/base/buffer.h"
#include "tests/unit/check.h"

#define MAX ((size_t)16 * 1024)

/* An entry with `size` bytes, read in this batch. */
static struct cache_entry *
put(struct cache *cache, enum cache_kind kind, const char *key, size_t size)
{
	static const char bytes[4096];
	struct cache_entry *entry = cache_entry(cache, kind, text_from(key));

	cache_put(cache, entry, (struct text){ bytes, size });
	return entry;
}

/* The same, asked for until it is kept. */
static struct cache_entry *
keep(struct cache *cache, enum cache_kind kind, const char *key, size_t size)
{
	struct cache_entry *entry = put(cache, kind, key, size);

	if (entry->passes) {
		cache_begin(cache);
		entry = put(cache, kind, key, size);
	}
	CHECK(!entry->passes);
	return entry;
}

static bool
is_known(struct cache *cache, const char *key)
{
	return cache_entry(cache, CACHE_VERSION, text_from(key))->is_known;
}

static void
a_key_is_found_by_kind_and_bytes(void)
{
	struct cache *cache = cache_create(MAX);
	struct cache_entry *entry = put(cache, CACHE_HEAD, "a", 3);

	CHECK(cache_entry(cache, CACHE_HEAD, TEXT("a")) == entry);
	CHECK(cache_entry(cache, CACHE_HEAD, TEXT("b")) != entry);
	CHECK(cache_entry(cache, CACHE_DATASET, TEXT("a")) != entry);
	CHECK(cache_count(cache, CACHE_HEAD) == 2);
	CHECK(cache_count(cache, CACHE_DATASET) == 1);
	cache_destroy(cache);
}

static void
many_keys_are_all_found(void)
{
	struct cache *cache = cache_create((size_t)64 << 20);
	struct buffer key = { 0 };
	size_t i;

	for (i = 0; i < 5000; i++) {
		buffer_reset(&key);
		buffer_format(&key, "key-%zu", i);
		cache_entry(cache, CACHE_SPEC, buffer_text(&key))->number =
		    (uint32_t)i;
	}
	for (i = 0; i < 5000; i++) {
		buffer_reset(&key);
		buffer_format(&key, "key-%zu", i);
		CHECK(
		    cache_entry(cache, CACHE_SPEC, buffer_text(&key))->number ==
		    i);
	}
	CHECK(cache_count(cache, CACHE_SPEC) == 5000);
	buffer_finish(&key);
	cache_destroy(cache);
}

static void
the_same_bytes_are_no_news(void)
{
	struct cache *cache = cache_create(MAX);
	struct cache_entry *entry = cache_entry(cache, CACHE_HEAD, TEXT("a"));
	uint64_t change;

	CHECK(cache_put(cache, entry, TEXT("one")));
	cache_parsed(cache, entry, cache_parsing(entry));
	change = entry->change;
	CHECK(!cache_put(cache, entry, TEXT("one")));
	CHECK(entry->parsed != NULL && entry->change == change);
	CHECK(cache_put(cache, entry, TEXT("two")));
	CHECK(entry->parsed == NULL && entry->change != change);
	/* That there is nothing is known as well. */
	CHECK(cache_put(cache, entry, TEXT_NONE));
	CHECK(!cache_put(cache, entry, TEXT_NONE));
	CHECK(entry->is_known && entry->bytes.at == NULL);
	cache_destroy(cache);
}

static void
an_epoch_ends_freshness(void)
{
	struct cache *cache = cache_create(MAX);
	struct cache_entry *entry = cache_entry(cache, CACHE_HEAD, TEXT("a"));

	CHECK(!cache_is_fresh(cache, entry));
	cache_put(cache, entry, TEXT("one"));
	CHECK(cache_is_fresh(cache, entry));
	cache_begin(cache);
	CHECK(cache_is_fresh(cache, entry));
	cache_begin_epoch(cache);
	CHECK(!cache_is_fresh(cache, entry) && cache_is_settled(cache, entry));
	cache_destroy(cache);
}

/* Somebody may have mended it: each batch looks again. */
static void
damage_holds_for_one_batch(void)
{
	struct cache *cache = cache_create(MAX);
	struct cache_entry *entry = cache_entry(cache, CACHE_HEAD, TEXT("a"));

	cache_put(cache, entry, TEXT("{"));
	cache_spoil(cache, entry, "no JSON");
	CHECK(cache_is_settled(cache, entry));
	cache_begin(cache);
	CHECK(!cache_is_settled(cache, entry));
	CHECK(cache_put(cache, entry, TEXT("{"))); /* and is judged anew */
	CHECK(entry->damage.at == NULL);
	cache_put_damage(cache, entry, TEXT("too large"));
	CHECK(entry->bytes.at == NULL);
	CHECK(text_equal(entry->damage, TEXT("too large")));
	cache_destroy(cache);
}

static void
what_is_unused_for_longest_goes_first(void)
{
	struct cache *cache = cache_create(MAX);

	keep(cache, CACHE_VERSION, "old", 4096);
	cache_begin(cache);
	keep(cache, CACHE_VERSION, "used", 4096);
	keep(cache, CACHE_VERSION, "other", 4096);
	cache_begin(cache);
	CHECK(cache_bytes(cache) <= MAX);
	CHECK(is_known(cache, "used")); /* gets a second round */
	keep(cache, CACHE_VERSION, "new", 4096);
	cache_begin(cache);
	CHECK(cache_bytes(cache) <= MAX);
	CHECK(!is_known(cache, "old"));
	CHECK(is_known(cache, "used") && is_known(cache, "new"));
	cache_destroy(cache);
}

/* A cache in which there is not room in plenty. */
static struct cache *
full_cache(void)
{
	struct cache *cache = cache_create(MAX);

	put(cache, CACHE_HEAD, "full", 4096);
	return cache;
}

static void
what_is_asked_once_passes(void)
{
	struct cache *cache = full_cache();
	size_t before = cache_bytes(cache);
	struct cache_entry *entry = put(cache, CACHE_VERSION, "a", 1000);

	CHECK(entry->passes && !cache_is_old(cache, entry));
	CHECK(cache_entry(cache, CACHE_VERSION, TEXT("a")) == entry);
	CHECK(cache_bytes(cache) == before && cache_used(cache) > 1000);
	CHECK(cache_count(cache, CACHE_VERSION) == 0);
	CHECK(!put(cache, CACHE_USER, "u", 1)->passes);
	cache_begin(cache);
	CHECK(cache_used(cache) == 0);
	entry = cache_entry(cache, CACHE_VERSION, TEXT("a"));
	CHECK(!entry->is_known && !entry->passes);
	CHECK(cache_is_old(cache, entry)); /* its answer may be remembered */
	CHECK(cache_count(cache, CACHE_VERSION) == 1);
	cache_begin(cache);
	CHECK(cache_entry(cache, CACHE_VERSION, TEXT("a")) == entry);
	cache_destroy(cache);
}

/* All that is made of it lives as long, whatever Redis says meanwhile. */
static void
what_passes_holds_its_value(void)
{
	struct cache *cache = full_cache();
	struct cache_entry *entry = put(cache, CACHE_HEAD, "h", 3);
	struct cache_entry *kept = put(cache, CACHE_USER, "u", 3);

	cache_parsed(cache, entry, arena_alloc(cache_parsing(entry), 500));
	CHECK(cache_put(cache, entry, TEXT("other")) && entry->parsed == NULL);
	CHECK(text_equal(entry->bytes, TEXT("other")));
	cache_spoil(cache, entry, "no JSON");
	CHECK(text_equal(entry->damage, TEXT("no JSON")));
	cache_put_damage(cache, entry, TEXT("too large"));
	CHECK(text_equal(entry->damage, TEXT("too large")));
	/* It is gone before what would rest on it. */
	CHECK(cache_remember(cache, kept, &entry, 1, 10) == NULL);
	CHECK(cache_remember(cache, entry, &kept, 1, 10) == NULL);
	CHECK(kept->n_built == 0 && kept->memory == NULL);
	cache_forget(cache, CACHE_SCHEDULE);
	CHECK(entry->is_known);
	cache_destroy(cache);
}

static void
what_this_batch_has_found_stays(void)
{
	struct cache *cache = cache_create(1);
	struct cache_entry *entry = put(cache, CACHE_VERSION, "a", 4096);

	put(cache, CACHE_VERSION, "b", 4096);
	CHECK(entry->is_known && entry->bytes.size == 4096);
	CHECK(cache_used(cache) >= 8192);
	cache_begin(cache);
	CHECK(cache_bytes(cache) == 0 && cache_used(cache) == 0);
	cache_destroy(cache);
}

/* A version with an answer that rests on one head. */
static struct cache_entry *
remember(struct cache *cache, const char *key, struct cache_entry *head)
{
	struct cache_entry *version =
	    cache_entry(cache, CACHE_VERSION, text_from(key));

	memset(cache_remember(cache, version, &head, 1, 100), 'x', 100);
	CHECK(cache_count(cache, CACHE_ANSWER) == 1);
	return version;
}

static void
an_answer_stands_as_long_as_its_grounds(void)
{
	struct cache *cache = cache_create(MAX);
	struct cache_entry *head = put(cache, CACHE_HEAD, "h", 3);
	struct cache_entry *answer = remember(cache, "q", head);

	CHECK(cache_stands(answer) && head->n_built == 1);
	put(cache, CACHE_HEAD, "h", 3);
	CHECK(cache_stands(answer));
	put(cache, CACHE_HEAD, "h", 4);
	CHECK(!cache_stands(answer));
	/* What comes back to an earlier value has changed all the same. */
	put(cache, CACHE_HEAD, "h", 3);
	CHECK(!cache_stands(answer));
	cache_unremember(cache, answer);
	CHECK(answer->memory == NULL && head->n_built == 0);
	CHECK(cache_count(cache, CACHE_ANSWER) == 0);
	cache_destroy(cache);
}

static void
a_ground_outlives_what_is_built_on_it(void)
{
	struct cache *cache = cache_create(MAX);
	struct cache_entry *head = put(cache, CACHE_HEAD, "h", 1024);
	struct cache_entry *answer = remember(cache, "q", head);
	size_t i;

	for (i = 0; i < 6; i++) {
		cache_begin(cache);
		cache_entry(cache, CACHE_VERSION, TEXT("q"));
		keep(cache, CACHE_VERSION, i % 2 == 0 ? "x" : "y", 4096);
		keep(cache, CACHE_VERSION, i % 2 == 0 ? "z" : "w", 4096);
		keep(cache, CACHE_VERSION, i % 2 == 0 ? "u" : "v", 4096);
	}
	CHECK(cache_stands(answer) && head->is_known);
	/* With nobody using either, both go. */
	for (i = 0; i < 4; i++) {
		cache_begin(cache);
		keep(cache, CACHE_VERSION, i % 2 == 0 ? "1" : "5", 4096);
		keep(cache, CACHE_VERSION, i % 2 == 0 ? "2" : "6", 4096);
		keep(cache, CACHE_VERSION, i % 2 == 0 ? "3" : "7", 4096);
		keep(cache, CACHE_VERSION, i % 2 == 0 ? "4" : "8", 4096);
	}
	cache_begin(cache);
	CHECK(cache_bytes(cache) <= MAX);
	CHECK(cache_count(cache, CACHE_HEAD) == 0);
	cache_destroy(cache);
}

static void
forgetting_spares_what_was_read_now(void)
{
	struct cache *cache = cache_create(MAX);
	struct cache_entry *head = put(cache, CACHE_HEAD, "h", 3);
	struct cache_entry *spec = put(cache, CACHE_SPEC, "j", 3);
	struct cache_entry *answer = remember(cache, "q", head);
	struct cache_entry *now;

	cache_begin(cache);
	now = put(cache, CACHE_DATASET, "d", 3);
	CHECK(cache_entry(cache, CACHE_SPEC, TEXT("j")) == spec);
	CHECK(cache_entry(cache, CACHE_VERSION, TEXT("q")) == answer);
	cache_forget(cache, CACHE_DATASET);
	CHECK(now->is_known && head->is_known && answer->memory != NULL);
	CHECK(!spec->is_known);
	cache_forget(cache, CACHE_SCHEDULE);
	CHECK(now->is_known && answer->memory == NULL && head->n_built == 0);
	cache_destroy(cache);
}

static void
what_is_parsed_is_charged(void)
{
	struct cache *cache = cache_create(MAX);
	struct cache_entry *entry = put(cache, CACHE_VERSION, "a", 1000);
	size_t before = cache_bytes(cache);

	cache_parsed(cache, entry, arena_alloc(cache_parsing(entry), 500));
	CHECK(cache_bytes(cache) >= before + 500);
	cache_put(cache, entry, TEXT_NONE);
	CHECK(cache_bytes(cache) < 500);
	cache_destroy(cache);
}

CU_TestInfo snapshot_cache_tests[] = {
	{ "found by kind and bytes", a_key_is_found_by_kind_and_bytes },
	{ "many keys", many_keys_are_all_found },
	{ "the same bytes are no news", the_same_bytes_are_no_news },
	{ "an epoch ends freshness", an_epoch_ends_freshness },
	{ "damage holds for one batch", damage_holds_for_one_batch },
	{ "the longest unused go first",
	    what_is_unused_for_longest_goes_first },
	{ "asked once, it passes", what_is_asked_once_passes },
	{ "what passes holds its value", what_passes_holds_its_value },
	{ "a batch keeps what it found", what_this_batch_has_found_stays },
	{ "answers and their grounds",
	    an_answer_stands_as_long_as_its_grounds },
	{ "grounds outlive answers", a_ground_outlives_what_is_built_on_it },
	{ "forgetting", forgetting_spares_what_was_read_now },
	{ "what is parsed is charged", what_is_parsed_is_charged },
	CU_TEST_INFO_NULL,
};
