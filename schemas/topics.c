#include "schemas/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

static const char *const name_keys[TOPICS] = { "topics.requests",
	"topics.results", "topics.builds", "topics.dlq", "topics.events" };

const char *
topic_name(const struct config *config, enum topic topic)
{
	return config_text(config, name_keys[topic]);
}

enum topic
topic_of_message(enum message message)
{
	static const enum topic topics[MESSAGES] = {
		[MESSAGE_RUN_REQUEST] = TOPIC_REQUESTS,
		[MESSAGE_SCHEDULE_RUN] = TOPIC_RESULTS,
		[MESSAGE_BUILD_REQUESTED] = TOPIC_BUILDS,
		[MESSAGE_DATASET_COMMITTED] = TOPIC_EVENTS,
		[MESSAGE_BUILD_FINISHED] = TOPIC_EVENTS,
		[MESSAGE_LOGIC_PUBLISHED] = TOPIC_EVENTS,
	};

	return topics[message];
}

static void
add_setting(struct topic_plan *plan, enum topic topic, const char *name,
    const char *value)
{
	struct kafka_topic_spec *spec = &plan->specs[topic];

	plan->configs[topic][spec->n_configs++] =
	    (struct config_property){ name, value };
	spec->configs = plan->configs[topic];
}

void
topics_plan(const struct config *config, int32_t partitions, int replication,
    struct topic_plan *plan)
{
	int64_t retention = config_number(config, "dedup.ttl") / 10 * 11;
	int i;

	memset(plan, 0, sizeof *plan);
	if (retention < 7 * DAY_MS)
		retention = 7 * DAY_MS;
	snprintf(plan->requests_retention, sizeof plan->requests_retention,
	    "%lld", (long long)retention);
	snprintf(plan->min_insync, sizeof plan->min_insync, "%d",
	    replication < 2 ? replication : 2);
	for (i = 0; i < TOPICS; i++) {
		plan->specs[i].name = topic_name(config, (enum topic)i);
		plan->specs[i].partitions = partitions;
		plan->specs[i].replication = replication;
		add_setting(plan, (enum topic)i, "min.insync.replicas",
		    plan->min_insync);
		add_setting(plan, (enum topic)i, "cleanup.policy", "delete");
		/*
		 * A record's own time would decide how long it lives, and one
		 * of a worker whose clock is ahead would be refused.
		 */
		add_setting(plan, (enum topic)i, "message.timestamp.type",
		    "LogAppendTime");
	}
	add_setting(
	    plan, TOPIC_REQUESTS, "retention.ms", plan->requests_retention);
	add_setting(plan, TOPIC_BUILDS, "max.message.bytes", "10485760");
	add_setting(plan, TOPIC_DLQ, "retention.ms", "1209600000");
	add_setting(plan, TOPIC_DLQ, "max.message.bytes", "1179648");
}

static void
differ(struct buffer *out, const char *name, const char *is, const char *wanted)
{
	buffer_format(out, "%s%s is %s, wanted %s", out->size > 0 ? "; " : "",
	    name, is, wanted);
}

static void
differ_in_number(
    struct buffer *out, const char *name, int64_t is, int64_t wanted)
{
	char numbers[2][24];

	snprintf(numbers[0], sizeof numbers[0], "%lld", (long long)is);
	snprintf(numbers[1], sizeof numbers[1], "%lld", (long long)wanted);
	differ(out, name, numbers[0], numbers[1]);
}

/* The text that a topic has for a setting; NULL: it is a number. */
static const char *
text_of(const struct kafka_topic *topic, const char *name)
{
	if (strcmp(name, "cleanup.policy") == 0)
		return topic->cleanup_policy;
	if (strcmp(name, "message.timestamp.type") == 0)
		return topic->timestamp_type;
	return NULL;
}

static int64_t
number_of(const struct kafka_topic *topic, const char *name)
{
	if (strcmp(name, "min.insync.replicas") == 0)
		return topic->min_insync_replicas;
	if (strcmp(name, "max.message.bytes") == 0)
		return topic->max_message_bytes;
	return topic->retention_ms < 0 ? INT64_MAX /* kept for ever */
				       : topic->retention_ms;
}

/* Whether a topic lacks a setting; if so says it, and what would mend it. */
static void
compare(const struct config_property *wanted, enum topic which,
    const struct kafka_topic *topic, struct buffer *out,
    struct buffer *settings)
{
	const char *text = text_of(topic, wanted->name);
	int64_t least = 0;

	if (text == NULL)
		text_to_number(text_from(wanted->value), INT64_MAX, &least);
	/* It is created larger than it must be: room for larger records. */
	if (which == TOPIC_DLQ &&
	    strcmp(wanted->name, "max.message.bytes") == 0)
		least = TOPIC_DLQ_LEAST;
	if (text != NULL ? strcmp(text, wanted->value) == 0
			 : number_of(topic, wanted->name) >= least)
		return;
	if (text != NULL)
		differ(out, wanted->name, text, wanted->value);
	else
		differ_in_number(
		    out, wanted->name, number_of(topic, wanted->name), least);
	buffer_format(settings, "%s%s=%s", settings->size > 0 ? "," : "",
	    wanted->name, wanted->value);
}

void
topic_differences(const struct topic_plan *plan, enum topic which,
    const struct kafka_topic *topic, struct buffer *out,
    struct buffer *settings)
{
	const struct kafka_topic_spec *spec = &plan->specs[which];
	size_t i;

	if (topic->partitions < spec->partitions)
		differ_in_number(
		    out, "partitions", topic->partitions, spec->partitions);
	if (topic->replication < spec->replication)
		differ_in_number(
		    out, "replicas", topic->replication, spec->replication);
	for (i = 0; topic->configs_known && i < spec->n_configs; i++)
		compare(&spec->configs[i], which, topic, out, settings);
}
