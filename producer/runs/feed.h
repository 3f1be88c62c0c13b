#ifndef SCHEDRUN_PRODUCER_RUNS_FEED_H
#define SCHEDRUN_PRODUCER_RUNS_FEED_H

#include <stdbool.h>

#include "common/base/error.h"
#include "common/config/config.h"
#include "common/http/health.h"
#include "common/http/loop.h"
#include "common/kafka/client.h"
#include "common/redis/pipeline.h"
#include "producer/runs/event.h"
#include "producer/runs/position.h"

/*
 * The fan-out's source: a thread that reads all partitions of the results topic
 * without a group, from a little before their ends, and posts what it finds to
 * the loop, for those who wait or subscribe here, once the fold has it in the
 * view (docs/keyspace.md, section 5).
 */
struct result_feed;

struct feed_news {
	/*
	 * Where the feed stands behind these events.  `restarted`: it begins
	 * here, with no events, because it has only now found the topic, or
	 * records are gone (then `lost`).
	 */
	struct event_position position;
	bool restarted, lost;
	/* It has caught up with what the topic held when it was opened. */
	bool ready;
	struct result_event *events; /* a list; whoever hears owns it */
	bool in_view; /* the fold has these events, so all replicas do */
};

struct result_feed_settings {
	const struct config *config;
	struct kafka_health *kafka;
	struct redis_settings redis;     /* of the view */
	const struct keyspace *keyspace; /* borrowed */
	struct loop *loop;
	/* Ok once the news of having caught up is told; not while the topic
	 * can't be opened. */
	struct health_check *check;
	/* On the loop's thread; the news is valid during the call. */
	void (*news)(void *argument, const struct feed_news *news);
	void *argument;
};

/*
 * Starts the thread, which opens the topic and tries again until it can.  The
 * settings are copied, what they point to is not.  NULL: ERROR_FATAL.
 */
struct result_feed *result_feed_start(
    const struct result_feed_settings *settings, struct error *err);

/* Ends the thread and waits for it.  NULL is fine. */
void result_feed_stop(struct result_feed *feed);
/*
 * After result_feed_stop, and after the news that was left on the loop has been
 * run (loop_flush).  NULL is fine.
 */
void result_feed_destroy(struct result_feed *feed);

#endif
