#ifndef SCHEDRUN_PRODUCER_HTTP_PROBE_H
#define SCHEDRUN_PRODUCER_HTTP_PROBE_H

#include "common/http/health.h"
#include "common/http/loop.h"
#include "common/kafka/client.h"
#include "common/redis/pipeline.h"
#include "producer/http/work_pool.h"
#include "producer/runs/publisher.h"
#include "schemas/keyspace.h"

/*
 * A thread that asks Kafka and Redis how they are, and at first the schema
 * registry for the requests' schema id, so that readiness has fresh
 * answers also while nobody calls, and the event loop does not wait for them.
 * A Redis of another format, or of another Kafka cluster, ends the process
 * (keyspace, on `meta`).
 */
struct http_probe;

struct http_probe_settings {
	struct run_publisher *publisher;
	struct kafka_health *kafka;
	struct redis_settings redis;
	const struct keyspace *keyspace;
	struct work_pool *pool; /* is told whether Redis answers */
	struct health_check *kafka_check, *redis_check;
	struct health_check *registry_check; /* NULL: none is configured */
	struct metrics *metrics;             /* is told whether they answer */
	const struct config *config;
	struct loop *loop;
	/* On the loop's thread, once: the process must end by this error. */
	void (*fatal)(void *argument, const struct error *err);
	void *argument;
};

/* NULL: ERROR_FATAL, the URL makes no sense. */
struct http_probe *http_probe_start(
    const struct http_probe_settings *settings, struct error *err);
void http_probe_stop(struct http_probe *probe); /* NULL is fine */

#endif
