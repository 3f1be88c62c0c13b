#include "common/kafka/places.h"

#include <string.h>

#include "tests/unit/check.h"

static void
finds_by_topic_and_partition(void)
{
	struct kafka_places places = { 0 };
	char topic[] = "a"; /* a copy is kept */
	int32_t i;

	for (i = 0; i < 100; i++)
		kafka_places_add(&places, topic, i, 10 * i);
	kafka_places_add(&places, "b", 3, 7);
	topic[0] = 'x';
	CHECK(places.n == 101);
	CHECK(kafka_places_find(&places, NULL, "a", 42)->next == 420);
	CHECK(kafka_places_find(&places, NULL, "b", 3)->next == 7);
	CHECK(kafka_places_find(&places, NULL, "a", 3)->next == 30);
	CHECK(kafka_places_find(&places, NULL, "b", 4) == NULL);
	CHECK(kafka_places_find(&places, NULL, "x", 3) == NULL);
	kafka_places_clear(&places);
	CHECK(kafka_places_find(&places, NULL, "a", 42) == NULL);
	kafka_places_finish(&places);
}

/* librdkafka's handle of a topic stands for its name once it was seen. */
static void
remembers_the_handle(void)
{
	static const int a, b;
	struct kafka_places places = { 0 };
	struct kafka_place *place;

	kafka_places_add(&places, "t", 0, 0);
	kafka_places_add(&places, "t", 1, 0);
	place = kafka_places_find(&places, &a, "t", 1);
	CHECK(place != NULL && place->partition == 1 && place->handle == &a);
	CHECK(kafka_places_find(&places, &a, "", 1) == place);
	CHECK(kafka_places_find(&places, &a, "", 0) == NULL);
	CHECK(kafka_places_find(&places, &b, "t", 1) == place);
	CHECK(place != NULL && place->handle == &b);
	kafka_places_finish(&places);
}

static void
takes_each_offset_once_and_in_order(void)
{
	static const struct {
		const char *name;
		int64_t offset;
		bool taken;
		int64_t next;
	} rows[] = {
		{ "the next", 10, true, 11 },
		{ "it again", 10, false, 11 },
		{ "one before", 5, false, 11 },
		{ "behind a gap", 20, true, 21 },
		{ "one of the gap", 15, false, 21 },
	};
	struct kafka_place place = { .next = 10 };
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK_ROW(rows[i].name,
		    kafka_place_accept(&place, rows[i].offset) ==
			    rows[i].taken &&
			place.next == rows[i].next);
}

/* Between the last record and the end are markers: they are passed. */
static void
goes_on_to_the_end(void)
{
	struct kafka_place place = { .next = 5 };

	CHECK(kafka_place_end(&place, 5) && place.next == 5);
	CHECK(kafka_place_accept(&place, 5));
	CHECK(kafka_place_end(&place, 7) && place.next == 7);
	CHECK(!kafka_place_end(&place, 6) && place.next == 7);
	CHECK(kafka_place_accept(&place, 7));
}

/*
 * An end that was told before reading went back: records that were read once
 * come again before it, and passing it would lose them.
 */
static void
believes_no_end_before_what_comes_again(void)
{
	struct kafka_place place = { .next = 0 };
	int64_t i;

	for (i = 0; i < 3; i++)
		kafka_place_accept(&place, i);
	place.next = 0; /* as a seek does */
	CHECK(!kafka_place_end(&place, 4) && place.next == 0);
	CHECK(kafka_place_accept(&place, 0));
	CHECK(!kafka_place_end(&place, 4) && place.next == 1);
	CHECK(kafka_place_accept(&place, 1) && kafka_place_accept(&place, 2));
	CHECK(kafka_place_end(&place, 4) && place.next == 4);
}

CU_TestInfo kafka_places_tests[] = {
	{ "finds by topic and partition", finds_by_topic_and_partition },
	{ "remembers the handle", remembers_the_handle },
	{ "takes each offset once and in order",
	    takes_each_offset_once_and_in_order },
	{ "goes on to the end", goes_on_to_the_end },
	{ "believes no end before what comes again",
	    believes_no_end_before_what_comes_again },
	CU_TEST_INFO_NULL,
};
