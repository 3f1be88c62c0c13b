#include "worker/commit/answer.h"

#include <string.h>

#include "schemas/avro/framing.h"
#include "schemas/avro/reader.h"
#include "schemas/embedded.h"
#include "tests/unit/check.h"
#include "worker/commit/publish.h"

#define RESULT_SCHEMA 2
#define BUILD_SCHEMA 3
#define SCHEDULE "ri.scheduler.main.schedule.s"

/* A scene: an answer whose outcome is gone, and a batch of two requests. */
struct scene {
	struct arena *arena;
	struct buffer scratch;
	struct answer *answer;
	struct batch *batch;
	struct publish_settings settings;
	struct message_reader *runs, *builds;
};

static const struct schedule_version *
make_version(struct arena *arena)
{
	struct schedule_version *version =
	    arena_zalloc(arena, 1, sizeof *version);

	version->rid = text_copy(arena, TEXT("v"));
	version->branch_name = text_copy(arena, TEXT("main"));
	version->scope = SCOPE_USER;
	version->created_by = text_copy(arena, TEXT("owner"));
	return version;
}

/* `n` jobs without inputs, the i-th writes the dataset "i". */
static struct build
make_build(struct arena *arena, size_t n)
{
	struct job *jobs = arena_zalloc(arena, n, sizeof *jobs);
	struct job_spec *specs = arena_zalloc(arena, n, sizeof *specs);
	struct text *outputs = arena_zalloc(arena, n, sizeof *outputs);
	size_t i;

	for (i = 0; i < n; i++) {
		char name = (char)('a' + i);

		outputs[i] = text_copy(arena, (struct text){ &name, 1 });
		specs[i] = (struct job_spec){ .outputs = &outputs[i],
			.n_outputs = 1,
			.logic = text_copy(arena, TEXT("l")),
			.branch = text_copy(arena, TEXT("main")),
			.rid = text_copy(arena, TEXT("spec")) };
		jobs[i] = (struct job){ .spec = &specs[i],
			.reason = REASON_NEVER_BUILT,
			.reason_output = &outputs[i] };
	}
	return (struct build){ make_version(arena), 1, jobs, n };
}

static struct outcome
make_outcome(struct arena *arena, enum run_state state)
{
	struct outcome outcome = {
		.run = { .id = uuid_random(),
		    .request_id = text_copy(arena, TEXT("planned for")),
		    .schedule_rid = text_copy(arena, TEXT(SCHEDULE)),
		    .schedule_version_rid = text_copy(arena, TEXT("v")),
		    .created_time_ms = 1,
		    .created_by = text_copy(arena, TEXT("user")),
		    .trigger = text_copy(arena, TEXT("planned for")),
		    .state = state,
		    .error = PERMISSION_DENIED,
		    .description = text_copy(arena, TEXT("denied")),
		    .why = { .phase = 9,
			.cause = text_copy(arena, TEXT("readDeniedUser")) } },
	};

	if (state == RUN_SUBMITTED) {
		outcome.run.build_id = rid_build(&outcome.run.id);
		outcome.build = make_build(arena, 3);
	}
	return outcome;
}

static struct message_reader *
reader_of(enum message message)
{
	struct rejection rejection;

	return message_reader_create(
	    message, message_schema(message), &rejection);
}

static void
add_request(struct batch *batch, const char *id, int64_t created_ms)
{
	struct batch_record *record = &batch->records[batch->n++];

	*record = (struct batch_record){
		.request = { .request_id = text_from(id),
		    .schedule_rid = TEXT(SCHEDULE),
		    .created_time_ms = created_ms,
		    .created_by = text_from(id),
		    .trigger = text_from(id) },
		.run = rid_run(TEXT(SCHEDULE), text_from(id)),
	};
}

/* What outcome and answer were made of is overwritten before any is written. */
static void
begin(struct scene *scene, enum run_state state)
{
	struct arena *plan = arena_create(0);
	struct outcome outcome = make_outcome(plan, state);
	const struct answer *made;
	size_t used;

	*scene = (struct scene){ .arena = arena_create(0),
		.batch = batch_create(2, 1 << 20),
		.settings = { RESULT_SCHEMA, BUILD_SCHEMA, 1 << 20, 1 << 20,
		    false },
		.runs = reader_of(MESSAGE_SCHEDULE_RUN),
		.builds = reader_of(MESSAGE_BUILD_REQUESTED) };
	made = answer_make(plan, &scene->scratch, &outcome);
	used = arena_used(plan);
	scene->answer = arena_alloc(scene->arena, answer_size(made));
	answer_pack(made, scene->answer);
	memset(scene->scratch.at, 'x', scene->scratch.size);
	arena_reset(plan, SIZE_MAX);
	memset(arena_alloc(plan, used), 'x', used);
	arena_destroy(plan);
	add_request(scene->batch, "r-1", 5);
	add_request(scene->batch, "r-2", 6);
}

static void
end(struct scene *scene)
{
	scene->batch->n = 0; /* they came from no broker */
	batch_destroy(scene->batch);
	buffer_finish(&scene->scratch);
	message_reader_destroy(scene->runs);
	message_reader_destroy(scene->builds);
	arena_destroy(scene->arena);
}

static struct text
body_of(struct text value, uint32_t schema_id)
{
	struct rejection rejection;
	struct text body = TEXT_NONE;
	uint32_t id = 0;

	CHECK(framing_read(value, SIZE_MAX, &id, &body, &rejection) == 0);
	CHECK(id == schema_id);
	return body;
}

