#include <stdlib.h>
#include <string.h>

#include "schemas/avro/framing.h"
#include "schemas/avro/reader.h"
#include "schemas/embedded.h"
#include "schemas/message/build_requested.h"
#include "schemas/stored/time_unit.h"
#include "tests/unit/avro_value.h"
#include "tests/unit/check.h"
#include "tests/unit/random.h"

#define RANDOM_VALUES 100000

/* ------------------------------------------------ random builds */

static struct text_list
random_texts(struct random *random, struct arena *arena)
{
	size_t n = random_below(random, 4), i;
	struct text *texts = arena_zalloc(arena, n, sizeof *texts);

	for (i = 0; i < n; i++)
		texts[i] = random_text(random, arena, 20);
	return (struct text_list){ texts, n };
}

static struct build_head
random_head(struct random *random, struct arena *arena)
{
	struct build_head head = {
		.build_rid = random_text(random, arena, 40),
		.run_rid = random_text(random, arena, 40),
		.request_id = random_text(random, arena, 40),
		.schedule_rid = random_text(random, arena, 40),
		.schedule_version_rid = random_text(random, arena, 40),
		.created_time_ms = random_long(random),
		.created_by = random_text_or_none(random, arena, 40),
		.branch = random_text(random, arena, 20),
		.fallback_branches = random_texts(random, arena),
		.force_build = random_bool(random),
		.abort_on_failure = random_bool(random),
		.retry_count = random_int(random),
		.run_as = random_bool(random) ? SCOPE_USER : SCOPE_PROJECT,
		.notify = random_text_or_none(random, arena, 40),
	};

	if (random_bool(random)) {
		head.retry_backoff.unit =
		    time_unit_text((int64_t)random_below(random, 8));
		head.retry_backoff.value = random_int(random);
	}
	if (head.run_as == SCOPE_USER)
		head.user_id = random_text(random, arena, 40);
	else
		head.project_rids = random_texts(random, arena);
	return head;
}

static void
random_outputs(
    struct random *random, struct arena *arena, struct build_job *job)
{
	struct build_output *outputs;
	size_t i;

	job->n_outputs = random_below(random, 3);
	outputs = arena_zalloc(arena, job->n_outputs, sizeof *outputs);
	for (i = 0; i < job->n_outputs; i++) {
		outputs[i].rid = random_text(random, arena, 20);
		outputs[i].new_branch = random_bool(random);
		if (outputs[i].new_branch)
			outputs[i].parent =
			    random_text_or_none(random, arena, 10);
	}
	job->outputs = outputs;
}

static void
random_inputs(struct random *random, struct arena *arena, struct build_job *job)
{
	struct build_input *inputs;
	size_t i;

	job->n_inputs = random_below(random, 3);
	inputs = arena_zalloc(arena, job->n_inputs, sizeof *inputs);
	for (i = 0; i < job->n_inputs; i++)
		inputs[i] = (struct build_input){
			.rid = random_text(random, arena, 20),
			.job = (int32_t)random_below(random, 1000) - 1,
			.pinned = random_bool(random),
			.branch = random_text_or_none(random, arena, 10),
			.transaction = random_text_or_none(random, arena, 20),
		};
	job->inputs = inputs;
}

static void
random_reason(
    struct random *random, struct arena *arena, struct build_reason *reason)
{
	*reason = (struct build_reason){
		.cause = random_text(random, arena, 20),
		.output = random_text_or_none(random, arena, 20),
		.from = random_text_or_none(random, arena, 20),
		.to = random_text_or_none(random, arena, 20),
		.has_inputs = random_bool(random),
	};
	if (!reason->has_inputs)
		return;
	reason->inputs_count = random_int(random);
	reason->inputs_first = random_texts(random, arena);
}

