#include <string.h>

#include "schemas/avro/framing.h"
#include "schemas/avro/reader.h"
#include "schemas/embedded.h"
#include "schemas/message/schedule_run.h"
#include "tests/unit/avro_value.h"
#include "tests/unit/check.h"
#include "tests/unit/random.h"

#define RANDOM_VALUES 100000
#define UUID "d2a5e9c6-298d-4788-a71d-42885d7bebb3"

static void
random_listing(
    struct random *random, struct arena *arena, struct listing *listing)
{
	size_t n = random_below(random, 4), i;
	struct text *first = arena_zalloc(arena, n, sizeof *first);

	for (i = 0; i < n; i++)
		first[i] = random_text(random, arena, 20);
	listing->count = (int32_t)(n + random_below(random, 3) * 100);
	listing->first = first;
	listing->n_first = listing->count > 0 ? (uint32_t)n : 0;
}

static struct uuid
random_uuid(struct random *random)
{
	uint64_t bits[2] = { random_next(random), random_next(random) };
	struct uuid uuid;

	memcpy(uuid.bytes, bits, sizeof uuid.bytes);
	return uuid;
}

static struct schedule_run
random_run(struct random *random, struct arena *arena)
{
	struct schedule_run run = {
		.id = random_uuid(random),
		.request_id = random_text(random, arena, 40),
		.schedule_rid = random_text(random, arena, 40),
		.schedule_version_rid = random_text_or_none(random, arena, 40),
		.created_time_ms = random_long(random),
		.created_by = random_text_or_none(random, arena, 40),
		.trigger = random_text_or_none(random, arena, 40),
		.state =
		    (enum run_state)(RUN_IGNORED + random_below(random, 3)),
		.finished_time_ms = random_long(random),
		.why = { .phase = random_int(random),
		    .cause = random_text(random, arena, 20),
		    .selected = random_int(random),
		    .running = random_int(random),
		    .up_to_date = random_int(random),
		    .blocked = random_int(random) },
	};
	int list;

	if (run.state == RUN_SUBMITTED)
		run.build_id = random_uuid(random);
	if (run.state == RUN_FAILED) {
		run.error = (enum run_error)random_below(random, RUN_ERRORS);
		run.description = random_text(random, arena, 200);
	}
	for (list = 0; list < RUN_LISTS; list++)
		random_listing(random, arena, &run.why.lists[list]);
	return run;
}

/* avro-c's ---------------------------------------------------------------- */

static void
set_rid(const avro_value_t *value, const char *name, struct text prefix,
    const struct uuid *id)
{
	char rid[RID_SIZE_MAX];

	avro_set_text(
	    value, name, (struct text){ rid, rid_format(prefix, id, rid) });
}

static void
fill_result(const avro_value_t *value, const struct schedule_run *run)
{
	avro_value_t result =
	    avro_branch(value, "result", (int)run->state - RUN_IGNORED);
	avro_value_t name;

	if (run->state == RUN_SUBMITTED)
		set_rid(&result, "buildRid", TEXT(RID_BUILD_PREFIX),
		    &run->build_id);
	if (run->state != RUN_FAILED)
		return;
	name = avro_field(&result, "errorName");
	avro_value_set_enum(&name, (int)run->error);
	avro_set_text(&result, "description", run->description);
}

static void
fill_lists(const avro_value_t *why, const struct listing *list)
{
	static const char *const names[RUN_LISTS] = { "offenders",
		"upToDateTargets", "droppedTargets", "outOfScope" };
	avro_value_t lists = avro_field(why, "lists"), item;
	int i;

	for (i = 0; i < RUN_LISTS; i++) {
		if (list[i].count == 0)
			continue;
		item = avro_put(&lists, names[i]);
		avro_set_int(&item, "count", list[i].count);
		avro_set_texts(&item, "first", list[i].first, list[i].n_first);
	}
}

