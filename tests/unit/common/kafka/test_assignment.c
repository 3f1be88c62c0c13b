#include "common/kafka/assignment.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/group.h"
#include "tests/unit/check.h"

/* Against librdkafka's own cluster, in this process. */
#define TOPIC "t"
#define PARTITIONS 2
#define TRY_MAX_MS 10000
#define OFFSET_FETCH 9 /* the request's number in Kafka's protocol */

struct site {
	struct kafka_client client; /* first: librdkafka's opaque */
	rd_kafka_t *handle;
	rd_kafka_mock_cluster_t *cluster;
	struct kafka_assignment assignment;
	/* What was told. */
	int refuse; /* so many questions */
	size_t asked, revoked, moved;
	bool lost;
	int64_t committed, offset;
	int64_t wanted; /* the answer, if it is not 0 */
};

static int
on_assigned(void *opaque, struct kafka_position *positions, size_t n)
{
	struct site *site = opaque;

	site->asked = n;
	site->committed = positions[1].committed;
	if (site->refuse-- > 0)
		return -1;
	if (site->wanted != 0)
		positions[1].offset = site->wanted;
	return 0;
}

static void
on_revoked(void *opaque, bool lost)
{
	struct site *site = opaque;

	site->revoked++;
	site->lost = lost;
}

static void
on_moved(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct site *site = opaque;

	(void)topic;
	(void)partition;
	site->moved++;
	site->offset = offset;
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[200];

	REQUIRE(rd_kafka_conf_set(conf, name, value, text, sizeof text) ==
	    RD_KAFKA_CONF_OK);
}

static void
open_site(struct site *site)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[200];

	log_set_level(LOG_ERROR);
	memset(site, 0, sizeof *site);
	set(conf, "test.mock.num.brokers", "1");
	set(conf, "group.id", "g");
	set(conf, "enable.auto.commit", "false");
	set(conf, "log_level", "0");
	rd_kafka_conf_set_opaque(conf, site);
	site->handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
	REQUIRE(site->handle != NULL);
	site->cluster = rd_kafka_handle_mock_cluster(site->handle);
	rd_kafka_mock_topic_create(site->cluster, TOPIC, PARTITIONS, 1);
	site->assignment = (struct kafka_assignment){
		.client = &site->client,
		.handle = site->handle,
		.group = memory_copy_string("g"),
		.events = { .assigned = on_assigned,
		    .revoked = on_revoked,
		    .moved = on_moved,
		    .opaque = site },
	};
}

static void
close_site(struct site *site)
{
	rd_kafka_assign(site->handle, NULL);
	kafka_assignment_finish(&site->assignment);
	rd_kafka_destroy(site->handle);
	log_set_level(LOG_INFO);
}

/* The group gives both partitions. */
static void
assign(struct site *site)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new(PARTITIONS);
	int32_t i;

	for (i = 0; i < PARTITIONS; i++)
		rd_kafka_topic_partition_list_add(list, TOPIC, i);
	kafka_assignment_rebalance(
	    &site->assignment, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, list);
	rd_kafka_topic_partition_list_destroy(list);
}

/* Tries as poll does, until it is done or nothing more is to be hoped for. */
static int
settle(struct site *site, struct error *err)
{
	int64_t until = clock_monotonic_ms() + TRY_MAX_MS;
	int rc;

	while ((rc = kafka_assignment_settle(&site->assignment, err)) != 0 &&
	    err->kind == ERROR_RETRY && clock_monotonic_ms() < until)
		;
	return rc;
}

static int64_t
next_of(struct site *site, int32_t partition)
{
	struct kafka_place *place =
	    kafka_places_find(&site->assignment.places, NULL, TOPIC, partition);

	return place != NULL ? place->next : -1;
}

static void
reads_from_where_the_user_says(void)
{
	struct site site;
	struct error err = { 0 };

	open_site(&site);
	site.wanted = 7;
	assign(&site);
	CHECK(settle(&site, &err) == 0);
	CHECK(site.assignment.joined && site.assignment.pending == NULL);
	CHECK(site.asked == PARTITIONS && site.committed == -1);
	CHECK(next_of(&site, 0) == 0 && next_of(&site, 1) == 7);
	close_site(&site);
}