static void
random_job(struct random *random, struct arena *arena, struct build_job *job)
{
	int32_t *positions;
	size_t i;

	job->head = (struct build_job_head){
		.job_rid = random_text(random, arena, 20),
		.job_spec_rid = random_text(random, arena, 20),
		.spec_branch = random_text(random, arena, 20),
		.logic = random_text(random, arena, 20),
	};
	random_outputs(random, arena, job);
	random_inputs(random, arena, job);
	job->n_depends_on = random_below(random, 3);
	positions = arena_zalloc(arena, job->n_depends_on, sizeof *positions);
	for (i = 0; i < job->n_depends_on; i++)
		positions[i] = random_int(random);
	job->depends_on = positions;
	random_reason(random, arena, &job->reason);
}

static struct build_requested
random_build(struct random *random, struct arena *arena)
{
	struct build_requested build = {
		.head = random_head(random, arena),
		.n_jobs = random_below(random, 4),
	};
	struct build_job *jobs =
	    arena_zalloc(arena, build.n_jobs, sizeof *jobs);
	size_t i;

	for (i = 0; i < build.n_jobs; i++)
		random_job(random, arena, &jobs[i]);
	build.jobs = jobs;
	return build;
}

/* ------------------------------------------------ ours */

static void
write_jobs(struct buffer *out, const struct build_requested *build)
{
	size_t i, j;

	for (i = 0; i < build->n_jobs; i++) {
		const struct build_job *job = &build->jobs[i];

		build_put_job(out, &job->head);
		build_put_items(out, job->n_outputs);
		for (j = 0; j < job->n_outputs; j++)
			build_put_output(out, &job->outputs[j]);
		build_put_end(out);
		build_put_items(out, job->n_inputs);
		for (j = 0; j < job->n_inputs; j++)
			build_put_input(out, &job->inputs[j]);
		build_put_end(out);
		build_put_depends_on(out, job->depends_on, job->n_depends_on);
		build_put_reason(out, &job->reason);
	}
	build_put_end(out);
}

static void
write_build(struct buffer *out, const struct build_requested *build)
{
	build_put_head(out, 3, &build->head, build->n_jobs);
	write_jobs(out, build);
}

/* ------------------------------------------------ avro-c's */

static void
fill_scope(const avro_value_t *value, const struct build_head *head)
{
	avro_value_t scope =
	    avro_branch(value, "runAs", head->run_as == SCOPE_PROJECT);

	if (head->run_as == SCOPE_USER)
		avro_set_text(&scope, "userId", head->user_id);
	else
		avro_set_texts(&scope, "projectRids", head->project_rids.at,
		    head->project_rids.n);
}

static void
fill_backoff(const avro_value_t *value, const struct duration *backoff)
{
	bool is_there = backoff->unit.at != NULL;
	avro_value_t duration =
			 avro_branch(value, "retryBackoffDuration", is_there),
		     unit;

	if (!is_there)
		return;
	unit = avro_field(&duration, "unit");
	avro_value_set_enum(&unit, time_unit_index(backoff->unit));
	avro_set_int(&duration, "value", backoff->value);
}

static void
fill_head(const avro_value_t *value, const struct build_head *head)
{
	avro_set_text(value, "buildRid", head->build_rid);
	avro_set_text(value, "runRid", head->run_rid);
	avro_set_text(value, "requestId", head->request_id);
	avro_set_text(value, "scheduleRid", head->schedule_rid);
	avro_set_text(value, "scheduleVersionRid", head->schedule_version_rid);
	avro_set_long(value, "createdTime", head->created_time_ms);
	avro_set_text_or_null(value, "createdBy", head->created_by);
	avro_set_text(value, "branch", head->branch);
	avro_set_texts(value, "fallbackBranches", head->fallback_branches.at,
	    head->fallback_branches.n);
	avro_set_bool(value, "forceBuild", head->force_build);
	avro_set_bool(value, "abortOnFailure", head->abort_on_failure);
	avro_set_int(value, "retryCount", head->retry_count);
	fill_backoff(value, &head->retry_backoff);
	fill_scope(value, head);
	avro_set_text_or_null(value, "notify", head->notify);
}

