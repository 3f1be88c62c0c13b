#include "worker/pipeline/intake.h"

#include "common/base/clock.h"
#include "worker/base/fault.h"
#include "worker/commit/dead_letter.h"
#include "worker/pipeline/attempts.h"

#define OUTPUT_MAX ((size_t)32 * 1024 * 1024)
#define SNAPSHOT_MAX ((size_t)64 * 1024 * 1024)
#define PLANS_KEPT ((size_t)8 * 1024 * 1024)
#define CAREFUL_MAX 500 /* records of a batch that is planned one by one */
#define CAREFUL_MS 5000 /* then it ends: membership must be served */
#define SEEK_MS 5000

/* Ends the batch before record `n`; what follows is read again. */
static enum intake_event
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
			return intake_broken(err);
	}
	return INTAKE_PLANNED;
}

/* Records `from` to before `to` of the batch, on their way to their answers. */
struct stretch {
	size_t from, to;
};

/* Reads and plans; `too_much`: more than a batch may hold, and not answered. */
static enum intake_event
read_and_plan(struct intake *intake, struct stretch stretch, bool *too_much,
    struct error *err)
{
	size_t i;
	int rc;

	arena_reset(intake->plans, PLANS_KEPT);
	snapshot_begin(intake->snapshot);
	for (i = stretch.from; i < stretch.to; i++) {
		struct batch_record *record = &intake->batch->records[i];

		if (record->fate != FATE_PLAN)
			continue;
		fault_record(record->request.request_id);
		record->question =
		    snapshot_ask(intake->snapshot, &record->request);
	}
	fault_slow_plan();
	rc = questions_answer(
	    intake->questions, intake->plans, SNAPSHOT_MAX, err);
	if (rc < 0)
		return INTAKE_STORE_DOWN;
	*too_much = rc == 1;
	telemetry_generation(
	    intake->telemetry, snapshot_generation(intake->snapshot));
	return INTAKE_PLANNED;
}

static const struct answer *
crashed_answer(struct arena *arena, const struct run_request *request)
{
	const struct outcome *outcome = plan_internal(arena, request,
	    request->schedule_version_rid, "crashedWorker",
	    TEXT("Planning this request ended workers several times; it was "
		 "given up."));
	struct buffer scratch = { 0 };
	const struct answer *answer = answer_make(arena, &scratch, outcome);

	buffer_finish(&scratch);
	return answer;
}

/* Writes what became of each record, in their order. */
static enum intake_event
encode(struct intake *intake, struct stretch stretch, struct error *err)
{
	struct batch *batch = intake->batch;
	double start = telemetry_clock();
	int64_t now = clock_wall_ms();
	size_t i;

	for (i = stretch.from; i < stretch.to; i++) {
		const struct batch_record *record = &batch->records[i];
		const struct answer *answer = NULL;

		if (record->fate == FATE_PLAN)
			answer = snapshot_question(
			    intake->snapshot, record->question)
				     ->answer;
		if (record->fate == FATE_CRASHED)
			answer =
			    crashed_answer(intake->plans, &record->request);
		if (answer != NULL)
			publish_answer(&intake->publish, batch, i, answer, now);
		if (record->fate == FATE_DEAD || record->fate == FATE_CRASHED)
			dead_letter_add(batch, i, now);
		if (batch->out.size > OUTPUT_MAX && i + 1 < batch->n)
			return cut_before(intake, i + 1, err);
	}
	telemetry_stage(
	    intake->telemetry, STAGE_ENCODE, telemetry_clock() - start);
	return INTAKE_PLANNED;
}

/*
 * All records at once.  Where what is read for them is too much, the batch is
 * cut in halves until it is not.
 */
static enum intake_event
plan_together(struct intake *intake, struct error *err)
{
	struct batch *batch = intake->batch;
	double start = telemetry_clock();
	struct stretch all = { 0, batch->n };
	enum intake_event event;
	bool too_much;

	for (;;) {
		event = read_and_plan(intake, all, &too_much, err);
		if (event != INTAKE_PLANNED)
			return event;
		if (!too_much)
			break;
		event = cut_before(intake, batch->n / 2, err);
		if (event != INTAKE_PLANNED)
			return event;
		all.to = batch->n;
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
static enum intake_event
plan_alone(struct intake *intake, struct attempts *attempts, struct stretch one,
    struct error *err)
{
	struct batch *batch = intake->batch;
	bool is_killer = false, too_much;
	enum intake_event event;

	if (batch->records[one.from].fate == FATE_PLAN &&
	    attempts_note(attempts, &batch->kafka[one.from], &is_killer, err) !=
		0)
		return INTAKE_STORE_DOWN;
	if (is_killer)
		give_up(&batch->records[one.from]);
	event = read_and_plan(intake, one, &too_much, err);
	if (event == INTAKE_PLANNED)
		event = encode(intake, one, err);
	if (event == INTAKE_PLANNED && is_killer && batch->n > one.to)
		event = cut_before(intake, one.to, err);
	return event;
}

static enum intake_event
plan_one_by_one(
    struct intake *intake, struct attempts *attempts, struct error *err)
{
	struct batch *batch = intake->batch;
	int64_t until = clock_monotonic_ms() + CAREFUL_MS;
	enum intake_event event = INTAKE_PLANNED;
	struct stretch one;

	if (batch->n > CAREFUL_MAX)
		event = cut_before(intake, CAREFUL_MAX, err);
	for (one.from = 0; one.from < batch->n; one.from++) {
		if (event != INTAKE_PLANNED)
			return event;
		one.to = one.from + 1;
		event = plan_alone(intake, attempts, one, err);
		if (event == INTAKE_PLANNED && batch->n > one.to &&
		    clock_monotonic_ms() >= until)
			event = cut_before(intake, one.to, err);
	}
	return event;
}

/*
 * A batch that is entered again may hold a record that kills its worker.  Redis
 * may fail in the midst and leave a note that tells of no crash: the next try
 * is the same one.
 */
static enum intake_event
plan_again(struct intake *intake, struct error *err)
{
	struct attempts *attempts = attempts_begin(
	    &intake->marks, intake->batch, intake->was_interrupted, err);
	enum intake_event event;

	intake->was_interrupted = true;
	if (attempts == NULL)
		return INTAKE_STORE_DOWN;
	event = attempts_are_many(attempts)
	    ? plan_one_by_one(intake, attempts, err)
	    : plan_together(intake, err);
	if (event == INTAKE_PLANNED && attempts_end(attempts, err) != 0)
		return INTAKE_STORE_DOWN;
	intake->was_interrupted = event == INTAKE_STORE_DOWN;
	return event;
}

enum intake_event
intake_plan(struct intake *intake, struct error *err)
{
	enum intake_event event = intake->batch->entered_again
	    ? plan_again(intake, err)
	    : plan_together(intake, err);

	if (event != INTAKE_PLANNED)
		return event;
	publish_finish(intake->batch);
	fault_point("A4");
	return INTAKE_PLANNED;
}
