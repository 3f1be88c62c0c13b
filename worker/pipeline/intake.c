#include "worker/pipeline/intake.h"

#include <assert.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/base/fault.h"
#include "worker/base/watchdog.h"

#define SEEK_MS 5000

struct owned *
intake_owned(struct intake *intake, int32_t partition)
{
	size_t i;

	for (i = 0; i < intake->n_owned; i++)
		if (intake->owned[i].partition == partition)
			return &intake->owned[i];
	return NULL;
}

void
intake_add_claim(struct batch *batch, size_t i)
{
	const struct kafka_record *kafka = &batch->kafka[i];
	const struct run_request *request = &batch->records[i].request;
	struct claim *claim = &batch->claims[batch->n_claims++];

	*claim = (struct claim){
		.run = batch->records[i].run,
		.value = {
			.partition = (uint32_t)kafka->partition,
			.offset = kafka->offset,
			.timestamp_ms = kafka->timestamp_ms,
			.fingerprint = claim_fingerprint(request->created_by,
			    request->schedule_version_rid,
			    request->run_rid.at != NULL),
		},
		.record = (uint32_t)i,
	};
}

/* Decodes the records that came; a dead one takes no claim. */
static enum intake_result
decode_new(struct intake *intake, size_t from, struct error *err)
{
	struct batch *batch = intake->batch;
	double start = telemetry_clock();
	size_t i;

	for (i = from; i < batch->n; i++) {
		const struct kafka_record *kafka = &batch->kafka[i];
		struct batch_span *span =
		    batch_span(batch, kafka->partition, kafka->offset);

		if (decoder_decode(intake->decoder, batch, i, err) != 0)
			return INTAKE_STORE_AWAY;
		span->next = kafka->offset + 1;
		span->n_records++;
		if (batch->records[i].fate == FATE_CLAIMED)
			intake_add_claim(batch, i);
	}
	telemetry_stage(
	    intake->telemetry, STAGE_DECODE, telemetry_clock() - start);
	return INTAKE_FINE;
}

/* The marks that a chunk moves: of all partitions that went on since. */
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

/* Notes which mark is too low; 1 if one is. */
static bool
note_behind(struct intake *intake, const struct claims_answer *answer,
    const struct claim_mark *marks)
{
	if (!answer->behind)
		return false;
	intake->behind_partition = marks[answer->mark].partition;
	intake->behind_mark = answer->mark_value;
	return true;
}

static enum intake_result
receive_chunk(struct intake *intake, struct error *err)
{
	struct claims_answer answer;
	double start = telemetry_clock();
	const struct claim_mark *marks = intake->sent_marks[intake->sent_first];

	if (claims_receive(intake->claims, &answer, err) != 0)
		return INTAKE_STORE_AWAY;
	telemetry_redis(
	    intake->telemetry, REDIS_OP_CLAIMS, telemetry_clock() - start);
	intake->sent_first = (intake->sent_first + 1) % CLAIMS_IN_FLIGHT;
	intake->sent_n--;
	if (answer.n_own > 0)
		intake->batch->entered_again = true;
	return note_behind(intake, &answer, marks) ? INTAKE_BEHIND_HERE
						   : INTAKE_FINE;
}

/* Sends claims [from, to) with the marks of everything decoded so far. */
static enum intake_result
send_chunk(struct intake *intake, size_t from, size_t to, struct error *err)
{
	size_t at, n;

	if (intake->sent_n == CLAIMS_IN_FLIGHT) {
		enum intake_result result = receive_chunk(intake, err);

		if (result != INTAKE_FINE)
			return result;
	}
	at = (intake->sent_first + intake->sent_n) % CLAIMS_IN_FLIGHT;
	n = collect_marks(intake, intake->sent_marks[at]);
	if (n == 0 && from == to)
		return INTAKE_FINE;
	if (claims_send(intake->claims, intake->sent_marks[at], n,
		intake->batch->claims + from, to - from, err) != 0)
		return INTAKE_STORE_AWAY;
	intake->sent_n++;
	return INTAKE_FINE;
}

/*
 * Claims go out as records come, so that Redis works while Kafka is read.  A
 * mark covers what was decoded with it: chunks of one poll must not move it
 * beyond claims that are not sent, so each poll is at most one chunk.
 */
