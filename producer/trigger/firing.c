#include "producer/trigger/firing.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/producer.h"
#include "common/trace/tracer.h"
#include "producer/trigger/lapse.h"
#include "producer/trigger/metrics.h"
#include "schemas/avro/registry.h"
#include "schemas/message/run_request.h"
#include "schemas/topics.h"

#define EX_CONFIG 78
#define DELIVERY_MS 10000
#define SETTLE_MS 11000 /* behind it no report is to come */
#define PROBE_MS 3000
#define POLL_MS 100
#define CLOSE_MS 1000
#define LINGER_MS 3
#define ARENA_KEPT ((size_t)64 * 1024)
#define MISSED_MS 60000 /* later than that it is no lateness of ours */
_Static_assert(CLOCK_TEXT_SIZE <= FIRING_CAUSE_SIZE, "an instant fits");
#define INSTANT_SIZE (sizeof "2026-01-31T09:05:00" - 1)

/* Of a request that is traced: told once all are acknowledged. */
struct fired {
	struct fired *next;
	struct trace_span span;
	struct uuid run;
	struct text schedule_rid, cause;
};

struct firing {
	const struct config *config;
	struct kafka_health *health;
	struct metrics *metrics;
	struct kafka_producer *producer;
	struct registry *registry; /* until the schema's id is known */
	uint32_t schema_id;
	size_t pending;
	struct error failure; /* the first since the last settling */
	struct buffer value, trigger;
	struct arena *arena; /* of what is traced, until it is settled */
	struct fired *fired;
};

/* What comes back of a message: when it was due, and its kind, as the pointer.
 */
static void *
opaque_of(int64_t at_ms, enum trigger_fired kind)
{
	return (void *)(intptr_t)(at_ms * TRIGGER_FIRED_KINDS + kind);
}

static void
count_sent(struct firing *firing, intptr_t opaque)
{
	enum trigger_fired kind =
	    (enum trigger_fired)(opaque % TRIGGER_FIRED_KINDS);
	int64_t late_ms = lapse_now_ms() - opaque / TRIGGER_FIRED_KINDS;
	bool is_late = late_ms > MISSED_MS;

	metrics_add(firing->metrics, TRIGGER_FIRED,
	    kind == FIRED_DUE && is_late ? FIRED_MISSED : kind, 1);
	if (!is_late)
		metrics_observe(firing->metrics, TRIGGER_LATENESS, 0,
		    (double)late_ms / 1000, 1);
}

static void
on_delivered(void *opaque, const struct kafka_delivery *delivery)
{
	struct firing *firing = opaque;

	firing->pending--;
	metrics_set(
	    firing->metrics, TRIGGER_PENDING, 0, (double)firing->pending);
	if (delivery->kind == ERROR_NONE)
		count_sent(firing, (intptr_t)delivery->opaque);
	else if (firing->failure.kind == ERROR_NONE)
		error_set(&firing->failure, ERROR_RETRY,
		    "what was sent is not acknowledged: %s", delivery->reason);
}

static struct kafka_producer *
open_producer(struct firing *firing, struct error *err)
{
	const struct kafka_producer_options options = {
		.settings = { .config = firing->config,
		    .health = firing->health,
		    .client_id = "schedrun-trigger" },
		.delivery_timeout_ms = DELIVERY_MS,
		.linger_ms = LINGER_MS,
		.delivered = on_delivered,
		.opaque = firing,
	};

	return kafka_producer_create(&options, err);
}

struct firing *
firing_create(const struct config *config, struct kafka_health *health,
    struct metrics *metrics, struct error *err)
{
	struct firing *firing = memory_zalloc(1, sizeof *firing);

	firing->config = config;
	firing->health = health;
	firing->metrics = metrics;
	firing->arena = arena_create(0);
	firing->registry = registry_create(config, err);
	if (firing->registry != NULL)
		firing->producer = open_producer(firing, err);
	if (firing->producer != NULL)
		return firing;
	firing_destroy(firing);
	return NULL;
}