/* What is refused, or not known yet, is asked again; nothing is read. */
static void
waits_until_it_is_known_where_to_read(void)
{
	struct site site;
	struct error err = { 0 };

	open_site(&site);
	site.refuse = INT32_MAX;
	assign(&site);
	CHECK(!site.assignment.joined && site.assignment.pending != NULL);
	CHECK(kafka_assignment_settle(&site.assignment, &err) == -1);
	CHECK(err.kind == ERROR_RETRY && site.assignment.places.n == 0);
	site.refuse = 0;
	CHECK(settle(&site, &err) == 0);
	CHECK(site.assignment.joined && next_of(&site, 1) == 0);
	close_site(&site);
}

/* "None is committed" must never be what an error is taken for. */
static void
takes_no_error_for_nothing_committed(void)
{
	struct site site;
	struct error err = { 0 };
	size_t i;

	open_site(&site);
	assign(&site);
	CHECK(settle(&site, &err) == 0);
	site.asked = 0;
	for (i = 0; i < 20; i++)
		rd_kafka_mock_push_request_errors(site.cluster, OFFSET_FETCH, 1,
		    RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT);
	assign(&site);
	CHECK(site.asked == 0 && site.assignment.pending != NULL);
	rd_kafka_mock_clear_request_errors(site.cluster, OFFSET_FETCH);
	CHECK(settle(&site, &err) == 0);
	CHECK(site.asked == PARTITIONS);
	close_site(&site);
}

static void
tells_of_a_revocation_once(void)
{
	struct site site;
	struct error err = { 0 };

	open_site(&site);
	assign(&site);
	CHECK(settle(&site, &err) == 0);
	kafka_assignment_rebalance(
	    &site.assignment, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, NULL);
	CHECK(site.revoked == 1 && !site.lost);
	CHECK(!site.assignment.joined && site.assignment.places.n == 0);
	CHECK(site.assignment.generation == NULL);
	/* One that never came into force is nobody's to give up. */
	site.refuse = INT32_MAX;
	assign(&site);
	kafka_assignment_rebalance(
	    &site.assignment, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, NULL);
	CHECK(site.revoked == 1 && site.assignment.pending == NULL);
	close_site(&site);
}

static void
seeks_only_in_what_is_assigned(void)
{
	struct site site;
	struct error err = { 0 };

	open_site(&site);
	CHECK(kafka_assignment_seek(&site.assignment, TOPIC,
		  (struct kafka_offset){ 0, 3 }, 1000, &err) == -1);
	CHECK(err.kind == ERROR_ABORT);
	assign(&site);
	CHECK(settle(&site, &err) == 0);
	CHECK(kafka_assignment_seek(&site.assignment, TOPIC,
		  (struct kafka_offset){ 0, 3 }, TRY_MAX_MS, &err) == 0);
	CHECK(next_of(&site, 0) == 3);
	close_site(&site);
}

/* Ten records into partition 0 of the mock's topic. */
static void
fill_topic(struct site *site)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *producer;
	char text[200], value[] = "v";
	int i;

	set(conf, "bootstrap.servers",
	    rd_kafka_mock_cluster_bootstraps(site->cluster));
	set(conf, "log_level", "0");
	producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	REQUIRE(producer != NULL);
	for (i = 0; i < 10; i++)
		rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(TOPIC),
		    RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_VALUE(value, 1),
		    RD_KAFKA_V_END);
	rd_kafka_flush(producer, TRY_MAX_MS);
	rd_kafka_destroy(producer);
}

/* The offset of the next record of partition 0; -1: none within `ms`. */
static int64_t
read_next(struct site *site, int ms)
{
	rd_kafka_message_t *message = rd_kafka_consumer_poll(site->handle, ms);
	int64_t offset = -1;

	if (message == NULL)
		return -1;
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		offset = message->offset;
		kafka_place_accept(
		    kafka_places_find(&site->assignment.places, NULL, TOPIC, 0),
		    offset);
	}
	rd_kafka_message_destroy(message);
	return offset;
}

