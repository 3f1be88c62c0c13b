#include "producer/trigger/satisfy.h"

#include <assert.h>

#include "tests/unit/check.h"

#define DATA(kind, rid)                                                        \
	"{\"type\":\"" kind "Updated\",\"" kind "Rid\":\"" rid                 \
	"\",\"branchName\":\"b\"}"
#define D(rid) DATA("dataset", rid)
#define OR(list) "{\"type\":\"or\",\"triggers\":[" list "]}"
#define AND(list) "{\"type\":\"and\",\"triggers\":[" list "]}"
#define OF(trigger) "{\"rid\":\"x\",\"trigger\":" trigger "}"

/* New data of "x" on the branch "b", and that the schedule "s" has failed. */
static struct fact facts[] = {
	{ TRIGGER_DATASET_UPDATED, { "x", 1 }, { "b", 1 } },
	{ TRIGGER_SCHEDULE_FAILED, { "s", 1 }, { NULL, 0 } },
};

static void
finds_who_is_satisfied(void)
{
	static const struct {
		const char *version;
		int alone;                 /* which fact; -1: none */
		const char *form, *leaves; /* of the first `and`; NULL: none */
	} rows[] = {
		{ OF("null"), -1, NULL, NULL },
		{ "{}", -1, NULL, NULL },
		{ OF("3"), -1, NULL, NULL },
		{ OF(D("x")), 0, NULL, NULL },
		{ OF(D("y")), -1, NULL, NULL },
		{ OF(DATA("mediaSet", "x")), 0, NULL, NULL },
		{ OF(DATA("table", "x")), 0, NULL, NULL },
		{ OF("{\"type\":\"jobSucceeded\",\"datasetRid\":\"x\","
		     "\"branchName\":\"b\"}"),
		    -1, NULL, NULL },
		{ OF("{\"type\":\"datasetUpdated\",\"datasetRid\":\"x\","
		     "\"branchName\":\"c\"}"),
		    -1, NULL, NULL },
		{ OF("{\"type\":\"datasetUpdated\",\"datasetRid\":\"x\"}"), -1,
		    NULL, NULL },
		{ OF("{\"type\":\"scheduleFailed\",\"scheduleRid\":\"s\"}"), 1,
		    NULL, NULL },
		{ OF("{\"type\":\"scheduleSucceeded\",\"scheduleRid\":\"s\"}"),
		    -1, NULL, NULL },
		{ OF("{\"type\":\"manual\"}"), -1, NULL, NULL },
		{ OF(OR(D("y") "," OR(D("z") "," D("x")))), 0, NULL, NULL },
		{ OF(AND(D("y") "," D("x"))), -1, "l0 l1 a2 ", "1 " },
		{ OF(AND(D("y") "," D("z"))), -1, NULL, NULL },
		{ OF(AND(D("x") "," OR(D("y") "," D("x")) "," D("z"))), -1,
		    "l0 l1 l2 o2 l3 a3 ", "0 2 " },
		{ OF(OR(AND(D("x")) "," D("x"))), 0, "l0 a1 ", "0 " },
		{ OF(AND("")), -1, NULL, NULL },
		{ OF(AND("3,null," D("x"))), -1, "l0 l1 l2 a3 ", "2 " },
	};
	const struct facts all = { facts, 2 };
	struct arena *arena = arena_create(0);
	struct satisfied satisfied;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *row = rows[i].version;

		CHECK_ROW(row,
		    satisfy_read(
			text_from(row), &all, arena, &satisfied, NULL) == 0);
		CHECK_ROW(row,
		    satisfied.alone ==
			(rows[i].alone < 0 ? NULL : &facts[rows[i].alone]));
		CHECK_ROW(
		    row, (satisfied.ands == NULL) == (rows[i].form == NULL));
		if (satisfied.ands == NULL || rows[i].form == NULL)
			continue;
		CHECK_ROW(row,
		    text_equal(satisfied.ands->form, text_from(rows[i].form)));
		CHECK_ROW(row,
		    text_equal(
			satisfied.ands->leaves, text_from(rows[i].leaves)));
	}
	CHECK(satisfy_read(TEXT("{"), &all, arena, &satisfied, NULL) != 0);
	arena_destroy(arena);
}

/* Each keeps its number, whichever of them is satisfied. */
static void
numbers_the_outermost_ands(void)
{
	const struct facts all = { facts, 1 };
	struct arena *arena = arena_create(0);
	struct satisfied satisfied;
	const struct satisfied_and *second;

	REQUIRE(satisfy_read(TEXT(OF(OR(AND(D("y")) "," AND(
				 AND(D("x")) "," D("y")) "," AND(D("x"))))),
		    &all, arena, &satisfied, NULL) == 0);
	assert(satisfied.ands != NULL && satisfied.ands->next != NULL);
	second = satisfied.ands->next;
	CHECK(satisfied.ands->number == 1);
	CHECK(text_equal(satisfied.ands->form, TEXT("l0 a1 l1 a2 ")));
	CHECK(second->number == 2);
	CHECK(second->next == NULL);
	arena_destroy(arena);
}

CU_TestInfo satisfy_tests[] = {
	{ "finds who is satisfied", finds_who_is_satisfied },
	{ "numbers the outermost ands", numbers_the_outermost_ands },
	CU_TEST_INFO_NULL,
};
