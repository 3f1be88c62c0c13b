#include "common/base/entry_table.h"

#include "tests/unit/check.h"

#define ENTRIES 5000

static bool
is_number(const void *entry, const void *key)
{
	return *(const int *)entry == *(const int *)key;
}

/* Many entries of few hashes: probes pass one another's entries. */
static size_t
hash_of(int number)
{
	return (size_t)number % 7;
}

static int *
find(const struct entry_table *table, int number)
{
	return entry_table_find(table, hash_of(number), &number, is_number)
	    ->entry;
}

static void
put(struct entry_table *table, struct arena *arena, int *number)
{
	size_t hash = hash_of(*number);

	entry_table_fill(table, arena,
	    entry_table_find(table, hash, number, is_number), hash, number);
}

static void
finds_each_entry_again(void)
{
	struct arena *arena = arena_create(0);
	struct entry_table table = { 0 };
	static int numbers[ENTRIES];
	int missing = 0;

	entry_table_reset(&table, arena);
	for (int i = 0; i < ENTRIES; i++) {
		numbers[i] = i;
		CHECK(find(&table, i) == NULL);
		put(&table, arena, &numbers[i]);
	}
	for (int i = 0; i < ENTRIES; i++)
		missing += find(&table, i) != &numbers[i];
	CHECK(missing == 0);
	CHECK(table.n == ENTRIES);
	CHECK(table.mask + 1 >= 2 * ENTRIES);
	arena_destroy(arena);
}

static void
forgets_entries_but_keeps_room(void)
{
	struct arena *arena = arena_create(0);
	struct entry_table table = { 0 };
	static int numbers[ENTRIES];
	size_t mask;

	entry_table_reset(&table, arena);
	for (int i = 0; i < ENTRIES; i++) {
		numbers[i] = i;
		put(&table, arena, &numbers[i]);
	}
	mask = table.mask;
	arena_reset(arena, 0);
	entry_table_reset(&table, arena);
	CHECK(table.n == 0);
	CHECK(table.mask == mask);
	CHECK(find(&table, 1) == NULL);
	arena_destroy(arena);
}

CU_TestInfo entry_table_tests[] = {
	{ "finds each entry again", finds_each_entry_again },
	{ "forgets entries but keeps room", forgets_entries_but_keeps_room },
	CU_TEST_INFO_NULL,
};
