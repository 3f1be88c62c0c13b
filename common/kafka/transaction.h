#ifndef SCHEDRUN_COMMON_KAFKA_TRANSACTION_H
#define SCHEDRUN_COMMON_KAFKA_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/kafka/client.h"
#include "common/kafka/consumer.h"

/*
 * A transactional producer: output and consumed offsets become visible
 * together or not at all.  One thread at a time.
 *
 *     create -> open -> [ begin -> produce... -> send_offsets -> commit ]... ->
 * destroy
 *
 * Rebuild rule (docs/delivery.md, section 5): it is used again only after a
 * clean commit.  After any failure, and after a commit with
 * kafka_transaction_is_suspect, it is destroyed and created anew; the new epoch
 * fences whatever of the old one is still on its way.
 *
 * Kinds of all calls:
 *   ERROR_RETRY  nothing is decided: the same call again, until the deadline
 *   ERROR_ABORT  this transaction is lost: abort, destroy, rewind, rebuild
 *   ERROR_FATAL  77 not authorised, 78 a setting the broker refuses
 */
struct kafka_transaction;

struct kafka_transaction_options {
	struct kafka_settings settings;
	const char *transactional_id;
	const char *const *topics; /* those that are produced to; copied */
	size_t n_topics;
	int64_t message_max_bytes; /* the largest of their limits; 0: 1 MB */
	int64_t batch_max_bytes;   /* the smallest of them; 0: 1 MB */
};

/* NULL with ERROR_FATAL (78).  Connects in the background. */
struct kafka_transaction *kafka_transaction_create(
    const struct kafka_transaction_options *options, struct error *err);

/*
 * Purges and gives everything back, within about `timeout_ms`.  After it no
 * produced value is looked at any more.  -1: it hangs and was left behind; the
 * values must stay, the process should end.
 */
int kafka_transaction_destroy(
    struct kafka_transaction *transaction, int timeout_ms);

/*
 * init_transactions (fences predecessors of this transactional.id), then asks
 * for the topics' metadata, so that the first produce does not wait.  Call it
 * until it returns 0; ERROR_RETRY wants a backoff of 0.1 to 5 s.  A missing
 * topic is ERROR_RETRY and named.
 */
int kafka_transaction_open(
    struct kafka_transaction *transaction, int timeout_ms, struct error *err);

/* Partitions of topics[topic], as of the last time that they were asked for. */
int32_t kafka_transaction_partitions(
    const struct kafka_transaction *transaction, size_t topic);

/*
 * Begins the next one; what the last one counted is forgotten.  Asks for the
 * topics' partitions again if that was long ago.
 */
int kafka_transaction_begin(
    struct kafka_transaction *transaction, struct error *err);

/*
 * Queues `n` messages for topics[topic], those of each partition in their
 * order.  Keys and headers are copied; VALUES ARE NOT: they stay the caller's
 * and must stay as they are until commit has returned 0 or the transaction is
 * destroyed.  Waits up to `timeout_ms` while librdkafka's queue is full, or
 * until what fills a request to its partition has arrived, if more follows.
 * `opaque` is ignored.
 */
int kafka_transaction_produce(struct kafka_transaction *transaction,
    size_t topic, const struct kafka_message *messages, size_t n,
    int timeout_ms, struct error *err);

/*
 * Adds the next offsets to read under the group's generation as it
 * was when the batch was cut.
 */
int kafka_transaction_send_offsets(struct kafka_transaction *transaction,
    const struct kafka_group *group, struct kafka_offset_list next,
    int timeout_ms, struct error *err);

/*
 * Waits for all messages and commits; one slice of at most `timeout_ms` (5 s is
 * right).  ERROR_RETRY: the outcome is unknown, call it again until the
 * deadline; then destroy without abort, the committed offset tells.
 */
int kafka_transaction_commit(
    struct kafka_transaction *transaction, int timeout_ms, struct error *err);

/* Best effort; destroy must follow whatever it says. */
int kafka_transaction_abort(
    struct kafka_transaction *transaction, int timeout_ms, struct error *err);

/*
 * Serves events, then says whether the last commit was not clean: called more
 * than once, slower than socket.timeout.ms, an error event came or a connection
 * ended since begin.  Whatever was sent on that connection may still be on its
 * way to the broker.
 */
bool kafka_transaction_is_suspect(struct kafka_transaction *transaction);

/* The last failure was _FENCED: a twin, or transaction.timeout.ms exceeded. */
bool kafka_transaction_is_fenced(const struct kafka_transaction *transaction);

/*
 * Asks a broker for metadata while no transaction is open, so that health has a
 * fresh answer.  ERROR_RETRY: no answer.  Blocks.
 */
int kafka_transaction_probe(
    struct kafka_transaction *transaction, int timeout_ms, struct error *err);

/* What became of the messages since begin. */
struct kafka_delivery_counts {
	size_t produced;
	size_t delivered;
	size_t failed;    /* without those purged by an abort */
	size_t too_large; /* of the failed ones: MSG_SIZE_TOO_LARGE */
	/* A bit for each topic (1 << its index) that refused a message for what
	 * it is: its size, key, time. */
	unsigned refused;
	char reason[128]; /* of the first failure, with its topic; "" if none */
};
void kafka_transaction_counts(const struct kafka_transaction *transaction,
    struct kafka_delivery_counts *counts);

#endif
