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
	return (struct schedule_run){
		.id = random_uuid(random),
		.request_id = random_text(random, arena, 40),
		.schedule_rid = random_text(random, arena, 40),
		.schedule_version_rid = random_text(random, arena, 40),
		.created_time_ms = random_long(random),
		.created_by = random_text_or_none(random, arena, 40),
		.state = RUN_SUBMITTED,
		.build_id = random_uuid(random),
	};
}

static const struct schedule_version *
random_version(struct random *random, struct arena *arena)
{
	struct schedule_version *version =
	    arena_zalloc(arena, 1, sizeof *version);

	version->branch_name = random_text(random, arena, 20);
	version->fallback_branches = random_texts(random, arena);
	version->force_build = random_bool(random);
	version->abort_on_failure = random_bool(random);
	version->notifications_enabled = random_bool(random);
	version->scope = random_bool(random) ? SCOPE_USER : SCOPE_PROJECT;
	if (random_bool(random)) {
		version->retry_backoff.unit =
		    time_unit_text((int64_t)random_below(random, 8));
		version->retry_backoff.value = random_int(random);
	}
	version->created_by = random_text(random, arena, 40);
	if (version->scope == SCOPE_PROJECT)
		version->project_rids = random_texts(random, arena);
	return version;
}

static const struct text *
copy_text(struct arena *arena, struct text text)
{
	struct text *copy = arena_alloc(arena, sizeof *copy);

	*copy = text;
	return copy;
}

static void
random_outputs(struct random *random, struct arena *arena,
    struct job_spec *spec, struct job *job)
{
	size_t n = random_below(random, 3) + 1, i;
	struct text *outputs = arena_zalloc(arena, n, sizeof *outputs);
	const struct text **parents = arena_zalloc(arena, n, sizeof *parents);

	for (i = 0; i < n; i++) {
		outputs[i] = random_text(random, arena, 20);
		if (random_bool(random))
			parents[i] = copy_text(
			    arena, random_text_or_none(random, arena, 10));
	}
	spec->outputs = outputs;
	spec->n_outputs = n;
	job->new_branches = random_below(random, 4) > 0 ? parents : NULL;
}

/* What a job of this build makes is pinned to the build's `branch`, or not. */
static void
random_inputs(struct random *random, struct arena *arena, struct text branch,
    struct job_spec *spec, struct job *job)
{
	size_t n = random_below(random, 3), i;
	struct spec_input *specs = arena_zalloc(arena, n, sizeof *specs);
	struct job_input *inputs = arena_zalloc(arena, n, sizeof *inputs);
	struct branch *read = arena_zalloc(arena, n, sizeof *read);

	for (i = 0; i < n; i++) {
		specs[i].rid = random_text(random, arena, 20);
		inputs[i].job = (int32_t)random_below(random, 1000) - 1;
		if (random_bool(random))
			inputs[i].job = -1;
		if (inputs[i].job < 0) {
			read[i].name = random_text(random, arena, 10);
			read[i].head = random_text_or_none(random, arena, 20);
			inputs[i].read = &read[i];
		}
		if (random_bool(random))
			specs[i].branch =
			    inputs[i].job < 0 ? read[i].name : branch;
	}
	spec->inputs = specs;
	spec->n_inputs = n;
	job->inputs = inputs;
}

static void
random_reason(struct random *random, struct arena *arena, struct job *job)
{
	struct text_list first = random_texts(random, arena);

	job->reason = (enum reason_cause)random_below(random, REASON_CAUSES);
	if (random_bool(random))
		job->reason_output =
		    copy_text(arena, random_text(random, arena, 20));
	if (random_bool(random))
		job->reason_from =
		    copy_text(arena, random_text(random, arena, 20));
	if (job->reason == REASON_INPUTS_CHANGED ||
	    job->reason == REASON_UPSTREAM)
		job->reason_inputs = (struct listing){ random_int(random),
			(uint32_t)first.n, first.at };
}

