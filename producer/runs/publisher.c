#include "producer/runs/publisher.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/producer.h"
#include "schemas/message/run_request.h"

#define DELIVERY_MS 10000 /* after it the outcome is unknown */
#define CLOSE_MS 1000

struct run_publisher {
	struct run_publisher_settings settings;
	struct kafka_producer *producer;
	_Atomic int64_t schema_id; /* -1: not known yet */
	pthread_mutex_t probing;   /* another thread uses the producer */
	struct loop_event *event;
	struct buffer value;
};

/* Who hears of one request's delivery. */
struct pending {
	void (*done)(
	    void *argument, enum publish_outcome outcome, const char *reason);
	void *argument;
};

static void
on_delivery(void *opaque, const struct kafka_delivery *delivery)
{
	struct pending *pending = delivery->opaque;
	enum publish_outcome outcome = PUBLISH_REFUSED;

	(void)opaque;
	if (delivery->kind == ERROR_NONE)
		outcome = PUBLISH_DONE;
	else if (delivery->kind == ERROR_RETRY)
		outcome = delivery->unsent ? PUBLISH_UNSENT : PUBLISH_UNKNOWN;
	pending->done(pending->argument, outcome, delivery->reason);
	free(pending);
}

static void
serve_producer(void *argument)
{
	struct run_publisher *publisher = argument;

	while (kafka_producer_poll(publisher->producer, 0) > 0)
		;
}

static struct kafka_producer *
create_producer(struct run_publisher *publisher, struct error *err)
{
	const struct kafka_producer_options options = {
		.settings = { .config = publisher->settings.config,
		    .health = publisher->settings.health,
		    .client_id = "schedrun-http" },
		.delivery_timeout_ms = DELIVERY_MS,
		.delivered = on_delivery,
	};
	struct kafka_producer *producer = kafka_producer_create(&options, err);

	if (producer != NULL)
		kafka_producer_notify(
		    producer, loop_event_fd(publisher->event));
	return producer;
}

struct run_publisher *
run_publisher_create(
    const struct run_publisher_settings *settings, struct error *err)
{
	struct run_publisher *publisher = memory_zalloc(1, sizeof *publisher);

	publisher->settings = *settings;
	publisher->schema_id = -1;
	pthread_mutex_init(&publisher->probing, NULL);
	publisher->event =
	    loop_event_start(settings->loop, serve_producer, publisher);
	publisher->producer = create_producer(publisher, err);
	if (publisher->producer != NULL)
		return publisher;
	run_publisher_destroy(publisher);
	return NULL;
}

/*
 * A fatal error of librdkafka's (the topic was made anew, say) ends a producer,
 * not the process.  What was pending on it is reported by its end.
 */
static int
replace_producer(struct run_publisher *publisher, struct error *err)
{
	struct kafka_producer *old = publisher->producer, *producer;

	if (pthread_mutex_trylock(&publisher->probing) != 0)
		return error_set(
		    err, ERROR_RETRY, "the kafka producer is being replaced");
	producer = create_producer(publisher, err);
	if (producer != NULL)
		publisher->producer = producer;
	pthread_mutex_unlock(&publisher->probing);
	if (producer == NULL)
		return -1;
	log_event(LOG_WARN, "kafka", "producer_replaced",
	    "librdkafka gave the producer up: it was made anew", LOG_END);
	kafka_producer_destroy(old, 0);
	return 0;
}

void
run_publisher_set_schema(struct run_publisher *publisher, uint32_t id)
{
	publisher->schema_id = id;
}

int
run_publisher_ready(struct run_publisher *publisher, struct error *err)
{
	struct kafka_state state;

	if (publisher->schema_id < 0)
		return error_set(err, ERROR_RETRY,
		    "the schema registry has not told the requests' schema id "
		    "yet");
	if (kafka_producer_is_broken(publisher->producer) &&
	    replace_producer(publisher, err) != 0)
		return error_set(err, ERROR_RETRY,
		    "the kafka producer is broken and not yet replaced");
	kafka_health_read(publisher->settings.health, INT64_MAX, &state);
	if (state.up)
		return 0;
	return error_set(
	    err, ERROR_RETRY, "Kafka does not answer: %s", state.reason);
}

int
run_publisher_send(struct run_publisher *publisher,
    const struct publish *publish, struct error *err)
{
	char rid[sizeof RID_RUN_PREFIX + UUID_TEXT_SIZE];
	struct run_request request = {
		.request_id = publish->run->request_id,
		.run_rid = { rid,
		    rid_format(TEXT(RID_RUN_PREFIX), &publish->run->id, rid) },
		.schedule_rid = publish->run->schedule_rid,
		.schedule_version_rid = publish->run->schedule_version_rid,
		.created_time_ms = publish->run->created_time_ms,
		.created_by = publish->run->created_by,
		.trigger = TEXT("http"),
	};
	struct kafka_header headers[TRACE_HEADERS_MAX];
	struct pending *pending = memory_alloc(sizeof *pending);
	struct kafka_message message = {
		.key = request.schedule_rid,
		.headers = headers,
		.n_headers = publish->n_headers,
		.opaque = pending,
	};
	size_t i;

	for (i = 0; i < publish->n_headers; i++)
		headers[i] = (struct kafka_header){
			text_from(publish->headers[i].name),
			publish->headers[i].value,
		};
	*pending = (struct pending){ publish->done, publish->argument };
	buffer_reset(&publisher->value);
	run_request_encode(
	    &request, (uint32_t)publisher->schema_id, &publisher->value);
	message.value = buffer_text(&publisher->value);
	if (kafka_producer_send(publisher->producer, publisher->settings.topic,
		&message, err) == 0)
		return 0;
	free(pending);
	if (err->kind == ERROR_FATAL) /* the producer, not the process */
		err->kind = ERROR_RETRY;
	return -1;
}

int
run_publisher_probe(
    struct run_publisher *publisher, int timeout_ms, struct error *err)
{
	int rc;

	pthread_mutex_lock(&publisher->probing);
	rc = kafka_producer_probe(
	    publisher->producer, publisher->settings.topic, timeout_ms, err);
	pthread_mutex_unlock(&publisher->probing);
	return rc;
}

void
run_publisher_cluster(struct run_publisher *publisher, char *id, size_t size)
{
	pthread_mutex_lock(&publisher->probing);
	kafka_producer_cluster_id(publisher->producer, id, size);
	pthread_mutex_unlock(&publisher->probing);
}

void
run_publisher_destroy(struct run_publisher *publisher)
{
	if (publisher == NULL)
		return;
	kafka_producer_destroy(publisher->producer, CLOSE_MS);
	loop_event_stop(publisher->event);
	buffer_finish(&publisher->value);
	pthread_mutex_destroy(&publisher->probing);
	free(publisher);
}
