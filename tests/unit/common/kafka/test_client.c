#include "common/kafka/client.h"

#include <librdkafka/rdkafka.h>
#include <string.h>

#include "common/kafka/places.h"
#include "tests/unit/check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* From Kafka's own UtilsTest, and Java's partitions of 10 for some keys. */
static const struct {
	const char *key;
	int32_t hash; /* Java's, an int */
} hashes[] = {
	{ "21", -973932308 },
	{ "foobar", -790332482 },
	{ "a-little-bit-long-string", -985981536 },
	{ "a-little-bit-longer-string", -1486304829 },
	{ "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971 },
	{ "abc", 479470107 },
};

static void
places_keys_where_java_does(void)
{
	static const int32_t counts[] = { 1, 2, 6, 7, 12, 1000 };

	for (size_t i = 0; i < COUNT(hashes); i++)
		for (size_t j = 0; j < COUNT(counts); j++)
			CHECK_ROW(hashes[i].key,
			    kafka_partition_of(
				text_from(hashes[i].key), counts[j]) ==
				(hashes[i].hash & 0x7fffffff) % counts[j]);
	/* The whole hash, not just its remainders. */
	for (size_t i = 0; i < COUNT(hashes); i++)
		CHECK_ROW(hashes[i].key,
		    kafka_partition_of(text_from(hashes[i].key), INT32_MAX) ==
			(hashes[i].hash & 0x7fffffff) % INT32_MAX);
}

static const struct kafka_preset presets[] = {
	{ "acks", "all", true },
	{ "enable.auto.commit", "false", true },
	{ "linger.ms", "0", false },
	{ "socket.timeout.ms", "10000", false },
};

static const struct {
	const char *name;
	struct config_property users[3];
	size_t n_users;
	const char *looked_up, *value; /* NULL: is not in the result */
} merges[] = {
	{ "a preset", { { NULL, NULL } }, 0, "linger.ms", "0" },
	{ "the user's own", { { "debug", "eos" } }, 1, "debug", "eos" },
	{ "over a default", { { "linger.ms", "7" } }, 1, "linger.ms", "7" },
	{ "the last of a name", { { "debug", "a" }, { "debug", "b" } }, 2,
	    "debug", "b" },
	{ "an alias over a default", { { "queue.buffering.max.ms", "7" } }, 1,
	    "linger.ms", NULL },
	{ "a fixed one repeated", { { "acks", "ALL" } }, 1, "acks", "all" },
	{ "a fixed one in other words", { { "request.required.acks", "-1" } },
	    1, "acks", "all" },
	{ "a fixed one, not doubled", { { "request.required.acks", "-1" } }, 1,
	    "request.required.acks", NULL },
	{ "a switch in other words", { { "enable.auto.commit", "0" } }, 1,
	    "enable.auto.commit", "false" },
	{ "a fixed one changed", { { "acks", "1" } }, 1, NULL, NULL },
	{ "a fixed one changed by alias", { { "request.required.acks", "1" } },
	    1, NULL, NULL },
	{ "a switch changed", { { "enable.auto.commit", "true" } }, 1, NULL,
	    NULL },
	{ "changed, then repeated",
	    { { "acks", "1" }, { "debug", "x" }, { "acks", "all" } }, 3, "acks",
	    "all" },
};

static const char *
look_up(const struct config_property *all, size_t n, const char *name)
{
	const char *value = NULL;
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i].name, name) == 0) {
			value = all[i].value;
			found++;
		}
	return found <= 1 ? value : "twice";
}

static void
merges_settings(void)
{
	for (size_t i = 0; i < COUNT(merges); i++) {
		struct config_property out[COUNT(presets) + 3];
		struct error err = { 0 };
		const char *value;
		int rc = kafka_settings_merge(presets, COUNT(presets),
		    merges[i].users, merges[i].n_users, out, &err);
		if (merges[i].looked_up == NULL) {
			CHECK_ROW(merges[i].name, rc == -1);
			CHECK_ROW(merges[i].name,
			    err.kind == ERROR_FATAL && err.exit_code == 78);
			continue;
		}
		CHECK_ROW(merges[i].name, rc > 0);
		value = look_up(out, (size_t)rc, merges[i].looked_up);
		CHECK_ROW(merges[i].name,
		    merges[i].value == NULL
			? value == NULL
			: value != NULL && strcmp(value, merges[i].value) == 0);
	}
}

