#ifndef SCHEDRUN_PRODUCER_RUNS_PUBLISHER_H
#define SCHEDRUN_PRODUCER_RUNS_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/config/config.h"
#include "common/http/loop.h"
#include "common/kafka/client.h"
#include "schemas/message/schedule_run.h"

/*
 * Publishes run requests on the event loop: a send does not block, and the
 * broker's word comes back as a call.  One producer for the process.
 */
struct run_publisher;

struct run_publisher_settings {
	struct loop *loop;
	const struct config *config;
	struct kafka_health *health;
	const char *topic; /* borrowed */
};

enum publish_outcome {
	PUBLISH_DONE,    /* the broker has it */
	PUBLISH_UNKNOWN, /* no answer in time: it may or may not be there */
	PUBLISH_UNSENT,  /* not in time, and it never left: try again */
	PUBLISH_REFUSED, /* it is not there and never will be */
};

/* A header for the Kafka record, lower-case name, as a trace needs it. */
#define TRACE_HEADERS_MAX 5
struct trace_header {
	const char *name;
	struct text value;
};

/* NULL: ERROR_FATAL. */
struct run_publisher *run_publisher_create(
    const struct run_publisher_settings *settings, struct error *err);

/* The id of RunRequest's schema, without which nothing is sent.  Any thread. */
void run_publisher_set_schema(struct run_publisher *publisher, uint32_t id);

/*
 * Whether it makes sense to begin: ERROR_RETRY if the broker is known to be
 * away, or the schema's id is not known yet.  A producer that librdkafka has
 * given up is replaced here.
 */
int run_publisher_ready(struct run_publisher *publisher, struct error *err);

/*
 * Sends a request for the pending `run`; `done` is called exactly once, later.
 * -1: nothing was published and `done` isn't called.
 */
struct publish {
	const struct schedule_run *run;
	const struct trace_header *headers;
	size_t n_headers;
	void (*done)(
	    void *argument, enum publish_outcome outcome, const char *reason);
	void *argument;
};
int run_publisher_send(struct run_publisher *publisher,
    const struct publish *publish, struct error *err);

/* Asks a broker for the topic; blocks; any thread. */
int run_publisher_probe(
    struct run_publisher *publisher, int timeout_ms, struct error *err);

/* The Kafka cluster's id; "": not known yet.  Any thread; may block as probe.
 */
void run_publisher_cluster(
    struct run_publisher *publisher, char *id, size_t size);

/* Reports what is pending as unknown.  NULL is fine. */
void run_publisher_destroy(struct run_publisher *publisher);

#endif
