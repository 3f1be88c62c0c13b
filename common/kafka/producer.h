#ifndef SCHEDRUN_COMMON_KAFKA_PRODUCER_H
#define SCHEDRUN_COMMON_KAFKA_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/kafka/client.h"

/*
 * Writes single records, idempotent and acks=all, each with a delivery report:
 * the command line and the adapter.  Keys go where Java's clients put them
 * (murmur2).  One thread per producer.
 */
struct kafka_producer;

struct kafka_delivery {
	void *opaque; /* the message's */
	/*
	 * ERROR_NONE   written; partition and offset are known
	 * ERROR_RETRY  not acknowledged in time: it may or may not be there
	 * ERROR_INPUT  refused by the broker: too large, invalid
	 * ERROR_FATAL  77 not authorised; 70 the producer is of no more use
	 */
	enum error_kind kind;
	bool unsent; /* not written for certain: it never left this process */
	int exit_code;
	const char *reason; /* for messages; "" if written; borrowed */
	int32_t partition;
	int64_t offset;
};

struct kafka_producer_options {
	struct kafka_settings settings;
	int delivery_timeout_ms; /* 0: 10 s; the time a send may take in all */
	size_t max_queued;       /* 0: 100,000 records */
	int linger_ms; /* 0: send at once; more makes bigger batches */
	/* Credentials that are refused are ERROR_FATAL (77), told by the probe,
	 * which polls: of one that one thread alone uses. */
	bool strict;
	/* Called by poll, flush and destroy, once per accepted message. */
	void (*delivered)(void *opaque, const struct kafka_delivery *delivery);
	void *opaque;
};

/* NULL with ERROR_FATAL (78).  Connects in the background. */
struct kafka_producer *kafka_producer_create(
    const struct kafka_producer_options *options, struct error *err);

/*
 * Gives up after `timeout_ms` what is not delivered by then (each with its
 * delivery report).  -1: the handle hangs and was left behind.
 */
int kafka_producer_destroy(struct kafka_producer *producer, int timeout_ms);

/*
 * Hands one message over; key, value and headers are copied.  Never blocks.
 *   ERROR_RETRY  the queue is full: poll, then again
 *   ERROR_INPUT  larger than message.max.bytes
 *   ERROR_FATAL  70: the producer is broken, make a new one
 */
int kafka_producer_send(struct kafka_producer *producer, const char *topic,
    const struct kafka_message *message, struct error *err);

/* Serves delivery reports; waits up to `timeout_ms` for one.  Returns how many
 * events were served. */
int kafka_producer_poll(struct kafka_producer *producer, int timeout_ms);

/*
 * Has 8 bytes (an eventfd's 1) written to `fd` when reports come while none
 * were waiting, and now; then poll with timeout 0 until it returns 0.
 */
void kafka_producer_notify(struct kafka_producer *producer, int fd);

/* Waits until all is reported.  -1 with ERROR_RETRY after `timeout_ms`. */
int kafka_producer_flush(
    struct kafka_producer *producer, int timeout_ms, struct error *err);

/*
 * librdkafka raised a fatal error on this handle: destroy it and create a new
 * one.  What was pending is reported as ERROR_FATAL.
 */
bool kafka_producer_is_broken(const struct kafka_producer *producer);

/*
 * Asks for metadata of `topic`, so that the first send does not wait (1 s in
 * librdkafka 2.0.2) and health has a fresh answer.  ERROR_RETRY: no answer;
 * ERROR_INPUT: no such topic.  Any thread.  Blocks.
 */
int kafka_producer_probe(struct kafka_producer *producer, const char *topic,
    int timeout_ms, struct error *err);

/*
 * The cluster's id as far as a broker has told it, cut to `size` with its NUL;
 * "": not known yet.  Any thread.  Does not block.
 */
void kafka_producer_cluster_id(
    struct kafka_producer *producer, char *id, size_t size);

#endif
