#ifndef SCHEDRUN_SCHEMAS_TOPICS_H
#define SCHEDRUN_SCHEMAS_TOPICS_H

#include <stddef.h>

#include "common/config/config.h"
#include "common/kafka/admin.h"

/*
 * The four topics and the settings that they need (docs/delivery.md, section
 * 8): what `init` creates and `check` compares with.
 */
enum topic { TOPIC_REQUESTS, TOPIC_RESULTS, TOPIC_BUILDS, TOPIC_DLQ, TOPICS };

#define TOPIC_CONFIGS_MAX 4

struct topic_plan {
	struct kafka_topic_spec specs[TOPICS];
	struct config_property configs[TOPICS][TOPIC_CONFIGS_MAX];
	char min_insync[16], requests_retention[24];
};

/* The names as configured. */
const char *topic_name(const struct config *config, enum topic topic);

/* Plans all four; `replication` also decides min.insync.replicas. */
void topics_plan(const struct config *config, int32_t partitions,
    int replication, struct topic_plan *plan);

/*
 * What an existing topic lacks of its plan: the differences as one line, empty
 * if there is none.  Settings that are stricter than planned are fine.
 */
void topic_differences(const struct kafka_topic *topic,
    const struct kafka_topic_spec *spec, struct buffer *out);

#endif