static void
fill(const avro_value_t *value, const struct schedule_run *run)
{
	avro_value_t why = avro_field(value, "why");

	set_rid(value, "rid", TEXT(RID_RUN_PREFIX), &run->id);
	avro_set_text(value, "requestId", run->request_id);
	avro_set_text(value, "scheduleRid", run->schedule_rid);
	avro_set_text_or_null(
	    value, "scheduleVersionRid", run->schedule_version_rid);
	avro_set_long(value, "createdTime", run->created_time_ms);
	avro_set_text_or_null(value, "createdBy", run->created_by);
	avro_set_text_or_null(value, "trigger", run->trigger);
	avro_set_long(value, "finishedTime", run->finished_time_ms);
	fill_result(value, run);
	avro_set_int(&why, "phase", run->why.phase);
	avro_set_text(&why, "cause", run->why.cause);
	avro_set_int(&why, "selected", run->why.selected);
	avro_set_int(&why, "running", run->why.running);
	avro_set_int(&why, "upToDate", run->why.up_to_date);
	avro_set_int(&why, "blocked", run->why.blocked);
	fill_lists(&why, run->why.lists);
}

static bool
is_same_listing(const struct listing *a, const struct listing *b)
{
	size_t i;

	if (a->count != b->count || a->n_first != b->n_first)
		return false;
	for (i = 0; i < a->n_first; i++)
		if (!text_equal(a->first[i], b->first[i]))
			return false;
	return true;
}

static bool
is_same_why(const struct run_why *a, const struct run_why *b)
{
	int i;

	for (i = 0; i < RUN_LISTS; i++)
		if (!is_same_listing(&a->lists[i], &b->lists[i]))
			return false;
	return a->phase == b->phase && text_equal(a->cause, b->cause) &&
	    a->selected == b->selected && a->running == b->running &&
	    a->up_to_date == b->up_to_date && a->blocked == b->blocked;
}

static bool
is_same(const struct schedule_run *a, const struct schedule_run *b)
{
	return memcmp(&a->id, &b->id, sizeof a->id) == 0 &&
	    text_equal(a->request_id, b->request_id) &&
	    text_equal(a->schedule_rid, b->schedule_rid) &&
	    text_equal(a->schedule_version_rid, b->schedule_version_rid) &&
	    a->created_time_ms == b->created_time_ms &&
	    text_equal(a->created_by, b->created_by) &&
	    text_equal(a->trigger, b->trigger) &&
	    a->finished_time_ms == b->finished_time_ms &&
	    a->state == b->state && a->error == b->error &&
	    memcmp(&a->build_id, &b->build_id, sizeof a->build_id) == 0 &&
	    text_equal(a->description, b->description) &&
	    is_same_why(&a->why, &b->why);
}

/*
 * A run's own fields put into the form of another one with its outcome; all
 * that is its own differs in that one.
 */
static void
write_run(
    const struct schedule_run *run, struct buffer *block, struct buffer *out)
{
	const struct run_own own = { &run->id, run->build_id, run->request_id,
		run->created_by, run->trigger, run->created_time_ms,
		run->finished_time_ms };
	struct schedule_run other = *run;
	struct run_form form;

	other.id = other.build_id = uuid_random();
	other.request_id = other.created_by = other.trigger = TEXT("other");
	other.created_time_ms = other.finished_time_ms = 1;
	schedule_run_put_form(&other, block, &form);
	schedule_run_put_own(out, 2, block->at, &form, &own);
	if (block->size > 1 << 16)
		buffer_reset(block);
}

/* Ours and avro-c write the same bytes, and the reader gives the value back. */
static void
test_bytes(void)
{
	struct random random = { 2 };
	struct arena *arena = arena_create(0);
	struct buffer ours = { 0 }, theirs = { 0 }, block = { 0 };
	struct rejection rejection;
	struct message_reader *reader =
	    message_reader_create(MESSAGE_SCHEDULE_RUN,
		message_schema(MESSAGE_SCHEDULE_RUN), &rejection);
	struct avro_message message;
	size_t differ = 0;
	int i;

	REQUIRE(
	    avro_message_init(&message, message_schema(MESSAGE_SCHEDULE_RUN)));
	REQUIRE(reader != NULL);
	for (i = (int)random_rounds(RANDOM_VALUES); i > 0; i--) {
		struct schedule_run run = random_run(&random, arena), read;
		struct text body;

		buffer_reset(&ours);
		buffer_reset(&theirs);
		avro_value_reset(&message.value);
		write_run(&run, &block, &ours);
		fill(&message.value, &run);
		avro_message_write(&message, &theirs);
		body = (struct text){ ours.at + FRAMING_SIZE,
			ours.size - FRAMING_SIZE };
		if (!text_equal(body, buffer_text(&theirs)) ||
		    schedule_run_decode(
			reader, body, arena, &read, &rejection) != 0 ||
		    !is_same(&run, &read))
			differ++;
		arena_reset(arena, 1 << 16);
	}
	CHECK(differ == 0);
	avro_message_finish(&message);
	message_reader_destroy(reader);
	buffer_finish(&ours);
	buffer_finish(&theirs);
	buffer_finish(&block);
	arena_destroy(arena);
}

