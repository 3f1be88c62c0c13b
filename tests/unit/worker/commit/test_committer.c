#include "worker/commit/committer.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/unit/check.h"

/*
 * Stage B on a scripted transaction: the calls of common/kafka/transaction.h
 * are defined here, so the linker takes none of them from the library.  Each
 * notes its letter and does what the script says.
 *
 *   C create   O open   B begin   P produce   S send_offsets   K commit
 *   A abort    D destroy
 */
#define WAIT_MS 10000
#define DEADLINE_MS 60000

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char calls[256];
	size_t n;
	char failing; /* the call that fails, `times` times */
	enum error_kind kind;
	int times;
	bool suspect, fenced; /* what the transaction says of itself */
	size_t too_large;
	char held; /* the call that waits for release() */
	bool is_held;
	int64_t message_max_bytes; /* of the last create */
} script;

/* A call is made: its letter, and -1 with `err` if it is to fail. */
static int
call(char letter, struct error *err)
{
	int rc = 0;

	pthread_mutex_lock(&script.lock);
	if (script.n + 1 < sizeof script.calls)
		script.calls[script.n++] = letter;
	script.is_held = script.held == letter;
	pthread_cond_broadcast(&script.changed);
	while (script.held == letter)
		pthread_cond_wait(&script.changed, &script.lock);
	script.is_held = false;
	if (script.failing == letter && script.times > 0) {
		script.times--;
		rc = script.kind == ERROR_FATAL
		    ? error_fatal(err, 77, "%c is not allowed", letter)
		    : error_set(err, script.kind, "%c has failed", letter);
	}
	pthread_mutex_unlock(&script.lock);
	return rc;
}

struct kafka_transaction *
kafka_transaction_create(
    const struct kafka_transaction_options *options, struct error *err)
{
	static char handle;

	script.message_max_bytes = options->message_max_bytes;
	return call('C', err) == 0 ? (struct kafka_transaction *)&handle : NULL;
}

/* The adapter's redrives ask for it, which no test here runs. */
int32_t
kafka_transaction_partitions(const struct kafka_transaction *t, size_t topic)
{
	(void)t, (void)topic;
	return 0;
}

int
kafka_transaction_destroy(struct kafka_transaction *t, int timeout_ms)
{
	(void)t, (void)timeout_ms;
	return call('D', NULL);
}

int
kafka_transaction_open(
    struct kafka_transaction *t, int timeout_ms, struct error *err)
{
	(void)t, (void)timeout_ms;
	return call('O', err);
}

int
kafka_transaction_begin(struct kafka_transaction *t, struct error *err)
{
	(void)t;
	return call('B', err);
}

int
kafka_transaction_produce(struct kafka_transaction *t, size_t topic,
    const struct kafka_message *messages, size_t n, int timeout_ms,
    struct error *err)
{
	(void)t, (void)topic, (void)messages, (void)n, (void)timeout_ms;
	return call('P', err);
}

int
kafka_transaction_send_offsets(struct kafka_transaction *t,
    const struct kafka_group *group, struct kafka_offset_list next,
    int timeout_ms, struct error *err)
{
	(void)t, (void)group, (void)timeout_ms;
	CHECK(
	    next.n == 1 && next.at[0].partition == 3 && next.at[0].offset == 8);
	return call('S', err);
}

int
kafka_transaction_commit(
    struct kafka_transaction *t, int timeout_ms, struct error *err)
{
	(void)t, (void)timeout_ms;
	return call('K', err);
}

int
kafka_transaction_abort(
    struct kafka_transaction *t, int timeout_ms, struct error *err)
{
	(void)t, (void)timeout_ms;
	return call('A', err);
}

bool
kafka_transaction_is_suspect(struct kafka_transaction *t)
{
	(void)t;
	return script.suspect;
}

bool
kafka_transaction_is_fenced(const struct kafka_transaction *t)
{
	(void)t;
	return script.fenced;
}

