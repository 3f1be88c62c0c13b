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
#include "worker/commit/traced.h"

/*
 * Stage B.  The thread carries out one action after the other; what
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
#define BACKOFF_MAX_MS 2000
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
	int64_t begun_ns; /* the same of the wall's clock, if it is traced */
	double clock;
	struct fenced fenced;
	unsigned n_lost, n_too_large; /* batches in a row */
};

/* Why it isn't ready, for readyz; it goes when it is. */
static void
set_reason(struct committer *committer, const char *reason)
{
	pthread_mutex_lock(&committer->lock);
	snprintf(committer->reason, sizeof committer->reason, "%.255s", reason);
	pthread_mutex_unlock(&committer->lock);
}

/* Wakes whoever waits for it: committer_revoke, and stage A's loop. */
static void
set_state(struct committer *committer, enum committer_state state)
{
	pthread_mutex_lock(&committer->lock);
	committer->state = state;
	if (state == COMMITTER_READY)
		committer->reason[0] = '\0';
	pthread_cond_broadcast(&committer->changed);
	pthread_mutex_unlock(&committer->lock);
	committer->settings.wake(committer->settings.opaque);
}

/* Waits for `ms`, or less if the committer is to stop. */
static void
rest_for(struct committer *committer, int64_t ms)
{
	struct timespec until = clock_after(ms);

	pthread_mutex_lock(&committer->lock);
	while (!committer->is_stopping &&
	    pthread_cond_timedwait(
		&committer->changed, &committer->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&committer->lock);
}

/*
 * The batch goes back to stage A, before READY is told: who sees READY finds it
 * in `through`.  A revocation was of its partitions and is over with it.
 */
static void
hand_back(struct committer *committer, bool lost)
{
	pthread_mutex_lock(&committer->lock);
	committer->through = committer->batch;
	committer->through_lost = lost;
	committer->given = NULL;
	committer->is_revoked = false;
	pthread_cond_broadcast(&committer->changed);
	pthread_mutex_unlock(&committer->lock);
	committer->batch = NULL;
}

static bool
is_revoked(struct committer *committer)
{
	bool revoked;

	pthread_mutex_lock(&committer->lock);
	revoked = committer->is_revoked;
	pthread_mutex_unlock(&committer->lock);
	return revoked;
}

/*
 * The event that a failed call is.  The deadline, from begin on, is below
 * transaction.timeout.ms: past that the broker would fence us for being slow,
 * and say no more than it says of a twin.  Opening a producer has none.
 */
static enum commit_event
event_of(const struct committer *committer, const struct error *err)
{
	switch (err->kind) {
	case ERROR_RETRY:
		if (committer->phase != COMMIT_CLOSED &&
		    clock_monotonic_ms() - committer->begun_ms >
			committer->settings.deadline_ms)
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
rest_longer(struct committer *committer)
{
	rest_for(committer, committer->backoff_ms);
	committer->backoff_ms *= 2;
	if (committer->backoff_ms > BACKOFF_MAX_MS)
		committer->backoff_ms = BACKOFF_MAX_MS;
}

/*
 * A new handle for each: what the old one still has under way, a commit held up
 * in the network say, is fenced by init_transactions of the new one (the
 * rebuild rule of docs/delivery.md, section 5).
 */
static int
create_producer(struct committer *committer, struct error *err)
{
	struct kafka_transaction_options options =
	    committer->settings.transaction;

	/* What is lost again and again is not worth all haste. */
	if (committer->n_lost > 1)
		rest_longer(committer);
	pthread_mutex_lock(&committer->lock);
	options.message_max_bytes = committer->message_max_bytes;
	options.batch_max_bytes = committer->batch_max_bytes;
	pthread_mutex_unlock(&committer->lock);
	committer->transaction = kafka_transaction_create(&options, err);
	return committer->transaction != NULL ? 0 : -1;
}

/*
 * A handle that does not close may still send what it has: its values can't be
 * given back, so the process ends instead.  _Exit, as atexit's functions might
 * hang on the same thing.
 */
static void
destroy_producer(struct committer *committer)
{
	int rc;

	if (committer->transaction == NULL)
		return;
	watchdog_enter(
	    WATCHDOG_COMMIT, "producer close", DESTROY_MS + GUARD_MS);
	rc = kafka_transaction_destroy(committer->transaction, DESTROY_MS);
	watchdog_leave(WATCHDOG_COMMIT);
	committer->transaction = NULL;
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
open_producer(struct committer *committer, struct error *err)
{
	int rc;

	if (committer->transaction == NULL &&
	    committer_wants_limits(committer)) {
		rest_for(committer, LIMITS_MS);
		return COMMIT_RETRY;
	}
	if (committer->transaction == NULL &&
	    create_producer(committer, err) != 0)
		return COMMIT_FATAL;
	watchdog_enter(
	    WATCHDOG_COMMIT, "init_transactions", SLICE_MS + GUARD_MS);
	rc = kafka_transaction_open(committer->transaction, SLICE_MS, err);
	watchdog_leave(WATCHDOG_COMMIT);
	if (rc == 0)
		return COMMIT_OK;
	set_reason(committer, err->message);
	log_event(LOG_WARN, "kafka", "transactions_not_ready", err->message,
	    LOG_S("transactional_id",
		committer->settings.transaction.transactional_id),
	    LOG_END);
	if (err->kind == ERROR_ABORT) /* fenced, say: the handle is dead */
		destroy_producer(committer);
	rest_longer(committer);
	return event_of(committer, err);
}

/* Nothing is open yet, so nothing can be repeated: RETRY is lost as well. */
static enum commit_event
begin_transaction(struct committer *committer, struct error *err)
{
	int rc;

	committer->begun_ms = clock_monotonic_ms();
	if (committer->batch->n_traced > 0)
		committer->begun_ns = trace_now_ns();
	committer->clock = worker_metrics_clock();
	watchdog_enter(WATCHDOG_COMMIT, "begin", SLICE_MS + GUARD_MS);
	rc = kafka_transaction_begin(committer->transaction, err);
	watchdog_leave(WATCHDOG_COMMIT);
	if (rc != 0)
		return event_of(committer, err) == COMMIT_FATAL ? COMMIT_FATAL
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
produce_messages(struct committer *committer, struct error *err)
{
	size_t topic;
	int rc = 0;

	for (topic = 0; topic < BATCH_TOPICS && rc == 0; topic++) {
		const struct batch_messages *messages =
		    &committer->batch->messages[topic];

		if (messages->n == 0)
			continue;
		watchdog_enter(WATCHDOG_COMMIT, "produce",
		    (int)committer->settings.deadline_ms + GUARD_MS);
		rc = kafka_transaction_produce(committer->transaction, topic,
		    messages->at, messages->n,
		    (int)committer->settings.deadline_ms, err);
		watchdog_leave(WATCHDOG_COMMIT);
	}
	if (rc != 0)
		return event_of(committer, err) == COMMIT_FATAL ? COMMIT_FATAL
								: COMMIT_LOST;
	fault_point("B2");
	metrics_observe(committer->settings.metrics, WORKER_STAGES,
	    STAGE_PRODUCE, worker_metrics_clock() - committer->clock, 1);
	return COMMIT_OK;
}

/*
 * The next offset to be read of each partition, under the generation of the
 * cut: if the partitions have moved since, the broker refuses them, and with
 * them the transaction.  A partition of which a cut has left nothing has none
 * to send.  Repeating it is safe.
 */
static enum commit_event
send_offsets(struct committer *committer, struct error *err)
{
	const struct batch *batch = committer->batch;
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
	rc =
	    kafka_transaction_send_offsets(committer->transaction, batch->group,
		(struct kafka_offset_list){
		    committer->settings.requests_topic, offsets, n },
		SLICE_MS, err);
	watchdog_leave(WATCHDOG_COMMIT);
	if (rc != 0)
		return event_of(committer, err);
	fault_point("B3");
	return COMMIT_OK;
}

/* Its outcome is unknown until it says so: RETRY repeats the call itself. */
static enum commit_event
commit_transaction(struct committer *committer, struct error *err)
{
	int rc;

	watchdog_enter(WATCHDOG_COMMIT, "commit", SLICE_MS + GUARD_MS);
	rc = kafka_transaction_commit(committer->transaction, SLICE_MS, err);
	watchdog_leave(WATCHDOG_COMMIT);
	if (rc != 0)
		return event_of(committer, err);
	fault_point("B4");
	return commit_verdict(
	    kafka_transaction_is_suspect(committer->transaction),
	    fault_keep_suspect());
}

/* Committed: only now do counters move, so that they count each record once. */
static void
finish_batch(struct committer *committer)
{
	metrics_observe(committer->settings.metrics, WORKER_STAGES,
	    STAGE_COMMIT, worker_metrics_clock() - committer->clock, 1);
	metrics_add(
	    committer->settings.metrics, WORKER_TRANSACTIONS, TXN_COMMITTED, 1);
	worker_metrics_batch(
	    committer->settings.metrics, committer->batch, clock_wall_ms());
	dead_letter_log(committer->batch);
	if (committer->batch->n_traced > 0)
		traced_tell(committer->batch,
		    committer->settings.requests_topic, committer->begun_ns);
	kafka_health_prove(committer->settings.transaction.settings.health);
	committer->n_lost = committer->n_too_large = 0;
	committer->backoff_ms = BACKOFF_MIN_MS;
	hand_back(committer, false);
	fault_point("B5");
}

/* Asks whether Kafka is there: kafka/client's health hears the answer. */
static void
probe_kafka(struct committer *committer)
{
	struct error ignored;

	watchdog_enter(WATCHDOG_COMMIT, "metadata", PROBE_MS + GUARD_MS);
	kafka_transaction_probe(committer->transaction, PROBE_MS, &ignored);
	watchdog_leave(WATCHDOG_COMMIT);
}

/*
 * What a lost transaction means beyond the rebuild: a twin, or topics whose
 * limits have changed.  Messages that are refused though they fit the limits
 * would be lost for ever, batch after batch: the process says so and ends.
 */
static enum commit_event
look_into_loss(struct committer *committer, struct error *err)
{
	struct kafka_delivery_counts counts;

	kafka_transaction_counts(committer->transaction, &counts);
	/* Once for its size alone: the topic's limit may be another now. */
	committer->batch->letters_refused =
	    (counts.refused >> BATCH_DEAD & 1) != 0 &&
	    (counts.too_large == 0 || committer->n_too_large > 0);
	if (counts.too_large > 0) {
		pthread_mutex_lock(&committer->lock);
		committer->wants_limits = true;
		pthread_mutex_unlock(&committer->lock);
		if (!committer->batch->letters_refused &&
		    ++committer->n_too_large >= LOST_MAX) {
			error_fatal(err, 70,
			    "records are refused as too large although they "
			    "fit the topics' max.message.bytes: %s",
			    counts.reason);
			return COMMIT_FATAL;
		}
	}
	if (!kafka_transaction_is_fenced(committer->transaction)) {
		metrics_add(committer->settings.metrics, WORKER_TRANSACTIONS,
		    TXN_ABORTED, 1);
		return COMMIT_LOST;
	}
	metrics_add(
	    committer->settings.metrics, WORKER_TRANSACTIONS, TXN_FENCED, 1);
	return fenced_note(&committer->fenced, clock_monotonic_ms(),
		   committer->settings.transaction.transactional_id, err) == 0
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
give_up(struct committer *committer, bool abort_it, struct error *err)
{
	struct error ignored = { 0 };
	enum commit_event event = look_into_loss(committer, err);

	log_event(LOG_WARN, "kafka", "transaction_lost", err->message,
	    LOG_S("transactional_id",
		committer->settings.transaction.transactional_id),
	    LOG_I("records", committer->batch->n),
	    LOG_I("duration_ms", clock_monotonic_ms() - committer->begun_ms),
	    LOG_END);
	if (abort_it) {
		watchdog_enter(WATCHDOG_COMMIT, "abort", SLICE_MS + GUARD_MS);
		kafka_transaction_abort(
		    committer->transaction, SLICE_MS, &ignored);
		watchdog_leave(WATCHDOG_COMMIT);
	}
	destroy_producer(
	    committer); /* before the batch goes: it may still read it */
	metrics_add(committer->settings.metrics, WORKER_REBUILDS, 0, 1);
	committer->n_lost++;
	set_reason(committer, err->message);
	hand_back(committer, true);
	set_state(committer, COMMITTER_OPENING);
	return event;
}
/* Waits for a batch or the end, `ms` at most; true if one of them is there. */
static bool
has_news(struct committer *committer, int64_t ms)
{
	struct timespec until = clock_after(ms);
	bool news;

	pthread_mutex_lock(&committer->lock);
	while (committer->given == NULL && !committer->is_stopping &&
	    pthread_cond_timedwait(
		&committer->changed, &committer->lock, &until) != ETIMEDOUT)
		;
	committer->batch = committer->given;
	news = committer->batch != NULL || committer->is_stopping;
	pthread_mutex_unlock(&committer->lock);
	watchdog_beat(WATCHDOG_COMMIT);
	return news;
}

/* Without a batch nobody else hears from the broker: readiness would age. */
static enum commit_event
await_batch(struct committer *committer, struct error *err)
{
	(void)err;
	set_state(committer, COMMITTER_READY);
	while (!has_news(committer, PROBE_EACH_MS))
		probe_kafka(committer);
	return committer->batch != NULL ? COMMIT_BATCH : COMMIT_EVENTS;
}

/* Committed, if not cleanly: the batch is done with, the producer is not. */
static enum commit_event
finish_and_rebuild(struct committer *committer, struct error *err)
{
	finish_batch(committer);
	set_state(committer, COMMITTER_OPENING);
	destroy_producer(committer);
	metrics_add(committer->settings.metrics, WORKER_REBUILDS, 0, 1);
	return open_producer(committer, err);
}

static enum commit_event
finish_and_wait(struct committer *committer, struct error *err)
{
	finish_batch(committer);
	return await_batch(committer, err);
}

static enum commit_event
abort_and_open(struct committer *committer, struct error *err)
{
	return give_up(committer, true, err) == COMMIT_FATAL
	    ? COMMIT_FATAL
	    : open_producer(committer, err);
}

static enum commit_event
leave_and_open(struct committer *committer, struct error *err)
{
	return give_up(committer, false, err) == COMMIT_FATAL
	    ? COMMIT_FATAL
	    : open_producer(committer, err);
}

/* It ends between batches only: what was given is brought to an end first. */
static bool
is_stopping(struct committer *committer)
{
	bool stopping;

	pthread_mutex_lock(&committer->lock);
	stopping = committer->is_stopping && committer->given == NULL;
	pthread_mutex_unlock(&committer->lock);
	return stopping;
}

static void
fail_stage(struct committer *committer, const struct error *err)
{
	pthread_mutex_lock(&committer->lock);
	committer->error = *err;
	if (committer->error.kind != ERROR_FATAL)
		error_fatal(
		    &committer->error, 70, "the commit table has no rule");
	pthread_mutex_unlock(&committer->lock);
	set_state(committer, COMMITTER_FAILED);
}

/*
 * The thread.  A revocation is heard between two actions, and only before the
 * offsets are in; what the action has come to doesn't matter then, unless it
 * ends the process.
 */
static void *
commit_batches(void *argument)
{
	/*
	 * What each action of the table is carried out by.  It says the event
	 * that came of it, COMMIT_EVENTS if the thread is to end; `err` says
	 * why the one before failed, if it did, and then why this one does.
	 */
	static enum commit_event (*const act[])(
	    struct committer *, struct error *) = {
		[COMMIT_OPEN] = open_producer,
		[COMMIT_WAIT] = await_batch,
		[COMMIT_BEGIN] = begin_transaction,
		[COMMIT_PRODUCE] = produce_messages,
		[COMMIT_SEND_OFFSETS] = send_offsets,
		[COMMIT_COMMIT] = commit_transaction,
		[COMMIT_DONE] = finish_and_wait,
		[COMMIT_DONE_REBUILD] = finish_and_rebuild,
		[COMMIT_ABORT_REWIND] = abort_and_open,
		[COMMIT_DESTROY_REWIND] = leave_and_open,
	};
	struct committer *committer = argument;
	struct error err = { 0 };
	enum commit_action action = COMMIT_OPEN;
	enum commit_event event;

	for (;;) {
		event = act[action](committer, &err);
		watchdog_beat(WATCHDOG_COMMIT);
		if (event == COMMIT_EVENTS || is_stopping(committer))
			break;
		if (event != COMMIT_FATAL &&
		    committer->phase >= COMMIT_BEGINNING &&
		    committer->phase <= COMMIT_SENDING &&
		    is_revoked(committer)) {
			error_set(
			    &err, ERROR_ABORT, "the partitions were revoked");
			event = COMMIT_REVOKED;
		}
		action = commit_step(&committer->phase, event);
		if (action == COMMIT_EXIT || action == COMMIT_REFUSE) {
			fail_stage(committer, &err);
			break;
		}
	}
	/* First the producer: until it is gone it may read the batch. */
	destroy_producer(committer);
	if (committer->batch != NULL)
		hand_back(committer, true);
	pthread_mutex_lock(&committer->lock);
	committer->is_ended = true;
	pthread_cond_broadcast(&committer->changed);
	pthread_mutex_unlock(&committer->lock);
	return NULL;
}

struct committer *
committer_start(const struct committer_settings *settings, struct error *err)
{
	struct committer *committer = memory_zalloc(1, sizeof *committer);

	committer->settings = *settings;
	committer->message_max_bytes = settings->transaction.message_max_bytes;
	committer->batch_max_bytes = settings->transaction.batch_max_bytes;
	committer->backoff_ms = BACKOFF_MIN_MS;
	pthread_mutex_init(&committer->lock, NULL);
	clock_condition_init(&committer->changed);
	if (pthread_create(
		&committer->thread, NULL, commit_batches, committer) != 0) {
		error_fatal(err, 71, "no thread for the commit stage");
		free(committer);
		return NULL;
	}
	return committer;
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
await_through(struct committer *committer, int64_t timeout_ms)
{
	struct timespec until = clock_after(timeout_ms);

	while (committer->given != NULL)
		if (pthread_cond_timedwait(&committer->changed,
			&committer->lock, &until) == ETIMEDOUT)
			return committer->given == NULL;
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