static void
names_no_value(void)
{
	struct config_property users = { "acks", "s3cret" };
	struct config_property out[COUNT(presets) + 1];
	struct error err = { 0 };

	CHECK(kafka_settings_merge(
		  presets, COUNT(presets), &users, 1, out, &err) == -1);
	CHECK(strstr(err.message, "s3cret") == NULL);
	CHECK(strstr(err.message, "acks") != NULL);
}

static void
tells_its_health(void)
{
	struct kafka_health *health = kafka_health_create();
	struct kafka_client client = { .health = health };
	struct kafka_state state;

	REQUIRE(health != NULL);
	kafka_health_read(health, 10000, &state);
	CHECK(!state.up);
	CHECK(strcmp(state.reason, "no answer yet") == 0);
	kafka_client_answered(&client);
	kafka_health_read(health, 10000, &state);
	CHECK(state.up);
	CHECK(state.reason[0] == '\0');
	kafka_health_read(health, -1, &state);
	CHECK(!state.up);
	CHECK(strncmp(state.reason, "no answer for ", 14) == 0);
	kafka_health_destroy(health);
}

static void
reads_each_record_once(void)
{
	struct kafka_places places = { 0 };
	struct kafka_place *place;
	int handle;

	for (int32_t i = 0; i < 40; i++)
		kafka_places_add(&places, i < 20 ? "a" : "b", i % 20, 100);
	place = kafka_places_find(&places, NULL, "b", 7);
	REQUIRE(place != NULL);
	CHECK(strcmp(place->topic, "b") == 0 && place->partition == 7);
	CHECK(kafka_place_accept(place, 100));
	CHECK(!kafka_place_accept(place, 100));
	CHECK(!kafka_place_accept(place, 7));
	CHECK(kafka_place_accept(place, 105)); /* a log may have gaps */
	CHECK(!kafka_place_accept(place, 104));
	CHECK(kafka_places_find(&places, &handle, "a", 7)->next == 100);
	CHECK(kafka_places_find(&places, &handle, "a", 7)->handle == &handle);
	CHECK(kafka_places_find(&places, NULL, "a", 20) == NULL);
	CHECK(kafka_places_find(&places, NULL, "c", 0) == NULL);
	kafka_places_finish(&places);
	CHECK(kafka_places_find(&places, NULL, "a", 7) == NULL);
}

/* A preset for newer librdkafka is no fault with an older one. */
static void
a_preset_that_is_unknown_is_left_out(void)
{
	const struct kafka_settings settings = { .config = NULL };
	struct kafka_client client = { .fatal = false };
	struct error err = { 0 };
	rd_kafka_conf_t *conf = kafka_client_conf(
	    &client, &settings, CONFIG_CONSUMER, NULL, 0, &err);
	char value[16] = "";
	size_t size = sizeof value;

	REQUIRE(conf != NULL);
	CHECK(rd_kafka_conf_get(conf, "metadata.recovery.strategy", value,
		  &size) == RD_KAFKA_CONF_UNKNOWN ||
	    strcmp(value, "none") == 0);
	rd_kafka_conf_destroy(conf);
}

/* Where the cache forgets wrongly, it forgets soon; else it is left alone. */
static void
a_preset_for_a_fault_ends_with_it(void)
{
	const bool is_faulty =
	    rd_kafka_version() >= 0x02040000 && rd_kafka_version() < 0x020a0000;
	const struct kafka_settings settings = { .config = NULL };
	struct kafka_client client = { .fatal = false };
	struct error err = { 0 };
	rd_kafka_conf_t *conf = kafka_client_conf(
	    &client, &settings, CONFIG_PRODUCER, NULL, 0, &err);
	char value[16] = "";
	size_t size = sizeof value;

	REQUIRE(conf != NULL);
	CHECK(rd_kafka_conf_get(conf, "metadata.max.age.ms", value, &size) ==
	    RD_KAFKA_CONF_OK);
	CHECK((strcmp(value, "100") == 0) == is_faulty);
	rd_kafka_conf_destroy(conf);
}

CU_TestInfo kafka_client_tests[] = {
	{ "places keys where Java does", places_keys_where_java_does },
	{ "merges settings", merges_settings },
	{ "names no value of a setting", names_no_value },
	{ "tells its health", tells_its_health },
	{ "reads each record once", reads_each_record_once },
	{ "a preset of newer versions", a_preset_that_is_unknown_is_left_out },
	{ "a preset for a fault", a_preset_for_a_fault_ends_with_it },
	CU_TEST_INFO_NULL,
};
