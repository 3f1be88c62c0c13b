#include "worker/pipeline/intake.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/trace/tracer.h"
#include "worker/base/fault.h"
#include "worker/base/watchdog.h"

#define SEEK_MS 5000
#define STOPPED_MS 10000 /* until a stopped partition is tried again */

struct owned *
intake_owned(struct intake *intake, int32_t partition)
{
	size_t i;

	for (i = 0; i < intake->n_owned; i++)
		if (intake->owned[i].partition == partition)
			return &intake->owned[i];
	return NULL;
}

/*
 * The marks that a chunk moves: of all partitions that went on since the chunk
 * before.  The first chunk of a batch expects what the batch before it has
 * moved the mark to, or, after an assignment, what is committed; the next ones
 * what the one before them will.  So a Redis that lost anything in between is
 * found out by the first chunk that it can't carry on from, and as it writes
 * nothing then, so does every chunk that is out behind it.
 */
static size_t
collect_marks(struct intake *intake, struct claim_mark *marks)
{
	struct batch *batch = intake->batch;
	size_t i, n = 0;

	for (i = 0; i < batch->n_spans; i++) {
		struct batch_span *span = &batch->spans[i];
		const struct owned *owned =
		    intake_owned(intake, span->partition);
		bool is_first = span->claimed == span->first;

		if (span->next == span->claimed)
			continue;
		marks[n++] = (struct claim_mark){
			.partition = span->partition,
			.expected = is_first && owned != NULL ? owned->expected
							      : span->claimed,
			.next = span->next,
		};
		span->claimed = span->next;
	}
	return n;
}

/*
 * Hears the oldest chunk that is out; INTAKE_NOTHING: it is fine.  A claim that
 * its own record holds already was taken before a crash, an abort or a
 * rebalance: the batch may hold what ended the process, see attempts.h.
 */
static enum intake_event
receive_chunk(struct intake *intake, struct error *err)
{
	struct claims_answer answer;
	double start = worker_metrics_clock();
	const struct claim_mark *marks = intake->sent_marks[intake->sent_first];

	if (claims_receive(intake->claims, &answer, err) != 0)
		return INTAKE_STORE_DOWN;
	metrics_observe(intake->metrics, WORKER_REDIS, REDIS_OP_CLAIMS,
	    worker_metrics_clock() - start, 1);
	intake->sent_first = (intake->sent_first + 1) % CLAIMS_IN_FLIGHT;
	intake->sent_n--;
	if (answer.n_own > 0)
		intake->batch->entered_again = true;
	if (!answer.behind)
		return INTAKE_NOTHING;
	intake->behind_partition = marks[answer.mark].partition;
	intake->behind_mark = answer.mark_value;
	return INTAKE_BEHIND;
}

/*
 * Sends claims from the `from`-th on with the marks of all that is decoded.
 * Dead letters move the mark too, though they take no claim: it says that
 * everything below it is dealt with.  The marks stay where they are until the
 * chunk is answered, as a `behind` names one by its number.
 */
static enum intake_event
send_chunk(struct intake *intake, size_t from, struct error *err)
{
	struct batch *batch = intake->batch;
	enum intake_event event = INTAKE_NOTHING;
	size_t at, n;

	if (intake->sent_n == CLAIMS_IN_FLIGHT)
		event = receive_chunk(intake, err);
	if (event != INTAKE_NOTHING)
		return event;
	at = (intake->sent_first + intake->sent_n) % CLAIMS_IN_FLIGHT;
	n = collect_marks(intake, intake->sent_marks[at]);
	if (n == 0 && from == batch->n_claims)
		return INTAKE_NOTHING;
	if (claims_send(intake->claims, intake->sent_marks[at], n,
		batch->claims + from, batch->n_claims - from, err) != 0)
		return INTAKE_STORE_DOWN;
	intake->sent_n++;
	return INTAKE_NOTHING;
}

enum intake_event
intake_broken(const struct error *err)
{
	if (err->kind == ERROR_FATAL)
		return INTAKE_FATAL;
	log_event(LOG_WARN, "kafka", "membership_lost", err->message, LOG_END);
	return INTAKE_LOST;
}

