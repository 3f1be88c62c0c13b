#ifndef SCHEDRUN_WORKER_COMMIT_INTERNAL_H
#define SCHEDRUN_WORKER_COMMIT_INTERNAL_H

#include <pthread.h>

#include "worker/base/batch_protocol.h"
#include "worker/commit/committer.h"

/*
 * What stage B's rooms share: committer.c is the thread and what stage A calls,
 * steps.c the actions of the commit table, each of which answers with the event
 * that came of it.  Nothing else includes this.
 */
#define FENCED_MAX 3 /* in FENCED_WINDOW_MS: a twin */
#define FENCED_WINDOW_MS 60000
#define BACKOFF_MIN_MS 100

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
	int64_t fenced_ms[FENCED_MAX];
	size_t n_fenced;
	unsigned n_lost, n_too_large; /* batches in a row */
};

/* The thread's: what stage A sees of it. */
void committer_set_reason(struct committer *committer, const char *reason);
void committer_set_state(
    struct committer *committer, enum committer_state state);

/* Waits for `ms`, or less if the committer is to stop. */
void committer_rest(struct committer *committer, int64_t ms);

/* The batch goes back to stage A. */
void committer_hand_back(struct committer *committer, bool lost);

enum commit_event committer_open_producer(
    struct committer *committer, struct error *err);
void committer_destroy_producer(struct committer *committer);
enum commit_event committer_begin(
    struct committer *committer, struct error *err);
enum commit_event committer_produce(
    struct committer *committer, struct error *err);
enum commit_event committer_send_offsets(
    struct committer *committer, struct error *err);
enum commit_event committer_commit(
    struct committer *committer, struct error *err);
void committer_finish(struct committer *committer);

/* Nothing is to be committed: asks Kafka whether it is there. */
void committer_probe(struct committer *committer);

/*
 * Gives the transaction up; `err` says why.  COMMIT_FATAL and another `err` if
 * that must end the process.
 */
enum commit_event committer_give_up(
    struct committer *committer, bool abort_it, struct error *err);

#endif
