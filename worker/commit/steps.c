#include "worker/commit/internal.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/base/fault.h"
#include "worker/base/watchdog.h"

#define SLICE_MS 5000  /* of a blocking call */
#define GUARD_MS 10000 /* beyond its time-out: the watchdog's */
/*
 * send_offsets looks at its own time-out between requests only, to the one
 * coordinator and then the other, and each may take socket.timeout.ms: seen
 * with a broker that is killed and comes back.
 */
#define OFFSETS_MS 25000
#define DESTROY_MS 3000
#define PROBE_MS 1000
#define LIMITS_MS 100
#define BACKOFF_MAX_MS 5000
#define LOST_MAX 10 /* batches lost in a row by a record that is too large */

/* The event that a failed call is. */
static enum commit_event
event_of(const struct committer *c, const struct error *err)
{
	switch (err->kind) {
	case ERROR_RETRY:
		if (c->phase != COMMIT_CLOSED &&
		    clock_monotonic_ms() - c->begun_ms >
			c->settings.deadline_ms)
			return COMMIT_DEADLINE;
		return COMMIT_RETRY;
	case ERROR_FATAL:
		return COMMIT_FATAL;
	case ERROR_NONE:
	case ERROR_INPUT:
	case ERROR_ABORT:
		break;
	}
	return COMMIT_LOST;
}

/* Longer each time, until a batch is committed. */
static void
rest_longer(struct committer *c)
{
	committer_rest(c, c->backoff_ms);
	c->backoff_ms *= 2;
	if (c->backoff_ms > BACKOFF_MAX_MS)
		c->backoff_ms = BACKOFF_MAX_MS;
}

static int
create_producer(struct committer *c, struct error *err)
{
	struct kafka_transaction_options options = c->settings.transaction;

	/* What is lost again and again is not worth all haste. */
	if (c->n_lost > 1)
		rest_longer(c);
	pthread_mutex_lock(&c->lock);
	options.message_max_bytes = c->message_max_bytes;
	options.batch_max_bytes = c->batch_max_bytes;
	pthread_mutex_unlock(&c->lock);
	c->transaction = kafka_transaction_create(&options, err);
	return c->transaction != NULL ? 0 : -1;
}

enum commit_event
committer_open_producer(struct committer *c, struct error *err)
{
	int rc;

	if (c->transaction == NULL && committer_wants_limits(c)) {
		committer_rest(c, LIMITS_MS);
		return COMMIT_RETRY;
	}
	if (c->transaction == NULL && create_producer(c, err) != 0)
		return COMMIT_FATAL;
	watchdog_enter(
	    WATCHDOG_COMMIT, "init_transactions", SLICE_MS + GUARD_MS);
	rc = kafka_transaction_open(c->transaction, SLICE_MS, err);
	watchdog_leave(WATCHDOG_COMMIT);
	if (rc == 0)
		return COMMIT_OK;
	committer_set_reason(c, err->message);
	log_event(LOG_WARN, "kafka", "transactions_not_ready", err->message,
	    LOG_S("transactional_id", c->settings.transaction.transactional_id),
	    LOG_END);
	if (err->kind == ERROR_ABORT) /* fenced, say: the handle is dead */
		committer_destroy_producer(c);
	rest_longer(c);
	return event_of(c, err);
}

void
committer_destroy_producer(struct committer *c)
{
	int rc;

	if (c->transaction == NULL)
		return;
	watchdog_enter(
	    WATCHDOG_COMMIT, "producer close", DESTROY_MS + GUARD_MS);
	rc = kafka_transaction_destroy(c->transaction, DESTROY_MS);
	watchdog_leave(WATCHDOG_COMMIT);
	c->transaction = NULL;
	if (rc != 0) {
		log_event(LOG_ERROR, "kafka", "producer_hangs",
		    "the producer does not close: ending the process, the "
		    "restart is safe",
		    LOG_END);
		_Exit(75);
	}
}

enum commit_event
committer_begin(struct committer *c, struct error *err)
{
	c->begun_ms = clock_monotonic_ms();
	c->clock = telemetry_clock();
	if (kafka_transaction_begin(c->transaction, err) != 0)
		return event_of(c, err) == COMMIT_FATAL ? COMMIT_FATAL
							: COMMIT_LOST;
	fault_point("B1");
	return COMMIT_OK;
}

/* Results, builds, dead letters: each topic in the order of the records. */
enum commit_event
committer_produce(struct committer *c, struct error *err)
{
	size_t topic;
	int rc = 0;

	for (topic = 0; topic < BATCH_TOPICS && rc == 0; topic++) {
		const struct batch_messages *messages =
		    &c->batch->messages[topic];

		if (messages->n == 0)
			continue;
		watchdog_enter(WATCHDOG_COMMIT, "produce",
		    (int)c->settings.deadline_ms + GUARD_MS);
		rc = kafka_transaction_produce(c->transaction, topic,
		    messages->at, messages->n, (int)c->settings.deadline_ms,
		    err);
		watchdog_leave(WATCHDOG_COMMIT);
	}
	if (rc != 0)
		return event_of(c, err) == COMMIT_FATAL ? COMMIT_FATAL
							: COMMIT_LOST;
	fault_point("B2");
	telemetry_stage(
	    c->settings.telemetry, STAGE_PRODUCE, telemetry_clock() - c->clock);
	return COMMIT_OK;
}

