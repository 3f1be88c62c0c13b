#include "producer/runs/event_sender.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/kafka/producer.h"
#include "schemas/avro/registry.h"
#include "schemas/topics.h"

#define CLOSE_MS 1000

struct event_sender {
	struct kafka_settings settings;
	int timeout_ms;
	pthread_mutex_t lock;
	struct kafka_producer *producer; /* NULL: with the next event */
	struct error failure;            /* of the event under way */
	struct buffer value;
	uint32_t ids[MESSAGES]; /* of the schemas that were asked for */
	bool is_known[MESSAGES];
};

struct event_sender *
event_sender_create(const struct kafka_settings *settings, int timeout_ms)
{
	struct event_sender *sender = memory_zalloc(1, sizeof *sender);

	sender->settings = *settings;
	sender->timeout_ms = timeout_ms;
	pthread_mutex_init(&sender->lock, NULL);
	return sender;
}

void
event_sender_destroy(struct event_sender *sender)
{
	if (sender == NULL)
		return;
	if (sender->producer != NULL)
		kafka_producer_destroy(sender->producer, CLOSE_MS);
	buffer_finish(&sender->value);
	pthread_mutex_destroy(&sender->lock);
	free(sender);
}

static void
on_delivered(void *opaque, const struct kafka_delivery *delivery)
{
	struct event_sender *sender = opaque;

	if (delivery->kind == ERROR_NONE)
		return;
	error_set(&sender->failure, delivery->kind,
	    "the event was not acknowledged: %s", delivery->reason);
	sender->failure.exit_code = delivery->exit_code;
}

static const char *
topic_of(const struct event_sender *sender)
{
	return topic_name(sender->settings.config, TOPIC_EVENTS);
}

/* Also in place of one that librdkafka has given up. */
static int
open_producer(struct event_sender *sender, struct error *err)
{
	const struct kafka_producer_options options = {
		.settings = sender->settings,
		.delivery_timeout_ms = sender->timeout_ms,
		.strict = sender->settings.health == NULL, /* a command's */
		.delivered = on_delivered,
		.opaque = sender,
	};

	if (sender->producer != NULL &&
	    !kafka_producer_is_broken(sender->producer))
		return 0;
	if (sender->producer != NULL)
		kafka_producer_destroy(sender->producer, 0);
	sender->producer = kafka_producer_create(&options, err);
	if (sender->producer == NULL)
		return -1;
	/* Else the first event would wait for a topic that isn't there. */
	if (kafka_producer_probe(sender->producer, topic_of(sender),
		sender->timeout_ms, err) == 0)
		return 0;
	kafka_producer_destroy(sender->producer, 0);
	sender->producer = NULL;
	return -1;
}

/* An id that a registry has given stays. */
static int
find_schema(
    struct event_sender *sender, enum message message, struct error *err)
{
	struct registry *registry;

	if (sender->is_known[message])
		return 0;
	registry = registry_create(sender->settings.config, err);
	if (registry != NULL &&
	    registry_id(registry, message, topic_of(sender),
		&sender->ids[message], err) == 0)
		sender->is_known[message] = true;
	registry_destroy(registry);
	return sender->is_known[message] ? 0 : -1;
}

/* Not only to find that out: whoever else wants to send would wait for it. */
static int
check_health(const struct event_sender *sender, struct error *err)
{
	struct kafka_state state;

	if (sender->settings.health == NULL || sender->producer == NULL)
		return 0;
	kafka_health_read(sender->settings.health, INT64_MAX, &state);
	return state.up ? 0 : error_set(err, ERROR_RETRY, "%s", state.reason);
}

static int
make_ready(struct event_sender *sender, enum message message, struct error *err)
{
	return check_health(sender, err) == 0 &&
		find_schema(sender, message, err) == 0 &&
		open_producer(sender, err) == 0
	    ? 0
	    : -1;
}

int
event_sender_ready(
    struct event_sender *sender, enum message message, struct error *err)
{
	int rc;

	pthread_mutex_lock(&sender->lock);
	rc = make_ready(sender, message, err);
	pthread_mutex_unlock(&sender->lock);
	return rc;
}

static int
send_event(struct event_sender *sender, const struct schedule_event *event,
    struct error *err)
{
	char rid[RID_SIZE_MAX];
	struct kafka_message message = { .key =
					     schedule_event_key(event, rid) };

	if (make_ready(sender, event->message, err) != 0)
		return -1;
	buffer_reset(&sender->value);
	schedule_event_encode(
	    event, sender->ids[event->message], &sender->value);
	message.value = buffer_text(&sender->value);
	sender->failure = (struct error){ 0 };
	if (kafka_producer_send(
		sender->producer, topic_of(sender), &message, err) != 0 ||
	    kafka_producer_flush(sender->producer, sender->timeout_ms, err) !=
		0)
		return -1;
	if (sender->failure.kind == ERROR_NONE)
		return 0;
	*err = sender->failure;
	return -1;
}

int
event_sender_send(struct event_sender *sender,
    const struct schedule_event *event, struct error *err)
{
	struct rejection rejection = { 0 };
	int rc;

	if (schedule_event_check(event, &rejection) != 0)
		return error_set(err, ERROR_INPUT, "%s", rejection.detail);
	pthread_mutex_lock(&sender->lock);
	rc = send_event(sender, event, err);
	pthread_mutex_unlock(&sender->lock);
	return rc;
}