static void
fill_outputs(const avro_value_t *value, const struct build_job *job)
{
	avro_value_t list = avro_field(value, "outputs");
	size_t i;

	for (i = 0; i < job->n_outputs; i++) {
		const struct build_output *output = &job->outputs[i];
		avro_value_t item = avro_append(&list), branch;

		avro_set_text(&item, "rid", output->rid);
		branch = avro_branch(&item, "newBranch", output->new_branch);
		if (output->new_branch)
			avro_set_text_or_null(
			    &branch, "parent", output->parent);
	}
}

static void
fill_inputs(const avro_value_t *value, const struct build_job *job)
{
	avro_value_t list = avro_field(value, "inputs");
	size_t i;

	for (i = 0; i < job->n_inputs; i++) {
		const struct build_input *input = &job->inputs[i];
		avro_value_t item = avro_append(&list), position;

		avro_set_text(&item, "rid", input->rid);
		position = avro_branch(&item, "job", input->job >= 0);
		if (input->job >= 0)
			avro_value_set_int(&position, input->job);
		avro_set_bool(&item, "pinned", input->pinned);
		avro_set_text_or_null(&item, "branch", input->branch);
		avro_set_text_or_null(&item, "transaction", input->transaction);
	}
}

static void
fill_reason(const avro_value_t *value, const struct build_reason *reason)
{
	avro_value_t record = avro_field(value, "reason"), inputs;

	avro_set_text(&record, "cause", reason->cause);
	avro_set_text_or_null(&record, "output", reason->output);
	avro_set_text_or_null(&record, "from", reason->from);
	avro_set_text_or_null(&record, "to", reason->to);
	inputs = avro_branch(&record, "inputs", reason->has_inputs);
	if (!reason->has_inputs)
		return;
	avro_set_int(&inputs, "count", reason->inputs_count);
	avro_set_texts(
	    &inputs, "first", reason->inputs_first.at, reason->inputs_first.n);
}

static void
fill_job(const avro_value_t *value, const struct build_job *job)
{
	avro_value_t list = avro_field(value, "dependsOn");
	size_t i;

	avro_set_text(value, "jobRid", job->head.job_rid);
	avro_set_text(value, "jobSpecRid", job->head.job_spec_rid);
	avro_set_text(value, "specBranch", job->head.spec_branch);
	avro_set_text(value, "logic", job->head.logic);
	fill_outputs(value, job);
	fill_inputs(value, job);
	for (i = 0; i < job->n_depends_on; i++) {
		avro_value_t item = avro_append(&list);

		avro_value_set_int(&item, job->depends_on[i]);
	}
	fill_reason(value, &job->reason);
}

static void
fill(const avro_value_t *value, const struct build_requested *build)
{
	avro_value_t jobs = avro_field(value, "jobs");
	size_t i;

	fill_head(value, &build->head);
	for (i = 0; i < build->n_jobs; i++) {
		avro_value_t job = avro_append(&jobs);

		fill_job(&job, &build->jobs[i]);
	}
}

/* A build that was read writes the bytes that it was read from. */
static void
test_bytes(void)
{
	struct random random = { 3 };
	struct arena *arena = arena_create(0);
	struct buffer ours = { 0 }, theirs = { 0 }, again = { 0 };
	struct rejection rejection;
	struct message_reader *reader =
	    message_reader_create(MESSAGE_BUILD_REQUESTED,
		message_schema(MESSAGE_BUILD_REQUESTED), &rejection);
	struct avro_message message;
	size_t differ = 0;

	REQUIRE(avro_message_init(
	    &message, message_schema(MESSAGE_BUILD_REQUESTED)));
	REQUIRE(reader != NULL);
	for (int i = 0; i < RANDOM_VALUES; i++) {
		struct build_requested build = random_build(&random, arena),
				       read;
		struct text body;

		buffer_reset(&ours);
		buffer_reset(&theirs);
		buffer_reset(&again);
		avro_value_reset(&message.value);
		write_build(&ours, &build);
		fill(&message.value, &build);
		avro_message_write(&message, &theirs);
		body = (struct text){ ours.at + FRAMING_SIZE,
			ours.size - FRAMING_SIZE };
		if (!text_equal(body, buffer_text(&theirs)) ||
		    build_requested_decode(
			reader, body, arena, &read, &rejection) != 0) {
			differ++;
		} else {
			write_build(&again, &read);
			differ += !text_equal(
			    buffer_text(&ours), buffer_text(&again));
		}
		arena_reset(arena, 1 << 16);
	}
	CHECK(differ == 0);
	avro_message_finish(&message);
	message_reader_destroy(reader);
	buffer_finish(&ours);
	buffer_finish(&theirs);
	buffer_finish(&again);
	arena_destroy(arena);
}