enum commit_event
committer_send_offsets(struct committer *c, struct error *err)
{
	const struct batch *batch = c->batch;
	struct kafka_offset *offsets;
	size_t i, n = 0;
	int rc;

	offsets =
	    arena_alloc(batch->arena, (batch->n_spans + 1) * sizeof(*offsets));
	for (i = 0; i < batch->n_spans; i++)
		if (batch->spans[i].next > batch->spans[i].first)
			offsets[n++] =
			    (struct kafka_offset){ batch->spans[i].partition,
				    batch->spans[i].next };
	watchdog_enter(WATCHDOG_COMMIT, "send_offsets", OFFSETS_MS + GUARD_MS);
	rc = kafka_transaction_send_offsets(c->transaction, batch->group,
	    c->settings.requests_topic, offsets, n, SLICE_MS, err);
	watchdog_leave(WATCHDOG_COMMIT);
	if (rc != 0)
		return event_of(c, err);
	fault_point("B3");
	return COMMIT_OK;
}

enum commit_event
committer_commit(struct committer *c, struct error *err)
{
	int rc;

	watchdog_enter(WATCHDOG_COMMIT, "commit", SLICE_MS + GUARD_MS);
	rc = kafka_transaction_commit(c->transaction, SLICE_MS, err);
	watchdog_leave(WATCHDOG_COMMIT);
	if (rc != 0)
		return event_of(c, err);
	fault_point("B4");
	return commit_verdict(
	    kafka_transaction_is_suspect(c->transaction), fault_keep_suspect());
}

void
committer_finish(struct committer *c)
{
	telemetry_stage(
	    c->settings.telemetry, STAGE_COMMIT, telemetry_clock() - c->clock);
	telemetry_transaction(c->settings.telemetry, TXN_COMMITTED);
	telemetry_batch(c->settings.telemetry, c->batch, clock_wall_ms());
	c->n_lost = c->n_too_large = 0;
	c->backoff_ms = BACKOFF_MIN_MS;
	committer_hand_back(c, false);
	fault_point("B5");
}

void
committer_probe(struct committer *c)
{
	struct error ignored;

	watchdog_enter(WATCHDOG_COMMIT, "metadata", PROBE_MS + GUARD_MS);
	kafka_transaction_probe(c->transaction, PROBE_MS, &ignored);
	watchdog_leave(WATCHDOG_COMMIT);
}

/* Whether this is the third fencing within a minute. */
static bool
note_fenced(struct committer *c)
{
	int64_t now = clock_monotonic_ms();
	int64_t *oldest = &c->fenced_ms[c->n_fenced % FENCED_MAX];
	bool often;

	often = c->n_fenced >= FENCED_MAX - 1 &&
	    now - c->fenced_ms[(c->n_fenced + 1) % FENCED_MAX] <
		FENCED_WINDOW_MS;
	*oldest = now;
	c->n_fenced++;
	return often;
}

/*
 * What a lost transaction means beyond the rebuild: a twin, or topics whose
 * limits have changed.
 */
static enum commit_event
look_into_loss(struct committer *c, struct error *err)
{
	struct kafka_delivery_counts counts;

	kafka_transaction_counts(c->transaction, &counts);
	if (counts.too_large > 0) {
		pthread_mutex_lock(&c->lock);
		c->wants_limits = true;
		pthread_mutex_unlock(&c->lock);
		if (++c->n_too_large == LOST_MAX) {
			error_fatal(err, 70,
			    "records are refused as too large although they "
			    "fit the topics' max.message.bytes: %s",
			    counts.reason);
			return COMMIT_FATAL;
		}
	}
	if (!kafka_transaction_is_fenced(c->transaction)) {
		telemetry_transaction(c->settings.telemetry, TXN_ABORTED);
		return COMMIT_LOST;
	}
	telemetry_transaction(c->settings.telemetry, TXN_FENCED);
	if (!note_fenced(c))
		return COMMIT_LOST;
	error_fatal(err, 75,
	    "fenced %d times in a minute: another process uses the "
	    "transactional.id \"%s\" (give each worker its own worker.id), or "
	    "transactions exceed transaction.timeout.ms",
	    FENCED_MAX, c->settings.transaction.transactional_id);
	return COMMIT_FATAL;
}

enum commit_event
committer_give_up(struct committer *c, bool abort_it, struct error *err)
{
	struct error ignored = { 0 };
	enum commit_event event = look_into_loss(c, err);

	log_event(LOG_WARN, "kafka", "transaction_lost", err->message,
	    LOG_S("transactional_id", c->settings.transaction.transactional_id),
	    LOG_I("records", c->batch->n),
	    LOG_I("duration_ms", clock_monotonic_ms() - c->begun_ms), LOG_END);
	if (abort_it) {
		watchdog_enter(WATCHDOG_COMMIT, "abort", SLICE_MS + GUARD_MS);
		kafka_transaction_abort(c->transaction, SLICE_MS, &ignored);
		watchdog_leave(WATCHDOG_COMMIT);
	}
	committer_destroy_producer(c);
	telemetry_rebuild(c->settings.telemetry);
	c->n_lost++;
	committer_set_reason(c, err->message);
	committer_hand_back(c, true);
	committer_set_state(c, COMMITTER_OPENING);
	return event;
}