void
firing_destroy(struct firing *firing)
{
	if (firing == NULL)
		return;
	if (firing->producer != NULL)
		kafka_producer_destroy(firing->producer, CLOSE_MS);
	registry_destroy(firing->registry);
	arena_destroy(firing->arena);
	buffer_finish(&firing->value);
	buffer_finish(&firing->trigger);
	free(firing);
}

static const char *
requests_of(const struct firing *firing)
{
	return topic_name(firing->config, TOPIC_REQUESTS);
}

/* librdkafka gave it up, say since the topic was made anew. */
static int
replace_producer(struct firing *firing, struct error *err)
{
	struct kafka_producer *producer = open_producer(firing, err);

	if (producer == NULL)
		return -1;
	kafka_producer_destroy(firing->producer, 0);
	firing->producer = producer;
	log_event(LOG_WARN, "kafka", "producer_replaced",
	    "librdkafka gave the producer up: it was made anew", LOG_END);
	return 0;
}

int
firing_learn(struct firing *firing, struct error *err)
{
	if (firing->registry == NULL)
		return 0;
	if (registry_id(firing->registry, MESSAGE_RUN_REQUEST,
		requests_of(firing), &firing->schema_id, err) != 0)
		return -1;
	registry_destroy(firing->registry);
	firing->registry = NULL;
	return 0;
}

int
firing_probe(struct firing *firing, struct error *err)
{
	struct kafka_state state;

	if (kafka_producer_is_broken(firing->producer) &&
	    replace_producer(firing, err) != 0)
		return -1;
	/* Hears why the last one failed, too. */
	kafka_producer_poll(firing->producer, 0);
	if (kafka_producer_probe(
		firing->producer, requests_of(firing), PROBE_MS, err) != 0) {
		if (err->kind == ERROR_INPUT)
			err->exit_code = EX_CONFIG; /* of --check */
		err->kind = ERROR_RETRY;
		return -1;
	}
	kafka_health_read(firing->health, INT64_MAX, &state);
	if (!state.up)
		return error_set(err, ERROR_RETRY, "%s", state.reason);
	return 0;
}

void
firing_cluster(struct firing *firing, char *id, size_t size)
{
	kafka_producer_cluster_id(firing->producer, id, size);
}

/* Waits while the producer is full. */
static int
hand_over(struct firing *firing, const struct kafka_message *message,
    struct error *err)
{
	const char *name = requests_of(firing);
	int64_t until = clock_monotonic_ms() + DELIVERY_MS;

	while (kafka_producer_send(firing->producer, name, message, err) != 0) {
		if (err->kind != ERROR_RETRY || clock_monotonic_ms() >= until)
			return -1;
		kafka_producer_poll(firing->producer, POLL_MS);
	}
	firing->pending++;
	return 0;
}

/* The span of a request, and the header that says so; false: it has none. */
static bool
begin_trace(struct firing *firing, const struct firing_order *order,
    struct text request_id, char header[TRACE_PARENT_SIZE])
{
	struct uuid run = rid_run(order->schedule_rid, request_id);
	struct trace_span span;
	struct fired *fired;

	if (!tracer_begin(TEXT_NONE, &run, "fire", &span))
		return false;
	fired = arena_alloc(firing->arena, sizeof *fired);
	span.kind = TRACE_PRODUCER;
	*fired = (struct fired){ .next = firing->fired,
		.span = span,
		.run = run,
		.schedule_rid = text_copy(firing->arena, order->schedule_rid),
		.cause = text_copy(firing->arena, order->cause) };
	firing->fired = fired;
	trace_context_write(&span.own, header);
	return strcmp(config_text(firing->config, "trace.mode"), "forward") ==
	    0;
}

static void
tell_fired(const struct firing *firing, const struct fired *fired)
{
	char run[RID_SIZE_MAX];
	const struct trace_attribute attributes[] = {
		{ "messaging.system", TEXT("kafka"), 0 },
		{ "messaging.operation.type", TEXT("send"), 0 },
		{ "messaging.destination.name", text_from(requests_of(firing)),
		    0 },
		{ "schedrun.schedule", fired->schedule_rid, 0 },
		{ "schedrun.cause", fired->cause, 0 },
		{ "schedrun.run",
		    { run, rid_format(TEXT(RID_RUN_PREFIX), &fired->run, run) },
		    0 },
		{ NULL, TEXT_NONE, 0 },
	};
	struct trace_span span = fired->span;

	span.ended_ns = trace_now_ns();
	tracer_add(&span, attributes);
}

