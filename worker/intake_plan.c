#include "worker/intake.h"

#include "common/clock.h"
#include "worker/attempts.h"
#include "worker/dead_letter.h"
#include "worker/fault.h"

#define OUTPUT_MAX ((size_t)32 * 1024 * 1024)
#define SNAPSHOT_MAX ((size_t)64 * 1024 * 1024)
#define PLANS_KEPT ((size_t)8 * 1024 * 1024)
#define CAREFUL_MAX 500 /* records of a batch that is planned one by one */
#define SEEK_MS 5000

/* Ends the batch before record `n`; what follows is read again. */
static enum intake_result
cut_before(struct intake *intake, size_t n, struct error *err)
{
	struct batch *batch = intake->batch;
	size_t i;

	batch_truncate(batch, n);
	for (i = 0; i < batch->n_spans; i++) {
		struct kafka_offset place = { batch->spans[i].partition,
			batch->spans[i].next };

		if (kafka_consumer_seek(intake->consumer, intake->topic, place,
			SEEK_MS, err) != 0)
			return INTAKE_BROKEN;
	}
	return INTAKE_FINE;
}

/* Records `from` to before `to` of the batch, on their way to their outcomes.
 */
struct stretch {
	size_t from, to;
	struct plan **plans; /* by record; NULL: none */
};

static void
add_plans(struct intake *intake, const struct stretch *stretch)
{
	struct batch_record *record;
	size_t i;

	snapshot_begin(intake->snapshot);
	for (i = stretch->from; i < stretch->to; i++) {
		record = &intake->batch->records[i];
		if (record->fate == FATE_PLAN)
			record->plan = (uint32_t)snapshot_add(intake->snapshot,
			    record->request.schedule_rid,
			    record->request.schedule_version_rid);
	}
}

/* Starts the plan of a record; NULL if its stored version is unreadable. */
static struct plan *
start_plan(struct intake *intake, size_t i)
{
	struct batch *batch = intake->batch;
	const struct snapshot_plan *read =
	    snapshot_plan(intake->snapshot, batch->records[i].plan);
	struct plan_input *input;

	if (read->damage != NULL)
		return NULL;
	fault_record(batch->records[i].request.request_id);
	input = arena_alloc(intake->plans, sizeof *input);
	*input = (struct plan_input){
		.request = &batch->records[i].request,
		.version = read->version,
		.paused = read->paused,
		.deleted = read->deleted,
	};
	return plan_start(
	    intake->plans, snapshot_world(intake->snapshot), input);
}

/* Whether what was read and planned is more than a batch may hold. */
static bool
is_too_much(const struct intake *intake, const struct stretch *stretch)
{
	return stretch->to - stretch->from > 1 &&
	    snapshot_used(intake->snapshot) + arena_used(intake->plans) >=
	    SNAPSHOT_MAX;
}

/*
 * Steps all plans, level by level: what they need to know next is read in bulk
 * for all of them.  Ends early if that becomes too much.
 */
static enum intake_result
run_plans(struct intake *intake, struct stretch *stretch, struct error *err)
{
	struct batch *batch = intake->batch;
	size_t *open = arena_alloc(
	    intake->plans, (stretch->to - stretch->from) * sizeof *open);
	size_t n_open = 0, left, i;
	double start;

	for (i = stretch->from; i < stretch->to; i++) {
		stretch->plans[i] = batch->records[i].fate == FATE_PLAN
		    ? start_plan(intake, i)
		    : NULL;
		if (stretch->plans[i] != NULL)
			open[n_open++] = i;
	}
	for (;;) {
		for (i = left = 0; i < n_open; i++)
			if (plan_step(stretch->plans[open[i]]) == PLAN_NEEDS)
				open[left++] = open[i];
		n_open = left;
		if (n_open == 0 || is_too_much(intake, stretch))
			return INTAKE_FINE;
		start = telemetry_clock();
		if (snapshot_answer(intake->snapshot, err) != 0)
			return INTAKE_STORE_AWAY;
		telemetry_redis(intake->telemetry, REDIS_OP_SNAPSHOT,
		    telemetry_clock() - start);
	}
}

static enum intake_result
read_and_plan(struct intake *intake, struct stretch *stretch, struct error *err)
{
	arena_reset(intake->plans, PLANS_KEPT);
	add_plans(intake, stretch);
	if (snapshot_read(intake->snapshot, err) != 0)
		return INTAKE_STORE_AWAY;
	telemetry_generation(
	    intake->telemetry, snapshot_generation(intake->snapshot));
	fault_slow_plan();
	return run_plans(intake, stretch, err);
}

static const struct outcome *
outcome_of(struct intake *intake, size_t i, struct plan *plan)
{
	struct batch *batch = intake->batch;
	const struct batch_record *record = &batch->records[i];
	const struct snapshot_plan *read;

	if (record->fate == FATE_CRASHED)
		return plan_internal(intake->plans, &record->request,
		    record->request.schedule_version_rid, "crashedWorker",
		    TEXT("Planning this request ended workers several times; "
			 "it was given up."));
	if (plan != NULL)
		return plan_outcome(plan);
	read = snapshot_plan(intake->snapshot, record->plan);
	return plan_internal(intake->plans, &record->request, read->planned_rid,
	    read->damage, read->damage_message);
}

