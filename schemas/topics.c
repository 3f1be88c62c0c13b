#include "schemas/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

static const char *const name_keys[TOPICS] = { "topics.requests",
	"topics.results", "topics.builds", "topics.dlq" };

const char *
topic_name(const struct config *config, enum topic topic)
{
	return config_text(config, name_keys[topic]);
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
	}
	add_setting(
	    plan, TOPIC_REQUESTS, "retention.ms", plan->requests_retention);
	add_setting(plan, TOPIC_BUILDS, "max.message.bytes", "10485760");
	add_setting(plan, TOPIC_DLQ, "retention.ms", "1209600000");
	add_setting(plan, TOPIC_DLQ, "max.message.bytes", "1179648");
}

static void
put_difference(
    struct buffer *out, const char *name, long long is, const char *wanted)
{
	buffer_format(out, "%s%s is %lld, wanted %s", out->size > 0 ? "; " : "",
	    name, is, wanted);
}

/* Whether a number that the topic has is at least what the plan says. */
static void
compare_number(const struct kafka_topic *topic,
    const struct config_property *wanted, struct buffer *out)
{
	int64_t least = 0, is;

	text_to_number(text_from(wanted->value), INT64_MAX, &least);
	if (strcmp(wanted->name, "min.insync.replicas") == 0)
		is = topic->min_insync_replicas;
	else if (strcmp(wanted->name, "max.message.bytes") == 0)
		is = topic->max_message_bytes;
	else if (topic->retention_ms < 0)
		return; /* kept for ever */
	else
		is = topic->retention_ms;
	if (is < least)
		put_difference(out, wanted->name, (long long)is, wanted->value);
}

void
topic_differences(const struct kafka_topic *topic,
    const struct kafka_topic_spec *spec, struct buffer *out)
{
	size_t i;

	if (topic->partitions < spec->partitions) {
		char wanted[16];

		snprintf(wanted, sizeof wanted, "%d", spec->partitions);
		put_difference(out, "partitions", topic->partitions, wanted);
	}
	for (i = 0; topic->configs_known && i < spec->n_configs; i++) {
		const struct config_property *wanted = &spec->configs[i];

		if (strcmp(wanted->name, "cleanup.policy") != 0)
			compare_number(topic, wanted, out);
		else if (strcmp(topic->cleanup_policy, wanted->value) != 0)
			buffer_format(out, "%scleanup.policy is %s, wanted %s",
			    out->size > 0 ? "; " : "", topic->cleanup_policy,
			    wanted->value);
	}
}