/* What is not acknowledged is sent again, and told then. */
static void
end_traces(struct firing *firing, bool acknowledged)
{
	const struct fired *fired;

	if (firing->fired == NULL)
		return;
	for (fired = firing->fired; acknowledged && fired != NULL;
	     fired = fired->next)
		tell_fired(firing, fired);
	firing->fired = NULL;
	arena_reset(firing->arena, ARENA_KEPT);
}

int
firing_send(
    struct firing *firing, const struct firing_order *order, struct error *err)
{
	char id[UUID_TEXT_SIZE];
	const struct run_request request = {
		.request_id = { id, sizeof id },
		.schedule_rid = order->schedule_rid,
		.schedule_version_rid = order->version_rid,
		.created_time_ms = clock_wall_ms(),
		.trigger = order->trigger,
	};
	struct kafka_message message = { .key = order->schedule_rid,
		.opaque = opaque_of(order->at_ms, order->kind) };
	struct uuid uuid = rid_firing(order->version_rid, order->cause);
	char parent[TRACE_PARENT_SIZE];
	const struct kafka_header header = { TEXT("traceparent"),
		{ parent, sizeof parent } };

	uuid_format(&uuid, id);
	if (begin_trace(firing, order, request.request_id, parent)) {
		message.headers = &header;
		message.n_headers = 1;
	}
	buffer_reset(&firing->value);
	run_request_encode(&request, firing->schema_id, &firing->value);
	message.value = buffer_text(&firing->value);
	return hand_over(firing, &message, err);
}

struct text
firing_cause(int64_t at_s, char at[FIRING_CAUSE_SIZE])
{
	clock_format(at_s * 1000, at);
	at[INSTANT_SIZE] = 'Z';
	return (struct text){ at, INSTANT_SIZE + 1 };
}

struct uuid
firing_run_due(struct text schedule_rid, struct text version_rid, int64_t at_s)
{
	char at[FIRING_CAUSE_SIZE], id[UUID_TEXT_SIZE];
	struct uuid uuid = rid_firing(version_rid, firing_cause(at_s, at));

	uuid_format(&uuid, id);
	return rid_run(schedule_rid, (struct text){ id, sizeof id });
}

int
firing_send_due(struct firing *firing, struct text schedule_rid,
    struct text version_rid, const struct due *due, struct error *err)
{
	char at[FIRING_CAUSE_SIZE];
	struct firing_order order = {
		.schedule_rid = schedule_rid,
		.version_rid = version_rid,
		.cause = firing_cause(due->instant.at_s, at),
		.kind = FIRED_DUE,
		.at_ms = due->instant.at_s * 1000,
	};

	buffer_reset(&firing->trigger);
	buffer_format(&firing->trigger, "time: %.*s %.*s, due %.*s",
	    TEXT_ARG(due->trigger->expression),
	    TEXT_ARG(due->trigger->zone_name), TEXT_ARG(order.cause));
	order.trigger = buffer_text(&firing->trigger);
	return firing_send(firing, &order, err);
}

int
firing_settle(struct firing *firing, struct error *err)
{
	int64_t until = clock_monotonic_ms() + SETTLE_MS;

	metrics_set(
	    firing->metrics, TRIGGER_PENDING, 0, (double)firing->pending);
	while (firing->pending > 0 && clock_monotonic_ms() < until)
		kafka_producer_poll(firing->producer, POLL_MS);
	if (firing->failure.kind == ERROR_NONE && firing->pending > 0)
		error_set(&firing->failure, ERROR_RETRY,
		    "%zu requests were not acknowledged within %d s",
		    firing->pending, SETTLE_MS / 1000);
	end_traces(firing, firing->failure.kind == ERROR_NONE);
	if (firing->failure.kind == ERROR_NONE)
		return 0;
	*err = firing->failure;
	firing->failure = (struct error){ 0 };
	return -1;
}
