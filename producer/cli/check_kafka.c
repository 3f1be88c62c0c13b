#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "producer/cli/check_list.h"
#include "schemas/avro/registry.h"
#include "schemas/topics.h"

#define REPLICATION_WANTED 3
/* A record of full size must fit the DLQ with the headers that say why. */
#define DLQ_HEADROOM (64 * 1024)

static void
fault_of_topic(struct check_list *list, const struct kafka_topic *topic,
    const char *differences)
{
	char what[300], mend[400];

	snprintf(what, sizeof what, "topic %s", topic->name);
	snprintf(mend, sizeof mend,
	    "kafka-configs.sh --alter --entity-type topics --entity-name %s "
	    "--add-config NAME=VALUE",
	    topic->name);
	check_fault(list, what, differences, mend);
}

static void
check_replicas(struct check_list *list, const struct kafka_topic *topic,
    const struct kafka_topic_spec *spec)
{
	char what[300], detail[128];

	if (topic->replication >= spec->replication)
		return;
	snprintf(what, sizeof what, "topic %s", topic->name);
	snprintf(detail, sizeof detail,
	    "%d replicas, the brokers could keep %d: a broker's disk can take "
	    "records with it",
	    topic->replication, spec->replication);
	check_fault(list, what, detail, "kafka-reassign-partitions.sh");
}

static void
check_topic(struct check_list *list, const struct kafka_topic *topic,
    const struct kafka_topic_spec *spec)
{
	struct buffer out = { 0 };
	char what[300];

	snprintf(what, sizeof what, "topic %s", topic->name);
	if (topic->partitions == 0) {
		check_fault(list, what, "does not exist", "schedrun init");
		return;
	}
	topic_differences(topic, spec, &out);
	check_replicas(list, topic, spec);
	if (!topic->configs_known) {
		check_note(list, what,
		    "its settings are not shown to this user",
		    "kafka-acls.sh --add --allow-principal USER --operation "
		    "DescribeConfigs --topic TOPIC");
	} else if (out.size > 0) {
		buffer_byte(&out, '\0');
		fault_of_topic(list, topic, out.at);
	} else {
		buffer_format(&out, "%d partitions, %d replicas, %s",
		    (int)topic->partitions, topic->replication,
		    topic->cleanup_policy);
		buffer_byte(&out, '\0');
		check_fine(list, what, out.at);
	}
	buffer_finish(&out);
}

static void
check_dlq_size(struct check_list *list, const struct kafka_topic topics[TOPICS])
{
	int64_t requests = topics[TOPIC_REQUESTS].max_message_bytes;
	int64_t dlq = topics[TOPIC_DLQ].max_message_bytes;
	int64_t wanted = requests + DLQ_HEADROOM;
	char detail[200];

	if (requests < 0 || dlq < 0 || dlq >= wanted)
		return;
	snprintf(detail, sizeof detail,
	    "max.message.bytes is %lld, wanted %lld: the requests' and 64 KiB "
	    "for headers, or a bad record blocks its partition",
	    (long long)dlq, (long long)wanted);
	fault_of_topic(list, &topics[TOPIC_DLQ], detail);
}

static void
check_topics(struct check_list *list, struct kafka_admin *admin, int brokers)
{
	const struct config *config = command_config(list->command);
	struct kafka_topic topics[TOPICS];
	struct topic_plan plan;
	struct error err = { 0 };
	size_t i;

	topics_plan(config, 1,
	    brokers < REPLICATION_WANTED ? brokers : REPLICATION_WANTED, &plan);
	for (i = 0; i < TOPICS; i++)
		topics[i] = (struct kafka_topic){ .name = plan.specs[i].name };
	if (kafka_admin_describe_topics(admin, topics, TOPICS, true,
		(int)list->command->options.timeout_ms, &err) != 0) {
		check_failed(list, "topics", &err,
		    "kafka-acls.sh --add --allow-principal USER --operation "
		    "Describe --topic TOPIC");
		return;
	}
	for (i = 0; i < TOPICS; i++)
		check_topic(list, &topics[i], &plan.specs[i]);
	check_dlq_size(list, topics);
}

static void
check_group(struct check_list *list, struct kafka_admin *admin)
{
	const char *name =
	    config_text(command_config(list->command), "worker.group");
	struct kafka_group_info group;
	struct error err = { 0 };
	char what[300], detail[128];

	snprintf(what, sizeof what, "group %s", name);
	if (kafka_admin_group(admin, name, list->arena, &group,
		(int)list->command->options.timeout_ms, &err) != 0) {
		check_failed(list, what, &err,
		    "kafka-acls.sh --add --allow-principal USER --operation "
		    "Describe --group GROUP");
		return;
	}
	snprintf(detail, sizeof detail, "%zu workers, %s", group.n_members,
	    group.state);
	if (group.n_members > 0)
		check_fine(list, what, detail);
	else
		check_note(list, what, "no worker runs", "schedrun-worker");
}

void
check_kafka(struct check_list *list)
{
	const struct kafka_settings settings = {
		.config = command_config(list->command),
	};
	int timeout_ms = (int)list->command->options.timeout_ms, brokers;
	struct error err = { 0 };
	struct kafka_admin *admin = kafka_admin_create(&settings, &err);
	char detail[128];

	if (admin != NULL)
		list->cluster = kafka_admin_cluster_id(
		    admin, list->arena, timeout_ms, &err);
	brokers = list->cluster != NULL
	    ? kafka_admin_brokers(admin, timeout_ms, &err)
	    : -1;
	if (brokers < 0) {
		const char *servers =
		    config_kafka(settings.config, "bootstrap.servers");

		error_prefix(&err, "%s",
		    servers != NULL ? servers : "no bootstrap.servers");
		check_failed(list, "kafka", &err,
		    "give -b HOST:PORT, or mend the kafka block");
	} else {
		snprintf(detail, sizeof detail, "cluster %s, brokers: %d",
		    list->cluster, brokers);
		check_fine(list, "kafka", detail);
		check_topics(list, admin, brokers);
		check_group(list, admin);
	}
	kafka_admin_destroy(admin);
}

void
check_registry(struct check_list *list)
{
	static const struct {
		enum message message;
		enum topic topic;
	} subjects[] = {
		{ MESSAGE_RUN_REQUEST, TOPIC_REQUESTS },
		{ MESSAGE_SCHEDULE_RUN, TOPIC_RESULTS },
		{ MESSAGE_BUILD_REQUESTED, TOPIC_BUILDS },
	};
	const struct config *config = command_config(list->command);
	struct error err = { 0 };
	struct registry *registry = registry_create(config, &err);
	uint32_t id;
	size_t i;

	for (i = 0; registry != NULL && i < 3; i++)
		if (registry_id(registry, subjects[i].message,
			topic_name(config, subjects[i].topic), &id, &err) != 0)
			break;
	if (registry == NULL || i < 3)
		check_failed(list, "registry", &err, "schedrun init");
	else
		check_fine(list, "registry",
		    registry_is_remote(registry)
			? config_text(config, "schema.registry.url")
			: "none: the shipped ids are used");
	registry_destroy(registry);
}