int
kafka_transaction_probe(
    struct kafka_transaction *t, int timeout_ms, struct error *err)
{
	(void)t, (void)timeout_ms, (void)err;
	return 0;
}

void
kafka_transaction_counts(
    const struct kafka_transaction *t, struct kafka_delivery_counts *counts)
{
	(void)t;
	*counts = (struct kafka_delivery_counts){
		.too_large = script.too_large,
	};
}

struct setup {
	struct metrics *metrics;
	struct committer *committer;
	struct batch *batch;
};

static void
wake(void *opaque)
{
	(void)opaque;
	pthread_mutex_lock(&script.lock);
	pthread_cond_broadcast(&script.changed);
	pthread_mutex_unlock(&script.lock);
}

/* One record of partition 3, offset 7, with a result and a dead letter. */
static struct setup
start(int64_t deadline_ms)
{
	struct setup stage = { .metrics = metrics_create("") };
	struct committer_settings settings = {
		.transaction = { .transactional_id = "schedrun-1",
		    .message_max_bytes = 1000 },
		.requests_topic = "requests",
		.deadline_ms = deadline_ms,
		.wake = wake,
	};
	struct error err = { 0 };

	log_set_level(LOG_ERROR);
	pthread_mutex_init(&script.lock, NULL);
	clock_condition_init(&script.changed);
	worker_metrics_use(stage.metrics);
	settings.metrics = stage.metrics;
	stage.batch = batch_create(4, 1000);
	batch_span(stage.batch, 3, 7)->next = 8;
	batch_message(stage.batch, BATCH_RESULTS);
	batch_message(stage.batch, BATCH_DEAD);
	stage.committer = committer_start(&settings, &err);
	REQUIRE(stage.committer != NULL);
	return stage;
}

static void
stop(struct setup *stage)
{
	CHECK(committer_stop(stage->committer, WAIT_MS) == 0);
	batch_destroy(stage->batch);
	metrics_destroy(stage->metrics);
	log_set_level(LOG_INFO);
	memset(&script, 0, sizeof script);
}

/* Waits for what the committer or the script come to; false: never. */
static bool
await_state(struct setup *stage, enum committer_state state)
{
	struct timespec until = clock_after(WAIT_MS);
	bool late = false;

	pthread_mutex_lock(&script.lock);
	while (!late && committer_state(stage->committer) != state)
		late = pthread_cond_timedwait(
			   &script.changed, &script.lock, &until) != 0;
	pthread_mutex_unlock(&script.lock);
	return !late;
}

static bool
await_held(void)
{
	struct timespec until = clock_after(WAIT_MS);
	bool late = false;

	pthread_mutex_lock(&script.lock);
	while (!late && !script.is_held)
		late = pthread_cond_timedwait(
			   &script.changed, &script.lock, &until) != 0;
	pthread_mutex_unlock(&script.lock);
	return !late;
}

static void
release(void)
{
	pthread_mutex_lock(&script.lock);
	script.held = '\0';
	pthread_cond_broadcast(&script.changed);
	pthread_mutex_unlock(&script.lock);
}

/* Whether the calls so far are these; forgets them. */
static bool
calls_were(const char *calls)
{
	bool same;

	pthread_mutex_lock(&script.lock);
	script.calls[script.n] = '\0';
	same = strcmp(script.calls, calls) == 0;
	script.n = 0;
	pthread_mutex_unlock(&script.lock);
	return same;
}

/* Gives the batch and takes it back; whether it was lost. */
static bool
commit_one(struct setup *stage)
{
	bool lost = false;

	committer_give(stage->committer, stage->batch);
	CHECK(await_state(stage, COMMITTER_READY));
	CHECK(committer_take(stage->committer, &lost) == stage->batch);
	return lost;
}

