#include <string.h>

#include "schemas/avro/framing.h"
#include "schemas/avro/reader.h"
#include "schemas/embedded.h"
#include "schemas/message/schedule_run.h"
#include "tests/unit/avro_value.h"
#include "tests/unit/check.h"
#include "tests/unit/random.h"

#define RANDOM_VALUES 100000

static void
random_listing(
    struct random *random, struct arena *arena, struct run_listing *listing)
{
	size_t n = random_below(random, 4), i;
	struct text *first = arena_zalloc(arena, n, sizeof *first);

	for (i = 0; i < n; i++)
		first[i] = random_text(random, arena, 20);
	listing->count = (int32_t)(n + random_below(random, 3) * 100);
	listing->first = first;
	listing->n_first = listing->count > 0 ? n : 0;
}

static struct schedule_run
random_run(struct random *random, struct arena *arena)
{
	struct schedule_run run = {
		.rid = random_text(random, arena, 40),
		.request_id = random_text(random, arena, 40),
		.schedule_rid = random_text(random, arena, 40),
		.schedule_version_rid = random_text_or_none(random, arena, 40),
		.created_time_ms = random_long(random),
		.created_by = random_text_or_none(random, arena, 40),
		.trigger = random_text_or_none(random, arena, 40),
		.finished_time_ms = random_long(random),
		.result = (enum run_result)random_below(random, 3),
		.phase = random_int(random),
		.cause = random_text(random, arena, 20),
		.selected = random_int(random),
		.running = random_int(random),
		.up_to_date = random_int(random),
		.blocked = random_int(random),
	};
	int list;

	if (run.result == RESULT_SUBMITTED)
		run.build_rid = random_text(random, arena, 40);
	if (run.result == RESULT_ERROR) {
		run.error_name = (int32_t)random_below(random, 7);
		run.description = random_text(random, arena, 200);
	}
	for (list = 0; list < RUN_LISTS; list++)
		random_listing(random, arena, &run.lists[list]);
	return run;
}

static void
fill_result(const avro_value_t *value, const struct schedule_run *run)
{
	avro_value_t result = avro_branch(value, "result", (int)run->result);
	avro_value_t name;

	if (run->result == RESULT_SUBMITTED)
		avro_set_text(&result, "buildRid", run->build_rid);
	if (run->result != RESULT_ERROR)
		return;
	name = avro_field(&result, "errorName");
	avro_value_set_enum(&name, run->error_name);
	avro_set_text(&result, "description", run->description);
}

static void
fill_lists(const avro_value_t *why, const struct schedule_run *run)
{
	avro_value_t lists = avro_field(why, "lists");
	int i;

	for (i = 0; i < RUN_LISTS; i++) {
		avro_value_t list;

		if (run->lists[i].count == 0)
			continue;
		list = avro_put(&lists, run_list_name((enum run_list)i));
		avro_set_int(&list, "count", run->lists[i].count);
		avro_set_texts(
		    &list, "first", run->lists[i].first, run->lists[i].n_first);
	}
}

static void
fill(const avro_value_t *value, const struct schedule_run *run)
{
	avro_value_t why = avro_field(value, "why");

	avro_set_text(value, "rid", run->rid);
	avro_set_text(value, "requestId", run->request_id);
	avro_set_text(value, "scheduleRid", run->schedule_rid);
	avro_set_text_or_null(
	    value, "scheduleVersionRid", run->schedule_version_rid);
	avro_set_long(value, "createdTime", run->created_time_ms);
	avro_set_text_or_null(value, "createdBy", run->created_by);
	avro_set_text_or_null(value, "trigger", run->trigger);
	avro_set_long(value, "finishedTime", run->finished_time_ms);
	fill_result(value, run);
	avro_set_int(&why, "phase", run->phase);
	avro_set_text(&why, "cause", run->cause);
	avro_set_int(&why, "selected", run->selected);
	avro_set_int(&why, "running", run->running);
	avro_set_int(&why, "upToDate", run->up_to_date);
	avro_set_int(&why, "blocked", run->blocked);
	fill_lists(&why, run);
}

static bool
is_same_listing(const struct run_listing *a, const struct run_listing *b)
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
is_same_why(const struct schedule_run *a, const struct schedule_run *b)
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
	return text_equal(a->rid, b->rid) &&
	    text_equal(a->request_id, b->request_id) &&
	    text_equal(a->schedule_rid, b->schedule_rid) &&
	    text_equal(a->schedule_version_rid, b->schedule_version_rid) &&
	    a->created_time_ms == b->created_time_ms &&
	    text_equal(a->created_by, b->created_by) &&
	    text_equal(a->trigger, b->trigger) &&
	    a->finished_time_ms == b->finished_time_ms &&
	    a->result == b->result && text_equal(a->build_rid, b->build_rid) &&
	    a->error_name == b->error_name &&
	    text_equal(a->description, b->description) && is_same_why(a, b);
}

