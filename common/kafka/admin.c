#include "common/kafka/admin.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/kafka/admin_request.h"
#include "common/kafka/workarounds.h"

struct kafka_admin *
kafka_admin_create(
    const struct kafka_settings *settings, int timeout_ms, struct error *err)
{
	static const struct kafka_preset group = { "group.id", KAFKA_NO_GROUP,
		false };
	struct kafka_admin *admin = memory_zalloc(1, sizeof *admin);

	admin->settings = *settings;
	admin->timeout_ms = timeout_ms;
	admin->client.strict_credentials = true;
	admin->handle =
	    kafka_client_open(kafka_client_conf(&admin->client, settings,
				  CONFIG_CONSUMER, &group, 1, err),
		RD_KAFKA_CONSUMER, "admin client", err);
	if (admin->handle == NULL) {
		free(admin);
		return NULL;
	}
	admin->answers = rd_kafka_queue_new(admin->handle);
	return admin;
}

void
kafka_admin_destroy(struct kafka_admin *admin)
{
	if (admin == NULL)
		return;
	rd_kafka_queue_destroy(admin->answers);
	if (kafka_client_destroy_handle(admin->handle, 5000) == 0)
		free(admin);
}

/* Cluster ---------------------------------------------------------------- */

const char *
kafka_admin_cluster_id(
    struct kafka_admin *admin, struct arena *arena, struct error *err)
{
	char *id = rd_kafka_clusterid(admin->handle, admin->timeout_ms);
	const char *copy;

	if (id == NULL) {
		kafka_admin_fail(admin, RD_KAFKA_RESP_ERR__TIMED_OUT, err,
		    "ask for the cluster's id", NULL);
		return NULL;
	}
	kafka_client_answered(&admin->client);
	copy = text_copy(arena, text_from(id)).at;
	rd_kafka_mem_free(admin->handle, id);
	return copy;
}

static const struct rd_kafka_metadata *
read_metadata(struct kafka_admin *admin, const char *topic, int timeout_ms,
    struct error *err)
{
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_topic_t *only = NULL;
	rd_kafka_resp_err_t code;

	if (topic != NULL)
		only = rd_kafka_topic_new(admin->handle, topic, NULL);
	code = rd_kafka_metadata(admin->handle, 0, only, &metadata, timeout_ms);
	if (only != NULL)
		rd_kafka_topic_destroy(only);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_admin_fail(admin, code, err, "ask for metadata", NULL);
		return NULL;
	}
	kafka_client_answered(&admin->client);
	return metadata;
}

int
kafka_admin_brokers(struct kafka_admin *admin, struct error *err)
{
	const struct rd_kafka_metadata *metadata =
	    read_metadata(admin, NULL, admin->timeout_ms, err);
	int n;

	if (metadata == NULL)
		return -1;
	n = metadata->broker_cnt;
	rd_kafka_metadata_destroy(metadata);
	return n;
}

/* Topics ----------------------------------------------------------------- */

