#ifndef SCHEDRUN_PRODUCER_TRIGGER_TRIGGER_H
#define SCHEDRUN_PRODUCER_TRIGGER_TRIGGER_H

#include <stdbool.h>

#include "common/base/error.h"
#include "common/base/metrics.h"
#include "common/config/config.h"
#include "common/http/health.h"

/*
 * The clock of schedrun-trigger (docs/triggers.md, section 4): knows which
 * schedules are due by time, asks for their runs, and notes up to when that is
 * done.  Any number of them may run, none leads: the ids of what they ask for
 * are the same.  One thread.
 */
struct trigger;

/* Everything is borrowed.  NULL: ERROR_FATAL, the settings make no sense. */
struct trigger *trigger_create(const struct config *config,
    struct metrics *metrics, struct health *health, struct error *err);
void trigger_destroy(struct trigger *trigger); /* NULL is fine */

/* Connects once to Kafka, registry and Redis, for --check. */
int trigger_check(struct trigger *trigger, struct error *err);

/*
 * One turn: looks, reads what has changed, fires what is due.  Blocks for up to
 * some seconds where Kafka or Redis is slow.  Returns how long nothing is to be
 * done, in ms, or -1 with ERROR_FATAL: the process must end.
 */
int trigger_turn(struct trigger *trigger, struct error *err);

#endif
