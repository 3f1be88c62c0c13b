#include "producer/cli/submitter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/json/write.h"
#include "common/kafka/producer.h"
#include "producer/cli/run_table.h"
#include "schemas/avro/registry.h"
#include "schemas/topics.h"

#define POLL_MS 100
#define CLOSE_MS 1000
#define LINGER_MS 5

struct submitter {
	struct command *command;
	struct kafka_producer *producer;
	uint32_t schema_id;
	const char *topic;
	struct buffer value;
	struct submitted count;
	size_t failed;
	struct error failure; /* the first delivery that failed */
};

/* What is printed of a request once it is acknowledged. */
struct receipt {
	struct uuid run;
	size_t size;
	char request_id[];
};

static int
print_receipt(
    struct command *command, struct text request_id, const struct uuid *run)
{
	static const struct column columns[] = {
		{ "REQUEST", "requestId" },
		{ "RUN", "runRid" },
		{ NULL, NULL },
	};
	char rid[RID_SIZE_MAX];
	struct table *table = command_stream(command, columns);

	table_text(table, request_id);
	table_text(table,
	    (struct text){ rid, rid_format(TEXT(RID_RUN_PREFIX), run, rid) });
	return command_print_table(command);
}

int
submitter_repeat(struct command *command, const struct schedule_run *answer)
{
	int code = print_receipt(command, answer->request_id, &answer->id);

	return code == EXIT_DONE ? run_table_told(command, answer, true) : code;
}

static void
delivered(void *opaque, const struct kafka_delivery *delivery)
{
	struct submitter *submitter = opaque;
	struct receipt *receipt = delivery->opaque;

	if (delivery->kind == ERROR_NONE) {
		submitter->count.acknowledged++;
		print_receipt(submitter->command,
		    (struct text){ receipt->request_id, receipt->size },
		    &receipt->run);
	} else if (submitter->failed++ == 0) {
		error_set(&submitter->failure, delivery->kind,
		    "request %.*s was not acknowledged: %s", (int)receipt->size,
		    receipt->request_id, delivery->reason);
		submitter->failure.exit_code = delivery->exit_code;
	}
	free(receipt);
}

static int
timeout_of(const struct command *command)
{
	return (int)command->options.timeout_ms;
}

static int
find_schema(struct submitter *submitter, struct error *err)
{
	struct registry *registry =
	    registry_create(command_config(submitter->command), err);
	int rc;

	if (registry == NULL)
		return -1;
	rc = registry_id(registry, MESSAGE_RUN_REQUEST, submitter->topic,
	    &submitter->schema_id, err);
	registry_destroy(registry);
	return rc;
}

struct submitter *
submitter_create(struct command *command, bool many, struct error *err)
{
	const struct config *config = command_config(command);
	struct submitter *submitter = memory_zalloc(1, sizeof *submitter);
	const struct kafka_producer_options options = {
		.settings = { .config = config },
		.delivery_timeout_ms = timeout_of(command),
		.linger_ms = many ? LINGER_MS : 0,
		.strict = true,
		.delivered = delivered,
		.opaque = submitter,
	};

	submitter->command = command;
	submitter->topic = topic_name(config, TOPIC_REQUESTS);
	if (find_schema(submitter, err) == 0)
		submitter->producer = kafka_producer_create(&options, err);
	if (submitter->producer != NULL &&
	    kafka_producer_probe(submitter->producer, submitter->topic,
		timeout_of(command), err) == 0)
		return submitter;
	submitter_destroy(submitter);
	return NULL;
}

void
submitter_destroy(struct submitter *submitter)
{
	if (submitter == NULL)
		return;
	if (submitter->producer != NULL)
		kafka_producer_destroy(submitter->producer, CLOSE_MS);
	buffer_finish(&submitter->value);
	free(submitter);
}

static struct receipt *
make_receipt(const struct run_request *request, const struct uuid *run)
{
	struct text id = request->request_id;
	struct receipt *receipt = memory_alloc(sizeof *receipt + id.size);

	receipt->run = *run;
	receipt->size = id.size;
	memcpy(receipt->request_id, id.at, id.size);
	return receipt;
}

int
submitter_send(struct submitter *submitter, const struct run_request *request,
    const struct uuid *run, struct error *err)
{
	int64_t until = command_deadline(submitter->command);
	struct kafka_message message = { .key = request->schedule_rid,
		.opaque = make_receipt(request, run) };

	buffer_reset(&submitter->value);
	run_request_encode(request, submitter->schema_id, &submitter->value);
	message.value = buffer_text(&submitter->value);
	while (kafka_producer_send(
		   submitter->producer, submitter->topic, &message, err) != 0) {
		if (err->kind != ERROR_RETRY || clock_monotonic_ms() >= until) {
			free(message.opaque);
			return -1;
		}
		kafka_producer_poll(submitter->producer, POLL_MS);
	}
	submitter->count.sent++;
	kafka_producer_poll(submitter->producer, 0);
	return 0;
}

void
submitter_serve(struct submitter *submitter, int timeout_ms)
{
	kafka_producer_poll(submitter->producer, timeout_ms);
}

int
submitter_flush(struct submitter *submitter, struct error *err)
{
	int rc = kafka_producer_flush(
	    submitter->producer, timeout_of(submitter->command), err);

	if (submitter->failed == 0)
		return rc;
	*err = submitter->failure;
	if (submitter->count.sent > 1)
		error_prefix(err, "%zu of %zu were not acknowledged; the first",
		    submitter->failed, submitter->count.sent);
	return -1;
}

struct submitted
submitter_count(const struct submitter *submitter)
{
	return submitter->count;
}
