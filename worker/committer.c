#include "worker/committer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "worker/batch_protocol.h"
#include "worker/fault.h"
#include "worker/watchdog.h"

#define SLICE_MS 5000  /* of a blocking call */
#define GUARD_MS 10000 /* beyond its time-out: the watchdog's */
#define DESTROY_MS 3000
#define FENCED_MAX 3 /* in FENCED_WINDOW_MS: a twin */
#define FENCED_WINDOW_MS 60000
#define BACKOFF_MIN_MS 100
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
	int64_t message_max_bytes;
	char reason[256];
	struct error error; /* of COMMITTER_FAILED */
	/* The thread's own: */
	enum commit_phase phase;
	struct kafka_transaction *transaction;
	struct batch *batch;
	int64_t begun_ms, backoff_ms;
	double clock;
	int64_t fenced_ms[FENCED_MAX];
	size_t n_fenced;
	unsigned n_too_large;
};

static void
set_reason(struct committer *c, const char *reason)
{
	pthread_mutex_lock(&c->lock);
	snprintf(c->reason, sizeof(c->reason), "%.255s", reason);
	pthread_mutex_unlock(&c->lock);
}

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

static bool
is_revoked(struct committer *c)
{
	bool revoked;

	pthread_mutex_lock(&c->lock);
	revoked = c->is_revoked;
	pthread_mutex_unlock(&c->lock);
	return revoked;
}

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

