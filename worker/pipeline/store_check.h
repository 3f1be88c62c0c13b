#ifndef SCHEDRUN_WORKER_PIPELINE_STORE_CHECK_H
#define SCHEDRUN_WORKER_PIPELINE_STORE_CHECK_H

#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/text.h"
#include "common/redis/pipeline.h"

/*
 * Whether this Redis may be worked with: it is ours, for this Kafka cluster, it
 * holds a catalogue, takes writes and never evicts.  Asked at start, after each
 * reconnect and each minute.  An empty Redis means "not ready", never "schedule
 * not found".  Source: docs/delivery.md, sections 3 and 7; docs/keyspace.md,
 * section 1.
 */
struct store_check {
	struct redis *redis;    /* borrowed, as all of it */
	struct text prefix;     /* redis.prefix */
	struct text topic;      /* of the requests: another one only warns */
	struct text group;      /* the same */
	struct text cluster_id; /* of Kafka */
};

struct store_facts {
	struct text claims; /* namespace of the claims; in the arena */
	uint32_t shards;
	int64_t created_ms; /* 0: unreadable */
	uint64_t evicted;   /* keys that this server evicted since its start */
};

/*
 *   ERROR_RETRY  no answer, or no `meta`, or no catalogue: wait; the message
 *                says what is to be run
 *   ERROR_FATAL  77 credentials; 78 another format, another Kafka cluster, a
 *                policy that evicts: fatal at start, else not ready until it is
 *                mended
 */
int store_check_run(const struct store_check *check, struct arena *arena,
    struct store_facts *facts, struct error *err);

#endif
