#ifndef SCHEDRUN_PRODUCER_TRIGGER_FIRING_H
#define SCHEDRUN_PRODUCER_TRIGGER_FIRING_H

#include "common/base/error.h"
#include "common/base/metrics.h"
#include "common/config/config.h"
#include "common/kafka/client.h"
#include "producer/trigger/metrics.h"
#include "producer/trigger/timetable.h"

/*
 * Sends the run requests of what is due, and hears of each whether the brokers
 * have it.  The request's id is a function of version and cause, so who fires
 * the same again, or elsewhere, asks for the same run.  One thread.
 */
struct firing;

/* NULL: ERROR_FATAL.  Connects in the background. */
struct firing *firing_create(const struct config *config,
    struct kafka_health *health, struct metrics *metrics, struct error *err);
void firing_destroy(struct firing *firing); /* NULL is fine */

/*
 * Learns the requests' schema id, once; before that nothing can be sent.
 * ERROR_RETRY: the registry does not answer; ERROR_FATAL (78): it has another
 * schema.  Blocks for up to 5 s.
 */
int firing_learn(struct firing *firing, struct error *err);
/* Whether Kafka answers: ERROR_RETRY if not.  Blocks for up to 3 s. */
int firing_probe(struct firing *firing, struct error *err);
/* The cluster's id, as of kafka_producer_cluster_id. */
void firing_cluster(struct firing *firing, char *id, size_t size);

/* What says which instant it is: "2026-03-29T01:00:00Z". */
#define FIRING_CAUSE_SIZE 24 /* of `at` */
/* Written to `at`, which the text is of. */
struct text firing_cause(int64_t at_s, char at[FIRING_CAUSE_SIZE]);

/* The run that an instant of a version asks for. */
struct uuid firing_run_due(
    struct text schedule_rid, struct text version_rid, int64_t at_s);

/* A run of a version, and why. */
struct firing_order {
	struct text schedule_rid, version_rid;
	struct text cause;   /* the event or instant; the id is of it, too */
	struct text trigger; /* for people */
	enum trigger_fired kind;
	int64_t at_ms; /* of the instant, or when the event came */
};

/*
 * Hands a request over.  -1: ERROR_RETRY, Kafka takes nothing for 10 s, or
 * ERROR_INPUT, it can't be sent at all.
 */
int firing_send(
    struct firing *firing, const struct firing_order *order, struct error *err);
/* The same of an instant. */
int firing_send_due(struct firing *firing, struct text schedule_rid,
    struct text version_rid, const struct due *due, struct error *err);

/*
 * Waits for the brokers' word on all that was sent since the last call, up to
 * 11 s.  -1 with ERROR_RETRY: of some it is unknown, they are to be sent again.
 */
int firing_settle(struct firing *firing, struct error *err);

#endif
