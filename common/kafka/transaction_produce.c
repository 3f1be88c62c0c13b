#include "common/base/clock.h"
#include "common/kafka/internal.h"
#include "common/kafka/message.h"

/* What one request to a partition holds: batch.num.messages, and batch.size
 * with librdkafka's reckoning of what a message's own fields take at most. */
#define REQUEST_MESSAGES 10000
#define MESSAGE_OVERHEAD 64

/* Messages of one partition: the first `n` that `order` names. */
struct run {
	const struct kafka_output *output;
	int32_t partition;
	const struct kafka_message *messages;
	const uint32_t *order;
	size_t n;
};

/* How many of the run's messages fit one request: one at least. */
static size_t
fit_request(const struct kafka_transaction *transaction, const struct run *run)
{
	size_t left = transaction->batch_bytes, i, size;

	for (i = 0; i < run->n && i < REQUEST_MESSAGES; i++) {
		const struct kafka_message *message =
		    &run->messages[run->order[i]];

		size =
		    message->key.size + message->value.size + MESSAGE_OVERHEAD;
		if (size > left && i > 0)
			break;
		left -= size < left ? size : left;
	}
	return i;
}

static bool
is_plain(const struct kafka_message *message)
{
	return message->n_headers == 0 && message->timestamp_ms <= 0;
}

/* Fills the chunk with plain messages; returns how many. */
static size_t
fill_chunk(rd_kafka_message_t *chunk, const struct run *run)
{
	size_t i;

	for (i = 0; i < run->n && i < KAFKA_TRANSACTION_CHUNK; i++) {
		const struct kafka_message *message =
		    &run->messages[run->order[i]];

		if (!is_plain(message))
			break;
		chunk[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
		chunk[i].payload = kafka_unconst(message->value.at);
		chunk[i].len = message->value.size;
		chunk[i].key = kafka_unconst(message->key.at);
		chunk[i].key_len = message->key.size;
		chunk[i]._private = NULL;
	}
	return i;
}

/*
 * Hands a chunk over in its order and without copying values.  Returns how
 * many were accepted; `code` is why the next was not.
 */
static size_t
produce_chunk(struct kafka_transaction *transaction, const struct run *run,
    size_t n, rd_kafka_resp_err_t *code)
{
	rd_kafka_message_t *chunk = transaction->chunk;
	size_t i;

	*code = RD_KAFKA_RESP_ERR_NO_ERROR;
	if ((size_t)rd_kafka_produce_batch(
		run->output->handle, run->partition, 0, chunk, (int)n) == n)
		return n;
	for (i = 0; i < n && chunk[i].err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
		;
	if (i < n)
		*code = chunk[i].err;
	return i;
}

static rd_kafka_resp_err_t
produce_one(struct kafka_transaction *transaction, const struct run *run)
{
	const struct kafka_partition to = { run->output->topic,
		run->partition };
	rd_kafka_error_t *cause = kafka_message_produce(
	    transaction->handle, to, &run->messages[run->order[0]], 0);
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (cause != NULL) {
		code = rd_kafka_error_code(cause);
		rd_kafka_error_destroy(cause);
	}
	return code;
}

/* Hands over the first messages, all of one form; cuts them off the run. */
static rd_kafka_resp_err_t
produce_some(struct kafka_transaction *transaction, struct run *run)
{
	rd_kafka_resp_err_t code;
	size_t done = fill_chunk(transaction->chunk, run);

	if (done > 0) {
		done = produce_chunk(transaction, run, done, &code);
	} else {
		code = produce_one(transaction, run);
		done = code == RD_KAFKA_RESP_ERR_NO_ERROR;
	}
	run->order += done;
	run->n -= done;
	transaction->counts.produced += done;
	return code;
}

static int
produce_run(struct kafka_transaction *transaction, struct run run,
    int64_t until_ms, struct error *err)
{
	rd_kafka_resp_err_t code;

	while (run.n > 0) {
		code = produce_some(transaction, &run);
		if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
		    clock_monotonic_ms() < until_ms) {
			rd_kafka_poll(transaction->handle, 10);
			continue;
		}
		/* A full queue that does not drain in time, or a refusal: the
		 * batch is half handed over, only an abort undoes that. */
		if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
			kafka_client_fail(&transaction->client,
			    KAFKA_CALL_PRODUCE,
			    (struct kafka_failure){
				.code = code, .abortable = true },
			    err, run.output->topic, NULL);
			return -1;
		}
	}
	return 0;
}

/* One request's worth of each partition.  Returns how many messages are left,
 * or -1. */
static ssize_t
produce_round(struct kafka_transaction *transaction,
    const struct kafka_output *output, const struct kafka_message *messages,
    int64_t until_ms, struct error *err)
{
	struct kafka_spread *spread = &transaction->spread;
	ssize_t left = 0;

	for (size_t i = 0; i <= spread->n_partitions; i++) {
		struct kafka_stretch *stretch = &spread->stretches[i];
		struct run run = { output,
			i < spread->n_partitions ? (int32_t)i
						 : RD_KAFKA_PARTITION_UA,
			messages, spread->order + stretch->begin,
			stretch->end - stretch->begin };

		run.n = fit_request(transaction, &run);
		if (produce_run(transaction, run, until_ms, err) != 0)
			return -1;
		stretch->begin += run.n;
		left += (ssize_t)(stretch->end - stretch->begin);
	}
	return left;
}

static int
await_delivery(
    struct kafka_transaction *transaction, int64_t until_ms, struct error *err)
{
	const struct kafka_delivery_counts *counts = &transaction->counts;
	int64_t left = until_ms - clock_monotonic_ms();

	rd_kafka_flush(transaction->handle, left > 1 ? (int)left : 1);
	if (counts->failed > 0) {
		transaction->fenced = kafka_transaction_is_fencing(
		    rd_kafka_fatal_error(transaction->handle, NULL, 0));
		return error_set(err, ERROR_ABORT, "%s", counts->reason);
	}
	if (counts->delivered < counts->produced)
		return error_set(
		    err, ERROR_ABORT, "messages are not delivered in time");
	return 0;
}

/*
 * While a partition has one request on its way, librdkafka 2.0 sends it no
 * other, and looks without any pause whether it may by now: what does not fit
 * a request is not handed over before the one before it has arrived.
 */
int
kafka_transaction_produce(struct kafka_transaction *transaction, size_t topic,
    const struct kafka_message *messages, size_t n, int timeout_ms,
    struct error *err)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	const struct kafka_output *output = &transaction->outputs[topic];
	ssize_t left;

	kafka_spread(&transaction->spread, messages, n, output->n_partitions);
	for (;;) {
		left = produce_round(transaction, output, messages, until, err);
		if (left <= 0)
			return (int)left;
		if (await_delivery(transaction, until, err) != 0)
			return -1;
	}
}