/* Gives back what comes from where a partition is stopped on. */
static size_t
leave_out_stopped(struct intake *intake, struct kafka_record *records, size_t n)
{
	size_t i, kept = 0;

	for (i = 0; i < n; i++) {
		const struct owned *owned =
		    intake_owned(intake, records[i].partition);

		if (owned != NULL && owned->stopped_at >= 0 &&
		    records[i].offset >= owned->stopped_at)
			kafka_records_release(&records[i], 1);
		else
			records[kept++] = records[i];
	}
	return kept;
}

static bool
is_let_go(const struct intake *intake, const struct owned *owned)
{
	return owned->look_ms > 0
	    ? clock_monotonic_ms() >= owned->look_ms
	    : decoder_is_told(intake->decoder, owned->awaited);
}

/* Schemas that are known by now: their partitions are read on. */
static void
let_told_go(struct intake *intake)
{
	struct error ignored;
	size_t i;

	for (i = 0; i < intake->n_owned; i++) {
		struct owned *owned = &intake->owned[i];

		if (owned->waits && is_let_go(intake, owned) &&
		    kafka_consumer_hold(intake->consumer, intake->topic,
			owned->partition, false, &ignored) == 0)
			owned->waits = false;
	}
}

int
intake_hold(struct intake *intake, struct owned *owned, struct error *err)
{
	struct kafka_offset place = { owned->partition, owned->waits_at };
	int rc;

	watchdog_enter(WATCHDOG_INTAKE, "seek", INTAKE_GUARD_MS);
	rc = kafka_consumer_hold(
	    intake->consumer, intake->topic, owned->partition, true, err);
	if (rc == 0)
		rc = kafka_consumer_seek(
		    intake->consumer, intake->topic, place, SEEK_MS, err);
	watchdog_leave(WATCHDOG_INTAKE);
	owned->ended = -1;
	owned->waits = true;
	return rc;
}

/* Holds those whose record was found to wait during this poll. */
static enum intake_event
hold_waiting(struct intake *intake, struct error *err)
{
	int rc = 0;
	size_t i;

	for (i = 0; intake->n_waiting > 0 && i < intake->n_owned; i++) {
		struct owned *owned = &intake->owned[i];

		if (!owned->is_found_waiting)
			continue;
		owned->is_found_waiting = false;
		if (rc == 0)
			rc = intake_hold(intake, owned, err);
	}
	intake->n_waiting = 0;
	return rc == 0 ? INTAKE_NOTHING : intake_broken(err);
}

/* Gives the batch's last record back, whose partition is to be held there. */
static void
find_waiting(struct intake *intake, uint32_t awaited)
{
	const struct kafka_record *kafka =
	    &intake->batch->kafka[intake->batch->n - 1];
	struct owned *owned = intake_owned(intake, kafka->partition);

	assert(owned != NULL); /* nothing else is read */
	owned->is_found_waiting = true;
	owned->look_ms = 0;
	owned->awaited = awaited;
	owned->waits_at = kafka->offset;
	owned->waits_ms = kafka->timestamp_ms;
	intake->n_waiting++;
	batch_drop_last(intake->batch);
}

/*
 * Decodes the batch's last record, or gives it back: where it, or one before it
 * in its partition, waits for its schema, nothing behind that goes first.
 */
static void
decode_last(struct intake *intake)
{
	struct batch *batch = intake->batch;
	const struct kafka_record *kafka = &batch->kafka[batch->n - 1];
	const struct owned *owned = intake->n_waiting > 0
	    ? intake_owned(intake, kafka->partition)
	    : NULL;
	struct batch_span *span;
	struct error why;
	uint32_t awaited;

	if (owned != NULL && owned->is_found_waiting) {
		batch_drop_last(batch);
		return;
	}
	if (decoder_decode(
		intake->decoder, batch, batch->n - 1, &awaited, &why) != 0) {
		find_waiting(intake, awaited);
		return;
	}
	span = batch_span(batch, kafka->partition, kafka->offset);
	span->next = kafka->offset + 1;
	span->n_records++;
}

/*
 * Claims go out as records come, so that Redis works while Kafka is read.  A
 * mark covers what was decoded with it: chunks of one poll must not move it
 * beyond claims that are not sent, so each poll is at most one chunk.
 */
