#ifndef SCHEDRUN_COMMON_KAFKA_ASSIGNMENT_H
#define SCHEDRUN_COMMON_KAFKA_ASSIGNMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/kafka/client.h"
#include "common/kafka/consumer.h"
#include "common/kafka/places.h"
#include "common/kafka/query.h"

/*
 * Which partitions a consumer reads and where it stands in each: the group's
 * assignments and explicit ones, pause, seek, and records that are gone.  Part
 * of kafka_consumer; its thread.
 */
struct rd_kafka_topic_partition_list_s;

struct kafka_assignment {
	struct kafka_client *client;
	struct rd_kafka_s *handle;
	struct kafka_consumer_events events;
	char *group; /* ours; NULL: none */
	bool accept_loss;
	bool paused; /* as wished; new assignments too */
	bool joined; /* an assignment of the group is in force */
	struct kafka_group *generation; /* of the assignment; NULL: none */
	struct kafka_places places;
	/* The group's, whose places are not known yet; NULL: none. */
	struct rd_kafka_topic_partition_list_s *pending;
};

/* Gives its memory back; the handle is the caller's. */
void kafka_assignment_finish(struct kafka_assignment *assignment);

/* librdkafka's rebalance callback: `code` says assign or revoke. */
void kafka_assignment_rebalance(struct kafka_assignment *assignment, int code,
    const struct rd_kafka_topic_partition_list_s *list);

/* The same partitions again, from where each stands; nothing while there are
 * none or their places are still asked for. */
int kafka_assignment_renew(
    struct kafka_assignment *assignment, struct error *err);

/* Tries again what could not be done at once; both at each poll. */
int kafka_assignment_settle(
    struct kafka_assignment *assignment, struct error *err);
int kafka_assignment_unstick(
    struct kafka_assignment *assignment, struct error *err);

/* Reads these partitions from these places (numbers) and no others. */
int kafka_assignment_take(struct kafka_assignment *assignment,
    const struct rd_kafka_topic_partition_list_s *list, struct error *err);

/* The group's committed offsets of `topic`; -1: none. */
int kafka_assignment_committed(struct kafka_assignment *assignment,
    const char *topic, struct kafka_offset *places, size_t n,
    struct error *err);

/* Makes KAFKA_OFFSET_BEGINNING and _END a number. */
int kafka_assignment_resolve(struct kafka_assignment *assignment,
    struct kafka_partition of, int64_t *offset, int timeout_ms,
    struct error *err);

/* As kafka_consumer_seek. */
int kafka_assignment_seek(struct kafka_assignment *assignment,
    const char *topic, struct kafka_offset to, int timeout_ms,
    struct error *err);

/* As kafka_consumer_pause and _resume. */
int kafka_assignment_pause(
    struct kafka_assignment *assignment, bool paused, struct error *err);

/* A single partition: is not read until it is let go, or assigned anew. */
int kafka_assignment_hold(struct kafka_assignment *assignment,
    const char *topic, int32_t partition, bool held, struct error *err);

#endif
