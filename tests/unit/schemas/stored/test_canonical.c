#include "schemas/stored/canonical.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "schemas/stored/catalogue.h"
#include "tests/unit/check.h"

#define VERSION "ri.scheduler.main.schedule-version.1"
#define DATASET "ri.foundry.main.dataset."
#define ACTION_OF(before, target)                                              \
	"{\"action\":{" before "\"target\":{" target "}},"                     \
	"\"createdBy\":\"me\","
#define ENDS                                                                   \
	"\"rid\":\"" VERSION "\",\"scheduleRid\":\"ri.a.b.c.d\","              \
	"\"scopeMode\":{\"type\":\"user\"}}"
#define BRANCH "\"branchName\":\"master\","
#define MANUAL "\"targetRids\":[\"" DATASET "a\"],\"type\":\"manual\""
#define PLAIN ACTION_OF(BRANCH, MANUAL)

static bool
are_equal(const struct text_list *left, const struct text_list *right)
{
	size_t i;

	for (i = 0; i < left->n && i < right->n; i++)
		if (!text_equal(left->at[i], right->at[i]))
			return false;
	return left->n == right->n;
}

static bool
are_same(
    const struct schedule_version *left, const struct schedule_version *right)
{
	return text_equal(left->rid, right->rid) &&
	    text_equal(left->schedule_rid, right->schedule_rid) &&
	    text_equal(left->created_by, right->created_by) &&
	    text_equal(left->created_time, right->created_time) &&
	    left->scope == right->scope &&
	    are_equal(&left->project_rids, &right->project_rids) &&
	    left->target_type == right->target_type &&
	    are_equal(&left->target_rids, &right->target_rids) &&
	    are_equal(&left->input_rids, &right->input_rids) &&
	    are_equal(&left->ignored_rids, &right->ignored_rids) &&
	    left->n_named == right->n_named &&
	    text_equal(left->branch_name, right->branch_name) &&
	    are_equal(&left->fallback_branches, &right->fallback_branches) &&
	    left->force_build == right->force_build &&
	    left->abort_on_failure == right->abort_on_failure &&
	    left->notifications_enabled == right->notifications_enabled &&
	    left->retry_count == right->retry_count &&
	    text_equal(left->retry_backoff.unit, right->retry_backoff.unit) &&
	    left->retry_backoff.value == right->retry_backoff.value;
}

struct row {
	const char *stored;
	bool is_read;
};

/* Whether both readers read the same, and this one what it should. */
static void
check_version(const struct row *row)
{
	struct arena *arena = arena_create(0);
	struct schedule_version quick, full;
	bool is_read = canonical_version(
	    text_from(row->stored), TEXT(VERSION), arena, &quick);

	CHECK_ROW(row->stored, is_read == row->is_read);
	if (is_read) {
		CHECK_ROW(row->stored,
		    schedule_version_parse(text_from(row->stored),
			TEXT(VERSION), arena, &full, NULL) == 0);
		CHECK_ROW(row->stored, are_same(&quick, &full));
	}
	arena_destroy(arena);
}