static struct job
random_job(struct random *random, struct arena *arena, struct text branch)
{
	struct job_spec *spec = arena_zalloc(arena, 1, sizeof *spec);
	struct job job = { .spec = spec };
	int32_t *positions;
	uint32_t i;

	spec->rid = random_text(random, arena, 20);
	spec->branch = random_text(random, arena, 20);
	spec->logic = random_text(random, arena, 20);
	random_outputs(random, arena, spec, &job);
	random_inputs(random, arena, branch, spec, &job);
	job.n_depends_on = (uint32_t)random_below(random, 3);
	positions = arena_zalloc(arena, job.n_depends_on, sizeof *positions);
	for (i = 0; i < job.n_depends_on; i++)
		positions[i] = random_int(random);
	job.depends_on = positions;
	random_reason(random, arena, &job);
	return job;
}

static struct build
random_build(struct random *random, struct arena *arena)
{
	size_t n = random_below(random, 4), i;
	struct job *jobs = arena_zalloc(arena, n, sizeof *jobs);
	const struct schedule_version *version = random_version(random, arena);

	for (i = 0; i < n; i++)
		jobs[i] = random_job(random, arena, version->branch_name);
	return (struct build){ version, random_int(random), jobs, n };
}

/* ------------------------------------------------ ours */

/*
 * A build's own fields put into the form of another run with the same build;
 * all that is its own differs in that one.
 */
static void
write_build(struct buffer *out, const struct schedule_run *run,
    const struct build *build, struct arena *arena)
{
	const struct run_own own = { .id = &run->id,
		.build_id = run->build_id,
		.request_id = run->request_id,
		.created_by = run->created_by,
		.created_time_ms = run->created_time_ms };
	struct schedule_run other = *run;
	struct buffer block = { 0 };
	struct build_form form;

	other.id = other.build_id = uuid_random();
	other.request_id = other.created_by = TEXT("other");
	other.created_time_ms = 1;
	buffer_append(&block, TEXT("what stands before it"));
	build_requested_put_form(&other, build, arena, &block, &form);
	build_requested_put_own(out, 3, block.at, &form, &own);
	buffer_finish(&block);
}

static struct text
body_of(const struct buffer *record)
{
	return (struct text){ record->at + FRAMING_SIZE,
		record->size - FRAMING_SIZE };
}

/* ------------------------------------------------ avro-c's */

static void
set_rid(const avro_value_t *value, const char *name, struct text prefix,
    const struct uuid *id)
{
	char rid[RID_SIZE_MAX];

	avro_set_text(
	    value, name, (struct text){ rid, rid_format(prefix, id, rid) });
}