enum intake_result
intake_fill(struct intake *intake, int timeout_ms, struct error *err)
{
	struct batch *batch = intake->batch;
	size_t room, before = batch->n, claims = batch->n_claims;
	struct kafka_record *place = batch_room(batch, &room);
	double start = telemetry_clock();
	enum intake_result result;
	int n;

	if (room > CLAIMS_CHUNK)
		room = CLAIMS_CHUNK;
	intake->revoked = false;
	watchdog_enter(WATCHDOG_INTAKE, "poll", INTAKE_GUARD_MS);
	n = kafka_consumer_poll(intake->consumer, place, room, timeout_ms, err);
	watchdog_leave(WATCHDOG_INTAKE);
	if (n > 0 && intake->revoked) {
		kafka_records_release(place, (size_t)n);
		return INTAKE_FINE;
	}
	if (n < 0)
		return err->kind == ERROR_RETRY ? INTAKE_FINE : INTAKE_BROKEN;
	if (n == 0)
		return INTAKE_FINE;
	telemetry_stage(
	    intake->telemetry, STAGE_POLL, telemetry_clock() - start);
	batch_take(batch, (size_t)n);
	fault_point("A1");
	result = decode_new(intake, before, err);
	if (result != INTAKE_FINE)
		return result;
	fault_point("A2");
	return send_chunk(intake, claims, batch->n_claims, err);
}

/* What a claim's verdict means for its record. */
static void
decide(struct batch *batch, const struct claim *claim)
{
	struct batch_record *record = &batch->records[claim->record];

	switch (claim->verdict) {
	case CLAIM_TAKEN:
	case CLAIM_OWN:
		record->fate = FATE_PLAN;
		break;
	case CLAIM_CONFLICT:
		record->fate = FATE_DEAD;
		record->reason = DEAD_CONFLICT;
		record->detail = TEXT(
		    "the requestId was used before with another createdBy or "
		    "another pinned version");
		break;
	case CLAIM_DUPLICATE:
		record->fate = FATE_DROP;
		batch->counts.same_partition++;
		break;
	case CLAIM_CROSS:
		record->fate = FATE_DROP;
		batch->counts.cross_partition++;
		break;
	case CLAIM_LOWER:
	case CLAIM_UNREADABLE:
	case CLAIM_VERDICTS:
		assert(false && "claims_settle leaves none of these");
	}
}

static void
warn_of_cross(const struct batch *batch)
{
	if (batch->counts.cross_partition > 0)
		log_event(LOG_WARN, "worker", "cross_partition_duplicates",
		    "requests came again in another partition: producers "
		    "should use murmur2 as the Java client does",
		    LOG_I("records", batch->counts.cross_partition), LOG_END);
}

enum intake_result
intake_claim(struct intake *intake, struct error *err)
{
	struct batch *batch = intake->batch;
	enum intake_result result = INTAKE_FINE;
	double start = telemetry_clock();
	size_t overwritten = 0, i;

	fault_slow_cut();
	batch->group = kafka_consumer_group(intake->consumer, err);
	if (batch->group == NULL)
		return INTAKE_BROKEN;
	while (result == INTAKE_FINE && intake->sent_n > 0)
		result = receive_chunk(intake, err);
	if (result != INTAKE_FINE)
		return result;
	if (claims_settle(intake->claims, batch->claims, batch->n_claims,
		&overwritten, err) != 0)
		return INTAKE_STORE_AWAY;
	telemetry_overwritten(intake->telemetry, overwritten);
	for (i = 0; i < batch->n_claims; i++)
		decide(batch, &batch->claims[i]);
	warn_of_cross(batch);
	telemetry_stage(
	    intake->telemetry, STAGE_REDIS, telemetry_clock() - start);
	fault_point("A3");
	return INTAKE_FINE;
}

void
intake_advance(struct intake *intake)
{
	const struct batch *batch = intake->batch;
	size_t i;

	for (i = 0; i < batch->n_spans; i++) {
		struct owned *owned =
		    intake_owned(intake, batch->spans[i].partition);

		if (owned != NULL)
			owned->expected = batch->spans[i].next;
	}
}

void
intake_drop(struct intake *intake)
{
	if (intake->batch != NULL) {
		intake->dropped_ms =
		    batch_earlier(intake->dropped_ms, intake->batch->oldest_ms);
		batch_reset(intake->batch);
	}
	claims_discard(intake->claims);
	intake->sent_n = 0;
}

int
intake_rewind(struct intake *intake, struct error *err)
{
	struct kafka_offset places[INTAKE_PARTITIONS_MAX] = { 0 };
	size_t i;

	for (i = 0; i < intake->n_owned; i++)
		places[i].partition = intake->owned[i].partition;
	if (intake->n_owned > 0 &&
	    kafka_consumer_committed(intake->consumer, intake->topic, places,
		intake->n_owned, err) != 0)
		return -1;
	for (i = 0; i < intake->n_owned; i++) {
		struct kafka_offset place = places[i];
		int64_t end;

		intake->owned[i].expected = place.offset;
		if (place.offset < 0 &&
		    kafka_consumer_range(intake->consumer, intake->topic,
			place.partition, &place.offset, &end, SEEK_MS,
			err) != 0)
			return -1;
		if (kafka_consumer_seek(intake->consumer, intake->topic, place,
			SEEK_MS, err) != 0)
			return -1;
	}
	return 0;
}
