#include "producer/trigger/book.h"

#include "tests/unit/check.h"

#define N 9

/* What is left to another stands where it is looked at again, due as before. */
static void
is_left_for_later(void)
{
	struct book *book = book_create();
	struct entry *list[N], *entry;
	char name[2] = "a";
	size_t i;

	for (i = 0; i < N; i++, name[0]++)
		book_put(book, (struct text){ name, 1 }, TEXT("--v"), NULL,
		    100 + (int64_t)i);
	entry = book_find(book, TEXT("a"));
	book_leave(book, entry, 105);
	CU_ASSERT_EQUAL(entry->next_s, 100);
	CU_ASSERT_TRUE(text_equal(entry_rid(book_first(book)), TEXT("b")));
	CU_ASSERT_EQUAL(book_due(book, 104, list, N), 4);
	CU_ASSERT_EQUAL(book_due(book, 105, list, N), 6);
	for (i = 0; book_first(book) != entry; i++)
		book_move(book, book_first(book), 200);
	CU_ASSERT_TRUE(i == 4 || i == 5); /* beside f, which is due by then */
	book_move(book, entry, 300);
	CU_ASSERT_EQUAL(entry->wake_s, 300);
	/* It may go at any time. */
	book_leave(book, entry, 305);
	book_drop(book, entry);
	CU_ASSERT_EQUAL(book_size(book), N - 1);
	book_destroy(book);
}

CU_TestInfo book_tests[] = {
	{ "is_left_for_later", is_left_for_later },
	CU_TEST_INFO_NULL,
};
