#include "tests/sim/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/memory.h"
#include "tests/sim/sim.h"
#include "tests/unit/settings.h"
#include "worker/claims/patience.h"
#include "worker/commit/dead_letter.h"
#include "worker/commit/publish.h"
#include "worker/pipeline/internal.h"
#include "worker/pipeline/pipeline.h"

/*
 * The worker's main, what stands in for decoding and planning, which have no
 * part in the protocol, and the mutants that are a rule of the worker's own.
 */
#define SUBMITTED_OF 3 /* every so many requests is a build */

static struct config *config;
static struct metrics *metrics;
static struct pipeline *pipelines[SIM_WORKERS];

void
sim_worker_prepare(void)
{
	struct error err = { 0 };

	config = settings_load("worker.batch.max.records = 7\n"
			       "dedup.ttl = 1h\n"
			       "redis.url = redis://127.0.0.1:1/0\n",
	    &err);
	if (config == NULL) {
		fprintf(stderr, "sim: %s\n", err.message);
		exit(2);
	}
	metrics = metrics_create("sim");
}

void
sim_worker_run(void)
{
	struct pipeline_settings settings = { .config = config,
		.metrics = metrics,
		.health = health_create(),
		.worker_id = "sim" };
	struct error err = { 0 };
	int number = sim_worker();
	int rc;

	pipelines[number] = pipeline_create(&settings, &err);
	if (pipelines[number] == NULL) {
		fprintf(stderr, "sim: %s\n", err.message);
		exit(2);
	}
	rc = pipeline_run(pipelines[number], &err);
	sim_trace("pipeline ends: %s", rc == 0 ? "drained" : err.message);
	if (err.exit_code == 70)
		sim_violate("bug", "exit 70: %s", err.message);
	pipeline_destroy(pipelines[number]);
	pipelines[number] = NULL;
	health_destroy(settings.health);
}

void
sim_worker_forget(int worker)
{
	pipelines[worker] = NULL;
}

void
sim_worker_stop(int worker)
{
	sim_trace("worker %d is asked to stop", worker);
	if (pipelines[worker] != NULL)
		pipeline_stop(pipelines[worker]);
}

WRAP(int, pipeline_await, struct pipeline *pipeline, struct error *err)
{
	while (!pipeline_is_stopping(pipeline)) {
		if (pipeline_check_store(pipeline, err) == 0)
			return 0;
		pipeline_wait(pipeline, WAIT_MS);
	}
	return 1;
}

/* Decoding ----------------------------------------------------------------- */

static bool
is_told(const struct sim_record *record)
{
	return record->told_ms <= sim.now_ms || sim.is_draining;
}

WRAP(bool, decoder_is_told, struct decoder *decoder, uint32_t schema)
{
	(void)decoder;
	return is_told(&sim_records[schema]);
}

WRAP(int, decoder_decode, struct decoder *decoder, struct batch *batch,
    size_t i, uint32_t *awaited, struct error *err)
{
	const struct kafka_record *kafka = &batch->kafka[i];
	const struct sim_record *from =
	    sim_record_at(kafka->partition, kafka->offset);
	struct batch_record *record = &batch->records[i];
	const struct sim_request *request;
	static const char *const users[] = {
		"00000000-0000-4000-8000-000000000000",
		"00000000-0000-4000-8000-000000000001"
	};

	(void)decoder;
	if (!is_told(from)) {
		*awaited = (uint32_t)(from - sim_records);
		return error_set(err, ERROR_RETRY, "not told yet");
	}
	if (from->request < 0) {
		record->fate = FATE_DEAD;
		record->reason = DEAD_MALFORMED;
		return 0;
	}
	request = &sim_requests[from->request];
	record->request.request_id = text_from(request->id);
	record->request.schedule_rid = text_from(request->schedule);
	record->request.created_by = text_from(users[from->by]);
	record->run =
	    rid_run(record->request.schedule_rid, record->request.request_id);
	record->fate = FATE_CLAIMED;
	batch->claims[batch->n_claims++] = (struct claim){
		.run = record->run,
		.value = {
			.partition = (uint32_t)kafka->partition,
			.offset = kafka->offset,
			.timestamp_ms = kafka->timestamp_ms,
			.fingerprint = claim_fingerprint(
			    record->request.created_by, TEXT_NONE, false),
		},
		.record = (uint32_t)i,
	};
	return 0;
}

