#ifndef SCHEDRUN_WORKER_PIPELINE_STORE_CHECK_H
#define SCHEDRUN_WORKER_PIPELINE_STORE_CHECK_H

#include <stdint.h>

#include "common/base/error.h"
#include "common/redis/pipeline.h"
#include "schemas/keyspace.h"

/*
 * Whether this Redis may be worked with: it is ours, for this Kafka cluster, it
 * holds a catalogue, takes writes and never evicts.  Asked at start, after each
 * reconnect and each few seconds.  An empty Redis means "not ready", never
 * "schedule not found".  Source: docs/delivery.md, sections 3 and 7;
 * docs/keyspace.md, section 1.
 */
struct store_check {
	struct redis *redis; /* borrowed, as all of it */
	const struct keyspace *keyspace;
	const char *topic;      /* of the requests: another one only warns */
	const char *group;      /* the same */
	const char *cluster_id; /* of Kafka; NULL: not known yet */
};

struct store_facts {
	struct keyspace_meta meta;
	int64_t evicted; /* keys that this server evicted since its start */
};

/*
 * Connects if need be; blocks for a few round trips.
 *   ERROR_RETRY  no answer, or no `meta`, or no catalogue: wait; the message
 *                says what is to be run
 *   ERROR_FATAL  77 credentials; 78 another format, another Kafka cluster, a
 *                policy that evicts: fatal at start, else not ready until it is
 *                mended
 */
int store_check_run(const struct store_check *check, struct store_facts *facts,
    struct error *err);

#endif