enum intake_event
intake_fill(struct intake *intake, int timeout_ms, struct error *err)
{
	struct batch *batch = intake->batch;
	size_t room, i, claims = batch->n_claims;
	struct kafka_record *place = batch_room(batch, &room);
	double start = worker_metrics_clock();
	enum intake_event event;
	int n;

	if (room > CLAIMS_CHUNK)
		room = CLAIMS_CHUNK;
	let_told_go(intake);
	intake->revoked = false;
	watchdog_enter(WATCHDOG_INTAKE, "poll", INTAKE_GUARD_MS);
	n = kafka_consumer_poll(intake->consumer, place, room, timeout_ms, err);
	watchdog_leave(WATCHDOG_INTAKE);
	/*
	 * What was read or prepared is the next owner's.  The same poll may
	 * have brought a new assignment and its first records, which are let go
	 * with the rest: reading begins anew where it is expected to.
	 */
	if (n > 0 && intake->revoked)
		kafka_records_release(place, (size_t)n);
	if (n < 0 && err->kind != ERROR_RETRY)
		return intake_broken(err);
	if (intake->revoked)
		return INTAKE_REVOKED;
	if (n > 0)
		n = (int)leave_out_stopped(intake, place, (size_t)n);
	if (n <= 0)
		return INTAKE_NOTHING;
	metrics_observe(intake->metrics, WORKER_STAGES, STAGE_POLL,
	    worker_metrics_clock() - start, 1);
	fault_point("A1");
	if (batch->polled_ns == 0 && tracer_is_on())
		batch->polled_ns = trace_now_ns();
	start = worker_metrics_clock();
	for (i = 0; i < (size_t)n; i++) {
		/* Over those that were given back. */
		batch->kafka[batch->n] = place[i];
		batch_take(batch, 1);
		decode_last(intake);
	}
	event = hold_waiting(intake, err);
	if (event != INTAKE_NOTHING)
		return event;
	metrics_observe(intake->metrics, WORKER_STAGES, STAGE_DECODE,
	    worker_metrics_clock() - start, 1);
	fault_point("A2");
	return send_chunk(intake, claims, err);
}

int
intake_seek(struct intake *intake, struct kafka_offset place, struct error *err)
{
	struct owned *owned = intake_owned(intake, place.partition);

	if (owned != NULL) {
		owned->ended = -1;
		if (owned->waits &&
		    kafka_consumer_hold(intake->consumer, intake->topic,
			place.partition, false, err) != 0)
			return -1;
		owned->waits = false;
	}
	return kafka_consumer_seek(
	    intake->consumer, intake->topic, place, SEEK_MS, err);
}

bool
intake_has_passed(const struct intake *intake)
{
	size_t i;

	for (i = 0; i < intake->n_owned; i++)
		if (intake->owned[i].ended > intake->owned[i].next)
			return true;
	return false;
}

void
intake_note_refused(struct intake *intake, const struct batch *batch)
{
	const struct kafka_record *record;
	struct owned *owned;
	size_t at;

	if (!burial_refused(&intake->burial, batch, clock_monotonic_ms(), &at))
		return;
	record = &batch->kafka[at];
	owned = intake_owned(intake, record->partition);
	if (owned == NULL)
		return;
	owned->stopped_at = record->offset;
	owned->stopped_ms = clock_monotonic_ms();
	log_event(LOG_ERROR, "worker", "partition_stopped",
	    "the DLQ refuses a record's dead letter: its partition waits, the "
	    "others go on",
	    LOG_S("topic", intake->topic),
	    LOG_I("partition", record->partition),
	    LOG_I("offset", record->offset), LOG_END);
}

bool
intake_try_stopped(struct intake *intake)
{
	int64_t now = clock_monotonic_ms();
	bool tries = false;
	struct error ignored;
	size_t i;

	for (i = 0; i < intake->n_owned; i++) {
		struct owned *owned = &intake->owned[i];
		const struct kafka_offset place = { owned->partition,
			owned->next };

		if (owned->stopped_at < 0 ||
		    now - owned->stopped_ms < STOPPED_MS)
			continue;
		owned->stopped_ms = now;
		if (intake_seek(intake, place, &ignored) == 0) {
			owned->stopped_at = -1;
			tries = true;
		}
	}
	return tries;
}