/* A rid or buildRid of another kind is no result of ours. */
static void
test_ids(void)
{
	static const struct {
		const char *name, *rid, *build;
		int rc;
	} rows[] = {
		{ "ours", RID_RUN_PREFIX UUID, RID_BUILD_PREFIX UUID, 0 },
		{ "a build's rid", RID_BUILD_PREFIX UUID, RID_BUILD_PREFIX UUID,
		    -1 },
		{ "a run's buildRid", RID_RUN_PREFIX UUID, RID_RUN_PREFIX UUID,
		    -1 },
		{ "no UUID", RID_RUN_PREFIX "1", RID_BUILD_PREFIX UUID, -1 },
	};
	struct random random = { 3 };
	struct arena *arena = arena_create(0);
	struct buffer bytes = { 0 };
	struct rejection rejection;
	struct message_reader *reader =
	    message_reader_create(MESSAGE_SCHEDULE_RUN,
		message_schema(MESSAGE_SCHEDULE_RUN), &rejection);
	struct avro_message message;
	struct schedule_run run, read;
	avro_value_t result;
	size_t i;

	REQUIRE(
	    avro_message_init(&message, message_schema(MESSAGE_SCHEDULE_RUN)));
	REQUIRE(reader != NULL);
	do
		run = random_run(&random, arena);
	while (run.state != RUN_SUBMITTED);
	fill(&message.value, &run);
	result = avro_branch(&message.value, "result", 1);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		avro_set_text(&message.value, "rid", text_from(rows[i].rid));
		avro_set_text(&result, "buildRid", text_from(rows[i].build));
		buffer_reset(&bytes);
		avro_message_write(&message, &bytes);
		CHECK_ROW(rows[i].name,
		    schedule_run_decode(reader, buffer_text(&bytes), arena,
			&read, &rejection) == rows[i].rc);
	}
	avro_message_finish(&message);
	message_reader_destroy(reader);
	buffer_finish(&bytes);
	arena_destroy(arena);
}

/* The table of names is that of the shipped schema, in its order. */
static void
test_names(void)
{
	struct avro_message message;
	avro_value_t error, name;
	avro_schema_t symbols;
	enum run_error found = INTERNAL;
	int i;

	REQUIRE(
	    avro_message_init(&message, message_schema(MESSAGE_SCHEDULE_RUN)));
	error = avro_branch(&message.value, "result", RUN_FAILED - RUN_IGNORED);
	name = avro_field(&error, "errorName");
	symbols = avro_value_get_schema(&name);
	CHECK(avro_schema_enum_number_of_symbols(symbols) == RUN_ERRORS);
	for (i = 0; i < RUN_ERRORS; i++) {
		const char *symbol = avro_schema_enum_get(symbols, i);

		CHECK_ROW(symbol,
		    strcmp(run_error_name((enum run_error)i), symbol) == 0);
		CHECK_ROW(symbol,
		    run_error_find(text_from(symbol), &found) &&
			found == (enum run_error)i);
	}
	CHECK(!run_error_find(TEXT("Other"), &found));
	CHECK(!run_error_find(TEXT_NONE, &found));
	avro_message_finish(&message);
}

CU_TestInfo schedule_run_tests[] = {
	{ "bytes as avro-c's", test_bytes },
	{ "ids of our form", test_ids },
	{ "names as the schema's", test_names },
	CU_TEST_INFO_NULL,
};