/* Planning ----------------------------------------------------------------- */

/* Reads of Redis: it may fail, take long, or find that it is too much. */
WRAP(int, questions_answer, struct questions *questions, struct batch *batch,
    size_t from, size_t to, size_t max_bytes, struct error *err)
{
	(void)questions;
	(void)max_bytes;
	sim_travel();
	if (sim_fault(FAULT_REDIS_CUT))
		return error_set(err, ERROR_RETRY, "Redis does not answer");
	if (to - from > 1 && sim_fault(FAULT_LARGE))
		return 1;
	for (; from < to; from++)
		batch->records[from].question = sim_fault(FAULT_DAMAGE);
	return 0;
}

WRAP(const struct question *, snapshot_question,
    const struct snapshot *snapshot, size_t number)
{
	static const struct answer sound, damage = { .is_damage = true };
	static const struct question questions[] = {
		{ .answer = &sound },
		{ .answer = &damage },
	};

	(void)snapshot;
	return &questions[number];
}

static bool
is_submitted(const struct batch_record *record)
{
	return record->fate == FATE_PLAN && !record->is_damage &&
	    record->run.bytes[0] % SUBMITTED_OF == 0;
}

static void
add(struct batch *batch, size_t i, enum batch_topic topic)
{
	const struct kafka_record *kafka = &batch->kafka[i];
	const struct batch_record *record = &batch->records[i];
	struct sim_message *message =
	    arena_zalloc(batch->arena, 1, sizeof *message);

	message->record =
	    (int)(sim_record_at(kafka->partition, kafka->offset) - sim_records);
	message->crashed = record->fate == FATE_CRASHED;
	message->damage = record->is_damage;
	message->submitted = is_submitted(record);
	message->run = record->run;
	message->build = rid_build(&record->run);
	batch_message(batch, topic)->value =
	    (struct text){ (const char *)message, sizeof *message };
}

WRAP(void, publish_answer, const struct publish_settings *settings,
    struct batch *batch, size_t i, const struct answer *answer, int64_t now_ms)
{
	(void)settings;
	(void)answer;
	(void)now_ms;
	add(batch, i, BATCH_RESULTS);
	if (is_submitted(&batch->records[i]))
		add(batch, i, BATCH_BUILDS);
	if (sim.plan.mutant == MUTANT_RELEASED_EARLY &&
	    batch->records[i].is_damage)
		store_release_claims(&batch->records[i].run, 1);
}

WRAP(void, publish_finish, struct batch *batch)
{
	(void)batch;
}

WRAP(void, dead_letter_add, struct batch *batch, size_t i, size_t max_size,
    int64_t now_ms)
{
	(void)max_size;
	(void)now_ms;
	add(batch, i, BATCH_DEAD);
}

WRAP(void, dead_letter_log, const struct batch *batch)
{
	(void)batch;
}

/* Mutants ------------------------------------------------------------------ */

REAL(claim_judge);
REAL(claims_send);
REAL(claims_settle);
REAL(commit_step);
REAL(intake_step);
REAL(patience_judge);
REAL(repair_step);
REAL(rid_run);

WRAP(struct uuid, rid_run, struct text schedule_rid, struct text request_id)
{
	struct uuid run = __real_rid_run(schedule_rid, request_id);

	if (sim.plan.mutant == MUTANT_RANDOM_IDS)
		run.bytes[15] = (uint8_t)sim_draw(256);
	return run;
}

WRAP(enum claim_verdict, claim_judge, const struct claim_value *mine,
    struct text occupant)
{
	enum claim_verdict verdict = __real_claim_judge(mine, occupant);

	switch (sim.plan.mutant) {
	case MUTANT_OWN_DROPPED:
		return verdict == CLAIM_OWN ? CLAIM_DUPLICATE : verdict;
	case MUTANT_LOWEST_OFF:
		return verdict == CLAIM_LOWER ? CLAIM_DUPLICATE : verdict;
	case MUTANT_CLAIMS_IGNORED:
		return verdict == CLAIM_DUPLICATE ? CLAIM_OWN : verdict;
	case MUTANT_CONFLICT_DROPPED:
		return verdict == CLAIM_CONFLICT ? CLAIM_DUPLICATE : verdict;
	default:
		return verdict;
	}
}

