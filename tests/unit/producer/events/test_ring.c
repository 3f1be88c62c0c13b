#define _GNU_SOURCE
#include "producer/events/ring.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/check.h"

static struct result_event *
make_event(int32_t partition, int64_t offset)
{
	struct schedule_run record = {
		.request_id = TEXT("r"),
		.schedule_rid = TEXT("ri.scheduler.main.schedule.s"),
		.created_by = TEXT("f05f8da4-b84c-4fca-9c77-8af0b13d11de"),
		.state = RUN_FAILED,
		.error = CYCLIC_DEPENDENCY,
		.description = TEXT("a \"line\"\nand another"),
		.partition = partition,
		.offset = offset,
	};

	return result_event_create(&record);
}

static void
keeps_the_last_ones(void)
{
	struct event_ring *ring = event_ring_create(20000);
	struct event_position start = { 0 };
	int64_t offset;
	uint64_t i;

	event_position_pass(&start, 1, 100);
	event_ring_restart(ring, &start);
	for (offset = 100; offset < 1100; offset++)
		event_ring_append(ring, make_event(1, offset));
	CHECK(event_ring_end(ring) == 1001);
	CHECK(event_ring_first(ring) > 900);
	for (i = event_ring_first(ring); i < event_ring_end(ring); i++)
		CHECK(event_ring_at(ring, i)->record.offset == 99 + (int64_t)i);
	/* Who stands at its start misses nothing. */
	CHECK(event_ring_start(ring)->next[1] ==
	    event_ring_at(ring, event_ring_first(ring))->record.offset);
	CHECK(event_ring_head(ring)->next[1] == 1100);
	event_ring_pass(ring, 1, 1102);
	CHECK(event_ring_head(ring)->next[1] == 1102);
	event_position_finish(&start);
	event_ring_destroy(ring);
}

/* Who is at an event has seen what is before it, and has the rest before him.
 */
static void
knows_places_and_sizes(void)
{
	struct event_ring *ring = event_ring_create(20000);
	struct event_position start = { 0 }, place = { 0 };
	size_t size;
	uint64_t i;

	CHECK(event_ring_bytes(ring, 1) == 0);
	event_position_pass(&start, 1, 100);
	event_ring_restart(ring, &start);
	event_ring_append(ring, make_event(1, 100));
	size = event_ring_bytes(ring, 1);
	CHECK(size > 200 && size < 2000);
	for (i = 1; i < 1000; i++)
		event_ring_append(ring, make_event(1, 100 + (int64_t)i));
	for (i = event_ring_first(ring); i < event_ring_end(ring); i++) {
		event_ring_position(ring, i, &place);
		CHECK(place.n == 2 && place.next[1] == 99 + (int64_t)i);
		CHECK(event_ring_bytes(ring, i) ==
		    size * (event_ring_end(ring) - i));
	}
	CHECK(event_ring_bytes(ring, event_ring_end(ring)) == 0);
	CHECK(event_ring_bytes(ring, 1) ==
	    event_ring_bytes(ring, event_ring_first(ring)));
	event_position_finish(&start);
	event_position_finish(&place);
	event_ring_destroy(ring);
}

static void
writes_an_event_once_for_each_profile(void)
{
	struct event_ring *ring = event_ring_create(100000);
	struct text doc, upper;

	event_ring_append(ring, make_event(0, 7));
	event_ring_append(ring, make_event(1, 3));
	doc = event_ring_text(ring, 2, PROFILE_DOC);
	upper = event_ring_text(ring, 2, PROFILE_GA_UPPER);
	CHECK(text_starts_with(
	    doc, TEXT("id: AQIIBA\nevent: scheduleRun\ndata: {\"rid\":")));
	CHECK(memmem(doc.at, doc.size, "CyclicDependency", 16) != NULL);
	CHECK(memmem(upper.at, upper.size, "CYCLICDEPENDENCY", 16) != NULL);
	CHECK(memmem(doc.at, doc.size - 2, "\n\n", 2) == NULL);
	CHECK(memcmp(doc.at + doc.size - 3, "}\n\n", 3) == 0);
	CHECK(event_ring_text(ring, 2, PROFILE_DOC).at == doc.at);
	event_ring_destroy(ring);
}

CU_TestInfo event_ring_tests[] = {
	{ "keeps the last ones", keeps_the_last_ones },
	{ "knows places and sizes", knows_places_and_sizes },
	{ "writes an event once for each profile",
	    writes_an_event_once_for_each_profile },
	CU_TEST_INFO_NULL,
};
