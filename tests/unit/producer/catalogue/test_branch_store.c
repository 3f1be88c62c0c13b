#include "producer/catalogue/branch_store.h"

#include <string.h>

#include "tests/unit/check.h"

#define T "ri.foundry.main.transaction."

/* The stored value with a branch set in it; or the message. */
static struct text
set(struct arena *arena, const char *stored, const char *name,
    const char *parent)
{
	const struct branch branch = { .name = text_from(name),
		.head = TEXT(T "new"),
		.parent = text_from(parent) };
	struct error err = { 0 };
	struct text value;

	if (branch_value_set(text_from(stored), &branch, arena, &value, &err) ==
	    0)
		return value;
	return text_copy(arena, text_from(err.message));
}

static void
sets_one_branch_and_keeps_the_others(void)
{
	static const struct {
		const char *name, *stored, *branch, *parent, *value;
	} rows[] = {
		{ "the first", NULL, "a", NULL,
		    "{\"a\":{\"head\":\"" T "new\"}}" },
		{ "of none", "{}", "a", "p",
		    "{\"a\":{\"head\":\"" T "new\",\"parent\":\"p\"}}" },
		{ "replaced", "{\"a\":{\"head\":null}}", "a", NULL,
		    "{\"a\":{\"head\":\"" T "new\"}}" },
		{ "between", "{\"a\":{},\"c\":{\"parent\":\"a\"}}", "b", NULL,
		    "{\"a\":{\"head\":null},\"b\":{\"head\":\"" T
		    "new\"},\"c\":{\"head\":null,\"parent\":\"a\"}}" },
		{ "behind", "{\"a\":{}}", "b", "a",
		    "{\"a\":{\"head\":null},\"b\":{\"head\":\"" T
		    "new\",\"parent\":\"a\"}}" },
		{ "its own parent", NULL, "a", "a",
		    "$: the parents of branch a are in a loop" },
		{ "a loop over another", "{\"a\":{\"parent\":\"b\"}}", "b", "a",
		    "$: the parents of branch a are in a loop" },
	};
	struct arena *arena = arena_create(0);
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].name,
		    text_equal(set(arena, rows[i].stored, rows[i].branch,
				   rows[i].parent),
			text_from(rows[i].value)));
	CHECK(set(arena, "nonsense", "a", NULL).at[0] != '{');
	arena_destroy(arena);
}

static void
finds_a_branch(void)
{
	struct arena *arena = arena_create(0);
	struct text stored = TEXT("{\"a\":{\"head\":\"" T "1\"}}");
	const struct branch *branch;
	struct error err;

	REQUIRE(branch_value_get(stored, TEXT("a"), arena, &branch, &err) == 0);
	CHECK(branch != NULL && text_equal(branch->head, TEXT(T "1")));
	CHECK(branch_value_get(stored, TEXT("b"), arena, &branch, &err) == 0);
	CHECK(branch == NULL);
	CHECK(
	    branch_value_get(TEXT_NONE, TEXT("b"), arena, &branch, &err) == 0);
	CHECK(
	    branch_value_get(TEXT("["), TEXT("b"), arena, &branch, &err) != 0);
	arena_destroy(arena);
}

CU_TestInfo branch_store_tests[] = {
	{ "sets one branch", sets_one_branch_and_keeps_the_others },
	{ "finds a branch", finds_a_branch },
	CU_TEST_INFO_NULL,
};
