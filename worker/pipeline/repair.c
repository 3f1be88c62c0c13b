#include "worker/pipeline/repair.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define STEP_MS 500
#define POLL_MS 200
#define CALL_MS 5000
#define BATCH_BYTES ((size_t)16 * 1024 * 1024)

/*
 * Reads with a consumer of its own, outside the group, from where claims are
 * missing up to where the owner's next batch begins; each poll's records become
 * one script, whose mark is what the one before has moved it to.  So a crash
 * resumes at the mark, and a Redis that goes back once more is heard as
 * `behind` and begun anew from where it stands then.
 *
 * What is claimed here was mostly answered long ago: nothing is produced, and
 * nothing is committed.  What was not is read by the group afterwards and finds
 * its own claim.
 */
struct repair {
	struct repair_settings settings;
	struct kafka_consumer *consumer;
	struct batch *batch;
	bool is_running, store_failed;
	int32_t partition;
	int64_t mark;     /* as it is now */
	int64_t next;     /* offset that comes next */
	int64_t expected; /* where the mark must come to */
	int64_t started_ms, claimed;
	bool is_at_end; /* of the log, as the broker said */
	bool waits;     /* for the registry, at `next` */
};

/* Behind all records of the partition that are there. */
static void
note_end(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct repair *repair = opaque;

	(void)topic;
	(void)offset;
	if (partition == repair->partition)
		repair->is_at_end = true;
}

struct repair *
repair_create(const struct repair_settings *settings, struct error *err)
{
	struct repair *repair = memory_zalloc(1, sizeof *repair);
	const struct kafka_consumer_options options = {
		.settings = settings->kafka,
		.accept_loss = true,
		.events = { .ended = note_end, .opaque = repair },
	};

	repair->settings = *settings;
	repair->consumer = kafka_consumer_create(&options, err);
	if (repair->consumer == NULL) {
		free(repair);
		return NULL;
	}
	repair->batch = batch_create(CLAIMS_CHUNK, BATCH_BYTES);
	return repair;
}

void
repair_destroy(struct repair *repair)
{
	if (repair == NULL)
		return;
	batch_destroy(repair->batch);
	kafka_consumer_close(repair->consumer, CALL_MS);
	free(repair);
}

/* Whatever Redis says, even what is fatal at start, it is waited for. */
static int
store_failed(struct repair *repair, struct error *err)
{
	repair->store_failed = true;
	err->kind = ERROR_RETRY;
	return -1;
}

struct kafka_consumer *
repair_reader(struct repair *repair)
{
	return repair->consumer;
}

bool
repair_store_failed(const struct repair *repair)
{
	return repair->store_failed;
}

static int64_t
larger(int64_t one, int64_t other)
{
	return one > other ? one : other;
}

/*
 * Where claims can still matter: not below the mark, the log, the window.  A
 * claim is looked up for at most 2 x dedup.ttl, but is promised for one; a
 * tenth more, as records have their times from other clocks than Redis's.
 */
static int
find_start(struct repair *repair, struct intake *intake, int64_t *start,
    int64_t *end, struct error *err)
{
	struct kafka_partition of = { intake->topic, repair->partition };
	struct kafka_range range;
	int64_t now, window;

	if (redis_clock(intake->redis, &now, err) != 0)
		return store_failed(repair, err);
	if (kafka_consumer_range(repair->consumer, of, &range, CALL_MS, err) !=
		0 ||
	    kafka_consumer_offset_at(repair->consumer, of,
		now - repair->settings.ttl_ms / 10 * 11, &window, CALL_MS,
		err) != 0)
		return -1;
	*start = larger(larger(range.start, window), repair->mark);
	*end = range.end;
	return 0;
}

int
repair_start(struct repair *repair, struct intake *intake, int32_t partition,
    int64_t mark, struct error *err)
{
	const struct owned *owned = intake_owned(intake, partition);
	struct kafka_start place = { .topic = intake->topic,
		.partition = partition,
		.from = KAFKA_FROM_OFFSET };
	int64_t end;

	if (owned == NULL)
		return error_set(err, ERROR_ABORT,
		    "partition %d is not assigned any more", (int)partition);
	repair->store_failed = false;
	repair->partition = partition;
	repair->mark = mark;
	repair->expected = owned->expected;
	repair->started_ms = clock_monotonic_ms();
	repair->claimed = 0;
	if (find_start(repair, intake, &place.at, &end, err) != 0)
		return -1;
	repair->next = place.at;
	if (kafka_consumer_assign(repair->consumer, &place, 1, CALL_MS, err) !=
	    0)
		return -1;
	repair->is_at_end = false;
	repair->is_running = true;
	metrics_add(intake->metrics, WORKER_REPAIRS, 0, 1);
	log_event(LOG_WARN, "worker", "claims_repair_started",
	    "Redis has lost claims; they are taken again from the topic",
	    LOG_S("topic", intake->topic), LOG_I("partition", partition),
	    LOG_I("mark", mark), LOG_I("from", place.at),
	    LOG_I("to", repair->expected), LOG_END);
	return 0;
}