/* Neither a hold nor a pause of all loses a place that was gone back to. */
static void
holds_a_place_by_itself(void)
{
	const struct kafka_offset back = { 0, 1 };
	struct site site;
	struct error err = { 0 };
	struct kafka_assignment *one = &site.assignment;

	open_site(&site);
	CHECK(kafka_assignment_hold(one, TOPIC, 0, true, &err) == -1);
	CHECK(err.kind == ERROR_ABORT);
	assign(&site);
	CHECK(settle(&site, &err) == 0);
	CHECK(kafka_assignment_seek(one, TOPIC, (struct kafka_offset){ 0, 0 },
		  TRY_MAX_MS, &err) == 0);
	fill_topic(&site);
	CHECK(read_next(&site, TRY_MAX_MS) == 0);
	CHECK(read_next(&site, TRY_MAX_MS) == 1);
	CHECK(read_next(&site, TRY_MAX_MS) == 2);
	CHECK(kafka_assignment_hold(one, TOPIC, 0, true, &err) == 0);
	CHECK(kafka_assignment_seek(one, TOPIC, back, TRY_MAX_MS, &err) == 0);
	CHECK(read_next(&site, 100) == -1);
	CHECK(kafka_assignment_pause(one, true, &err) == 0);
	CHECK(kafka_assignment_pause(one, false, &err) == 0);
	CHECK(read_next(&site, 100) == -1); /* others are resumed, not it */
	CHECK(kafka_assignment_hold(one, TOPIC, 0, false, &err) == 0);
	/* Paused with all before its record came. */
	CHECK(kafka_assignment_pause(one, true, &err) == 0);
	CHECK(kafka_assignment_pause(one, false, &err) == 0);
	CHECK(read_next(&site, TRY_MAX_MS) == 1);
	CHECK(read_next(&site, TRY_MAX_MS) == 2);
	close_site(&site);
}

/* A place that the log has not: its records are gone, or it is another log. */
static void
finds_out_why_a_place_is_gone(void)
{
	struct site site;
	struct error err = { 0 };
	struct kafka_place *place;

	open_site(&site);
	assign(&site);
	CHECK(settle(&site, &err) == 0);
	place = kafka_places_find(&site.assignment.places, NULL, TOPIC, 1);
	CHECK(kafka_assignment_unstick(&site.assignment, &err) == 0);
	CHECK(site.moved == 0);

	place->next = 100; /* behind the end */
	place->stuck = true;
	CHECK(kafka_assignment_unstick(&site.assignment, &err) == 0);
	CHECK(site.moved == 1 && site.offset == 0 && next_of(&site, 1) == 0);

	place = kafka_places_find(&site.assignment.places, NULL, TOPIC, 1);
	place->next = -5; /* before the start: as if retention had taken five */
	place->stuck = true;
	CHECK(kafka_assignment_unstick(&site.assignment, &err) == -1);
	CHECK(err.kind == ERROR_FATAL && err.exit_code == 65);
	CHECK(strstr(err.message, "-5..-1 are gone: 5 requests") != NULL);
	site.assignment.accept_loss = true;
	CHECK(kafka_assignment_unstick(&site.assignment, &err) == 0);
	CHECK(site.moved == 2 && next_of(&site, 1) == 0);
	close_site(&site);
}

CU_TestInfo kafka_assignment_tests[] = {
	{ "reads from where the user says", reads_from_where_the_user_says },
	{ "waits until it is known where to read",
	    waits_until_it_is_known_where_to_read },
	{ "takes no error for nothing committed",
	    takes_no_error_for_nothing_committed },
	{ "tells of a revocation once", tells_of_a_revocation_once },
	{ "seeks only in what is assigned", seeks_only_in_what_is_assigned },
	{ "holds a place by itself", holds_a_place_by_itself },
	{ "finds out why a place is gone", finds_out_why_a_place_is_gone },
	CU_TEST_INFO_NULL,
};
