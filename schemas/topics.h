#ifndef SCHEDRUN_SCHEMAS_TOPICS_H
#define SCHEDRUN_SCHEMAS_TOPICS_H

#include <stddef.h>

#include "common/config/config.h"
#include "common/kafka/admin.h"
#include "schemas/embedded.h"

/*
 * The five topics and the settings that they need (docs/delivery.md, section
 * 8): what `init` creates and `check` compares with.
 */
enum topic {
	TOPIC_REQUESTS,
	TOPIC_RESULTS,
	TOPIC_BUILDS,
	TOPIC_DLQ,
	TOPICS_OF_WORKER, /* those before are all that it needs */
	TOPIC_EVENTS = TOPICS_OF_WORKER,
	TOPICS
};

#define TOPIC_CONFIGS_MAX 5

/*
 * What the DLQ must take at least: a value as large as a request may be, with
 * 32 KiB each of key and headers.  Of larger records it gets the beginning,
 * whatever the requests' topic takes: a limit counts compressed bytes, so it
 * says nothing of how large a record is.
 */
#define TOPIC_DLQ_LEAST (160 * 1024)

struct topic_plan {
	struct kafka_topic_spec specs[TOPICS];
	struct config_property configs[TOPICS][TOPIC_CONFIGS_MAX];
	char min_insync[16], requests_retention[24];
};

/* The names as configured. */
const char *topic_name(const struct config *config, enum topic topic);

/* The topic that a message stands in. */
enum topic topic_of_message(enum message message);

/* Plans all five; `replication` also decides min.insync.replicas. */
void topics_plan(const struct config *config, int32_t partitions,
    int replication, struct topic_plan *plan);

/*
 * What an existing topic lacks of its plan: the differences as one line, empty
 * if there is none.  Settings that are stricter than planned are fine.
 * `settings` gets those that mend it as kafka-configs.sh takes them after
 * --add-config, "retention.ms=604800000"; empty if none does.
 */
void topic_differences(const struct topic_plan *plan, enum topic which,
    const struct kafka_topic *topic, struct buffer *out,
    struct buffer *settings);

#endif
