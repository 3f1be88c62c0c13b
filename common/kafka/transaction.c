#include "common/kafka/transaction.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/kafka/message.h"
#include "common/kafka/query.h"
#include "common/kafka/spread.h"

#define REPORT_MS 1000 /* a report that is under way */
#define REPORT_POLL_MS 10
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define LIMIT_SIZE 24
#define LIMIT_DEFAULT 1000000

/* What is left for the handle's end after its messages were purged. */
#define DESTROY_MIN_MS 500

/* How long a topic's number of partitions is believed, as librdkafka does. */
#define REFRESH_MS 60000
#define REFRESH_CALL_MS 1000

/* What one request to a partition holds: batch.num.messages, and batch.size
 * with librdkafka's reckoning of what a message's own fields take at most. */
#define REQUEST_MESSAGES 10000
#define MESSAGE_OVERHEAD 64

/* Messages that are handed to librdkafka in one call. */
#define KAFKA_TRANSACTION_CHUNK 1000

struct kafka_output {
	char *topic;
	rd_kafka_topic_t *handle; /* NULL until open */
	int32_t n_partitions;
};

struct kafka_transaction {
	struct kafka_client client; /* first: librdkafka's opaque */
	rd_kafka_t *handle;
	struct kafka_output *outputs;
	size_t n_outputs;
	int64_t asked_ms; /* when their partitions were */
	struct kafka_spread spread;
	int64_t slow_ms;    /* socket.timeout.ms */
	size_t batch_bytes; /* batch.size */
	bool opened, fenced;
	/* Since begin: */
	int64_t commit_started_ms;
	unsigned commits, events_at_begin, closed_at_begin;
	bool slow;
	struct kafka_delivery_counts counts;
	rd_kafka_message_t chunk[KAFKA_TRANSACTION_CHUNK];
};

/* Whether a message is refused for what it is: it will be each time. */
static bool
is_refusal(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
	    code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
	    code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
	    code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP ||
	    code == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
	    code == RD_KAFKA_RESP_ERR_POLICY_VIOLATION;
}

static void
note_failure(struct kafka_transaction *transaction, const char *topic,
    rd_kafka_resp_err_t code)
{
	struct kafka_delivery_counts *counts = &transaction->counts;
	size_t i;

	counts->failed++;
	if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
	    code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE)
		counts->too_large++;
	for (i = 0; is_refusal(code) && i < transaction->n_outputs; i++)
		if (strcmp(transaction->outputs[i].topic, topic) == 0)
			counts->refused |= 1u << i;
	if (counts->reason[0] == '\0')
		snprintf(counts->reason, sizeof counts->reason, "%s: %s", topic,
		    rd_kafka_err2name(code));
}

static void
on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
	struct kafka_transaction *transaction = opaque;

	(void)handle;
	switch (message->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		transaction->counts.delivered++;
		break;
	case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
	case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
		break; /* follows an abort, whose cause was reported */
	default:
		note_failure(transaction,
		    message->rkt != NULL ? rd_kafka_topic_name(message->rkt)
					 : "?",
		    message->err);
	}
}

