#include "worker/commit/committer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "worker/base/watchdog.h"
#include "worker/commit/internal.h"

#define PROBE_EACH_MS 3000

void
committer_set_reason(struct committer *c, const char *reason)
{
	pthread_mutex_lock(&c->lock);
	snprintf(c->reason, sizeof(c->reason), "%.255s", reason);
	pthread_mutex_unlock(&c->lock);
}

void
committer_set_state(struct committer *c, enum committer_state state)
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

/* Waits for `ms`, or less if the committer is to stop. */
void
committer_rest(struct committer *c, int64_t ms)
{
	struct timespec until = clock_after(ms);

	pthread_mutex_lock(&c->lock);
	while (!c->is_stopping &&
	    pthread_cond_timedwait(&c->changed, &c->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&c->lock);
}

/* The batch goes back to stage A. */
void
committer_hand_back(struct committer *c, bool lost)
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
	committer_set_state(c, COMMITTER_READY);
	while (!has_news(c, PROBE_EACH_MS))
		committer_probe(c);
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
		return committer_open_producer(c, err);
	case COMMIT_WAIT:
		return await_batch(c);
	case COMMIT_BEGIN:
		return committer_begin(c, err);
	case COMMIT_PRODUCE:
		return committer_produce(c, err);
	case COMMIT_SEND_OFFSETS:
		return committer_send_offsets(c, err);
	case COMMIT_COMMIT:
		return committer_commit(c, err);
	case COMMIT_DONE:
		committer_finish(c);
		return await_batch(c);
	case COMMIT_DONE_REBUILD:
		committer_finish(c);
		committer_set_state(c, COMMITTER_OPENING);
		committer_destroy_producer(c);
		telemetry_rebuild(c->settings.telemetry);
		return committer_open_producer(c, err);
	case COMMIT_ABORT_REWIND:
	case COMMIT_DESTROY_REWIND:
		if (committer_give_up(c, action == COMMIT_ABORT_REWIND, err) ==
		    COMMIT_FATAL)
			return COMMIT_FATAL;
		return committer_open_producer(c, err);
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
	committer_set_state(c, COMMITTER_FAILED);
}

static void *
run(void *argument)
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
	committer_destroy_producer(c);
	if (c->batch != NULL)
		committer_hand_back(c, true);
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
	c->batch_max_bytes = settings->transaction.batch_max_bytes;
	c->backoff_ms = BACKOFF_MIN_MS;
	pthread_mutex_init(&c->lock, NULL);
	clock_condition_init(&c->changed);
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