/* The moment `ms` from now, for pthread_cond_timedwait. */
static struct timespec
after(int64_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += ms % 1000 * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

/* Waits for `ms`, or less if the committer is to stop. */
static void
rest(struct committer *c, int64_t ms)
{
	struct timespec until = after(ms);

	pthread_mutex_lock(&c->lock);
	while (!c->is_stopping &&
	    pthread_cond_timedwait(&c->changed, &c->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&c->lock);
}

static enum commit_event
open_producer(struct committer *c, struct error *err)
{
	struct kafka_transaction_options options = c->settings.transaction;
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	options.message_max_bytes = c->message_max_bytes;
	pthread_mutex_unlock(&c->lock);
	if (c->transaction == NULL) {
		c->transaction = kafka_transaction_create(&options, err);
		if (c->transaction == NULL)
			return COMMIT_FATAL;
	}
	watchdog_enter(
	    WATCHDOG_COMMIT, "init_transactions", SLICE_MS + GUARD_MS);
	rc = kafka_transaction_open(c->transaction, SLICE_MS, err);
	watchdog_leave(WATCHDOG_COMMIT);
	if (rc == 0) {
		c->backoff_ms = BACKOFF_MIN_MS;
		return COMMIT_OK;
	}
	set_reason(c, err->message);
	log_event(LOG_WARN, "kafka", "transactions_not_ready", err->message,
	    LOG_S("transactional_id", c->settings.transaction.transactional_id),
	    LOG_END);
	rest(c, c->backoff_ms);
	c->backoff_ms *= 2;
	if (c->backoff_ms > BACKOFF_MAX_MS)
		c->backoff_ms = BACKOFF_MAX_MS;
	return event_of(c, err);
}

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

static enum commit_event
begin(struct committer *c, struct error *err)
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
		watchdog_enter(WATCHDOG_COMMIT, "produce", SLICE_MS + GUARD_MS);
		rc = kafka_transaction_produce(c->transaction, topic,
		    messages->at, messages->n, SLICE_MS, err);
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

static enum commit_event
send_offsets(struct committer *c, struct error *err)
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
	watchdog_enter(WATCHDOG_COMMIT, "send_offsets", SLICE_MS + GUARD_MS);
	rc = kafka_transaction_send_offsets(c->transaction, batch->group,
	    c->settings.requests_topic, offsets, n, SLICE_MS, err);
	watchdog_leave(WATCHDOG_COMMIT);
	if (rc != 0)
		return event_of(c, err);
	fault_point("B3");
	return COMMIT_OK;
}

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

/* The batch goes back to stage A. */
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

static void
finish(struct committer *c)
{
	telemetry_stage(
	    c->settings.telemetry, STAGE_COMMIT, telemetry_clock() - c->clock);
	telemetry_transaction(c->settings.telemetry, TXN_COMMITTED);
	telemetry_batch(c->settings.telemetry, c->batch, clock_wall_ms());
	c->n_too_large = 0;
	hand_back(c, false);
	fault_point("B5");
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

/* Gives the transaction up; COMMIT_FATAL if that must end the process. */
static enum commit_event
give_up(struct committer *c, bool abort_it, const struct error *cause)
{
	struct error ignored = { 0 }, err = *cause;
	enum commit_event event = look_into_loss(c, &err);

	log_event(LOG_WARN, "kafka", "transaction_lost",
	    err.message[0] != '\0' ? err.message
				   : "the partitions were revoked",
	    LOG_I("records", c->batch->n),
	    LOG_I("duration_ms", clock_monotonic_ms() - c->begun_ms), LOG_END);
	if (abort_it) {
		watchdog_enter(WATCHDOG_COMMIT, "abort", SLICE_MS + GUARD_MS);
		kafka_transaction_abort(c->transaction, SLICE_MS, &ignored);
		watchdog_leave(WATCHDOG_COMMIT);
	}
	destroy_producer(c);
	telemetry_rebuild(c->settings.telemetry);
	set_reason(c, err.message);
	hand_back(c, true);
	set_state(c, COMMITTER_OPENING);
	if (event == COMMIT_FATAL)
		c->error = err;
	return event;
}

static enum commit_event
await_batch(struct committer *c)
{
	bool stopping;

	set_state(c, COMMITTER_READY);
	pthread_mutex_lock(&c->lock);
	while (c->given == NULL && !c->is_stopping) {
		struct timespec until = after(1000);

		pthread_cond_timedwait(&c->changed, &c->lock, &until);
		watchdog_beat(WATCHDOG_COMMIT);
	}
	c->batch = c->given;
	stopping = c->batch == NULL;
	pthread_mutex_unlock(&c->lock);
	return stopping ? COMMIT_EVENTS : COMMIT_BATCH;
}

/*
 * Carries one action out; says the event that came of it, COMMIT_EVENTS if the
 * thread is to end.
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
		telemetry_rebuild(c->settings.telemetry);
		return open_producer(c, err);
	case COMMIT_ABORT_REWIND:
	case COMMIT_DESTROY_REWIND:
		if (give_up(c, action == COMMIT_ABORT_REWIND, err) ==
		    COMMIT_FATAL) {
			*err = c->error;
			return COMMIT_FATAL;
		}
		return open_producer(c, err);
	case COMMIT_EXIT:
	case COMMIT_REFUSE:
		break;
	}
	return COMMIT_EVENTS;
}

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

static void *
run(void *argument)
{
	struct committer *c = argument;
	struct error err = { 0 };
	enum commit_action action = COMMIT_OPEN;
	enum commit_event event;

	for (;;) {
		err = (struct error){ 0 };
		event = act(c, action, &err);
		watchdog_beat(WATCHDOG_COMMIT);
		if (event == COMMIT_EVENTS || is_stopping(c))
			break;
		if (event != COMMIT_FATAL && c->phase >= COMMIT_BEGINNING &&
		    c->phase <= COMMIT_SENDING && is_revoked(c))
			event = COMMIT_REVOKED;
		action = commit_step(&c->phase, event);
		if (action == COMMIT_EXIT || action == COMMIT_REFUSE) {
			fail(c, &err);
			break;
		}
	}
	destroy_producer(c);
	pthread_mutex_lock(&c->lock);
	c->is_ended = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

struct committer *
committer_start(const struct committer_settings *settings, struct error *err)
{
	struct committer *c = memory_zalloc(1, sizeof(*c));

	c->settings = *settings;
	c->message_max_bytes = settings->transaction.message_max_bytes;
	c->backoff_ms = BACKOFF_MIN_MS;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	if (pthread_create(&c->thread, NULL, run, c) != 0) {
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
committer_set_limit(struct committer *committer, int64_t message_max_bytes)
{
	pthread_mutex_lock(&committer->lock);
	committer->message_max_bytes = message_max_bytes;
	committer->wants_limits = false;
	pthread_mutex_unlock(&committer->lock);
}

/* Waits until no batch is in work; the lock is held.  False: time is up. */
static bool
await_through(struct committer *c, int64_t timeout_ms)
{
	struct timespec until = after(timeout_ms);

	while (c->given != NULL)
		if (pthread_cond_timedwait(&c->changed, &c->lock, &until) ==
		    ETIMEDOUT)
			return c->given == NULL;
	return true;
}

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

	committer_revoke(committer, false, timeout_ms / 2);
	pthread_mutex_lock(&committer->lock);
	until = after(timeout_ms / 2);
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
