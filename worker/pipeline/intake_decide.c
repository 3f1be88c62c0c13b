#include "worker/pipeline/intake.h"

#include <assert.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/base/fault.h"
#include "worker/base/watchdog.h"

/*
 * Repeats of a request whose claim is another partition's record's.  That one's
 * owner may still come to find the claim lost, taken by somebody else: so a
 * repeat is dropped only once the group's offset, or this very batch, is behind
 * the holder, since whatever is committed has its request answered.  Until then
 * its partition is read no further, the others go on, and it is looked at anew
 * after a moment: its claim, too.  docs/delivery.md, section 3.
 */
#define LOOK_MIN_MS 20
#define LOOK_MAX_MS 500
#define PARTITIONS_MS 1000 /* for Kafka to say how many there are */

/* How far the batch in work is in a partition: one for each of its spans. */
struct stretch {
	int64_t reached; /* records below this stand before the one in hand */
	int64_t held_at; /* the first that waits; -1: none */
};

struct look {
	struct intake *intake;
	struct batch *batch;
	struct stretch *stretches;
	struct kafka_offset
	    *foreign; /* holders' partitions that are not ours */
	size_t n_foreign;
	bool is_heard; /* their offsets are known */
	int64_t now_ms;
};

/* The holder of a claim that was judged by it. */
static struct claim_value
holder_of(const struct claim *claim)
{
	struct claim_value holder = { 0 };

	claim_value_read((struct text){ (const char *)claim->occupant,
			     claim->occupant_size },
	    &holder);
	return holder;
}

static struct kafka_offset *
find_foreign(const struct look *look, int32_t partition)
{
	size_t i;

	for (i = 0; i < look->n_foreign; i++)
		if (look->foreign[i].partition == partition)
			return &look->foreign[i];
	return NULL;
}

static void
list_foreign(struct look *look)
{
	struct batch *batch = look->batch;
	size_t i;

	look->foreign = arena_alloc(
	    batch->arena, (batch->n_claims + 1) * sizeof *look->foreign);
	for (i = 0; i < batch->n_claims; i++) {
		int32_t partition;

		if (!claim_is_crossed(batch->claims[i].verdict))
			continue;
		partition = (int32_t)holder_of(&batch->claims[i]).partition;
		if (intake_owned(look->intake, partition) == NULL &&
		    find_foreign(look, partition) == NULL)
			look->foreign[look->n_foreign++] =
			    (struct kafka_offset){ partition, -1 };
	}
}

/*
 * A claim may name any partition, as anything may stand in Redis.  Of one that
 * the topic lacks nobody decides: 0 if all that are not committed were told
 * from those; -1: ERROR_RETRY.
 */
static int
find_nobody(struct look *look, struct error *err)
{
	struct intake *intake = look->intake;
	int32_t n = -1;
	size_t i;

	for (i = 0; i < look->n_foreign; i++) {
		struct kafka_offset *place = &look->foreign[i];

		if (place->offset >= 0)
			continue;
		if (n < 0)
			n = kafka_consumer_partitions(intake->consumer,
			    intake->topic, PARTITIONS_MS, err);
		if (n == 0)
			error_set(err, ERROR_RETRY, "topic %s is gone",
			    intake->topic);
		if (n <= 0)
			return -1;
		if (place->partition >= n)
			place->offset = PATIENCE_NOBODY;
	}
	return 0;
}

/*
 * The group's offsets of all of them.  Where a transaction is undecided, or
 * nobody answers, they are asked for at the next look.  -1: ERROR_FATAL.
 */
static int
ask_foreign(struct look *look, struct error *err)
{
	struct intake *intake = look->intake;

	list_foreign(look);
	look->is_heard = look->n_foreign == 0;
	if (look->is_heard)
		return 0;
	watchdog_enter(WATCHDOG_INTAKE, "committed", INTAKE_GUARD_MS);
	look->is_heard =
	    kafka_consumer_committed(intake->consumer, intake->topic,
		look->foreign, look->n_foreign, err) == 0 &&
	    find_nobody(look, err) == 0;
	watchdog_leave(WATCHDOG_INTAKE);
	return look->is_heard || err->kind != ERROR_FATAL ? 0 : -1;
}

static struct stretch *
find_stretch(const struct look *look, int32_t partition)
{
	size_t i;

	for (i = 0; i < look->batch->n_spans; i++)
		if (look->batch->spans[i].partition == partition)
			return &look->stretches[i];
	return NULL;
}

/*
 * What was handed over of a partition of ours is committed before this batch,
 * or this batch is dropped.
 */
static struct holder_place
find_place(const struct look *look, int32_t partition)
{
	const struct owned *owned = intake_owned(look->intake, partition);
	const struct stretch *stretch = find_stretch(look, partition);
	const struct kafka_offset *foreign =
	    look->is_heard ? find_foreign(look, partition) : NULL;

	if (owned == NULL)
		return (struct holder_place){
			foreign != NULL ? foreign->offset : PATIENCE_UNKNOWN, -1
		};
	return (struct holder_place){ owned->next,
		stretch != NULL ? stretch->reached : -1 };
}

