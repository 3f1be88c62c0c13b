#include "producer/runs/fold_places.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/unit/check.h"
#include "tests/unit/scripted_redis.h"
#include "tests/unit/settings.h"

#define CALL_MS 10000

/*
 * Two partitions of a topic on librdkafka's own broker of a test, and a Redis
 * that says what their `f` is.
 */
struct scene {
	struct scripted_redis script;
	struct keyspace *keyspace;
	struct run_view view;
	rd_kafka_t *broker;
	struct config *config;
	struct kafka_consumer *consumer;
	struct fold_places places;
};

/* Its topic is made: newer ones don't invent what they are asked for. */
static void
start_broker(struct scene *scene)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_mock_cluster_t *cluster;
	struct error err = { 0 };
	char text[512];

	REQUIRE(rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", text,
		    sizeof text) == RD_KAFKA_CONF_OK);
	rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
	scene->broker =
	    rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	REQUIRE(scene->broker != NULL);
	cluster = rd_kafka_handle_mock_cluster(scene->broker);
	rd_kafka_mock_topic_create(cluster, "t", 2, 1);
	snprintf(text, sizeof text, "kafka.bootstrap.servers = %s\n",
	    rd_kafka_mock_cluster_bootstraps(cluster));
	scene->config = settings_load(text, &err);
	REQUIRE(scene->config != NULL);
}

static void
begin(struct scene *scene)
{
	static const struct kafka_start starts[] = {
		{ "t", 0, KAFKA_FROM_OFFSET, 0 },
		{ "t", 1, KAFKA_FROM_OFFSET, 0 },
	};
	struct error err = { 0 };

	memset(scene, 0, sizeof *scene);
	scripted_redis_open(&scene->script);
	scene->keyspace = keyspace_create("p:");
	run_view_init(&scene->view, scene->script.redis, scene->keyspace, 1000);
	start_broker(scene);
	scene->consumer = kafka_consumer_create(
	    &(struct kafka_consumer_options){
		.settings = { .config = scene->config } },
	    &err);
	REQUIRE(scene->consumer != NULL);
	REQUIRE(kafka_consumer_assign(
		    scene->consumer, starts, 2, CALL_MS, &err) == 0);
}

static void
end(struct scene *scene)
{
	fold_places_finish(&scene->places);
	kafka_consumer_close(scene->consumer, CALL_MS);
	rd_kafka_destroy(scene->broker);
	config_destroy(scene->config);
	keyspace_destroy(scene->keyspace);
	scripted_redis_close(&scene->script);
}

/* The group hands both partitions over, while `f` is 100 and 200. */
static void
assign(struct scene *scene, struct kafka_position positions[2])
{
	struct error err = { 0 };

	positions[0] = (struct kafka_position){ "t", 0, 0, -1 };
	positions[1] = (struct kafka_position){ "t", 1, 0, -1 };
	SAY(&scene->script, "$3\r\n100\r\n$3\r\n200\r\n");
	REQUIRE(fold_places_assign(&scene->places, &scene->view,
		    scene->consumer, positions, 2, &err) == 0);
}

static void
reads_on_behind_f(void)
{
	struct kafka_position positions[2];
	struct fold_place *place;
	struct heard heard;
	struct scene scene;

	begin(&scene);
	assign(&scene, positions);
	heard = scripted_redis_heard(&scene.script);
	CHECK(heard_is(&heard, "GET p:f:t:0"));
	heard = scripted_redis_heard(&scene.script);
	CHECK(heard_is(&heard, "GET p:f:t:1"));
	CHECK(positions[0].offset == 100 && positions[1].offset == 200);
	CHECK(scene.places.n == 2 && !scene.places.unsettled);
	place = fold_places_find(&scene.places, "t", 1);
	CHECK(place != NULL && place->folded == 200 && place->restart_at == -1);
	CHECK(fold_places_find(&scene.places, "t", 2) == NULL);
	CHECK(fold_places_find(&scene.places, "other", 1) == NULL);
	end(&scene);
}

/* Without an `f` the view's time begins somewhere: Kafka is asked. */
static void
begins_where_the_view_does(void)
{
	struct kafka_position positions[] = { { "t", 0, 0, -1 } };
	struct error err = { 0 };
	struct scene scene;

	begin(&scene);
	SAY(&scene.script, "$-1\r\n");
	CHECK(fold_places_assign(&scene.places, &scene.view, scene.consumer,
		  positions, 1, &err) == 0);
	CHECK(positions[0].offset == 0); /* an empty log */
	CHECK(scene.places.at[0].folded == -1);
	end(&scene);
}

static void
keeps_what_it_has_without_redis(void)
{
	struct kafka_position positions[2];
	struct error err = { 0 };
	struct scene scene;

	begin(&scene);
	assign(&scene, positions);
	SAY(&scene.script, "$3\r\n150\r\n-ERR no\r\n");
	CHECK(fold_places_assign(&scene.places, &scene.view, scene.consumer,
		  positions, 2, &err) == -1);
	CHECK(scene.places.n == 2 && scene.places.at[0].folded == 100);
	end(&scene);
}