static void
each_failure_has_its_way_out(void)
{
	static const struct {
		const char *name;
		char failing;
		enum error_kind kind;
		int times;
		int64_t deadline_ms;
		bool suspect, lost;
		const char *calls;
	} rows[] = {
		{ "clean", 0, ERROR_NONE, 0, DEADLINE_MS, false, false,
		    "BPPSK" },
		{ "commit not clean: rebuilt", 0, ERROR_NONE, 0, DEADLINE_MS,
		    true, false, "BPPSKDCO" },
		{ "begin fails", 'B', ERROR_ABORT, 1, DEADLINE_MS, false, true,
		    "BADCO" },
		{ "produce fails", 'P', ERROR_ABORT, 1, DEADLINE_MS, false,
		    true, "BPADCO" },
		{ "the queue stays full", 'P', ERROR_RETRY, 1, DEADLINE_MS,
		    false, true, "BPADCO" },
		{ "the offsets are refused", 'S', ERROR_ABORT, 1, DEADLINE_MS,
		    false, true, "BPPSADCO" },
		{ "the coordinator moves", 'S', ERROR_RETRY, 2, DEADLINE_MS,
		    false, false, "BPPSSSK" },
		{ "the coordinator stays away", 'S', ERROR_RETRY, 1, -1, false,
		    true, "BPPSADCO" },
		{ "a commit is repeated", 'K', ERROR_RETRY, 2, DEADLINE_MS,
		    false, false, "BPPSKKK" },
		{ "a commit is lost", 'K', ERROR_ABORT, 1, DEADLINE_MS, false,
		    true, "BPPSKADCO" },
		/* It may have happened: an abort could undo half of it. */
		{ "a commit is unknown at the deadline", 'K', ERROR_RETRY, 1,
		    -1, false, true, "BPPSKDCO" },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct setup stage = start(rows[i].deadline_ms);

		CHECK_ROW(rows[i].name, await_state(&stage, COMMITTER_READY));
		CHECK_ROW(rows[i].name, calls_were("CO"));
		script.failing = rows[i].failing;
		script.kind = rows[i].kind;
		script.times = rows[i].times;
		script.suspect = rows[i].suspect;
		CHECK_ROW(rows[i].name, commit_one(&stage) == rows[i].lost);
		CHECK_ROW(rows[i].name, calls_were(rows[i].calls));
		stop(&stage);
	}
}

static void
a_call_is_repeated_until_the_deadline(void)
{
	struct setup stage = start(20);

	CHECK(await_state(&stage, COMMITTER_READY));
	script.failing = 'S';
	script.kind = ERROR_RETRY;
	script.times = INT_MAX;
	CHECK(commit_one(&stage));
	script.times = 0;
	CHECK(!commit_one(&stage));
	stop(&stage);
}

static void
a_producer_is_opened_until_it_is_open(void)
{
	struct setup stage;

	script.failing = 'O';
	script.kind = ERROR_RETRY;
	script.times = 1;
	stage = start(DEADLINE_MS);
	CHECK(await_state(&stage, COMMITTER_READY));
	CHECK(calls_were("COO"));
	stop(&stage);

	script.failing = 'O'; /* fenced while it opens: the handle is dead */
	script.kind = ERROR_ABORT;
	script.times = 1;
	stage = start(DEADLINE_MS);
	CHECK(await_state(&stage, COMMITTER_READY));
	CHECK(calls_were("CODCO"));
	stop(&stage);
}

static void
what_is_not_allowed_ends_the_process(void)
{
	struct error err = { 0 };
	struct setup stage;

	script.failing = 'O';
	script.kind = ERROR_FATAL;
	script.times = 1;
	stage = start(DEADLINE_MS);
	CHECK(await_state(&stage, COMMITTER_FAILED));
	committer_error(stage.committer, &err);
	CHECK(err.kind == ERROR_FATAL && err.exit_code == 77);
	stop(&stage);
}

/* Before its offsets are in, the next owner has the records; after it the
 * broker decides by the generation that went with them. */