static struct schedule_run
read_run(const struct scene *scene, size_t i)
{
	const struct kafka_message *message =
	    &scene->batch->messages[BATCH_RESULTS].at[i];
	struct rejection rejection;
	struct schedule_run run;

	CHECK(text_equal(message->key, TEXT(SCHEDULE)));
	CHECK(schedule_run_decode(scene->runs,
		  body_of(message->value, RESULT_SCHEMA), scene->arena, &run,
		  &rejection) == 0);
	return run;
}

static struct build_requested
read_build(const struct scene *scene, size_t i)
{
	const struct kafka_message *message =
	    &scene->batch->messages[BATCH_BUILDS].at[i];
	struct rejection rejection;
	struct build_requested event;
	struct uuid key;

	CHECK(build_requested_decode(scene->builds,
		  body_of(message->value, BUILD_SCHEMA), scene->arena, &event,
		  &rejection) == 0);
	CHECK(rid_parse(message->key, TEXT(RID_BUILD_PREFIX), &key));
	CHECK(memcmp(&key, &event.run.build_id, sizeof key) == 0);
	return event;
}

static bool
is_same_id(struct uuid a, struct uuid b)
{
	return memcmp(&a, &b, sizeof a) == 0;
}

static void
check_own(const struct scene *scene, const struct schedule_run *run, size_t i)
{
	const struct batch_record *record = &scene->batch->records[i];

	CHECK(is_same_id(run->id, record->run));
	CHECK(text_equal(run->request_id, record->request.request_id));
	CHECK(run->created_time_ms == record->request.created_time_ms);
	CHECK(text_equal(run->created_by, record->request.created_by));
	CHECK(text_equal(run->schedule_version_rid, TEXT("v")));
}

/* Two who ask the same: one answer, ids and times of their own. */
static void
answers_each(void)
{
	struct scene scene;
	size_t i, j;

	begin(&scene, RUN_SUBMITTED);
	for (i = 0; i < 2; i++)
		publish_answer(&scene.settings, scene.batch, i, scene.answer,
		    100 + (int64_t)i);
	publish_finish(scene.batch);
	REQUIRE(scene.batch->messages[BATCH_RESULTS].n == 2);
	REQUIRE(scene.batch->messages[BATCH_BUILDS].n == 2);
	for (i = 0; i < 2; i++) {
		struct schedule_run run = read_run(&scene, i);
		struct build_requested event = read_build(&scene, i);
		struct uuid build = rid_build(&scene.batch->records[i].run);

		check_own(&scene, &run, i);
		check_own(&scene, &event.run, i);
		CHECK(text_equal(run.trigger, run.request_id));
		CHECK(run.finished_time_ms == 100 + (int64_t)i);
		CHECK(is_same_id(run.build_id, build));
		CHECK(is_same_id(event.run.build_id, build));
		REQUIRE(event.build.n_jobs == 3);
		for (j = 0; j < 3; j++)
			CHECK(is_same_id(event.job_ids[j],
			    rid_job(
				&build, event.build.jobs[j].spec->outputs[0])));
	}
	CHECK(scene.batch->counts.submitted == 2);
	CHECK(scene.batch->counts.planned_jobs == 6);
	end(&scene);
}

static void
answers_an_error(void)
{
	struct scene scene;
	struct schedule_run run;

	begin(&scene, RUN_FAILED);
	publish_answer(&scene.settings, scene.batch, 0, scene.answer, 100);
	publish_finish(scene.batch);
	REQUIRE(scene.batch->messages[BATCH_RESULTS].n == 1);
	CHECK(scene.batch->messages[BATCH_BUILDS].n == 0);
	run = read_run(&scene, 0);
	check_own(&scene, &run, 0);
	CHECK(run.state == RUN_FAILED && run.error == PERMISSION_DENIED);
	CHECK(text_equal(run.description, TEXT("denied")));
	CHECK(run.why.phase == 9);
	CHECK(scene.batch->counts.errors[PERMISSION_DENIED] == 1);
	end(&scene);
}

/* A build that its topic wouldn't take is not written, and said to be. */
static void
refuses_what_is_too_large(void)
{
	struct scene scene;
	struct schedule_run run;

	begin(&scene, RUN_SUBMITTED);
	scene.settings.build_max = 600;
	publish_answer(&scene.settings, scene.batch, 0, scene.answer, 100);
	publish_finish(scene.batch);
	CHECK(scene.batch->messages[BATCH_BUILDS].n == 0);
	REQUIRE(scene.batch->messages[BATCH_RESULTS].n == 1);
	run = read_run(&scene, 0);
	check_own(&scene, &run, 0);
	CHECK(run.state == RUN_FAILED && run.error == INTERNAL);
	CHECK(text_equal(run.why.cause, TEXT("buildTooLarge")));
	CHECK(scene.batch->counts.errors[INTERNAL] == 1);
	CHECK(scene.batch->counts.submitted == 0);
	CHECK(scene.batch->out.size ==
	    scene.batch->messages[BATCH_RESULTS].at[0].value.size);
	end(&scene);
}

CU_TestInfo answer_tests[] = {
	{ "answers each who asks", answers_each },
	{ "answers an error", answers_an_error },
	{ "refuses what is too large", refuses_what_is_too_large },
	CU_TEST_INFO_NULL,
};
