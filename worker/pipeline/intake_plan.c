#include "worker/pipeline/intake.h"

#include "common/base/clock.h"
#include "common/trace/tracer.h"
#include "worker/base/fault.h"
#include "worker/commit/dead_letter.h"
#include "worker/pipeline/attempts.h"

#define OUTPUT_MAX ((size_t)32 * 1024 * 1024)
#define SNAPSHOT_MAX ((size_t)64 * 1024 * 1024)
#define CAREFUL_MAX 500 /* records of a batch that is planned one by one */
#define AHEAD 4         /* records */
#define CAREFUL_MS 5000 /* then it ends: membership must be served */

/*
 * Ends the batch before record `n`; what follows is read again.  Its claims are
 * taken, so it finds itself in them then.
 */
static enum intake_event
cut_before(struct intake *intake, size_t n, struct error *err)
{
	struct batch *batch = intake->batch;
	size_t i;

	batch_truncate(batch, n);
	for (i = 0; i < batch->n_spans; i++) {
		struct kafka_offset place = { batch->spans[i].partition,
			batch->spans[i].next };

		if (intake_seek(intake, place, err) != 0)
			return intake_broken(err);
	}
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

/* What is to be written soon comes from memory meanwhile. */
static void
look_ahead(const struct snapshot *snapshot, const struct batch_record *record)
{
	const char *answer;

	__builtin_prefetch(record->request.request_id.at);
	__builtin_prefetch(record->request.schedule_rid.at);
	if (record->fate != FATE_PLAN)
		return;
	answer = snapshot_question(snapshot, record->question)->answer;
	__builtin_prefetch(answer);
	__builtin_prefetch(answer + 64);
	__builtin_prefetch(answer + 128);
}

/*
 * Reads what the records ask, plans them, and writes what became of each, in
 * their order.  Where several hold more than a batch may, the batch is cut in
 * halves until they don't; where what is written is more, it ends there.
 */
static enum intake_event
plan_records(struct intake *intake, size_t from, size_t to, struct error *err)
{
	struct batch *batch = intake->batch;
	double start = worker_metrics_clock();
	int64_t now;
	int rc;

	if (tracer_is_on())
		intake->publish.plan_begun_ns = trace_now_ns();
	while ((rc = questions_answer(intake->questions, batch, from, to,
		    SNAPSHOT_MAX, err)) == 1) {
		enum intake_event event;

		to = batch->n / 2;
		event = cut_before(intake, to, err);
		if (event != INTAKE_PLANNED)
			return event;
	}
	if (rc != 0)
		return INTAKE_STORE_DOWN;
	metrics_set(intake->metrics, WORKER_GENERATION, 0,
	    (double)snapshot_generation(intake->snapshot));
	metrics_observe(intake->metrics, WORKER_STAGES, STAGE_PLAN,
	    worker_metrics_clock() - start, 1);
	start = worker_metrics_clock();
	now = clock_wall_ms();
	for (; from < to; from++) {
		struct batch_record *record = &batch->records[from];
		const struct answer *answer = NULL;
		bool is_last;

		if (from + AHEAD < to)
			look_ahead(intake->snapshot, &record[AHEAD]);

		if (record->fate == FATE_PLAN)
			answer = snapshot_question(
			    intake->snapshot, record->question)
				     ->answer;
		record->is_damage = answer != NULL && answer->is_damage;
		if (record->fate == FATE_CRASHED)
			answer = crashed_answer(batch->arena, &record->request);
		if (answer != NULL)
			publish_answer(
			    &intake->publish, batch, from, answer, now);
		is_last = batch->out.size > OUTPUT_MAX;
		if (record->fate == FATE_DEAD || record->fate == FATE_CRASHED) {
			dead_letter_add(batch, from,
			    burial_size(&intake->burial, &batch->kafka[from],
				(size_t)intake->publish.letter_max),
			    now);
			is_last |= burial_is_careful(
			    &intake->burial, clock_monotonic_ms());
		}
		if (is_last && from + 1 < batch->n)
			return cut_before(intake, from + 1, err);
	}
	metrics_observe(intake->metrics, WORKER_STAGES, STAGE_ENCODE,
	    worker_metrics_clock() - start, 1);
	return INTAKE_PLANNED;
}

/*
 * Notes the record before it is looked at, so that a crash names it, or gives
 * it up.  Its note stays until it is committed, so it ends the batch.
 */
static enum intake_event
plan_alone(struct intake *intake, struct attempts *attempts, size_t i,
    struct error *err)
{
	struct batch *batch = intake->batch;
	struct batch_record *record = &batch->records[i];
	bool is_killer = false;
	enum intake_event event;

	if (record->fate == FATE_PLAN &&
	    attempts_note(attempts, &batch->kafka[i], &is_killer, err) != 0)
		return INTAKE_STORE_DOWN;
	if (is_killer) {
		record->fate = FATE_CRASHED;
		record->reason = DEAD_CRASHED_WORKER;
		record->detail =
		    TEXT("planning it ended workers several times");
	}
	event = plan_records(intake, i, i + 1, err);
	if (event == INTAKE_PLANNED && is_killer && batch->n > i + 1)
		event = cut_before(intake, i + 1, err);
	return event;
}

static enum intake_event
plan_one_by_one(
    struct intake *intake, struct attempts *attempts, struct error *err)
{
	struct batch *batch = intake->batch;
	int64_t until = clock_monotonic_ms() + CAREFUL_MS;
	enum intake_event event = INTAKE_PLANNED;
	size_t i;

	if (batch->n > CAREFUL_MAX)
		event = cut_before(intake, CAREFUL_MAX, err);
	for (i = 0; event == INTAKE_PLANNED && i < batch->n; i++) {
		event = plan_alone(intake, attempts, i, err);
		if (event == INTAKE_PLANNED && batch->n > i + 1 &&
		    clock_monotonic_ms() >= until)
			event = cut_before(intake, i + 1, err);
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
	    : plan_records(intake, 0, intake->batch->n, err);
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
	    : plan_records(intake, 0, intake->batch->n, err);

	if (event != INTAKE_PLANNED)
		return event;
	publish_finish(intake->batch);
	fault_point("A4");
	return INTAKE_PLANNED;
}