/* Everything that a build has, field by field. */
static void
test_fields(void)
{
	static const struct text projects[] = { { "p1", 2 }, { "p2", 2 } };
	static const struct build_output outputs[] = {
		{ { "o", 1 }, true, { "main", 4 } },
		{ { "q", 1 }, false, { NULL, 0 } },
	};
	static const struct build_input inputs[] = {
		{ { "i", 1 }, 3, true, { "b", 1 }, { "t", 1 } },
	};
	static const int32_t positions[] = { 3, 1 };
	const struct build_job job = {
		.head = { TEXT("j"), TEXT("s"), TEXT("main"), TEXT("l") },
		.outputs = outputs,
		.n_outputs = 2,
		.inputs = inputs,
		.n_inputs = 1,
		.depends_on = positions,
		.n_depends_on = 2,
		.reason = { .cause = TEXT("logicChanged"),
		    .from = TEXT("1"),
		    .has_inputs = true,
		    .inputs_count = 5,
		    .inputs_first = { projects, 2 } },
	};
	const struct build_requested build = {
		.head = { .build_rid = TEXT("b"),
		    .run_rid = TEXT("r"),
		    .request_id = TEXT("q"),
		    .schedule_rid = TEXT("s"),
		    .schedule_version_rid = TEXT("v"),
		    .created_time_ms = 5,
		    .branch = TEXT("main"),
		    .abort_on_failure = true,
		    .retry_count = 2,
		    .retry_backoff = { TEXT("HOURS"), 4 },
		    .run_as = SCOPE_PROJECT,
		    .project_rids = { projects, 2 },
		    .notify = TEXT("n") },
		.jobs = &job,
		.n_jobs = 1,
	};
	struct arena *arena = arena_create(0);
	struct rejection rejection;
	struct message_reader *reader =
	    message_reader_create(MESSAGE_BUILD_REQUESTED,
		message_schema(MESSAGE_BUILD_REQUESTED), &rejection);
	struct build_requested read;
	struct buffer out = { 0 };

	REQUIRE(reader != NULL);
	write_build(&out, &build);
	REQUIRE(
	    build_requested_decode(reader,
		(struct text){ out.at + FRAMING_SIZE, out.size - FRAMING_SIZE },
		arena, &read, &rejection) == 0);
	CHECK(text_equal(read.head.build_rid, TEXT("b")));
	CHECK(read.head.created_by.at == NULL);
	CHECK(!read.head.force_build && read.head.abort_on_failure);
	CHECK(text_equal(read.head.retry_backoff.unit, TEXT("HOURS")));
	CHECK(read.head.retry_backoff.value == 4);
	CHECK(read.head.run_as == SCOPE_PROJECT);
	CHECK(read.head.project_rids.n == 2);
	REQUIRE(read.n_jobs == 1);
	CHECK(read.jobs[0].n_outputs == 2 && read.jobs[0].n_inputs == 1);
	CHECK(text_equal(read.jobs[0].outputs[0].parent, TEXT("main")));
	CHECK(!read.jobs[0].outputs[1].new_branch);
	CHECK(read.jobs[0].inputs[0].job == 3);
	CHECK(read.jobs[0].depends_on[1] == 1);
	CHECK(read.jobs[0].reason.inputs_count == 5);
	CHECK(read.jobs[0].reason.output.at == NULL);
	buffer_finish(&out);
	message_reader_destroy(reader);
	arena_destroy(arena);
}