WRAP(enum patience_verdict, patience_judge, struct patience *patience,
    int64_t offset, const struct claim_value *holder, struct holder_place place,
    int64_t now_ms)
{
	enum patience_verdict verdict;

	if (sim.plan.mutant == MUTANT_CROSS_AHEAD && place.reached >= 0)
		place.reached = INT64_MAX;
	verdict =
	    __real_patience_judge(patience, offset, holder, place, now_ms);
	sim.report->awaited += verdict == HOLDER_AWAITED;
	sim.report->given_up += verdict == HOLDER_GIVEN_UP;
	switch (sim.plan.mutant) {
	case MUTANT_CROSS_TRUSTED:
		return HOLDER_DECIDED;
	case MUTANT_CROSS_FOR_EVER:
		return verdict == HOLDER_GIVEN_UP ? HOLDER_AWAITED : verdict;
	case MUTANT_CROSS_SEIZED:
		return verdict == HOLDER_AWAITED ? HOLDER_GIVEN_UP : verdict;
	default:
		return verdict;
	}
}

WRAP(int, claims_send, struct claims *claims, const struct claim_mark *marks,
    size_t n_marks, struct claim *items, size_t n, struct error *err)
{
	struct claim_mark unchecked[CLAIMS_CHUNK];
	size_t i;

	if (sim.plan.mutant != MUTANT_MARK_UNCHECKED)
		return __real_claims_send(
		    claims, marks, n_marks, items, n, err);
	for (i = 0; i < n_marks; i++) {
		unchecked[i] = marks[i];
		unchecked[i].expected = -1;
	}
	return __real_claims_send(claims, unchecked, n_marks, items, n, err);
}

WRAP(int, claims_settle, struct claims *claims, struct claim *items, size_t n,
    struct claims_settled *settled, struct error *err)
{
	bool *own;
	size_t i;
	int rc;

	if (sim.plan.mutant != MUTANT_OWN_KEPT)
		return __real_claims_settle(claims, items, n, settled, err);
	own = memory_zalloc(n + 1, sizeof *own);
	for (i = 0; i < n; i++)
		own[i] = items[i].verdict == CLAIM_OWN;
	rc = __real_claims_settle(claims, items, n, settled, err);
	for (i = 0; i < n; i++)
		if (own[i])
			items[i].verdict = CLAIM_OWN;
	free(own);
	return rc;
}

WRAP(int, repair_step, struct repair *repair, struct intake *intake,
    struct error *err)
{
	size_t i;

	if (sim.plan.mutant != MUTANT_NO_REPAIR)
		return __real_repair_step(repair, intake, err);
	for (i = 0; i < intake->n_owned; i++)
		if (marks_write(&intake->marks, intake->owned[i].partition,
			intake->owned[i].expected, err) != 0)
			return -1;
	return 1;
}

WRAP(enum intake_action, intake_step, enum intake_phase *phase,
    enum intake_event event)
{
	if (sim.plan.mutant == MUTANT_LOST_UNHEARD && event == INTAKE_LOST &&
	    (*phase == INTAKE_FILLING || *phase == INTAKE_PREPARED))
		event = INTAKE_NOTHING;
	sim.report->intake_rows[*phase] |= 1u << event;
	return __real_intake_step(phase, event);
}

WRAP(enum commit_action, commit_step, enum commit_phase *phase,
    enum commit_event event)
{
	switch (sim.plan.mutant) {
	case MUTANT_UNKNOWN_IS_DONE:
		if (*phase == COMMIT_COMMITTING && event == COMMIT_DEADLINE)
			event = COMMIT_SUSPECT;
		break;
	case MUTANT_LOST_IS_DONE:
		if (*phase == COMMIT_COMMITTING && event == COMMIT_LOST)
			event = COMMIT_SUSPECT;
		break;
	case MUTANT_PRODUCE_AGAIN:
		if (*phase == COMMIT_PRODUCING && event == COMMIT_LOST)
			return COMMIT_PRODUCE;
		break;
	default:
		break;
	}
	sim.report->commit_rows[*phase] |= 1u << event;
	return __real_commit_step(phase, event);
}