static void
a_revoked_batch_is_aborted_before_its_offsets(void)
{
	static const struct {
		const char *name;
		char held;
		bool lost;
		const char *calls;
	} rows[] = {
		{ "while it is produced", 'P', true, "BPPADCO" },
		{ "while it is committed", 'K', false, "BPPSK" },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct setup stage = start(DEADLINE_MS);
		bool lost = !rows[i].lost;

		CHECK_ROW(rows[i].name, await_state(&stage, COMMITTER_READY));
		CHECK_ROW(rows[i].name, calls_were("CO"));
		script.held = rows[i].held;
		committer_give(stage.committer, stage.batch);
		CHECK_ROW(rows[i].name, await_held());
		CHECK_ROW(
		    rows[i].name, !committer_revoke(stage.committer, true, 0));
		release();
		CHECK_ROW(rows[i].name, await_state(&stage, COMMITTER_READY));
		CHECK(committer_take(stage.committer, &lost) == stage.batch);
		CHECK_ROW(rows[i].name, lost == rows[i].lost);
		CHECK_ROW(rows[i].name, calls_were(rows[i].calls));
		stop(&stage);
	}
}

static void
a_batch_that_ends_by_itself_is_waited_for(void)
{
	struct setup stage = start(DEADLINE_MS);
	bool lost = true;

	CHECK(await_state(&stage, COMMITTER_READY));
	CHECK(committer_revoke(stage.committer, true, 0)); /* it has none */
	committer_give(stage.committer, stage.batch);
	CHECK(committer_revoke(stage.committer, false, 2 * WAIT_MS));
	CHECK(committer_take(stage.committer, &lost) == stage.batch && !lost);
	stop(&stage);
}

static void
a_lowered_limit_is_asked_for_first(void)
{
	struct setup stage = start(DEADLINE_MS);
	bool lost = false;

	CHECK(await_state(&stage, COMMITTER_READY));
	CHECK(script.message_max_bytes == 1000);
	script.failing = 'K';
	script.kind = ERROR_ABORT;
	script.times = 1;
	script.too_large = 1;
	committer_give(stage.committer, stage.batch);
	CHECK(await_state(&stage, COMMITTER_OPENING));
	CHECK(committer_wants_limits(stage.committer));
	CHECK(calls_were("COBPPSKAD"));
	committer_set_limits(stage.committer, 500, 400);
	CHECK(await_state(&stage, COMMITTER_READY));
	CHECK(calls_were("CO") && script.message_max_bytes == 500);
	CHECK(committer_take(stage.committer, &lost) == stage.batch && lost);
	stop(&stage);
}

static void
the_third_fencing_ends_the_process(void)
{
	struct setup stage = start(DEADLINE_MS);
	struct error err = { 0 };
	bool lost = false;

	CHECK(await_state(&stage, COMMITTER_READY));
	script.failing = 'B';
	script.kind = ERROR_ABORT;
	script.times = 3;
	script.fenced = true;
	CHECK(commit_one(&stage));
	CHECK(commit_one(&stage));
	committer_give(stage.committer, stage.batch);
	CHECK(await_state(&stage, COMMITTER_FAILED));
	committer_error(stage.committer, &err);
	CHECK(err.exit_code == 75 &&
	    strstr(err.message, "\"schedrun-1\"") != NULL);
	CHECK(committer_take(stage.committer, &lost) == stage.batch && lost);
	stop(&stage);
}

CU_TestInfo committer_tests[] = {
	{ "each failure's way out", each_failure_has_its_way_out },
	{ "repeated until the deadline",
	    a_call_is_repeated_until_the_deadline },
	{ "opened until it is open", a_producer_is_opened_until_it_is_open },
	{ "what is not allowed", what_is_not_allowed_ends_the_process },
	{ "revoked", a_revoked_batch_is_aborted_before_its_offsets },
	{ "ends by itself", a_batch_that_ends_by_itself_is_waited_for },
	{ "a lowered limit", a_lowered_limit_is_asked_for_first },
	{ "the third fencing", the_third_fencing_ends_the_process },
	CU_TEST_INFO_NULL,
};