/* Ours and avro-c write the same bytes, and the reader gives the value back. */
static void
test_bytes(void)
{
	struct random random = { 2 };
	struct arena *arena = arena_create(0);
	struct buffer ours = { 0 }, theirs = { 0 };
	struct rejection rejection;
	struct message_reader *reader =
	    message_reader_create(MESSAGE_SCHEDULE_RUN,
		message_schema(MESSAGE_SCHEDULE_RUN), &rejection);
	struct avro_message message;
	size_t differ = 0;

	REQUIRE(
	    avro_message_init(&message, message_schema(MESSAGE_SCHEDULE_RUN)));
	REQUIRE(reader != NULL);
	for (int i = 0; i < RANDOM_VALUES; i++) {
		struct schedule_run run = random_run(&random, arena), read;
		struct text body;

		buffer_reset(&ours);
		buffer_reset(&theirs);
		avro_value_reset(&message.value);
		schedule_run_encode(&run, 2, &ours);
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
	arena_destroy(arena);
}

static struct text
rid_text(struct arena *arena, struct text prefix, const struct uuid *uuid)
{
	char *at = arena_alloc(arena, RID_SIZE_MAX);

	return (struct text){ at, rid_format(prefix, uuid, at) };
}

/* A run's own fields put into the form of another one with its outcome. */
static void
test_form(void)
{
	struct random random = { 7 };
	struct arena *arena = arena_create(0);
	struct buffer whole = { 0 }, block = { 0 }, ours = { 0 };
	size_t differ = 0;

	for (int i = 0; i < RANDOM_VALUES; i++) {
		struct schedule_run run = random_run(&random, arena), other;
		struct uuid id = uuid_random(), build = uuid_random();
		struct uuid nil = { { 0 } };
		struct run_form form;

		run.rid = rid_text(arena, TEXT(RID_RUN_PREFIX), &id);
		if (run.result == RESULT_SUBMITTED)
			run.build_rid =
			    rid_text(arena, TEXT(RID_BUILD_PREFIX), &build);
		other = run;
		if (run.result == RESULT_SUBMITTED)
			other.build_rid =
			    rid_text(arena, TEXT(RID_BUILD_PREFIX), &nil);
		other.rid = TEXT("other");
		other.request_id = TEXT("other");
		other.trigger = TEXT("other");
		other.created_time_ms = other.finished_time_ms = 1;
		buffer_reset(&whole);
		buffer_reset(&ours);
		schedule_run_encode(&run, 2, &whole);
		schedule_run_encode_form(&other, &block, &form);
		schedule_run_encode_own(block.at, &form,
		    &(struct run_own){ &id, &build, run.request_id, run.trigger,
			run.created_time_ms, run.finished_time_ms },
		    2, &ours);
		differ += !text_equal(buffer_text(&whole), buffer_text(&ours));
		if (block.size > 1 << 16)
			buffer_reset(&block);
		arena_reset(arena, 1 << 16);
	}
	CHECK(differ == 0);
	buffer_finish(&whole);
	buffer_finish(&block);
	buffer_finish(&ours);
	arena_destroy(arena);
}

/* The tables of names are those of the shipped schema, in its order. */
static void
test_names(void)
{
	struct avro_message message;
	avro_value_t error, name;
	avro_schema_t symbols;

	REQUIRE(
	    avro_message_init(&message, message_schema(MESSAGE_SCHEDULE_RUN)));
	error = avro_branch(&message.value, "result", (int)RESULT_ERROR);
	name = avro_field(&error, "errorName");
	symbols = avro_value_get_schema(&name);
	CHECK(avro_schema_enum_number_of_symbols(symbols) == 7);
	for (int i = 0; i < 7; i++) {
		const char *symbol = avro_schema_enum_get(symbols, i);

		CHECK_ROW(symbol, strcmp(run_error_name(i), symbol) == 0);
		CHECK_ROW(symbol, run_error_index(text_from(symbol)) == i);
	}
	CHECK(run_error_name(-1) == NULL && run_error_name(7) == NULL);
	CHECK(run_error_index(TEXT("Other")) == -1);
	CHECK(run_error_index(TEXT_NONE) == -1);
	avro_message_finish(&message);
}

CU_TestInfo schedule_run_tests[] = {
	{ "bytes as avro-c's", test_bytes },
	{ "own fields in a form", test_form },
	{ "names as the schema's", test_names },
	CU_TEST_INFO_NULL,
};
