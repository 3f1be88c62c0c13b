#include "worker/commit/committer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/base/batch_protocol.h"
#include "worker/base/fault.h"
#include "worker/base/watchdog.h"
#include "worker/commit/dead_letter.h"
#include "worker/commit/fenced.h"

/*
 * Stage B.  The thread carries out one action after the other (`act`); what
 * came of it leads to the next by the table of batch_protocol.c.  Stage A's
 * thread calls the functions at the end.  They meet under the lock, at three
 * places: `given` (a batch comes), `through` (it goes back) and `is_revoked`
 * (its partitions are about to go).  librdkafka is never called under it.
 *
 * librdkafka's calls block in this thread, in slices: between two of them it
 * sees that partitions are revoked or that the time is up.  As they have been
 * seen to overrun their time-outs, the watchdog bounds each from outside.
 */
#define PROBE_EACH_MS 3000
#define BACKOFF_MIN_MS 100
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

struct committer {
	struct committer_settings settings;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock: */
	enum committer_state state;
	struct batch *given;   /* in work, or waiting for the thread */
	struct batch *through; /* for committer_take */
	bool through_lost, wants_limits;
	bool is_revoked, is_stopping, is_ended;
	int64_t message_max_bytes, batch_max_bytes;
	char reason[256];
	struct error error; /* of COMMITTER_FAILED */
	/* The thread's own: */
	enum commit_phase phase;
	struct kafka_transaction *transaction;
	struct batch *batch;
	int64_t begun_ms, backoff_ms;
	double clock;
	struct fenced fenced;
	unsigned n_lost, n_too_large; /* batches in a row */
};

/* Why it isn't ready, for readyz; it goes when it is. */
static void
set_reason(struct committer *c, const char *reason)
{
	pthread_mutex_lock(&c->lock);
	snprintf(c->reason, sizeof c->reason, "%.255s", reason);
	pthread_mutex_unlock(&c->lock);
}

/* Wakes whoever waits for it: committer_revoke, and stage A's loop. */
static void
set_state(struct committer *c, enum committer_state state)
{
	pthread_mutex_lock(&c->lock);
	c->state = state;
	if (state == COMMITTER_READY)
		c->reason[0] = '\0';
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	c->settings.wake(c->settings.opaque);
}

/* Waits for `ms`, or less if the committer is to stop. */
static void
rest(struct committer *c, int64_t ms)
{
	struct timespec until = clock_after(ms);

	pthread_mutex_lock(&c->lock);
	while (!c->is_stopping &&
	    pthread_cond_timedwait(&c->changed, &c->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&c->lock);
}

/*
 * The batch goes back to stage A, before READY is told: who sees READY finds it
 * in `through`.  A revocation was of its partitions and is over with it.
 */
static void
hand_back(struct committer *c, bool lost)
{
	pthread_mutex_lock(&c->lock);
	c->through = c->batch;
	c->through_lost = lost;
	c->given = NULL;
	c->is_revoked = false;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	c->batch = NULL;
}

static bool
is_revoked(struct committer *c)
{
	bool revoked;

	pthread_mutex_lock(&c->lock);
	revoked = c->is_revoked;
	pthread_mutex_unlock(&c->lock);
	return revoked;
}

/*
 * The event that a failed call is.  The deadline, from begin on, is below
 * transaction.timeout.ms: past that the broker would fence us for being slow,
 * and say no more than it says of a twin.  Opening a producer has none.
 */
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
	rest(c, c->backoff_ms);
	c->backoff_ms *= 2;
	if (c->backoff_ms > BACKOFF_MAX_MS)
		c->backoff_ms = BACKOFF_MAX_MS;
}

/*
 * A new handle for each: what the old one still has under way, a commit held up
 * in the network say, is fenced by init_transactions of the new one (the
 * rebuild rule of docs/delivery.md, section 5).
 */
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

/*
 * A handle that does not close may still send what it has: its values can't be
 * given back, so the process ends instead.  _Exit, as atexit's functions might
 * hang on the same thing.
 */
static void
destroy_producer(struct committer *c)
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

/*
 * Where a record was too large, no producer is made before the limits have been
 * read again: the same batch would fail the same way.
 */