/* Claims the records below `expected`; the mark moves to where they end. */
static int
claim_records(struct repair *repair, struct intake *intake, int64_t next,
    struct error *err)
{
	struct batch *batch = repair->batch;
	const struct claim_mark mark = { repair->partition, repair->mark,
		next };
	struct claims_answer answer;
	struct claims_settled settled = { 0 };

	if (claims_send(intake->claims, &mark, 1, batch->claims,
		batch->n_claims, err) != 0 ||
	    claims_receive(intake->claims, &answer, err) != 0)
		return store_failed(repair, err);
	if (answer.behind) {
		/* Lost again meanwhile: begin again, from where it is. */
		repair->is_running = false;
		return repair_start(
		    repair, intake, repair->partition, answer.mark_value, err);
	}
	if (claims_settle(intake->claims, batch->claims, batch->n_claims,
		&settled, err) != 0)
		return store_failed(repair, err);
	metrics_add(
	    intake->metrics, WORKER_OVERWRITTEN, 0, settled.overwritten);
	repair->claimed += (int64_t)batch->n_claims;
	repair->mark = repair->next = next;
	return 0;
}

/*
 * Makes claims of the records that came; returns the offset behind them.  One
 * whose schema the registry does not tell yet ends it, as none may be left out.
 */
static void
decode_records(struct repair *repair, struct intake *intake, int64_t *next)
{
	struct batch *batch = repair->batch;
	size_t i;

	*next = repair->next;
	for (i = 0; i < batch->n; i++) {
		const struct kafka_record *kafka = &batch->kafka[i];
		struct error why;
		uint32_t awaited;

		if (kafka->offset >= repair->expected) {
			/* What is before it, if anything, is no record. */
			*next = repair->expected;
			break;
		}
		if (decoder_decode(intake->decoder, batch, i, &awaited, &why) !=
		    0) {
			repair->waits = true;
			break;
		}
		*next = kafka->offset + 1;
	}
}

/*
 * Takes one poll's records.  Their end is moved to although it may be below
 * `expected`: the mark then says how far the repair has come.
 */
static int
take_records(struct repair *repair, struct intake *intake, struct error *err)
{
	struct batch *batch = repair->batch;
	size_t room;
	struct kafka_record *place;
	int64_t next;
	int n, rc = 0;

	batch_reset(batch);
	repair->waits = false;
	place = batch_room(batch, &room);
	n = kafka_consumer_poll(repair->consumer, place, room, POLL_MS, err);
	if (n < 0)
		return -1;
	batch_take(batch, (size_t)n);
	decode_records(repair, intake, &next);
	if (next > repair->next)
		rc = claim_records(repair, intake, next, err);
	batch_reset(batch);
	if (rc == 0 && repair->waits) {
		const struct kafka_offset again = { repair->partition,
			repair->next };

		repair->is_at_end = false;
		rc = kafka_consumer_seek(
		    repair->consumer, intake->topic, again, CALL_MS, err);
	}
	return rc;
}

/*
 * Begins with another partition whose mark is too low; 1: there is none.  They
 * are all looked at, as a Redis that went back did so for all of them, and a
 * batch would find out one at a time, each time losing what it has read.
 */
static int
go_on(struct repair *repair, struct intake *intake, struct error *err)
{
	int64_t mark;
	size_t i;

	for (i = 0; i < intake->n_owned; i++) {
		const struct owned *owned = &intake->owned[i];

		if (marks_read(&intake->marks, owned->partition, &mark, err) !=
		    0)
			return store_failed(repair, err);
		if (claim_mark_is_behind(mark, owned->expected))
			return repair_start(
			    repair, intake, owned->partition, mark, err);
	}
	/* Nothing is fetched in vain until the next time. */
	return kafka_consumer_assign(repair->consumer, NULL, 0, CALL_MS, err) ==
		0
	    ? 1
	    : -1;
}

/* What is left below `expected` are marks of transactions. */
static int
end_partition(struct repair *repair, struct intake *intake, struct error *err)
{
	batch_reset(repair->batch);
	if (repair->mark < repair->expected &&
	    claim_records(repair, intake, repair->expected, err) != 0)
		return -1;
	if (!repair->is_running || repair->mark < repair->expected)
		return 0;
	repair->is_running = false;
	log_event(LOG_INFO, "worker", "claims_repaired",
	    "the lost claims are there again",
	    LOG_I("partition", repair->partition),
	    LOG_I("claims", repair->claimed),
	    LOG_I("duration_ms", clock_monotonic_ms() - repair->started_ms),
	    LOG_END);
	return go_on(repair, intake, err);
}

int
repair_step(struct repair *repair, struct intake *intake, struct error *err)
{
	int64_t until = clock_monotonic_ms() + STEP_MS;

	repair->store_failed = false;
	do {
		if (repair->next >= repair->expected || repair->is_at_end)
			return end_partition(repair, intake, err);
		if (take_records(repair, intake, err) != 0)
			return -1;
		if (repair->waits)
			clock_wait(POLL_MS);
	} while (clock_monotonic_ms() < until);
	return 0;
}
