#ifndef SCHEDRUN_PRODUCER_TRIGGER_EVENT_STORE_H
#define SCHEDRUN_PRODUCER_TRIGGER_EVENT_STORE_H

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/config/config.h"
#include "common/redis/pipeline.h"
#include "producer/trigger/satisfy.h"
#include "schemas/keyspace.h"
#include "schemas/message/schedule_event.h"

/*
 * Writes events to Redis by the scripts that commits and reports have, each
 * once (docs/triggers.md, section 5), and says what has happened by them.
 */
struct event_store;

/* Keyspace and Redis are borrowed.  NULL: ERROR_FATAL, the settings. */
struct event_store *event_store_create(const struct config *config,
    struct redis *redis, const struct keyspace *keyspace, struct error *err);
void event_store_destroy(struct event_store *store); /* NULL is fine */

enum event_outcome {
	OUTCOME_APPLIED,
	OUTCOME_REPEATED, /* it was applied before; nothing is written */
	OUTCOME_UNKNOWN,  /* its build is not in the run view, maybe not yet */
	OUTCOME_REFUSED,  /* it can't be applied: `why` */
};

struct event_effect {
	enum event_outcome outcome;
	struct facts facts; /* of the first two; also of a repeated one */
	struct error why;
};

/*
 * A build's event or logic.  Everything goes to `arena`.  -1: ERROR_RETRY or
 * ERROR_FATAL, Redis or the registry is not as it should be, and how far it
 * came is unknown: again.
 */
int event_store_apply(struct event_store *store,
    const struct schedule_event *event, struct arena *arena,
    struct event_effect *effect, struct error *err);

/* The same of commits, in this order, by a few round trips for all of them. */
int event_store_commit(struct event_store *store,
    const struct schedule_event *events, size_t n, struct arena *arena,
    struct event_effect *effects, struct error *err);

#endif