static enum commit_event
open_producer(struct committer *c, struct error *err)
{
	int rc;

	if (c->transaction == NULL && committer_wants_limits(c)) {
		rest(c, LIMITS_MS);
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
	set_reason(c, err->message);
	log_event(LOG_WARN, "kafka", "transactions_not_ready", err->message,
	    LOG_S("transactional_id", c->settings.transaction.transactional_id),
	    LOG_END);
	if (err->kind == ERROR_ABORT) /* fenced, say: the handle is dead */
		destroy_producer(c);
	rest_longer(c);
	return event_of(c, err);
}

/* Nothing is open yet, so nothing can be repeated: RETRY is lost as well. */
static enum commit_event
begin(struct committer *c, struct error *err)
{
	c->begun_ms = clock_monotonic_ms();
	c->clock = worker_metrics_clock();
	if (kafka_transaction_begin(c->transaction, err) != 0)
		return event_of(c, err) == COMMIT_FATAL ? COMMIT_FATAL
							: COMMIT_LOST;
	fault_point("B1");
	return COMMIT_OK;
}

/*
 * Results, builds, dead letters: each topic in the order of the records, so
 * that a schedule's results stand in the order of its requests (G5).  A part of
 * it may be queued when it fails: it is lost, never begun again in place.
 */
static enum commit_event
produce(struct committer *c, struct error *err)
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
	metrics_observe(c->settings.metrics, WORKER_STAGES, STAGE_PRODUCE,
	    worker_metrics_clock() - c->clock, 1);
	return COMMIT_OK;
}

/*
 * The next offset to be read of each partition, under the generation of the
 * cut: if the partitions have moved since, the broker refuses them, and with
 * them the transaction.  A partition of which a cut has left nothing has none
 * to send.  Repeating it is safe.
 */
static enum commit_event
send_offsets(struct committer *c, struct error *err)
{
	const struct batch *batch = c->batch;
	struct kafka_offset *offsets;
	size_t i, n = 0;
	int rc;

	offsets =
	    arena_alloc(batch->arena, (batch->n_spans + 1) * sizeof *offsets);
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

/* Its outcome is unknown until it says so: RETRY repeats the call itself. */
static enum commit_event
commit(struct committer *c, struct error *err)
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

/* Committed: only now do counters move, so that they count each record once. */
static void
finish(struct committer *c)
{
	metrics_observe(c->settings.metrics, WORKER_STAGES, STAGE_COMMIT,
	    worker_metrics_clock() - c->clock, 1);
	metrics_add(c->settings.metrics, WORKER_TRANSACTIONS, TXN_COMMITTED, 1);
	worker_metrics_batch(c->settings.metrics, c->batch, clock_wall_ms());
	dead_letter_log(c->batch);
	c->n_lost = c->n_too_large = 0;
	c->backoff_ms = BACKOFF_MIN_MS;
	hand_back(c, false);
	fault_point("B5");
}

/* Asks whether Kafka is there: kafka/client's health hears the answer. */
static void
probe(struct committer *c)
{
	struct error ignored;

	watchdog_enter(WATCHDOG_COMMIT, "metadata", PROBE_MS + GUARD_MS);
	kafka_transaction_probe(c->transaction, PROBE_MS, &ignored);
	watchdog_leave(WATCHDOG_COMMIT);
}

/*
 * What a lost transaction means beyond the rebuild: a twin, or topics whose
 * limits have changed.  Messages that are refused though they fit the limits
 * would be lost for ever, batch after batch: the process says so and ends.
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
		metrics_add(
		    c->settings.metrics, WORKER_TRANSACTIONS, TXN_ABORTED, 1);
		return COMMIT_LOST;
	}
	metrics_add(c->settings.metrics, WORKER_TRANSACTIONS, TXN_FENCED, 1);
	return fenced_note(&c->fenced, clock_monotonic_ms(),
		   c->settings.transaction.transactional_id, err) == 0
	    ? COMMIT_LOST
	    : COMMIT_FATAL;
}

/*
 * Gives the transaction up; `err` says why.  COMMIT_FATAL and another `err` if
 * that must end the process.  An abort is a courtesy to readers, who wait
 * behind what is open until transaction.timeout.ms: the rebuild fences it
 * anyway, so its result doesn't matter.  Where the commit's outcome is unknown
 * none is sent: it may have happened, and the committed offset tells.
 */
static enum commit_event
give_up(struct committer *c, bool abort_it, struct error *err)
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
	destroy_producer(c); /* before the batch goes: it may still read it */
	metrics_add(c->settings.metrics, WORKER_REBUILDS, 0, 1);
	c->n_lost++;
	set_reason(c, err->message);
	hand_back(c, true);
	set_state(c, COMMITTER_OPENING);
	return event;
}
/* Waits for a batch or the end, `ms` at most; true if one of them is there. */
static bool
has_news(struct committer *c, int64_t ms)
{
	struct timespec until = clock_after(ms);
	bool news;

	pthread_mutex_lock(&c->lock);
	while (c->given == NULL && !c->is_stopping &&
	    pthread_cond_timedwait(&c->changed, &c->lock, &until) != ETIMEDOUT)
		;
	c->batch = c->given;
	news = c->batch != NULL || c->is_stopping;
	pthread_mutex_unlock(&c->lock);
	watchdog_beat(WATCHDOG_COMMIT);
	return news;
}