static void
fill_scope(const avro_value_t *value, const struct schedule_version *version)
{
	avro_value_t scope =
	    avro_branch(value, "runAs", version->scope == SCOPE_PROJECT);

	if (version->scope == SCOPE_USER)
		avro_set_text(&scope, "userId", version->created_by);
	else
		avro_set_texts(&scope, "projectRids", version->project_rids.at,
		    version->project_rids.n);
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
fill_head(const avro_value_t *value, const struct schedule_run *run,
    const struct build *build)
{
	const struct schedule_version *version = build->version;
	bool notifies =
	    version->notifications_enabled && version->scope == SCOPE_USER;

	set_rid(value, "buildRid", TEXT(RID_BUILD_PREFIX), &run->build_id);
	set_rid(value, "runRid", TEXT(RID_RUN_PREFIX), &run->id);
	avro_set_text(value, "requestId", run->request_id);
	avro_set_text(value, "scheduleRid", run->schedule_rid);
	avro_set_text(value, "scheduleVersionRid", run->schedule_version_rid);
	avro_set_long(value, "createdTime", run->created_time_ms);
	avro_set_text_or_null(value, "createdBy", run->created_by);
	avro_set_text(value, "branch", version->branch_name);
	avro_set_texts(value, "fallbackBranches", version->fallback_branches.at,
	    version->fallback_branches.n);
	avro_set_bool(value, "forceBuild", version->force_build);
	avro_set_bool(value, "abortOnFailure", version->abort_on_failure);
	avro_set_int(value, "retryCount", build->retry_count);
	fill_backoff(value, &version->retry_backoff);
	fill_scope(value, version);
	avro_set_text_or_null(
	    value, "notify", notifies ? version->created_by : TEXT_NONE);
}

static void
fill_outputs(const avro_value_t *value, const struct job *job)
{
	avro_value_t list = avro_field(value, "outputs");
	size_t i;

	for (i = 0; i < job->spec->n_outputs; i++) {
		const struct text *parent =
		    job->new_branches != NULL ? job->new_branches[i] : NULL;
		avro_value_t item = avro_append(&list), branch;

		avro_set_text(&item, "rid", job->spec->outputs[i]);
		branch = avro_branch(&item, "newBranch", parent != NULL);
		if (parent != NULL)
			avro_set_text_or_null(&branch, "parent", *parent);
	}
}

static void
fill_inputs(const avro_value_t *value, const struct job *job)
{
	avro_value_t list = avro_field(value, "inputs");
	size_t i;

	for (i = 0; i < job->spec->n_inputs; i++) {
		const struct spec_input *spec = &job->spec->inputs[i];
		const struct job_input *input = &job->inputs[i];
		avro_value_t item = avro_append(&list), position;

		avro_set_text(&item, "rid", spec->rid);
		position = avro_branch(&item, "job", input->job >= 0);
		if (input->job >= 0)
			avro_value_set_int(&position, input->job);
		avro_set_bool(&item, "pinned", spec->branch.at != NULL);
		avro_set_text_or_null(&item, "branch",
		    input->read != NULL ? input->read->name : TEXT_NONE);
		avro_set_text_or_null(&item, "transaction",
		    input->read != NULL ? input->read->head : TEXT_NONE);
	}
}

static void
set_if(const avro_value_t *value, const char *name, const struct text *text)
{
	avro_set_text_or_null(value, name, text != NULL ? *text : TEXT_NONE);
}

static void
fill_reason(const avro_value_t *value, const struct job *job)
{
	avro_value_t record = avro_field(value, "reason"), inputs;
	bool has_inputs = job->reason == REASON_INPUTS_CHANGED ||
	    job->reason == REASON_UPSTREAM;

	avro_set_text(
	    &record, "cause", text_from(reason_cause_text(job->reason)));
	set_if(&record, "output", job->reason_output);
	set_if(&record, "from", job->reason_from);
	set_if(
	    &record, "to", job->reason_from != NULL ? &job->spec->logic : NULL);
	inputs = avro_branch(&record, "inputs", has_inputs);
	if (!has_inputs)
		return;
	avro_set_int(&inputs, "count", job->reason_inputs.count);
	avro_set_texts(&inputs, "first", job->reason_inputs.first,
	    job->reason_inputs.n_first);
}

static void
fill_job(const avro_value_t *value, const struct uuid *build,
    const struct job *job, struct text fingerprint)
{
	avro_value_t list = avro_field(value, "dependsOn");
	struct uuid id = rid_job(build, job->spec->outputs[0]);
	size_t i;

	set_rid(value, "jobRid", TEXT(RID_JOB_PREFIX), &id);
	avro_set_text(value, "jobSpecRid", job->spec->rid);
	avro_set_text(value, "specBranch", job->spec->branch);
	avro_set_text(value, "logic", job->spec->logic);
	fill_outputs(value, job);
	fill_inputs(value, job);
	for (i = 0; i < job->n_depends_on; i++) {
		avro_value_t item = avro_append(&list);

		avro_value_set_int(&item, job->depends_on[i]);
	}
	fill_reason(value, job);
	avro_set_text_or_null(value, "fingerprint", fingerprint);
}

static void
fill(const avro_value_t *value, const struct schedule_run *run,
    const struct build *build, const struct text *fingerprints)
{
	avro_value_t jobs = avro_field(value, "jobs");
	size_t i;

	fill_head(value, run, build);
	for (i = 0; i < build->n_jobs; i++) {
		avro_value_t job = avro_append(&jobs);

		fill_job(
		    &job, &run->build_id, &build->jobs[i], fingerprints[i]);
	}
}

/* ------------------------------------------------ tests */

/*
 * Ours and avro-c write the same bytes, and a build that was read writes the
 * bytes that it was read from.
 */
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
	int i;

	REQUIRE(avro_message_init(
	    &message, message_schema(MESSAGE_BUILD_REQUESTED)));
	REQUIRE(reader != NULL);
	for (i = (int)random_rounds(RANDOM_VALUES); i > 0; i--) {
		struct schedule_run run = random_run(&random, arena);
		struct build build = random_build(&random, arena);
		struct build_requested read;

		buffer_reset(&ours);
		buffer_reset(&theirs);
		buffer_reset(&again);
		avro_value_reset(&message.value);
		write_build(&ours, &run, &build, arena);
		if (build_requested_decode(reader, body_of(&ours), arena, &read,
			&rejection) != 0) {
			differ++;
		} else {
			fill(&message.value, &run, &build, read.fingerprints);
			avro_message_write(&message, &theirs);
			differ +=
			    !text_equal(body_of(&ours), buffer_text(&theirs));
			write_build(&again, &read.run, &read.build, arena);
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
	static const struct text outputs[] = { { "o", 1 }, { "q", 1 } };
	static const struct text main_branch = { "main", 4 }, from = { "1", 1 };
	static const struct text *const parents[] = { &main_branch, NULL };
	static const struct spec_input spec_inputs[] = {
		{ { "i", 1 }, { "b", 1 } },
		{ { "j", 1 }, { "main", 4 } },
	};
	static const struct branch read_branch = { { "b", 1 }, { "t", 1 },
		{ NULL, 0 }, NULL };
	static const struct job_input inputs[] = { { &read_branch, -1 },
		{ NULL, 3 } };
	static const int32_t positions[] = { 3, 1 };
	const struct job_spec spec = { .outputs = outputs,
		.n_outputs = 2,
		.inputs = spec_inputs,
		.n_inputs = 2,
		.logic = TEXT("l"),
		.branch = TEXT("main"),
		.rid = TEXT("s") };
	const struct job job = { .spec = &spec,
		.new_branches = parents,
		.inputs = inputs,
		.depends_on = positions,
		.n_depends_on = 2,
		.reason = REASON_INPUTS_CHANGED,
		.reason_from = &from,
		.reason_inputs = { 5, 2, projects } };
	const struct schedule_version version = { .branch_name = TEXT("main"),
		.abort_on_failure = true,
		.retry_backoff = { TEXT("HOURS"), 4 },
		.scope = SCOPE_PROJECT,
		.project_rids = { projects, 2 },
		.notifications_enabled = true };
	const struct build build = { &version, 2, &job, 1 };
	const struct schedule_run run = { .id = uuid_random(),
		.request_id = TEXT("q"),
		.schedule_rid = TEXT("s"),
		.schedule_version_rid = TEXT("v"),
		.created_time_ms = 5,
		.build_id = uuid_random() };
	struct uuid job_id = rid_job(&run.build_id, TEXT("o"));
	struct arena *arena = arena_create(0);
	struct rejection rejection;
	struct message_reader *reader =
	    message_reader_create(MESSAGE_BUILD_REQUESTED,
		message_schema(MESSAGE_BUILD_REQUESTED), &rejection);
	struct build_requested read;
	const struct job *first;
	const struct text *made;
	struct buffer out = { 0 };

	REQUIRE(reader != NULL);
	write_build(&out, &run, &build, arena);
	REQUIRE(build_requested_decode(
		    reader, body_of(&out), arena, &read, &rejection) == 0);
	CHECK(memcmp(&read.run.id, &run.id, sizeof run.id) == 0);
	CHECK(memcmp(&read.run.build_id, &run.build_id, sizeof run.id) == 0);
	CHECK(read.run.created_by.at == NULL);
	CHECK(read.build.version->abort_on_failure);
	CHECK(!read.build.version->force_build);
	CHECK(
	    text_equal(read.build.version->retry_backoff.unit, TEXT("HOURS")));
	CHECK(read.build.version->retry_backoff.value == 4);
	CHECK(read.build.version->scope == SCOPE_PROJECT);
	CHECK(read.build.version->project_rids.n == 2);
	CHECK(build_notifies(&read.build).at == NULL);
	REQUIRE(read.build.n_jobs == 1);
	CHECK(memcmp(&read.job_ids[0], &job_id, sizeof job_id) == 0);
	first = read.build.jobs;
	CHECK(first->spec->n_outputs == 2 && first->spec->n_inputs == 2);
	made = job_new_branch(first, 0);
	CHECK(made != NULL && text_equal(*made, TEXT("main")));
	CHECK(job_new_branch(first, 1) == NULL);
	CHECK(first->inputs[0].job == -1 && first->inputs[1].job == 3);
	CHECK(text_equal(first->spec->inputs[0].branch, TEXT("b")));
	/* Its message says only that it is pinned. */
	CHECK(text_equal(first->spec->inputs[1].branch, TEXT("main")));
	CHECK(first->inputs[1].read == NULL);
	CHECK(first->depends_on[1] == 1);
	CHECK(first->reason_inputs.count == 5 && first->reason_output == NULL);
	buffer_finish(&out);
	message_reader_destroy(reader);
	arena_destroy(arena);
}

/* Of one job, whose input is read at `head`. */
static struct text
fingerprint_of(struct arena *arena, enum reason_cause reason, const char *head,
    const struct uuid *run_id)
{
	const struct text output = TEXT("o");
	const struct spec_input spec_input = { .rid = TEXT("i") };
	const struct branch read_branch = { .name = TEXT("main"),
		.head = text_from(head) };
	const struct job_input input = { &read_branch, -1 };
	const struct job_spec spec = { .outputs = &output,
		.n_outputs = 1,
		.inputs = &spec_input,
		.n_inputs = 1,
		.logic = TEXT("l"),
		.branch = TEXT("main"),
		.rid = TEXT("s") };
	const struct job job = {
		.spec = &spec, .inputs = &input, .reason = reason
	};
	const struct schedule_version version = { .branch_name = TEXT("main"),
		.created_by = TEXT("u") };
	const struct build build = { &version, 0, &job, 1 };
	const struct schedule_run run = { .id = *run_id,
		.request_id = TEXT("q"),
		.schedule_rid = TEXT("s"),
		.schedule_version_rid = TEXT("v"),
		.build_id = rid_build(run_id) };
	struct rejection rejection;
	struct message_reader *reader =
	    message_reader_create(MESSAGE_BUILD_REQUESTED,
		message_schema(MESSAGE_BUILD_REQUESTED), &rejection);
	struct build_requested read = { 0 };
	struct buffer out = { 0 };

	write_build(&out, &run, &build, arena);
	CHECK(build_requested_decode(
		  reader, body_of(&out), arena, &read, &rejection) == 0);
	buffer_finish(&out);
	message_reader_destroy(reader);
	return read.build.n_jobs == 1 ? read.fingerprints[0] : TEXT_NONE;
}

/*
 * The function of docs/semantics.md, section 3: the same for all runs, but of
 * what each run is to make anew.
 */
static void
test_fingerprints(void)
{
	struct arena *arena = arena_create(0);
	const struct uuid one = { .bytes = { 1 } }, two = { .bytes = { 2 } };
	struct text stale =
	    fingerprint_of(arena, REASON_INPUTS_CHANGED, "t", &one);
	struct text forced = fingerprint_of(arena, REASON_FORCED, "t", &one);
	struct uuid build = rid_build(&one), job = rid_job(&build, TEXT("o"));
	char id[UUID_TEXT_SIZE];

	/* python3: uuid5(namespace, "fingerprint\nmain\ni t\ns\nl") */
	CHECK(text_equal(stale, TEXT("4f7fe91c-a4ab-58f5-859b-31ce10571970")));
	CHECK(text_equal(
	    stale, fingerprint_of(arena, REASON_NEVER_BUILT, "t", &two)));
	CHECK(!text_equal(
	    stale, fingerprint_of(arena, REASON_INPUTS_CHANGED, "u", &one)));
	/* The job's id, which is a function of the run. */
	uuid_format(&job, id);
	CHECK(text_equal(forced, (struct text){ id, sizeof id }));
	CHECK(text_equal(
	    forced, fingerprint_of(arena, REASON_ALWAYS_STALE, "t", &one)));
	CHECK(!text_equal(
	    forced, fingerprint_of(arena, REASON_FORCED, "t", &two)));
	arena_destroy(arena);
}

static void
test_time_units(void)
{
	int i;

	CHECK(time_unit_index(TEXT("MILLISECONDS")) == 0);
	CHECK(time_unit_index(TEXT("YEARS")) == 7);
	CHECK(time_unit_index(TEXT("years")) == -1);
	CHECK(time_unit_index(TEXT_NONE) == -1);
	CHECK(time_unit_text(8).at == NULL && time_unit_text(-1).at == NULL);
	for (i = 0; i < 8; i++)
		CHECK(time_unit_index(time_unit_text(i)) == i);
}

CU_TestInfo build_requested_tests[] = {
	{ "bytes as avro-c's", test_bytes },
	{ "fields", test_fields },
	{ "fingerprints", test_fingerprints },
	{ "time units", test_time_units },
	CU_TEST_INFO_NULL,
};