static void
test_time_units(void)
{
	CHECK(time_unit_index(TEXT("MILLISECONDS")) == 0);
	CHECK(time_unit_index(TEXT("YEARS")) == 7);
	CHECK(time_unit_index(TEXT("years")) == -1);
	CHECK(time_unit_index(TEXT_NONE) == -1);
	CHECK(time_unit_text(8).at == NULL && time_unit_text(-1).at == NULL);
	for (int i = 0; i < 8; i++)
		CHECK(time_unit_index(time_unit_text(i)) == i);
}

static struct text
rid_text(struct arena *arena, struct text prefix, const struct uuid *uuid)
{
	char *at = arena_alloc(arena, RID_SIZE_MAX);

	return (struct text){ at, rid_format(prefix, uuid, at) };
}

/* Gives each job the id of that UUID. */
static void
set_job_ids(
    struct build_requested *build, struct arena *arena, const struct uuid *uuid)
{
	struct build_job *jobs =
	    arena_alloc(arena, (build->n_jobs + 1) * sizeof *jobs);
	size_t i;

	for (i = 0; i < build->n_jobs; i++) {
		jobs[i] = build->jobs[i];
		jobs[i].head.job_rid =
		    rid_text(arena, TEXT(RID_JOB_PREFIX), uuid);
	}
	build->jobs = jobs;
}

/* A build's own fields put into the form of another one of the same plan. */
static void
test_form(void)
{
	struct random random = { 8 };
	struct arena *arena = arena_create(0);
	struct buffer whole = { 0 }, block = { 0 }, ours = { 0 }, job = { 0 };
	size_t differ = 0, uuid_at;

	for (int i = 0; i < RANDOM_VALUES; i++) {
		struct build_requested build = random_build(&random, arena);
		struct uuid run = uuid_random(), id = uuid_random();
		struct run_own own = { .id = &run,
			.build_id = id,
			.request_id = build.head.request_id,
			.created_time_ms = build.head.created_time_ms };
		struct build_form form;

		build.head.build_rid =
		    rid_text(arena, TEXT(RID_BUILD_PREFIX), &id);
		build.head.run_rid =
		    rid_text(arena, TEXT(RID_RUN_PREFIX), &run);
		set_job_ids(&build, arena, &run);
		buffer_reset(&whole);
		buffer_reset(&block);
		buffer_reset(&ours);
		write_build(&whole, &build);
		build.head.request_id = TEXT("other");
		build.head.created_time_ms = 1;
		build_put_form(&block, &build.head, build.n_jobs, &form);
		write_jobs(&block, &build);
		form.end = block.size;
		build_put_own(&ours, 3, block.at, &form, &own);
		differ += !text_equal(buffer_text(&whole), buffer_text(&ours));
		for (size_t j = 0; j < build.n_jobs; j++) {
			buffer_reset(&job);
			uuid_at = build_put_job(&job, &build.jobs[j].head);
			differ += memcmp(job.at + uuid_at,
				      build.head.run_rid.at +
					  sizeof RID_RUN_PREFIX - 1,
				      UUID_TEXT_SIZE) != 0;
		}
		arena_reset(arena, 1 << 16);
	}
	CHECK(differ == 0);
	buffer_finish(&whole);
	buffer_finish(&block);
	buffer_finish(&ours);
	buffer_finish(&job);
	arena_destroy(arena);
}

CU_TestInfo build_requested_tests[] = {
	{ "bytes as avro-c's", test_bytes },
	{ "own fields in a form", test_form },
	{ "fields", test_fields },
	{ "time units", test_time_units },
	CU_TEST_INFO_NULL,
};