/* Without a batch nobody else hears from the broker: readiness would age. */
static enum commit_event
await_batch(struct committer *c)
{
	set_state(c, COMMITTER_READY);
	while (!has_news(c, PROBE_EACH_MS))
		probe(c);
	return c->batch != NULL ? COMMIT_BATCH : COMMIT_EVENTS;
}

/*
 * Carries one action out; says the event that came of it, COMMIT_EVENTS if the
 * thread is to end.  `err` says why the action before failed, if it did, and
 * then why this one does.
 */
static enum commit_event
act(struct committer *c, enum commit_action action, struct error *err)
{
	switch (action) {
	case COMMIT_OPEN:
		return open_producer(c, err);
	case COMMIT_WAIT:
		return await_batch(c);
	case COMMIT_BEGIN:
		return begin(c, err);
	case COMMIT_PRODUCE:
		return produce(c, err);
	case COMMIT_SEND_OFFSETS:
		return send_offsets(c, err);
	case COMMIT_COMMIT:
		return commit(c, err);
	case COMMIT_DONE:
		finish(c);
		return await_batch(c);
	case COMMIT_DONE_REBUILD:
		finish(c);
		set_state(c, COMMITTER_OPENING);
		destroy_producer(c);
		metrics_add(c->settings.metrics, WORKER_REBUILDS, 0, 1);
		return open_producer(c, err);
	case COMMIT_ABORT_REWIND:
	case COMMIT_DESTROY_REWIND:
		if (give_up(c, action == COMMIT_ABORT_REWIND, err) ==
		    COMMIT_FATAL)
			return COMMIT_FATAL;
		return open_producer(c, err);
	case COMMIT_EXIT:
	case COMMIT_REFUSE:
		break;
	}
	return COMMIT_EVENTS;
}

/* It ends between batches only: what was given is brought to an end first. */
static bool
is_stopping(struct committer *c)
{
	bool stopping;

	pthread_mutex_lock(&c->lock);
	stopping = c->is_stopping && c->given == NULL;
	pthread_mutex_unlock(&c->lock);
	return stopping;
}

static void
fail(struct committer *c, const struct error *err)
{
	pthread_mutex_lock(&c->lock);
	c->error = *err;
	if (c->error.kind != ERROR_FATAL)
		error_fatal(&c->error, 70, "the commit table has no rule");
	pthread_mutex_unlock(&c->lock);
	set_state(c, COMMITTER_FAILED);
}

/*
 * The thread.  A revocation is heard between two actions, and only before the
 * offsets are in; what the action has come to doesn't matter then, unless it
 * ends the process.
 */
