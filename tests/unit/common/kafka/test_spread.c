#include "common/kafka/spread.h"

#include <stdio.h>

#include "tests/unit/check.h"

#define N 1000

/* Each message once, where its key belongs, behind those before it. */
static void
check_spread(const struct kafka_spread *spread,
    const struct kafka_message *messages, size_t n)
{
	size_t at = 0, i;

	for (i = 0; i <= spread->n_partitions; i++) {
		const struct kafka_stretch *stretch = &spread->stretches[i];
		int64_t last = -1;

		CHECK(stretch->begin == at);
		for (; at < stretch->end; at++) {
			struct text key = messages[spread->order[at]].key;

			CHECK(spread->order[at] > last);
			last = spread->order[at];
			CHECK(i == spread->n_partitions ? key.at == NULL
							: key.at != NULL &&
				    kafka_partition_of(
					key, (int32_t)spread->n_partitions) ==
					(int32_t)i);
		}
	}
	CHECK(at == n);
}

static void
spreads_by_partition(void)
{
	static const int32_t counts[] = { 6, 1, 97, 3 };
	static struct kafka_message messages[N];
	static char keys[N][16];
	struct kafka_spread spread = { 0 };
	size_t i;

	for (i = 0; i < N; i++) {
		snprintf(keys[i], sizeof keys[i], "schedule %zu", i % 300);
		messages[i].key = i % 7 == 0 ? TEXT_NONE : text_from(keys[i]);
	}
	for (i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		kafka_spread(&spread, messages, N / 2, counts[i]);
		check_spread(&spread, messages, N / 2);
		kafka_spread(&spread, messages, N, counts[i]);
		check_spread(&spread, messages, N);
	}
	kafka_spread(&spread, messages, 0, 6);
	check_spread(&spread, messages, 0);
	kafka_spread_finish(&spread);
}

/* Whatever its key. */
static void
pinned_goes_where_it_must(void)
{
	static const struct kafka_message messages[] = {
		{ .key = { "a", 1 }, .pinned = 3 },
		{ .pinned = 1 },
		{ .key = { "b", 1 }, .pinned = 3 },
	};
	struct kafka_spread spread = { 0 };

	kafka_spread(&spread, messages, 3, 3);
	CHECK(spread.stretches[0].end == 1 && spread.order[0] == 1);
	CHECK(spread.stretches[2].begin == 1 && spread.stretches[2].end == 3);
	CHECK(spread.order[1] == 0 && spread.order[2] == 2);
	kafka_spread_finish(&spread);
}

CU_TestInfo kafka_spread_tests[] = {
	{ "pinned goes where it must", pinned_goes_where_it_must },
	{ "spreads by partition, in order", spreads_by_partition },
	CU_TEST_INFO_NULL,
};
