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

/* Each removal leaves all others findable, whatever they were pushed past. */
static void
removes_entries(void)
{
	struct entry_table table = { 0 };
	static int numbers[ENTRIES];
	int wrong = 0;

	entry_table_reset(&table, NULL);
	for (int i = 0; i < ENTRIES / 10; i++) {
		numbers[i] = i;
		put(&table, NULL, &numbers[i]);
	}
	for (int i = 0; i < ENTRIES / 10; i += 3) {
		entry_table_remove(&table,
		    entry_table_find(&table, hash_of(i), &i, is_number));
		for (int j = 0; j < ENTRIES / 10; j++)
			wrong +=
			    (find(&table, j) != NULL) != (j > i || j % 3 != 0);
	}
	CHECK(wrong == 0);
	CHECK(table.n == ENTRIES / 10 - (ENTRIES / 10 + 2) / 3);
	entry_table_finish(&table);
	CHECK(table.slots == NULL && table.n == 0);
}

/* Hashes at the table's end: their entries stand at its beginning. */
static void
removes_entries_around_the_end(void)
{
	struct entry_table table = { 0 };
	int numbers[4] = { 0, 1, 2, 3 };
	int wrong = 0;

	entry_table_reset(&table, NULL);
	for (int i = 0; i < 4; i++)
		entry_table_fill(&table, NULL,
		    entry_table_find(&table, table.mask, &i, is_number),
		    table.mask, &numbers[i]);
	entry_table_remove(&table,
	    entry_table_find(&table, table.mask, &numbers[0], is_number));
	for (int i = 0; i < 4; i++)
		wrong += (entry_table_find(&table, table.mask, &i, is_number)
				 ->entry != NULL) != (i > 0);
	CHECK(wrong == 0);
	entry_table_finish(&table);
}

/* The heap's table gives back what it outgrew: valgrind and ASan look. */
static void
lives_on_the_heap(void)
{
	struct entry_table table = { 0 };
	static int numbers[ENTRIES];
	size_t mask;
	int missing = 0;

	entry_table_reset(&table, NULL);
	for (int i = 0; i < ENTRIES; i++) {
		numbers[i] = i;
		put(&table, NULL, &numbers[i]);
	}
	for (int i = 0; i < ENTRIES; i++)
		missing += find(&table, i) != &numbers[i];
	CHECK(missing == 0);
	mask = table.mask;
	entry_table_reset(&table, NULL);
	CHECK(table.n == 0 && table.mask == mask && find(&table, 1) == NULL);
	entry_table_finish(&table);
}

CU_TestInfo entry_table_tests[] = {
	{ "finds each entry again", finds_each_entry_again },
	{ "forgets entries but keeps room", forgets_entries_but_keeps_room },
	{ "removes entries", removes_entries },
	{ "removes entries around the end", removes_entries_around_the_end },
	{ "lives on the heap", lives_on_the_heap },
	CU_TEST_INFO_NULL,
};