/*
 * The batch's spans go on to the ends of their partitions.  All records before
 * these are in it: an end is told behind them.  One chunk says them all; what
 * is more goes with the next batch.
 */
static void
pass_ends(struct intake *intake)
{
	size_t i, n = 0;

	for (i = 0; i < intake->n_owned && n < CLAIMS_CHUNK; i++) {
		const struct owned *owned = &intake->owned[i];
		struct batch_span *span;

		if (owned->ended <= owned->next)
			continue;
		span = batch_span(intake->batch, owned->partition, owned->next);
		if (span->next >= owned->ended)
			continue;
		span->next = owned->ended;
		n++;
	}
}

enum intake_event
intake_claim(struct intake *intake, struct error *err)
{
	struct batch *batch = intake->batch;
	enum intake_event event;
	double start = worker_metrics_clock();
	struct claims_settled settled = { 0 };

	fault_slow_cut();
	/*
	 * Now, never when the offsets are sent: a later generation would let
	 * them in for a partition that has moved meanwhile.
	 */
	batch->group = kafka_consumer_group(intake->consumer, err);
	if (batch->group == NULL)
		return intake_broken(err);
	pass_ends(intake);
	event = send_chunk(intake, batch->n_claims, err);
	while (event == INTAKE_NOTHING && intake->sent_n > 0)
		event = receive_chunk(intake, err);
	if (event != INTAKE_NOTHING)
		return event;
	if (claims_settle(intake->claims, batch->claims, batch->n_claims,
		&settled, err) != 0)
		return INTAKE_STORE_DOWN;
	metrics_add(
	    intake->metrics, WORKER_OVERWRITTEN, 0, settled.overwritten);
	batch->n_crossed = settled.crossed;
	metrics_observe(intake->metrics, WORKER_STAGES, STAGE_REDIS,
	    worker_metrics_clock() - start, 1);
	return INTAKE_CLAIMED;
}

/*
 * What the next batch expects of the marks.  Not earlier: a batch that is
 * dropped before it is given comes again, and its marks are ahead then, which
 * is fine.
 */
void
intake_advance(struct intake *intake)
{
	const struct batch *batch = intake->batch;
	size_t i;

	for (i = 0; i < batch->n_spans; i++) {
		struct owned *owned =
		    intake_owned(intake, batch->spans[i].partition);

		if (owned != NULL)
			owned->expected = owned->next = batch->spans[i].next;
	}
}

void
intake_drop(struct intake *intake)
{
	size_t i;

	if (intake->batch != NULL) {
		intake->dropped_ms =
		    batch_earlier(intake->dropped_ms, intake->batch->oldest_ms);
		batch_reset(intake->batch);
	}
	for (i = 0; i < intake->n_owned; i++)
		intake->owned[i].ended = -1;
	claims_discard(intake->claims);
	intake->sent_n = 0;
}

/*
 * After a commit whose outcome is unknown only Kafka can say where to go on;
 * asking waits for a transaction of the group that is undecided.
 */
int
intake_rewind(struct intake *intake, struct error *err)
{
	struct kafka_offset *places =
	    memory_zalloc(intake->n_owned + 1, sizeof *places);
	int rc = 0;
	size_t i;

	for (i = 0; i < intake->n_owned; i++)
		places[i].partition = intake->owned[i].partition;
	if (intake->n_owned > 0)
		rc = kafka_consumer_committed(intake->consumer, intake->topic,
		    places, intake->n_owned, err);
	for (i = 0; rc == 0 && i < intake->n_owned; i++) {
		struct kafka_offset place = places[i];
		struct kafka_range range = { place.offset, 0 };

		intake->owned[i].expected = place.offset;
		if (place.offset < 0)
			rc = kafka_consumer_range(intake->consumer,
			    (struct kafka_partition){
				intake->topic, place.partition },
			    &range, SEEK_MS, err);
		place.offset = range.start;
		if (rc == 0)
			rc = intake_seek(intake, place, err);
		intake->owned[i].next = place.offset;
	}
	free(places);
	return rc;
}
