#ifndef SCHEDRUN_PRODUCER_RUNS_FOLD_PLACES_H
#define SCHEDRUN_PRODUCER_RUNS_FOLD_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/kafka/consumer.h"
#include "producer/runs/view.h"

/*
 * Where the fold stands in each of its partitions.  Redis's `f` decides, not
 * the group's offset: after a restart, a rebalance, a flush or a failover to a
 * stale replica the fold goes on where `f` says, or without one where records
 * are young enough for the view (docs/keyspace.md, section 5).  The fold's
 * thread.
 */
struct fold_place {
	char *topic; /* ours */
	int32_t partition;
	/* What `f` is as far as we know; -1: there is none yet. */
	int64_t folded;
	int64_t restart_at; /* the log begins anew here, `f` is to say so; -1 */
	int64_t end;        /* of the log, when we last came to it; -1 */
	int64_t last_ms;    /* timestamp of the last record folded */
	bool waits;         /* for the registry, to tell a record's schema */
};

struct fold_places {
	struct fold_place *at;
	size_t n;
	/* The records read next are not those that follow `f`. */
	bool unsettled;
};

/* Frees all places; `{0}` after it, and before the first use. */
void fold_places_finish(struct fold_places *places);

/* The partition's place, valid until the next assignment; NULL: not ours. */
struct fold_place *fold_places_find(
    struct fold_places *places, const char *topic, int32_t partition);

/*
 * The group's assignment: takes the partitions over and says where to read, in
 * `positions`.  Blocks for a round trip to Redis, and one to Kafka for each
 * partition without an `f`.  -1: one of them does not answer, nothing has
 * changed.
 */
int fold_places_assign(struct fold_places *places, struct run_view *view,
    struct kafka_consumer *consumer, struct kafka_position *positions, size_t n,
    struct error *err);

/*
 * Asks Redis for every `f` and seeks there where records are missing behind it;
 * ends `unsettled`.  -1: again later; meanwhile nothing may be folded.
 */
int fold_places_settle(struct fold_places *places, struct run_view *view,
    struct kafka_consumer *consumer, struct error *err);

/* Whether all that the log had when we last looked is folded. */
static inline bool
fold_place_is_at_end(const struct fold_place *place)
{
	return place->end >= 0 && place->end >= place->folded;
}

/*
 * Looks whether an `f` has gone back, or away: sets `unsettled`.  Blocks for a
 * round trip.  -1: Redis does not answer, nothing has changed.
 */
int fold_places_look(
    struct fold_places *places, struct run_view *view, struct error *err);

/* Records that are not folded yet, by what is known of the log's ends. */
int64_t fold_places_lag(
    const struct fold_places *places, const struct kafka_consumer *consumer);

/*
 * A partition with records older than `age_ms` that are not folded, but for
 * those that wait for the registry; NULL: all are folded, or nearly.
 */
const struct fold_place *fold_places_behind(
    const struct fold_places *places, int64_t age_ms);

#endif
