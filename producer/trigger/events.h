#ifndef SCHEDRUN_PRODUCER_TRIGGER_EVENTS_H
#define SCHEDRUN_PRODUCER_TRIGGER_EVENTS_H

#include "common/base/error.h"
#include "common/base/metrics.h"
#include "common/config/config.h"
#include "common/http/health.h"

/*
 * The part of schedrun-trigger that goes by events (docs/triggers.md, section
 * 5): a member of the group `trigger.group` that reads what happened, and the
 * results for the runs that failed, writes it to Redis, and fires.  An offset
 * is committed when all that its record has led to is acknowledged, so any of
 * it may be done again, and is the same then.  A thread of its own.
 */
struct events;

struct events_settings {
	const struct config *config;
	struct metrics *metrics;
	struct health *health;
};

/* Everything is borrowed.  NULL: ERROR_FATAL, the settings make no sense. */
struct events *events_create(
    const struct events_settings *settings, struct error *err);

/*
 * Whether the topics are there and the registry, where one is set, knows the
 * requests; a topic that is missing has the exit code 78.  Blocks for seconds;
 * before the start.
 */
int events_check(struct events *events, struct error *err);

/* Starts the thread. */
void events_start(struct events *events);

/*
 * Ends the thread behind what is under way, which it gives up where Kafka or
 * Redis doesn't answer, and gives all back.  NULL is fine.
 */
void events_destroy(struct events *events);

#endif
