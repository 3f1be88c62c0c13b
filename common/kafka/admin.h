#ifndef SCHEDRUN_COMMON_KAFKA_ADMIN_H
#define SCHEDRUN_COMMON_KAFKA_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/kafka/consumer.h"

/*
 * Looks at topics and groups, and creates topics.  Every call blocks up to
 * its `timeout_ms`.  One thread at a time.  Kinds of all calls:
 *   ERROR_RETRY  Kafka did not answer
 *   ERROR_INPUT  no such topic or group, or the broker refuses the value
 *   ERROR_FATAL  77 not authorised or wrong credentials
 */
struct kafka_admin;

/* NULL with ERROR_FATAL (78).  Connects in the background. */
struct kafka_admin *kafka_admin_create(
    const struct kafka_settings *settings, int timeout_ms, struct error *err);
void kafka_admin_destroy(struct kafka_admin *admin); /* NULL is fine */

/* The cluster's id, in `arena`; NULL on failure. */
const char *kafka_admin_cluster_id(
    struct kafka_admin *admin, struct arena *arena, struct error *err);

/* Number of brokers; -1 on failure. */
int kafka_admin_brokers(struct kafka_admin *admin, struct error *err);

struct kafka_topic {
	const char *name;   /* in */
	int32_t partitions; /* 0: there is no such topic */
	int replication;    /* of the partition that has fewest */
	/* -1 where the broker does not tell (no DescribeConfigs right) */
	int64_t max_message_bytes;
	int64_t min_insync_replicas;
	int64_t retention_ms; /* -1 also: for ever; see configs_known */
	bool configs_known;
	char cleanup_policy[32]; /* "delete", "compact", "compact,delete" */
	char timestamp_type[16]; /* "CreateTime", "LogAppendTime" */
};

/*
 * Fills `topics` by their names.  A topic that is not there is no error.  With
 * `configs` also its settings.
 */
int kafka_admin_describe_topics(struct kafka_admin *admin,
    struct kafka_topic *topics, size_t n, bool configs, struct error *err);

struct kafka_topic_spec {
	const char *name;
	int32_t partitions;
	int replication;
	const struct config_property *configs; /* "retention.ms" ... */
	size_t n_configs;
	bool existed; /* out: it was there already, nothing was done */
};
/*
 * Returns when each new partition's leader answers.  With `validate_only` the
 * broker checks and creates nothing.
 */
int kafka_admin_create_topics(struct kafka_admin *admin,
    struct kafka_topic_spec *specs, size_t n, bool validate_only,
    struct error *err);

/*
 * The group's committed offsets of partitions 0 to n-1 of the topic; -1 where
 * there is none.
 */
struct kafka_group_topic {
	const char *group, *topic;
};
int kafka_admin_group_offsets(struct kafka_admin *admin,
    struct kafka_group_topic of, int64_t *offsets, size_t n, struct error *err);

struct kafka_group_member {
	const char *client_id;
	const char *host;
	struct {
		const char *topic;
		int32_t partition;
	} * partitions;
	size_t n_partitions;
};
struct kafka_group_info {
	const char *state; /* "Stable", "Empty", "Dead" (no such group), ... */
	struct kafka_group_member *members;
	size_t n_members;
};
/* In `arena`. */
int kafka_admin_group(struct kafka_admin *admin, const char *group,
    struct arena *arena, struct kafka_group_info *out, struct error *err);

/* A partition's log. */
struct kafka_log {
	int64_t start;
	int64_t stable; /* where the oldest open transaction begins; else end */
	int64_t end;
};

/* The logs of partitions 0 to n-1. */
int kafka_admin_logs(struct kafka_admin *admin, const char *topic,
    struct kafka_log *logs, size_t n, struct error *err);

/* The first record at or after a place, and when it was sent. */
struct kafka_first {
	int32_t partition;
	int64_t offset;
	/* Out, ms; -1: none came in time; KAFKA_NO_RECORD: what is left is
	 * none, but markers of transactions and aborted records. */
	int64_t time_ms;
};
#define KAFKA_NO_RECORD (-2)

struct kafka_search {
	const char *topic;
	bool uncommitted; /* also records of open and aborted transactions */
};

/* How old the oldest requests are that wait; where the log ends: -1. */
int kafka_admin_search(struct kafka_admin *admin,
    const struct kafka_search *search, struct kafka_first *firsts, size_t n,
    struct error *err);

#endif