/* Writes what became of each record, in their order. */
static enum intake_result
encode(struct intake *intake, const struct stretch *stretch, struct error *err)
{
	struct batch *batch = intake->batch;
	double start = telemetry_clock();
	int64_t now = clock_wall_ms();
	size_t i;

	for (i = stretch->from; i < stretch->to; i++) {
		const struct batch_record *record = &batch->records[i];

		if (record->fate == FATE_PLAN || record->fate == FATE_CRASHED)
			publish_outcome(&intake->publish, batch, i,
			    outcome_of(intake, i, stretch->plans[i]), now);
		if (record->fate == FATE_DEAD || record->fate == FATE_CRASHED)
			dead_letter_add(batch, i, now);
		if (batch->out.size > OUTPUT_MAX && i + 1 < batch->n)
			return cut_before(intake, i + 1, err);
	}
	telemetry_stage(
	    intake->telemetry, STAGE_ENCODE, telemetry_clock() - start);
	return INTAKE_FINE;
}

/*
 * All records at once.  Where what is read for them is too much, the batch is
 * cut in halves until it is not.
 */
static enum intake_result
plan_together(struct intake *intake, struct stretch *all, struct error *err)
{
	struct batch *batch = intake->batch;
	double start = telemetry_clock();
	enum intake_result result;
	size_t before;

	for (;;) {
		all->to = batch->n;
		before = arena_used(batch->arena);
		result = read_and_plan(intake, all, err);
		if (result != INTAKE_FINE)
			return result;
		if (batch->n < 2 ||
		    snapshot_used(intake->snapshot) + arena_used(batch->arena) -
			    before <
			SNAPSHOT_MAX)
			break;
		result = cut_before(intake, batch->n / 2, err);
		if (result != INTAKE_FINE)
			return result;
	}
	telemetry_stage(
	    intake->telemetry, STAGE_PLAN, telemetry_clock() - start);
	return encode(intake, all, err);
}

/* Marks a record as one that is not planned any more. */
static void
give_up(struct batch_record *record)
{
	record->fate = FATE_CRASHED;
	record->reason = DEAD_CRASHED_WORKER;
	record->detail = TEXT("planning it ended workers several times");
}

/* Notes the record before it is looked at, or gives it up. */
static enum intake_result
plan_alone(struct intake *intake, struct attempts *attempts,
    const struct stretch *one, struct error *err)
{
	struct batch *batch = intake->batch;
	struct stretch plan = *one;
	bool is_killer = false;
	enum intake_result result;

	if (batch->records[one->from].fate == FATE_PLAN &&
	    attempts_note(
		attempts, &batch->kafka[one->from], &is_killer, err) != 0)
		return INTAKE_STORE_AWAY;
	if (is_killer)
		give_up(&batch->records[one->from]);
	result = read_and_plan(intake, &plan, err);
	if (result == INTAKE_FINE)
		result = encode(intake, &plan, err);
	if (result == INTAKE_FINE && is_killer && batch->n > one->to)
		result = cut_before(intake, one->to, err);
	return result;
}

static enum intake_result
plan_one_by_one(struct intake *intake, struct attempts *attempts,
    const struct stretch *all, struct error *err)
{
	struct batch *batch = intake->batch;
	enum intake_result result = INTAKE_FINE;
	struct stretch one = *all;

	if (batch->n > CAREFUL_MAX)
		result = cut_before(intake, CAREFUL_MAX, err);
	for (one.from = 0; one.from < batch->n; one.from++) {
		if (result != INTAKE_FINE)
			return result;
		one.to = one.from + 1;
		result = plan_alone(intake, attempts, &one, err);
	}
	return result;
}

/* A batch that is entered again may hold a record that kills its worker. */
static enum intake_result
plan_again(struct intake *intake, struct stretch *all, struct error *err)
{
	struct attempts *attempts =
	    attempts_begin(&intake->marks, intake->batch, err);
	enum intake_result result;

	if (attempts == NULL)
		return INTAKE_STORE_AWAY;
	result = attempts_are_many(attempts)
	    ? plan_one_by_one(intake, attempts, all, err)
	    : plan_together(intake, all, err);
	if (result == INTAKE_FINE && attempts_end(attempts, err) != 0)
		return INTAKE_STORE_AWAY;
	return result;
}

enum intake_result
intake_plan(struct intake *intake, struct error *err)
{
	struct batch *batch = intake->batch;
	struct stretch all = { .plans = arena_alloc(batch->arena,
				   batch->n * sizeof *all.plans) };
	enum intake_result result = batch->entered_again
	    ? plan_again(intake, &all, err)
	    : plan_together(intake, &all, err);

	if (result != INTAKE_FINE)
		return result;
	publish_finish(batch);
	fault_point("A4");
	return INTAKE_FINE;
}
