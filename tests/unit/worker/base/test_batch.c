#include "worker/base/batch.h"

#include <string.h>

#include "tests/unit/check.h"

/* Its records are not librdkafka's, which therefore gets none back. */
static void
discard(struct batch *batch)
{
	batch->n = 0;
	batch_destroy(batch);
}

static void
claim(struct batch *batch, uint32_t i, enum claim_verdict verdict)
{
	batch->records[i].fate = FATE_CLAIMED;
	batch->claims[batch->n_claims++] =
	    (struct claim){ .record = i, .verdict = verdict };
}

/* A batch of `n` records, each of which has a claim with this verdict. */
static struct batch *
batch_of(const enum claim_verdict *verdicts, size_t n)
{
	struct batch *batch = batch_create(16, 1 << 20);
	uint32_t i;

	memset(batch->kafka, 0, n * sizeof *batch->kafka);
	for (i = 0; i < n; i++)
		batch->kafka[i].timestamp_ms = i == 1 ? 990 : 1000;
	batch_take(batch, n);
	for (i = 0; i < n; i++)
		claim(batch, i, verdicts[i]);
	return batch;
}

static void
each_verdict_has_its_fate(void)
{
	static const struct {
		const char *name;
		enum claim_verdict verdict;
		enum batch_fate fate;
		uint32_t same, cross;
	} rows[] = {
		{ "taken", CLAIM_TAKEN, FATE_PLAN, 0, 0 },
		{ "own, entered again", CLAIM_OWN, FATE_PLAN, 0, 0 },
		{ "another payload", CLAIM_CONFLICT, FATE_DEAD, 0, 0 },
		{ "decided earlier", CLAIM_DUPLICATE, FATE_DROP, 1, 0 },
		{ "another owner's", CLAIM_CROSS, FATE_DROP, 0, 1 },
		{ "the same, other payload", CLAIM_CROSS_CONFLICT, FATE_DEAD, 0,
		    0 },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct batch *batch = batch_of(&rows[i].verdict, 1);

		batch_decide(batch);
		CHECK_ROW(rows[i].name, batch->records[0].fate == rows[i].fate);
		CHECK_ROW(rows[i].name,
		    batch->counts.same_partition == rows[i].same &&
			batch->counts.cross_partition == rows[i].cross);
		CHECK_ROW(rows[i].name,
		    (batch->records[0].detail.at != NULL) ==
			(rows[i].fate == FATE_DEAD));
		CHECK_ROW(rows[i].name,
		    rows[i].fate != FATE_DEAD ||
			batch->records[0].reason == DEAD_CONFLICT);
		discard(batch);
	}
}

/* A dead letter took no claim; the verdicts must not slip to its neighbours. */
static void
a_record_without_a_claim_keeps_its_fate(void)
{
	struct batch *batch = batch_create(4, 1 << 20);

	memset(batch->kafka, 0, 3 * sizeof *batch->kafka);
	batch_take(batch, 3);
	batch->records[1].fate = FATE_DEAD;
	batch->records[1].reason = DEAD_EMPTY;
	claim(batch, 0, CLAIM_DUPLICATE);
	claim(batch, 2, CLAIM_TAKEN);
	batch_decide(batch);
	CHECK(batch->records[0].fate == FATE_DROP);
	CHECK(batch->records[1].fate == FATE_DEAD);
	CHECK(batch->records[1].reason == DEAD_EMPTY);
	CHECK(batch->records[2].fate == FATE_PLAN);
	discard(batch);
}

static void
the_oldest_record_gives_the_age(void)
{
	static const enum claim_verdict verdicts[3] = { CLAIM_TAKEN };
	struct batch *batch = batch_of(verdicts, 3);

	CHECK(batch->oldest_ms == 990);
	batch->kafka[3] = (struct kafka_record){ .timestamp_ms = -1 };
	batch_take(batch, 1);
	CHECK(batch->oldest_ms == 990);
	batch->n = 0;
	batch_reset(batch);
	CHECK(batch->oldest_ms == 0);
	CHECK(batch_earlier(0, 7) == 7 && batch_earlier(7, 0) == 7);
	CHECK(batch_earlier(7, 5) == 5 && batch_earlier(5, 7) == 5);
	discard(batch);
}

/* Two partitions by turns: of the second, all from its second record on. */
static void
what_is_left_out_is_as_if_it_had_not_come(void)
{
	static const enum claim_verdict verdicts[6] = { CLAIM_TAKEN };
	static const uint32_t left[] = { 0, 1, 2, 4 };
	struct batch *batch = batch_of(verdicts, 6);
	struct batch_span *span;
	uint32_t i;

	for (i = 0; i < 6; i++) {
		batch->kafka[i].partition = (int32_t)(i % 2);
		batch->kafka[i].offset = 10 + i;
		span = batch_span(batch, (int32_t)(i % 2), 10 + i);
		span->next = 10 + i + 1;
		span->n_records++;
	}
	batch_leave_out(batch, 1, 13);
	CHECK(batch->records[1].fate == FATE_CLAIMED);
	CHECK(batch->records[3].fate == FATE_SKIP);
	CHECK(batch->records[5].fate == FATE_SKIP);
	span = batch_span(batch, 1, 0);
	CHECK(span->first == 11 && span->next == 13 && span->n_records == 1);
	span = batch_span(batch, 0, 0);
	CHECK(span->first == 10 && span->next == 15 && span->n_records == 3);
	REQUIRE(batch->n_claims == 4);
	for (i = 0; i < 4; i++)
		CHECK(batch->claims[i].record == left[i]);
	batch_leave_out(batch, 1, 11); /* it stays empty, and where it was */
	span = batch_span(batch, 1, 0);
	CHECK(span->first == 11 && span->next == 11 && span->n_records == 0);
	discard(batch);
}

CU_TestInfo batch_tests[] = {
	{ "each verdict has its fate", each_verdict_has_its_fate },
	{ "without a claim", a_record_without_a_claim_keeps_its_fate },
	{ "left out", what_is_left_out_is_as_if_it_had_not_come },
	{ "the oldest record", the_oldest_record_gives_the_age },
	CU_TEST_INFO_NULL,
};