static int
overwrite_holder(struct look *look, struct claim *claim,
    const struct claim_value *holder, struct error *err)
{
	struct claims_settled settled = { 0 };

	log_event(LOG_WARN, "worker", "cross_partition_given_up",
	    "a request came again in another partition, and the one that came "
	    "first is not decided: this one is processed",
	    LOG_I("partition", claim->value.partition),
	    LOG_I("offset", claim->value.offset),
	    LOG_I("other_partition", holder->partition),
	    LOG_I("other_offset", holder->offset), LOG_END);
	claim->verdict = CLAIM_GIVEN_UP;
	if (claims_settle(look->intake->claims, look->batch->claims,
		look->batch->n_claims, &settled, err) != 0)
		return -1;
	metrics_add(
	    look->intake->metrics, WORKER_OVERWRITTEN, 0, settled.overwritten);
	return 0;
}

/* Whether a claim is decided; -1: Redis did not answer. */
static int
decide_claim(struct look *look, struct claim *claim, struct error *err)
{
	const struct claim_value holder = holder_of(claim);
	struct owned *owned =
	    intake_owned(look->intake, (int32_t)claim->value.partition);
	enum patience_verdict verdict;

	assert(owned != NULL); /* nothing else is read */
	if (!claim_is_crossed(claim->verdict))
		return 1;
	verdict = patience_judge(&owned->patience, claim->value.offset, &holder,
	    find_place(look, (int32_t)holder.partition), look->now_ms);
	if (verdict == HOLDER_GIVEN_UP &&
	    overwrite_holder(look, claim, &holder, err) != 0)
		return -1;
	/* It may have got another holder meanwhile, in yet another place. */
	return verdict != HOLDER_AWAITED &&
	    (verdict == HOLDER_DECIDED || !claim_is_crossed(claim->verdict));
}

/*
 * In the order of the records, as a batch may yet be cut behind any of them:
 * who is dropped for one of the same batch stands behind it.
 */
static int
decide_records(struct look *look, struct error *err)
{
	struct batch *batch = look->batch;
	size_t i, at = 0;

	for (i = 0; i < batch->n; i++) {
		const struct kafka_record *kafka = &batch->kafka[i];
		struct stretch *stretch = find_stretch(look, kafka->partition);
		bool has_claim =
		    at < batch->n_claims && batch->claims[at].record == i;
		int rc = 1;

		assert(stretch != NULL); /* each record is of a span */
		if (stretch->held_at < 0 && has_claim)
			rc = decide_claim(look, &batch->claims[at], err);
		at += has_claim;
		if (rc < 0)
			return -1;
		if (rc == 0)
			stretch->held_at = kafka->offset;
		else if (stretch->held_at < 0)
			stretch->reached = kafka->offset + 1;
	}
	return 0;
}

/* Sooner at first: the holder is mostly on its way. */
static int64_t
next_look(const struct owned *owned, int64_t now_ms)
{
	int64_t ms = LOOK_MIN_MS + (now_ms - owned->patience.since_ms) / 2;

	return now_ms + (ms < LOOK_MAX_MS ? ms : LOOK_MAX_MS);
}

static int
hold_span(struct look *look, const struct batch_span *span, int64_t offset,
    struct error *err)
{
	struct owned *owned = intake_owned(look->intake, span->partition);

	if (owned->patience.since_ms == look->now_ms)
		log_event(LOG_INFO, "worker", "cross_partition_wait",
		    "a request came again in another partition: its partition "
		    "waits until the one that came first is decided",
		    LOG_I("partition", span->partition),
		    LOG_I("offset", offset), LOG_END);
	owned->look_ms = next_look(owned, look->now_ms);
	owned->waits_at = offset;
	owned->waits_ms = look->batch->oldest_ms;
	batch_leave_out(look->batch, span->partition, offset);
	return intake_hold(look->intake, owned, err);
}

static enum intake_event
settle_crossed(struct intake *intake, struct error *err)
{
	struct batch *batch = intake->batch;
	struct look look = { .intake = intake,
		.batch = batch,
		.stretches = arena_alloc(batch->arena,
		    (batch->n_spans + 1) * sizeof *look.stretches),
		.now_ms = clock_monotonic_ms() };
	size_t i;

	for (i = 0; i < batch->n_spans; i++)
		look.stretches[i] = (struct stretch){ -1, -1 };
	if (ask_foreign(&look, err) != 0)
		return INTAKE_FATAL;
	if (decide_records(&look, err) != 0)
		return INTAKE_STORE_DOWN;
	for (i = 0; i < batch->n_spans; i++)
		if (look.stretches[i].held_at >= 0 &&
		    hold_span(&look, &batch->spans[i],
			look.stretches[i].held_at, err) != 0)
			return intake_broken(err);
	return INTAKE_NOTHING;
}

enum intake_event
intake_decide(struct intake *intake, struct error *err)
{
	struct batch *batch = intake->batch;
	enum intake_event event = INTAKE_NOTHING;

	if (batch->n_crossed > 0)
		event = settle_crossed(intake, err);
	if (event != INTAKE_NOTHING)
		return event;
	batch_decide(batch);
	if (batch->counts.cross_partition > 0)
		log_event(LOG_WARN, "worker", "cross_partition_duplicates",
		    "requests came again in another partition: producers "
		    "should use murmur2 as the Java client does",
		    LOG_I("records", batch->counts.cross_partition), LOG_END);
	fault_point("A3");
	return INTAKE_CLAIMED;
}