static void
versions_are_read_as_in_full(void)
{
	static const struct row rows[] = {
		{ PLAIN ENDS, true },
		{ ACTION_OF("\"abortOnFailure\":true," BRANCH
			    "\"fallbackBranches\":[\"dev\",\"dev\"],"
			    "\"forceBuild\":true,"
			    "\"notificationsEnabled\":true,"
			    "\"retryBackoffDuration\":"
			    "{\"unit\":\"SECONDS\",\"value\":30},"
			    "\"retryCount\":3,",
		      "\"ignoredRids\":[],\"inputRids\":[\"" DATASET
		      "i\"],\"targetRids\":[\"" DATASET "b\",\"" DATASET
		      "a\",\"" DATASET
		      "b\"],\"type\":\"connecting\"") "\"createdTime\":"
						      "\"2026\","
						      "\"description\":"
						      "\"\xc3\xa4\","
						      "\"displayName\":null,"
						      "\"rid\":\"" VERSION "\","
						      "\"scheduleRid\":\"ri.a.."
						      "c.d\",\"scopeMode\":"
						      "{\"projectRids\":[\"ri."
						      "a.b.c.e\"],\"type\":"
						      "\"project\"},"
						      "\"trigger\":{\"a\":[1,"
						      "true,{}],\"b\":{\"c\":"
						      "\"d\"}}}",
		    true },
		{ ACTION_OF(BRANCH "\"retryBackoffDuration\":null,", MANUAL)
			ENDS,
		    true },
		{ ACTION_OF(BRANCH,
		      "\"ignoredRids\":[],\"targetRids\":[],"
		      "\"type\":\"upstream\"") ENDS,
		    true },
		/* Perhaps right, perhaps not: it is not said here. */
		{ "", false },
		{ " " PLAIN ENDS, false },
		{ PLAIN ENDS " ", false },
		{ PLAIN "\"createdTime\":\"\\u0041\"," ENDS, false },
		{ PLAIN "\"createdTime\":\"\xff\"," ENDS, false },
		{ PLAIN "\"createdTime\":null," ENDS, false },
		{ PLAIN "\"unknown\":null," ENDS, false },
		{ PLAIN "\"description\":{\"b\":1,\"a\":1}," ENDS, false },
		{ PLAIN "\"description\":{\"a\":1,\"a\":1}," ENDS, false },
		{ PLAIN "\"description\":01," ENDS, false },
		{ PLAIN "\"description\":[1,]," ENDS, false },
		{ PLAIN "\"description\":[,1]," ENDS, false },
		{ PLAIN "\"description\":[1 2]," ENDS, false },
		{ PLAIN
		    "\"description\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]," ENDS,
		    false },
		{ ACTION_OF(BRANCH, "\"ignoredRids\":[]," MANUAL) ENDS, false },
		{ ACTION_OF(BRANCH, "\"targetRids\":[],\"type\":\"x\"") ENDS,
		    false },
		{ ACTION_OF("", MANUAL) ENDS, false },
		{ ACTION_OF("\"branchName\":\"\",", MANUAL) ENDS, false },
		{ ACTION_OF("\"branchName\":\"a\x7f\",", MANUAL) ENDS, false },
		{ ACTION_OF(BRANCH "\"retryCount\":1000000000,", MANUAL) ENDS,
		    false },
		{ ACTION_OF(BRANCH "\"retryCount\":-1,", MANUAL) ENDS, false },
		{ PLAIN "\"rid\":\"" VERSION
			"2\",\"scheduleRid\":\"ri.a.b.c.d\","
			"\"scopeMode\":{\"type\":\"user\"}}",
		    false },
		{ PLAIN "\"rid\":\"" VERSION "\",\"scheduleRid\":\"ri.a.b.c\","
			"\"scopeMode\":{\"type\":\"user\"}}",
		    false },
		{ PLAIN "\"rid\":\"" VERSION
			"\",\"scheduleRid\":\"ri.a.b.c.d\","
			"\"scopeMode\":{\"type\":\"project\"}}",
		    false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_version(&rows[i]);
}

/* As above, by what both would write. */
static void
check_branches(const struct row *row)
{
	struct arena *arena = arena_create(0);
	struct buffer one = { 0 }, other = { 0 };
	struct branch_list quick, full;
	bool is_read =
	    canonical_branches(text_from(row->stored), arena, &quick);

	CHECK_ROW(row->stored, is_read == row->is_read);
	if (is_read) {
		CHECK_ROW(row->stored,
		    branches_parse(
			text_from(row->stored), arena, &full, NULL) == 0);
		branches_write(&quick, &one);
		branches_write(&full, &other);
		CHECK_ROW(row->stored,
		    text_equal(buffer_text(&one), buffer_text(&other)));
	}
	buffer_finish(&one);
	buffer_finish(&other);
	arena_destroy(arena);
}

#define HEAD "\"head\":\"ri.foundry.main.transaction.1\""
#define BUILT(inputs) "\"built\":{\"inputs\":{" inputs "},\"logic\":\"v1\"}"

static void
branches_are_read_as_in_full(void)
{
	static const struct row rows[] = {
		{ "{}", true },
		{ "{\"a\":{}}", true },
		{ "{\"master\":{" BUILT("\"" DATASET "a\":null,\"" DATASET
					"a@dev\":\"ri.a.b.c.d\"") "," HEAD "}}",
		    true },
		{ "{\"a\":{\"head\":null,\"parent\":\"b\"},"
		  "\"b\":{\"built\":null," HEAD ",\"parent\":\"lost\"},"
		  "\"c\":{" HEAD ",\"parent\":\"a\"}}",
		    true },
		{ "{\"b\":{},\"a\":{}}", false },
		{ "{\"a\":{},\"a\":{}}", false },
		{ "{\"a\":{\"parent\":\"a\"}}", false },
		{ "{\"a\":{\"parent\":\"b\"},\"b\":{\"parent\":\"a\"}}",
		    false },
		{ "{\"a\":{" BUILT("\"" DATASET "a@\":null") "}}", false },
		{ "{\"a\":{" BUILT("\"a@b\":null") "}}", false },
		{ "{\"a\":{" BUILT(
		      "\"ri.a.b.c.e\":null,\"ri.a.b.c.d\":null") "}}",
		    false },
		{ "{\"a\":{\"head\":\"x\"}}", false },
		{ "{\"a\":{" HEAD "}", false },
		{ "{\"a\":{" HEAD "}}}", false },
		{ "[]", false },
		{ "", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_branches(&rows[i]);
}

static void
check_spec(const struct row *row)
{
	struct arena *arena = arena_create(0);
	struct buffer one = { 0 }, other = { 0 };
	struct job_spec quick, full;
	bool is_read =
	    canonical_job_spec(text_from(row->stored), arena, &quick);

	CHECK_ROW(row->stored, is_read == row->is_read);
	if (is_read) {
		CHECK_ROW(row->stored,
		    job_spec_parse(
			text_from(row->stored), arena, &full, NULL) == 0);
		job_spec_write(&quick, &one);
		job_spec_write(&full, &other);
		CHECK_ROW(row->stored,
		    text_equal(buffer_text(&one), buffer_text(&other)));
	}
	buffer_finish(&one);
	buffer_finish(&other);
	arena_destroy(arena);
}

#define SPEC(inputs, outputs, more)                                            \
	"{\"branch\":\"master\",\"inputs\":[" inputs                           \
	"],\"logic\":\"v1\",\"outputs\":[" outputs                             \
	"],\"rid\":\"ri.a.b.c.d\"" more "}"
#define RID_1 "\"" DATASET "1\""
#define RID_2 "\"" DATASET "2\""
#define PINNED(branch) "{\"branch\":\"" branch "\",\"rid\":" RID_1 "}"

static void
job_specs_are_read_as_in_full(void)
{
	static const struct row rows[] = {
		{ SPEC("", RID_1, ""), true },
		{ SPEC(RID_1 "," PINNED("a") "," PINNED("b") "," RID_2,
		      RID_1 "," RID_2, ",\"staleness\":\"never\""),
		    true },
		{ SPEC("", "", ""), false },
		{ SPEC("", RID_1 "," RID_1, ""), false },
		{ SPEC(PINNED("b") "," PINNED("a"), RID_1, ""), false },
		{ SPEC(RID_1 "," RID_1, RID_1, ""), false },
		{ SPEC("", RID_1, ",\"staleness\":\"no\""), false },
		{ SPEC("", RID_1, ",\"what\":1"), false },
		{ "=" DATASET "1", false },
		{ "{", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_spec(&rows[i]);
}

/* Neither half of a value is one, wherever it is cut. */
static void
what_is_cut_is_no_value(void)
{
	static const char whole[] = PLAIN ENDS;
	struct arena *arena = arena_create(0);
	struct schedule_version version;
	size_t n;

	for (n = 0; n < sizeof whole - 1; n++) {
		/* Of just as many bytes: sanitizers see what reads on. */
		char *cut = memory_alloc(n > 0 ? n : 1);

		memcpy(cut, whole, n);
		CHECK(!canonical_version(
		    (struct text){ cut, n }, TEXT(VERSION), arena, &version));
		free(cut);
	}
	arena_destroy(arena);
}

CU_TestInfo canonical_tests[] = {
	{ "versions as in full", versions_are_read_as_in_full },
	{ "branches as in full", branches_are_read_as_in_full },
	{ "job specs as in full", job_specs_are_read_as_in_full },
	{ "what is cut is no value", what_is_cut_is_no_value },
	CU_TEST_INFO_NULL,
};
