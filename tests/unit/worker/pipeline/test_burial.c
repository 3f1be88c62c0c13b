#include "worker/pipeline/burial.h"

#include "tests/unit/check.h"

#define NOW 1000

static struct batch *
make_batch(size_t n, const enum batch_fate *fates)
{
	struct batch *batch = batch_create(n, 1000);
	size_t i;

	for (i = 0; i < n; i++) {
		batch->kafka[i] = (struct kafka_record){ .partition = 1,
			.offset = 10 + (int64_t)i };
		batch->records[i] = (struct batch_record){ .fate = fates[i] };
	}
	batch->n = n;
	return batch;
}

static void
give_back(struct batch *batch)
{
	batch->n = 0; /* its records are none of librdkafka's */
	batch_destroy(batch);
}

/* Many letters: one a batch; the one: cut; again: stopped. */
static void
finds_the_letter_then_cuts_it_then_stops(void)
{
	static const enum batch_fate many[] = { FATE_DEAD, FATE_PLAN,
		FATE_CRASHED };
	static const enum batch_fate one[] = { FATE_DROP, FATE_DEAD };
	struct burial burial = { .offset = -1 };
	struct batch *batch = make_batch(3, many);
	size_t at = 0;

	CHECK(!burial_is_careful(&burial, NOW));
	CHECK(!burial_refused(&burial, batch, NOW, &at));
	CHECK(burial.offset == -1 && burial_is_careful(&burial, NOW + 59999));
	CHECK(!burial_is_careful(&burial, NOW + 60000));
	give_back(batch);
	batch = make_batch(2, one);
	CHECK(burial_size(&burial, &batch->kafka[1], 100000) == 100000);
	CHECK(!burial_refused(&burial, batch, NOW, &at));
	CHECK(burial.partition == 1 && burial.offset == 11);
	CHECK(burial_size(&burial, &batch->kafka[1], 100000) == 4096);
	CHECK(burial_size(&burial, &batch->kafka[1], 100) == 100);
	CHECK(burial_size(&burial, &batch->kafka[0], 100000) == 100000);
	CHECK(burial_refused(&burial, batch, NOW, &at) && at == 1);
	give_back(batch);
}

static void
begins_anew_with_another_letter(void)
{
	static const enum batch_fate dead[] = { FATE_DEAD };
	struct burial burial = { .partition = 1, .offset = 9 };
	struct batch *batch = make_batch(1, dead);
	size_t at = 0;

	CHECK(!burial_refused(&burial, batch, NOW, &at));
	CHECK(burial.offset == 10);
	batch->kafka[0].partition = 2;
	CHECK(!burial_refused(&burial, batch, NOW, &at));
	CHECK(burial_refused(&burial, batch, NOW, &at) && at == 0);
	give_back(batch);
}

CU_TestInfo burial_tests[] = {
	{ "finds the letter, then cuts it, then stops",
	    finds_the_letter_then_cuts_it_then_stops },
	{ "begins anew with another letter", begins_anew_with_another_letter },
	CU_TEST_INFO_NULL,
};