/* An `f` that is lower, or gone, is a view that has lost something. */
static void
notices_what_was_lost(void)
{
	static const struct {
		const char *name, *answer;
		bool unsettled;
	} rows[] = {
		{ "as it was", "$3\r\n100\r\n$3\r\n200\r\n", false },
		{ "further", "$3\r\n101\r\n$3\r\n201\r\n", false },
		{ "lower", "$3\r\n100\r\n$3\r\n199\r\n", true },
		{ "gone", "$-1\r\n$3\r\n200\r\n", true },
		{ "no number", "$3\r\n100\r\n$2\r\nxx\r\n", true },
	};
	struct kafka_position positions[2];
	struct error err = { 0 };
	struct scene scene;
	size_t i;

	begin(&scene);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assign(&scene, positions);
		scripted_redis_say(&scene.script, text_from(rows[i].answer));
		CHECK_ROW(rows[i].name,
		    fold_places_look(&scene.places, &scene.view, &err) == 0);
		CHECK_ROW(
		    rows[i].name, scene.places.unsettled == rows[i].unsettled);
		CHECK_ROW(rows[i].name, scene.places.at[1].folded == 200);
	}
	end(&scene);
}

/* Where the log begins anew `f` is set back before it is believed. */
static void
settles_where_f_says(void)
{
	struct kafka_position positions[2];
	struct error err = { 0 };
	struct heard heard;
	struct scene scene;
	int i;

	begin(&scene);
	assign(&scene, positions);
	for (i = 0; i < 2; i++)
		heard = scripted_redis_heard(&scene.script);
	scene.places.unsettled = true;
	scene.places.at[0].restart_at = 7;
	scene.places.at[0].end = 100;
	scene.places.at[1].last_ms = 5;
	SAY(&scene.script, "+OK\r\n$1\r\n7\r\n$3\r\n180\r\n");
	CHECK(fold_places_settle(
		  &scene.places, &scene.view, scene.consumer, &err) == 0);
	heard = scripted_redis_heard(&scene.script);
	CHECK(heard_is(&heard, "SET p:f:t:0 7"));
	CHECK(!scene.places.unsettled);
	CHECK(scene.places.at[0].folded == 7);
	CHECK(scene.places.at[0].restart_at == -1);
	CHECK(scene.places.at[0].end == -1); /* not known any more */
	CHECK(scene.places.at[1].folded == 180);
	CHECK(scene.places.at[1].last_ms == 0);
	end(&scene);
}

static void
stays_unsettled_without_redis(void)
{
	struct kafka_position positions[2];
	struct error err = { 0 };
	struct scene scene;

	begin(&scene);
	assign(&scene, positions);
	scene.places.unsettled = true;
	scene.places.at[0].restart_at = 7;
	SAY(&scene.script, "-ERR no\r\n");
	CHECK(fold_places_settle(
		  &scene.places, &scene.view, scene.consumer, &err) == -1);
	CHECK(scene.places.unsettled);
	CHECK(scene.places.at[0].restart_at == 7);
	CHECK(scene.places.at[0].folded == 100);
	/* `f` is set back; where it stands is to be asked again. */
	SAY(&scene.script, "+OK\r\n-ERR no\r\n");
	CHECK(fold_places_settle(
		  &scene.places, &scene.view, scene.consumer, &err) == -1);
	CHECK(scene.places.unsettled);
	CHECK(scene.places.at[0].restart_at == -1);
	CHECK(scene.places.at[0].folded == 7);
	end(&scene);
}

/* At its end no partition is behind, however old its last record. */
static void
knows_who_is_behind(void)
{
	struct kafka_position positions[2];
	struct fold_place *place;
	struct scene scene;

	begin(&scene);
	assign(&scene, positions);
	scene.places.at[0].end = 100;
	place = &scene.places.at[1];
	place->end = 199; /* and one has come since */
	CHECK(fold_place_is_at_end(&scene.places.at[0]));
	CHECK(!fold_place_is_at_end(place));
	CHECK(fold_places_behind(&scene.places, 1000) == place);
	place->last_ms = clock_wall_ms();
	CHECK(fold_places_behind(&scene.places, INT32_MAX) == NULL);
	place->end = 200;
	place->last_ms = 0;
	CHECK(fold_places_behind(&scene.places, 1000) == NULL);
	end(&scene);
}

CU_TestInfo fold_places_tests[] = {
	{ "reads on behind f", reads_on_behind_f },
	{ "begins where the view does", begins_where_the_view_does },
	{ "keeps what it has without Redis", keeps_what_it_has_without_redis },
	{ "notices what was lost", notices_what_was_lost },
	{ "settles where f says", settles_where_f_says },
	{ "stays unsettled without Redis", stays_unsettled_without_redis },
	{ "knows who is behind", knows_who_is_behind },
	CU_TEST_INFO_NULL,
};