static void *
commit_batches(void *argument)
{
	struct committer *c = argument;
	struct error err = { 0 };
	enum commit_action action = COMMIT_OPEN;
	enum commit_event event;

	for (;;) {
		event = act(c, action, &err);
		watchdog_beat(WATCHDOG_COMMIT);
		if (event == COMMIT_EVENTS || is_stopping(c))
			break;
		if (event != COMMIT_FATAL && c->phase >= COMMIT_BEGINNING &&
		    c->phase <= COMMIT_SENDING && is_revoked(c)) {
			error_set(
			    &err, ERROR_ABORT, "the partitions were revoked");
			event = COMMIT_REVOKED;
		}
		action = commit_step(&c->phase, event);
		if (action == COMMIT_EXIT || action == COMMIT_REFUSE) {
			fail(c, &err);
			break;
		}
	}
	/* First the producer: until it is gone it may read the batch. */
	destroy_producer(c);
	if (c->batch != NULL)
		hand_back(c, true);
	pthread_mutex_lock(&c->lock);
	c->is_ended = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

struct committer *
committer_start(const struct committer_settings *settings, struct error *err)
{
	struct committer *c = memory_zalloc(1, sizeof *c);

	c->settings = *settings;
	c->message_max_bytes = settings->transaction.message_max_bytes;
	c->batch_max_bytes = settings->transaction.batch_max_bytes;
	c->backoff_ms = BACKOFF_MIN_MS;
	pthread_mutex_init(&c->lock, NULL);
	clock_condition_init(&c->changed);
	if (pthread_create(&c->thread, NULL, commit_batches, c) != 0) {
		error_fatal(err, 71, "no thread for the commit stage");
		free(c);
		return NULL;
	}
	return c;
}

enum committer_state
committer_state(struct committer *committer)
{
	enum committer_state state;

	pthread_mutex_lock(&committer->lock);
	state = committer->state;
	pthread_mutex_unlock(&committer->lock);
	return state;
}

void
committer_error(struct committer *committer, struct error *err)
{
	pthread_mutex_lock(&committer->lock);
	*err = committer->error;
	pthread_mutex_unlock(&committer->lock);
}

void
committer_reason(struct committer *committer, char *out, size_t size)
{
	pthread_mutex_lock(&committer->lock);
	snprintf(out, size, "%s", committer->reason);
	pthread_mutex_unlock(&committer->lock);
}

void
committer_give(struct committer *committer, struct batch *batch)
{
	pthread_mutex_lock(&committer->lock);
	assert(committer->state == COMMITTER_READY);
	assert(committer->given == NULL && committer->through == NULL);
	committer->given = batch;
	committer->state = COMMITTER_BUSY;
	pthread_cond_broadcast(&committer->changed);
	pthread_mutex_unlock(&committer->lock);
}

struct batch *
committer_take(struct committer *committer, bool *lost)
{
	struct batch *batch;

	pthread_mutex_lock(&committer->lock);
	batch = committer->through;
	*lost = batch != NULL && committer->through_lost;
	committer->through = NULL;
	pthread_mutex_unlock(&committer->lock);
	return batch;
}

bool
committer_wants_limits(struct committer *committer)
{
	bool wants;

	pthread_mutex_lock(&committer->lock);
	wants = committer->wants_limits;
	pthread_mutex_unlock(&committer->lock);
	return wants;
}

void
committer_set_limits(struct committer *committer, int64_t message_max_bytes,
    int64_t batch_max_bytes)
{
	pthread_mutex_lock(&committer->lock);
	committer->message_max_bytes = message_max_bytes;
	committer->batch_max_bytes = batch_max_bytes;
	committer->wants_limits = false;
	pthread_mutex_unlock(&committer->lock);
}

/* Waits until no batch is in work; the lock is held.  False: time is up. */
static bool
await_through(struct committer *c, int64_t timeout_ms)
{
	struct timespec until = clock_after(timeout_ms);

	while (c->given != NULL)
		if (pthread_cond_timedwait(&c->changed, &c->lock, &until) ==
		    ETIMEDOUT)
			return c->given == NULL;
	return true;
}

/*
 * Half of the time for the batch to end by itself, which takes 7 ms and more
 * where Kafka is well; half for the abort, which is heard at the end of the
 * slice at most. Lost: the partitions are another's already, so it is aborted
 * at once.
 */
bool
committer_revoke(struct committer *committer, bool lost, int64_t timeout_ms)
{
	bool through;

	pthread_mutex_lock(&committer->lock);
	committer->is_revoked = lost && committer->given != NULL;
	through = await_through(committer, lost ? 0 : timeout_ms / 2);
	if (!through) {
		committer->is_revoked = true;
		through = await_through(
		    committer, lost ? timeout_ms : timeout_ms / 2);
	}
	if (through)
		committer->is_revoked = false;
	pthread_mutex_unlock(&committer->lock);
	return through;
}

int
committer_stop(struct committer *committer, int64_t timeout_ms)
{
	struct timespec until;
	bool ended;

	pthread_mutex_lock(&committer->lock);
	until = clock_after(timeout_ms);
	committer->is_stopping = true;
	pthread_cond_broadcast(&committer->changed);
	while (!committer->is_ended)
		if (pthread_cond_timedwait(&committer->changed,
			&committer->lock, &until) == ETIMEDOUT)
			break;
	ended = committer->is_ended;
	pthread_mutex_unlock(&committer->lock);
	if (!ended)
		return -1;
	pthread_join(committer->thread, NULL);
	pthread_cond_destroy(&committer->changed);
	pthread_mutex_destroy(&committer->lock);
	free(committer);
	return 0;
}