static int
describe_partitions(struct kafka_admin *admin, struct kafka_topic *topic,
    int timeout_ms, struct error *err)
{
	const struct rd_kafka_metadata *metadata =
	    read_metadata(admin, topic->name, timeout_ms, err);
	const struct rd_kafka_metadata_topic *at;
	int rc = 0;
	int i;

	if (metadata == NULL)
		return -1;
	at = &metadata->topics[0];
	topic->partitions = 0;
	topic->replication = 0;
	if (metadata->topic_cnt != 1)
		rc = error_set(
		    err, ERROR_RETRY, "no metadata of topic %s", topic->name);
	else if (at->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		topic->partitions = at->partition_cnt;
	else if (at->err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		rc = kafka_admin_fail(admin, at->err, err, topic->name, NULL);
	for (i = 0; rc == 0 && i < topic->partitions; i++)
		if (i == 0 ||
		    at->partitions[i].replica_cnt < topic->replication)
			topic->replication = at->partitions[i].replica_cnt;
	rd_kafka_metadata_destroy(metadata);
	return rc;
}

/* -1: none, or one below 0. */
static int64_t
number_of(const char *value)
{
	int64_t number;

	return text_to_number(text_from(value), INT64_MAX, &number) ? number
								    : -1;
}

static void
note_config(struct kafka_topic *topic, const char *name, const char *value)
{
	if (value == NULL)
		return;
	if (strcmp(name, "max.message.bytes") == 0)
		topic->max_message_bytes = number_of(value);
	else if (strcmp(name, "min.insync.replicas") == 0)
		topic->min_insync_replicas = number_of(value);
	else if (strcmp(name, "retention.ms") == 0)
		topic->retention_ms = number_of(value);
	else if (strcmp(name, "cleanup.policy") == 0)
		snprintf(topic->cleanup_policy, sizeof topic->cleanup_policy,
		    "%s", value);
	else if (strcmp(name, "message.timestamp.type") == 0)
		snprintf(topic->timestamp_type, sizeof topic->timestamp_type,
		    "%s", value);
}

static void
note_resource(struct kafka_topic *topics, size_t n,
    const rd_kafka_ConfigResource_t *resource)
{
	const char *name = rd_kafka_ConfigResource_name(resource);
	const rd_kafka_ConfigEntry_t **entries;
	size_t count;
	size_t i, j;

	if (rd_kafka_ConfigResource_error(resource) !=
	    RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	entries = rd_kafka_ConfigResource_configs(resource, &count);
	for (i = 0; i < n; i++) {
		if (strcmp(topics[i].name, name) != 0)
			continue;
		topics[i].configs_known = true;
		for (j = 0; j < count; j++)
			note_config(&topics[i],
			    rd_kafka_ConfigEntry_name(entries[j]),
			    rd_kafka_ConfigEntry_value(entries[j]));
	}
}

static int
describe_configs(struct kafka_admin *admin, struct kafka_topic *topics,
    size_t n, struct error *err)
{
	rd_kafka_ConfigResource_t **asked = memory_zalloc(n, sizeof *asked);
	const rd_kafka_ConfigResource_t **answers;
	rd_kafka_AdminOptions_t *options;
	rd_kafka_event_t *event;
	size_t n_asked = 0, count;
	size_t i;

	for (i = 0; i < n; i++)
		if (topics[i].partitions > 0)
			asked[n_asked++] = rd_kafka_ConfigResource_new(
			    RD_KAFKA_RESOURCE_TOPIC, topics[i].name);
	if (n_asked == 0) {
		free(asked);
		return 0;
	}
	options = kafka_admin_options(admin, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_DescribeConfigs(
	    admin->handle, asked, n_asked, options, admin->answers);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_ConfigResource_destroy_array(asked, n_asked);
	free(asked);
	event = kafka_admin_answer(admin, "describe configs", err);
	if (event == NULL)
		return -1;
	answers = rd_kafka_DescribeConfigs_result_resources(
	    rd_kafka_event_DescribeConfigs_result(event), &count);
	for (i = 0; i < count; i++)
		note_resource(topics, n, answers[i]);
	rd_kafka_event_destroy(event);
	return 0;
}

int
kafka_admin_describe_topics(struct kafka_admin *admin,
    struct kafka_topic *topics, size_t n, bool configs, struct error *err)
{
	size_t i;

	for (i = 0; i < n; i++) {
		topics[i].max_message_bytes = -1;
		topics[i].min_insync_replicas = -1;
		topics[i].retention_ms = -1;
		topics[i].cleanup_policy[0] = '\0';
		topics[i].timestamp_type[0] = '\0';
		topics[i].configs_known = false;
		if (describe_partitions(
			admin, &topics[i], admin->timeout_ms, err) != 0)
			return -1;
	}
	return configs ? describe_configs(admin, topics, n, err) : 0;
}

static rd_kafka_NewTopic_t *
make_topic(const struct kafka_topic_spec *spec, struct error *err)
{
	char text[256];
	rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(
	    spec->name, spec->partitions, spec->replication, text, sizeof text);
	size_t i;

	if (topic == NULL) {
		error_set(err, ERROR_INPUT, "topic %s: %s", spec->name, text);
		return NULL;
	}
	for (i = 0; i < spec->n_configs; i++)
		rd_kafka_NewTopic_set_config(
		    topic, spec->configs[i].name, spec->configs[i].value);
	return topic;
}

/* Has the topics created: the answer to note, or NULL with `err` set. */
static rd_kafka_event_t *
send_topics(struct kafka_admin *admin, rd_kafka_NewTopic_t **topics, size_t n,
    bool validate_only, struct error *err)
{
	rd_kafka_AdminOptions_t *options =
	    kafka_admin_options(admin, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	char text[256];

	rd_kafka_AdminOptions_set_operation_timeout(
	    options, admin->timeout_ms, text, sizeof text);
	rd_kafka_AdminOptions_set_validate_only(
	    options, validate_only, text, sizeof text);
	rd_kafka_CreateTopics(
	    admin->handle, topics, n, options, admin->answers);
	rd_kafka_AdminOptions_destroy(options);
	return kafka_admin_answer(admin, "create topics", err);
}

/* The answers to create, topic by topic; one that was there is no error. */
static int
note_created(struct kafka_admin *admin, struct kafka_topic_spec *specs,
    size_t n, rd_kafka_event_t *event, struct error *err)
{
	size_t n_results, i, j;
	const rd_kafka_topic_result_t **results =
	    rd_kafka_CreateTopics_result_topics(
		rd_kafka_event_CreateTopics_result(event), &n_results);
	int rc = 0;

	for (i = 0; i < n_results; i++) {
		const char *name = rd_kafka_topic_result_name(results[i]);
		rd_kafka_resp_err_t code =
		    rd_kafka_topic_result_error(results[i]);
		bool existed = code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;

		for (j = 0; j < n; j++)
			if (strcmp(specs[j].name, name) == 0)
				specs[j].existed = existed;
		if (rc == 0 && code != RD_KAFKA_RESP_ERR_NO_ERROR && !existed)
			rc = kafka_admin_fail(admin, code, err, name,
			    rd_kafka_topic_result_error_string(results[i]));
	}
	return rc;
}

/* Brokers hear of a new topic one after the other, its leaders too. */
static int
wait_until_there(struct kafka_admin *admin, const char *name, int64_t until,
    struct error *err)
{
	struct kafka_topic topic = { .name = name };
	struct kafka_partition of = { .topic = name };
	struct kafka_range range;

	do {
		int64_t left = until - clock_monotonic_ms();
		if (describe_partitions(
			admin, &topic, left > 1 ? (int)left : 1, err) != 0)
			return -1;
	} while (topic.partitions == 0 && kafka_admin_rest(admin, until));
	if (topic.partitions == 0)
		return error_set(err, ERROR_RETRY,
		    "topic %s is created but not there yet", name);
	for (; of.partition < topic.partitions; of.partition++)
		while (kafka_admin_range(admin, of, &range, until, err) != 0)
			if (err->kind != ERROR_INPUT ||
			    !kafka_admin_rest(admin, until))
				return -1;
	return 0;
}

int
kafka_admin_create_topics(struct kafka_admin *admin,
    struct kafka_topic_spec *specs, size_t n, bool validate_only,
    struct error *err)
{
	rd_kafka_NewTopic_t **topics = memory_zalloc(n + 1, sizeof *topics);
	rd_kafka_event_t *event = NULL;
	size_t made = 0, i;
	int64_t until;
	int rc = -1;

	while (made < n && (topics[made] = make_topic(&specs[made], err)))
		made++;
	if (made == n)
		event = send_topics(admin, topics, n, validate_only, err);
	if (event != NULL) {
		rc = note_created(admin, specs, n, event, err);
		rd_kafka_event_destroy(event);
	}
	until = clock_monotonic_ms() + admin->timeout_ms;
	for (i = 0; rc == 0 && !validate_only && i < n; i++)
		if (!specs[i].existed)
			rc = wait_until_there(admin, specs[i].name, until, err);
	rd_kafka_NewTopic_destroy_array(topics, made);
	free(topics);
	return rc;
}
