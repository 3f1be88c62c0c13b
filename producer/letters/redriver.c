#include "producer/letters/redriver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/kafka/transaction.h"

#define TOGETHER_MAX 500
#define BYTES_MAX ((size_t)4 << 20)
#define ARENA_KEEP ((size_t)1 << 20)
#define PAUSE_MS 100
#define SLICE_MS 5000
#define COMMIT_MS 18000 /* less than transaction.timeout.ms */
#define CLOSE_MS 2000

enum { TO_ORIGIN, TO_LETTERS, OUTPUTS };

struct redriver {
	struct kafka_transaction *transaction;
	struct arena *arena;
	struct letter_entry *entries[TOGETHER_MAX];
	struct kafka_record records[TOGETHER_MAX];
	enum letter_state becomes[TOGETHER_MAX];
	struct kafka_message copies[TOGETHER_MAX], markers[TOGETHER_MAX];
	size_t n, n_copies, n_done, bytes;
};

static int
say_fenced(struct error *err)
{
	return error_fatal(err, 1,
	    "somebody else has begun to deal with letters: nothing is done "
	    "with those that are not listed");
}

/* The id is a right of the person's here, not a setting as it is a worker's. */
static int
say_forbidden(struct error *err)
{
	if (strstr(err->message, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED")) {
		err->exit_code = 77;
		error_prefix(err, "deploy/kafka-acls.md names the rights");
	}
	return -1;
}

static int
open_transaction(struct redriver *redriver, int timeout_ms, struct error *err)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;

	while (kafka_transaction_open(redriver->transaction, timeout_ms, err) !=
	    0) {
		if (kafka_transaction_is_fenced(redriver->transaction))
			return say_fenced(err);
		if (err->kind != ERROR_RETRY || clock_monotonic_ms() >= until)
			return say_forbidden(err);
		clock_wait(PAUSE_MS);
	}
	return 0;
}

struct redriver *
redriver_open(const struct config *config, const struct letters *letters,
    enum topic topic, int timeout_ms, struct error *err)
{
	struct redriver *redriver = memory_zalloc(1, sizeof *redriver);
	const char *topics[OUTPUTS] = { topic_name(config, topic),
		topic_name(config, TOPIC_DLQ) };
	/* A letter of an event that is whole fits any topic's default. */
	int64_t max =
	    topic == TOPIC_REQUESTS ? letters_request_max(letters) : 0;
	struct kafka_transaction_options options = {
		.settings = { .config = config },
		.topics = topics,
		.n_topics = OUTPUTS,
		.message_max_bytes = max,
		.batch_max_bytes = max,
	};
	char id[300];

	snprintf(id, sizeof id, "%s.redrive", topics[TO_LETTERS]);
	options.transactional_id = id;
	redriver->arena = arena_create(0);
	redriver->transaction = kafka_transaction_create(&options, err);
	if (redriver->transaction == NULL ||
	    open_transaction(redriver, timeout_ms, err) != 0)
		goto fail;
	if (kafka_transaction_partitions(redriver->transaction, TO_LETTERS) >=
	    letters_partitions(letters))
		return redriver;
	error_set(err, ERROR_RETRY, "%s: brokers differ on its partitions",
	    topics[TO_LETTERS]);
fail:
	redriver_close(redriver);
	return NULL;
}

static void
release_all(struct redriver *redriver)
{
	kafka_records_release(redriver->records, redriver->n);
	redriver->n = redriver->n_copies = redriver->bytes = 0;
	arena_reset(redriver->arena, ARENA_KEEP);
}

/* Values are the producer's until it is gone. */
void
redriver_close(struct redriver *redriver)
{
	if (redriver == NULL)
		return;
	if (redriver->transaction != NULL &&
	    kafka_transaction_destroy(redriver->transaction, CLOSE_MS) != 0)
		return; /* it hangs, and may still look at them */
	release_all(redriver);
	arena_destroy(redriver->arena);
	free(redriver);
}

void
redriver_add(struct redriver *redriver, struct letter_entry *entry,
    const struct kafka_record *record, enum letter_state becomes)
{
	struct kafka_message message;
	struct letter letter;
	size_t i = redriver->n++;

	redriver->entries[i] = entry;
	redriver->records[i] = *record;
	redriver->becomes[i] = becomes;
	redriver->bytes += record->key.size + record->value.size;
	letter_mark(entry->place, becomes, clock_wall_ms(), redriver->arena,
	    &redriver->markers[i]);
	if (becomes != LETTER_REDRIVEN)
		return;
	letter_message(record, redriver->arena, &message);
	letter_read(&message, &letter);
	letter_copy(&message, &letter, redriver->arena,
	    &redriver->copies[redriver->n_copies++]);
}

bool
redriver_is_full(const struct redriver *redriver)
{
	return redriver->n == TOGETHER_MAX || redriver->bytes >= BYTES_MAX;
}

size_t
redriver_pending(const struct redriver *redriver)
{
	return redriver->n;
}

struct letter_entry *const *
redriver_done(const struct redriver *redriver, size_t *n)
{
	*n = redriver->n_done;
	return redriver->entries;
}

static int
produce_all(struct redriver *redriver, struct error *err)
{
	struct kafka_transaction *transaction = redriver->transaction;

	if (kafka_transaction_begin(transaction, err) != 0 ||
	    kafka_transaction_produce(transaction, TO_ORIGIN, redriver->copies,
		redriver->n_copies, SLICE_MS, err) != 0)
		return -1;
	return kafka_transaction_produce(transaction, TO_LETTERS,
	    redriver->markers, redriver->n, SLICE_MS, err);
}

/* Unless its outcome is unknown an abort follows, so that nobody waits. */
static int
commit_all(struct redriver *redriver, struct error *err)
{
	int64_t until = clock_monotonic_ms() + COMMIT_MS;
	int rc = produce_all(redriver, err);
	struct error ignored;

	while (rc == 0 &&
	    kafka_transaction_commit(redriver->transaction, SLICE_MS, err) !=
		0) {
		if (err->kind == ERROR_RETRY && clock_monotonic_ms() < until)
			continue;
		rc = -1;
		if (err->kind != ERROR_RETRY)
			break;
		error_prefix(err,
		    "whether the last %zu are done is not known, schedrun dlq "
		    "list will say it",
		    redriver->n);
		return -1;
	}
	if (rc != 0 && kafka_transaction_is_fenced(redriver->transaction))
		return say_fenced(err);
	if (rc != 0)
		kafka_transaction_abort(
		    redriver->transaction, SLICE_MS, &ignored);
	return rc;
}

int
redriver_commit(struct redriver *redriver, struct error *err)
{
	size_t i;

	redriver->n_done = 0;
	if (commit_all(redriver, err) != 0)
		return -1;
	for (i = 0; i < redriver->n; i++) {
		redriver->entries[i]->state = redriver->becomes[i];
		redriver->entries[i]->state_ms = clock_wall_ms();
	}
	redriver->n_done = redriver->n;
	release_all(redriver);
	return 0;
}

bool
redriver_is_suspect(struct redriver *redriver)
{
	return kafka_transaction_is_suspect(redriver->transaction);
}