static bool
is_fencing(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__FENCED ||
	    code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
	    code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/*
 * A transaction fails by a message that is refused a moment before that is
 * reported, and the report alone says which topic it is: without it nobody
 * would read the topic's limits again.
 */
static void
await_refusal(struct kafka_transaction *transaction)
{
	int64_t until = clock_monotonic_ms() + REPORT_MS;

	while (transaction->counts.failed == 0 && clock_monotonic_ms() < until)
		rd_kafka_poll(transaction->handle, REPORT_POLL_MS);
}

static int
fail_transaction(struct kafka_transaction *transaction, enum kafka_call call,
    rd_kafka_error_t *cause, struct error *err, const char *what)
{
	if (is_refusal(rd_kafka_error_code(cause)))
		await_refusal(transaction);
	transaction->fenced = is_fencing(rd_kafka_error_code(cause));
	/* librdkafka does not say which. */
	if (rd_kafka_error_code(cause) ==
	    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
		what = "a topic may not be written (schedrun check says which)";
	kafka_client_fail_error(&transaction->client, call, cause, err, what);
	if (transaction->counts.reason[0] != '\0')
		error_prefix(err, "%s", transaction->counts.reason);
	return -1;
}

/* Create ----------------------------------------------------------------- */

/* A limit in bytes, at most `max`; 0 is librdkafka's default. */
static void
print_limit(int64_t limit, int64_t max, char out[LIMIT_SIZE])
{
	if (limit <= 0)
		limit = LIMIT_DEFAULT;
	snprintf(
	    out, LIMIT_SIZE, "%lld", (long long)(limit < max ? limit : max));
}

static int64_t
number_of(const rd_kafka_conf_t *conf, const char *name)
{
	char value[32] = "";
	size_t size = sizeof value;
	int64_t number = 0;

	rd_kafka_conf_get(conf, name, value, &size);
	text_to_number(text_from(value), INT64_MAX, &number);
	return number;
}

static rd_kafka_conf_t *
configure_transaction(struct kafka_transaction *transaction,
    const struct kafka_transaction_options *options, struct error *err)
{
	char message_max[LIMIT_SIZE], batch_max[LIMIT_SIZE];
	struct kafka_preset presets[] = {
		{ "transactional.id", options->transactional_id, true },
		{ "enable.idempotence", "true", true },
		{ "acks", "all", true },
		{ "max.in.flight.requests.per.connection", "5", true },
		{ "partitioner", "murmur2_random", true },
		{ "transaction.timeout.ms", "20000", false },
		{ "message.timeout.ms", "12000", false },
		/* The default 100 adds steps of 100 ms to each commit. */
		{ "retry.backoff.ms", "5", false },
		/*
		 * Time to hand over all that is to leave in one request (see
		 * produce_round); sending the offsets takes longer, and commit
		 * does not wait for it.
		 */
		{ "linger.ms", "3", false },
		{ "message.max.bytes", message_max, false },
		/* A topic refuses a produce batch that is over its limit. */
		{ "batch.size", batch_max, false },
	};
	rd_kafka_conf_t *conf;

	print_limit(options->message_max_bytes, INT64_MAX, message_max);
	print_limit(options->batch_max_bytes, LIMIT_DEFAULT, batch_max);
	conf = kafka_client_conf(&transaction->client, &options->settings,
	    CONFIG_PRODUCER, presets, COUNT(presets), err);
	if (conf == NULL)
		return NULL;
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	transaction->slow_ms = number_of(conf, "socket.timeout.ms");
	transaction->batch_bytes = (size_t)number_of(conf, "batch.size");
	return conf;
}

static void
free_transaction(struct kafka_transaction *transaction)
{
	size_t i;

	for (i = 0; i < transaction->n_outputs; i++)
		free(transaction->outputs[i].topic);
	free(transaction->outputs);
	kafka_spread_finish(&transaction->spread);
	free(transaction);
}

struct kafka_transaction *
kafka_transaction_create(
    const struct kafka_transaction_options *options, struct error *err)
{
	struct kafka_transaction *transaction =
	    memory_zalloc(1, sizeof *transaction);
	size_t i;

	transaction->n_outputs = options->n_topics;
	transaction->outputs = memory_zalloc(
	    transaction->n_outputs + 1, sizeof *transaction->outputs);
	for (i = 0; i < transaction->n_outputs; i++)
		transaction->outputs[i].topic =
		    memory_copy_string(options->topics[i]);
	transaction->handle =
	    kafka_client_open(configure_transaction(transaction, options, err),
		RD_KAFKA_PRODUCER, "producer", err);
	if (transaction->handle != NULL)
		return transaction;
	free_transaction(transaction);
	return NULL;
}

int
kafka_transaction_destroy(struct kafka_transaction *transaction, int timeout_ms)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	int64_t left;
	size_t i;

	if (transaction == NULL)
		return 0;
	/* Each message must be reported, or librdkafka may still read its
	 * value, which is the caller's memory. */
	rd_kafka_purge(transaction->handle,
	    RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_flush(transaction->handle, timeout_ms);
	for (i = 0; i < transaction->n_outputs; i++)
		if (transaction->outputs[i].handle != NULL)
			rd_kafka_topic_destroy(transaction->outputs[i].handle);
	left = until - clock_monotonic_ms();
	if (kafka_client_destroy_handle(transaction->handle,
		left > DESTROY_MIN_MS ? (int)left : DESTROY_MIN_MS) != 0)
		return -1; /* its threads may still look at `transaction` */
	free_transaction(transaction);
	return 0;
}

/* Open, begin ------------------------------------------------------------ */

/* Asks for a topic's partitions, so that its first produce does not wait. */
static int
warm_up(struct kafka_transaction *transaction, struct kafka_output *output,
    int timeout_ms, struct error *err)
{
	int32_t n;

	if (output->handle == NULL)
		output->handle = rd_kafka_topic_new(
		    transaction->handle, output->topic, NULL);
	n = kafka_query_partitions(&transaction->client, transaction->handle,
	    output->topic, timeout_ms, err);
	if (n == 0)
		return error_set(err, ERROR_RETRY,
		    "there is no topic %s; to create it: schedrun init",
		    output->topic);
	if (n < 0)
		return -1;
	output->n_partitions = n;
	return 0;
}

static int
warm_up_all(
    struct kafka_transaction *transaction, int64_t until_ms, struct error *err)
{
	size_t i;

	for (i = 0; i < transaction->n_outputs; i++) {
		int64_t left = until_ms - clock_monotonic_ms();

		if (warm_up(transaction, &transaction->outputs[i],
			left > 100 ? (int)left : 100, err) != 0)
			return -1;
	}
	transaction->asked_ms = clock_monotonic_ms();
	return 0;
}

int
kafka_transaction_open(
    struct kafka_transaction *transaction, int timeout_ms, struct error *err)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	rd_kafka_error_t *cause = NULL;

	if (!transaction->opened)
		cause =
		    rd_kafka_init_transactions(transaction->handle, timeout_ms);
	if (cause != NULL)
		return fail_transaction(transaction, KAFKA_CALL_INIT, cause,
		    err, "init_transactions");
	transaction->opened = true;
	if (warm_up_all(transaction, until, err) != 0)
		return -1;
	kafka_client_answered(&transaction->client);
	return 0;
}

int32_t
kafka_transaction_partitions(
    const struct kafka_transaction *transaction, size_t topic)
{
	return transaction->outputs[topic].n_partitions;
}

/* A topic may have got more partitions; if nobody tells, it has not. */
static void
refresh_partitions(struct kafka_transaction *transaction)
{
	int64_t now = clock_monotonic_ms();
	struct error ignored;

	if (now - transaction->asked_ms < REFRESH_MS)
		return;
	transaction->asked_ms = now;
	warm_up_all(transaction, now + REFRESH_CALL_MS, &ignored);
}

int
kafka_transaction_begin(
    struct kafka_transaction *transaction, struct error *err)
{
	rd_kafka_error_t *cause;

	refresh_partitions(transaction);
	rd_kafka_poll(transaction->handle, 0);
	transaction->counts = (struct kafka_delivery_counts){ 0 };
	transaction->events_at_begin = transaction->client.error_events;
	transaction->closed_at_begin = transaction->client.closed_sockets;
	transaction->commits = 0;
	transaction->slow = false;
	transaction->fenced = false;
	cause = rd_kafka_begin_transaction(transaction->handle);
	if (cause != NULL)
		return fail_transaction(transaction, KAFKA_CALL_PRODUCE, cause,
		    err, "begin_transaction");
	return 0;
}

int
kafka_transaction_probe(
    struct kafka_transaction *transaction, int timeout_ms, struct error *err)
{
	rd_kafka_poll(transaction->handle, 0);
	return kafka_query_partitions(&transaction->client, transaction->handle,
		   NULL, timeout_ms, err) < 0
	    ? -1
	    : 0;
}

/* Offsets, commit, abort ------------------------------------------------- */

int
kafka_transaction_send_offsets(struct kafka_transaction *transaction,
    const struct kafka_group *group, struct kafka_offset_list next,
    int timeout_ms, struct error *err)
{
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new((int)next.n);
	rd_kafka_error_t *cause;
	size_t i;

	for (i = 0; i < next.n; i++)
		rd_kafka_topic_partition_list_add(
		    list, next.topic, next.at[i].partition)
		    ->offset = next.at[i].offset;
	cause = rd_kafka_send_offsets_to_transaction(
	    transaction->handle, list, kafka_group_metadata(group), timeout_ms);
	rd_kafka_topic_partition_list_destroy(list);
	if (cause != NULL)
		return fail_transaction(transaction, KAFKA_CALL_OFFSETS, cause,
		    err, "send_offsets_to_transaction");
	kafka_client_answered(&transaction->client);
	return 0;
}

int
kafka_transaction_commit(
    struct kafka_transaction *transaction, int timeout_ms, struct error *err)
{
	rd_kafka_error_t *cause;

	if (transaction->commits++ == 0)
		transaction->commit_started_ms = clock_monotonic_ms();
	cause = rd_kafka_commit_transaction(transaction->handle, timeout_ms);
	if (clock_monotonic_ms() - transaction->commit_started_ms >=
	    transaction->slow_ms)
		transaction->slow = true;
	if (cause != NULL)
		return fail_transaction(transaction, KAFKA_CALL_COMMIT, cause,
		    err, "commit_transaction");
	kafka_client_answered(&transaction->client);
	return 0;
}

int
kafka_transaction_abort(
    struct kafka_transaction *transaction, int timeout_ms, struct error *err)
{
	rd_kafka_error_t *cause =
	    rd_kafka_abort_transaction(transaction->handle, timeout_ms);

	if (cause != NULL)
		return fail_transaction(transaction, KAFKA_CALL_ABORT, cause,
		    err, "abort_transaction");
	return 0;
}

bool
kafka_transaction_is_suspect(struct kafka_transaction *transaction)
{
	rd_kafka_poll(transaction->handle, 0);
	return transaction->commits != 1 || transaction->slow ||
	    transaction->client.fatal ||
	    transaction->client.error_events != transaction->events_at_begin ||
	    transaction->client.closed_sockets != transaction->closed_at_begin;
}

bool
kafka_transaction_is_fenced(const struct kafka_transaction *transaction)
{
	return transaction->fenced;
}

void
kafka_transaction_counts(const struct kafka_transaction *transaction,
    struct kafka_delivery_counts *counts)
{
	*counts = transaction->counts;
}

/* Producing --------------------------------------------------------------- */

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

/* Fills the chunk with plain messages; returns how many. */
static size_t
fill_chunk(rd_kafka_message_t *chunk, const struct run *run)
{
	size_t i;

	for (i = 0; i < run->n && i < KAFKA_TRANSACTION_CHUNK; i++) {
		const struct kafka_message *message =
		    &run->messages[run->order[i]];

		if (message->n_headers > 0 || message->timestamp_ms > 0)
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
			note_failure(transaction, run.output->topic, code);
			transaction->fenced = is_fencing(code);
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
	size_t i;

	for (i = 0; i <= spread->n_partitions; i++) {
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
		transaction->fenced = is_fencing(
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
