#include "producer/trigger/events.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/consumer.h"
#include "producer/runs/decoder.h"
#include "producer/trigger/event_reader.h"
#include "producer/trigger/event_store.h"
#include "producer/trigger/fan_out.h"
#include "schemas/message/dead_letter.h"
#include "schemas/topics.h"

#define RECORDS 200 /* of a poll */
#define POLL_MS 250
#define AGAIN_MS 250 /* after something did not answer */
#define CALL_MS 3000
#define CLOSE_MS 5000
#define REFRESH_MS 10000
#define FRESH_MS 10000
#define BEAT_MS 60000
#define ARENA_KEPT ((size_t)1024 * 1024)

/* Of a partition that is ours. */
struct event_place {
	const char *topic;
	int32_t partition;
	int64_t next;      /* all before it is done */
	int64_t reached;   /* its end, once what the poll gave is done */
	int64_t committed; /* by us */
};

struct events {
	struct events_settings settings;
	const char *topics[2]; /* events, results */
	struct kafka_consumer *consumer;
	struct redis *redis;
	struct keyspace *keyspace;
	struct kafka_health *kafka;
	struct firing *firing;
	struct event_reader *reader;
	struct message_decoder *results;
	struct event_store *store;
	struct fan_out fan_out;
	struct arena *arena; /* of one record */
	struct event_place *places;
	size_t n_places;
	struct health_check *check;
	struct health_beat *beat;
	pthread_t thread;
	bool is_started;
	atomic_bool is_over;

	/* The records of a poll, until all are done: */
	struct kafka_record records[RECORDS];
	enum progress {
		PROGRESS_NONE,
		PROGRESS_SENT, /* what it led to is handed over */
		PROGRESS_DONE,
	} progress[RECORDS];
	size_t n;
	int64_t polled_ms;
	bool is_lost; /* they are somebody else's by now */
};

/* Places ------------------------------------------------------------------ */

static struct event_place *
find_place(struct events *events, const char *topic, int32_t partition)
{
	size_t i;

	for (i = 0; i < events->n_places; i++)
		if (events->places[i].partition == partition &&
		    strcmp(events->places[i].topic, topic) == 0)
			return &events->places[i];
	return NULL;
}

/* Whose name outlives the assignment. */
static const char *
own_topic(const struct events *events, const char *topic)
{
	return events->topics[strcmp(topic, events->topics[0]) == 0 ? 0 : 1];
}

/* Runs that failed before there was a trigger are nobody's any more. */
static int
on_assigned(void *opaque, struct kafka_position *positions, size_t n)
{
	struct events *events = opaque;
	size_t i;

	events->places =
	    memory_resize(events->places, n + 1, sizeof *events->places);
	for (i = 0; i < n; i++) {
		const char *topic = own_topic(events, positions[i].topic);

		if (topic == events->topics[1] && positions[i].committed < 0)
			positions[i].offset = KAFKA_OFFSET_END;
		events->places[i] = (struct event_place){
			.topic = topic,
			.partition = positions[i].partition,
			.next = positions[i].offset,
			.committed = positions[i].committed,
		};
	}
	events->n_places = n;
	return 0;
}

/* One that is lost costs no more than doing the same again. */
static void
commit_places(struct events *events)
{
	struct error ignored;
	size_t i;

	for (i = 0; i < events->n_places; i++) {
		struct event_place *place = &events->places[i];

		if (place->next > place->committed && place->next >= 0 &&
		    kafka_consumer_commit(events->consumer, place->topic,
			(struct kafka_offset){ place->partition, place->next },
			&ignored) == 0)
			place->committed = place->next;
	}
}

static void
on_revoked(void *opaque, bool lost)
{
	struct events *events = opaque;

	if (!lost)
		commit_places(events);
	events->n_places = 0;
	/* Not so what comes behind the next assignment, by this same poll. */
	if (events->n > 0)
		events->is_lost = true;
}

/* Markers of transactions are behind us as well, once what comes with this is
 * done: while records are open the poll only keeps us in the group. */
static void
on_reached(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct events *events = opaque;
	struct event_place *place = find_place(events, topic, partition);

	if (place != NULL && events->n == 0)
		place->reached = offset;
}

/* The topic was made anew, or retention was faster than we. */
static void
on_moved(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct event_place *place = find_place(opaque, topic, partition);

	if (place == NULL)
		return;
	place->next = place->reached = offset;
	place->committed = -1;
}

/* All records of the poll are done. */
static void
move_places(struct events *events)
{
	size_t i;

	for (i = 0; i < events->n; i++) {
		const struct kafka_record *record = &events->records[i];
		struct event_place *place =
		    find_place(events, record->topic, record->partition);

		if (place != NULL && place->next <= record->offset)
			place->next = record->offset + 1;
	}
	for (i = 0; i < events->n_places; i++)
		if (events->places[i].next < events->places[i].reached)
			events->places[i].next = events->places[i].reached;
}

/* One record -------------------------------------------------------------- */

static void
count_event(struct events *events, enum trigger_event outcome)
{
	metrics_add(events->settings.metrics, TRIGGER_EVENTS, outcome, 1);
}

static int
bury_record(struct events *events, const struct kafka_record *record,
    enum dead_reason reason, struct text detail, struct error *err)
{
	const struct dead_letter letter = { record, reason, detail };
	struct kafka_message message;

	dead_letter_write(
	    &letter, TOPIC_DLQ_LEAST, clock_wall_ms(), events->arena, &message);
	if (firing_bury(events->firing, &message, err) != 0)
		return -1;
	count_event(events, EVENT_BURIED);
	log_event(LOG_WARN, "trigger", "record_buried",
	    "a record went to the dead letters", LOG_S("topic", record->topic),
	    LOG_I("partition", record->partition),
	    LOG_I("offset", record->offset),
	    LOG_S("reason", dead_reason_text(reason)), LOG_END);
	return 0;
}

/* Whether its build may come yet: the adapter folds it beside us. */
static bool
may_wait(const struct events *events, const struct kafka_record *record)
{
	int64_t wait_ms =
	    config_number(events->settings.config, "trigger.build.wait");

	return clock_wall_ms() - record->timestamp_ms < wait_ms &&
	    clock_monotonic_ms() - events->polled_ms < wait_ms;
}

static int
fire(struct events *events, const struct kafka_record *record,
    const struct facts *facts, struct buffer *cause, struct error *err)
{
	const struct happening happening = { *facts,
		buffer_keep(cause, events->arena), record->timestamp_ms };

	return fan_out_fire(&events->fan_out, &happening, events->arena, err);
}

/* 1: done with it; 0: later; -1: see the error. */
static int
take_effect(struct events *events, const struct kafka_record *record,
    const struct schedule_event *event, struct error *err)
{
	struct event_effect effect;
	struct buffer cause = { 0 };

	if (event_store_apply(
		events->store, event, events->arena, &effect, err) != 0)
		return -1;
	if (effect.outcome == OUTCOME_UNKNOWN) {
		if (may_wait(events, record))
			return 0;
		return bury_record(events, record, DEAD_NOT_APPLICABLE,
			   TEXT("its build is not in the run view"), err) == 0
		    ? 1
		    : -1;
	}
	if (effect.outcome == OUTCOME_REFUSED)
		return bury_record(events, record, DEAD_NOT_APPLICABLE,
			   text_from(effect.why.message), err) == 0
		    ? 1
		    : -1;
	schedule_event_identity(event, &cause);
	if (fire(events, record, &effect.facts, &cause, err) != 0)
		return -1;
	count_event(events,
	    effect.outcome == OUTCOME_APPLIED ? EVENT_APPLIED : EVENT_REPEATED);
	return 1;
}

static int
take_event(
    struct events *events, const struct kafka_record *record, struct error *err)
{
	struct event_reading reading;

	if (event_reader_read(
		events->reader, record, events->arena, &reading, err) != 0)
		return -1;
	if (reading.is_event)
		return take_effect(events, record, &reading.event, err);
	return bury_record(events, record,
		   (enum dead_reason)reading.rejection.reason,
		   text_from(reading.rejection.detail), err) == 0
	    ? 1
	    : -1;
}

/* Of results those that say of a schedule that it has failed. */
static int
take_result(
    struct events *events, const struct kafka_record *record, struct error *err)
{
	struct schedule_run run;
	struct fact fact = { .type = TRIGGER_SCHEDULE_FAILED };
	const struct facts facts = { &fact, 1 };
	struct buffer cause = { 0 };
	char rid[RID_SIZE_MAX];

	if (decode_result(events->results, record, events->arena, &run, err) !=
	    0)
		return err->kind == ERROR_INPUT ? 1 : -1;
	if (run.state != RUN_FAILED)
		return 1;
	fact.rid = run.schedule_rid;
	buffer_format(&cause, "%.*s %s",
	    TEXT_ARG(((struct text){
		rid, rid_format(TEXT(RID_RUN_PREFIX), &run.id, rid) })),
	    run_error_name(run.error));
	return fire(events, record, &facts, &cause, err) == 0 ? 1 : -1;
}

/* The records of a poll --------------------------------------------------- */

/* What is not done yet is done once more.  -1: see the error. */
static int
take_records(struct events *events, struct error *err)
{
	struct error settled;
	size_t i;
	int rc = redis_connect(events->redis, err);

	for (i = 0; rc >= 0 && i < events->n; i++) {
		const struct kafka_record *record = &events->records[i];

		if (events->progress[i] != PROGRESS_NONE)
			continue;
		health_turn(events->beat);
		arena_reset(events->arena, ARENA_KEPT);
		rc = own_topic(events, record->topic) == events->topics[0]
		    ? take_event(events, record, err)
		    : take_result(events, record, err);
		if (rc == 1)
			events->progress[i] = PROGRESS_SENT;
	}
	if (firing_settle(events->firing, rc < 0 ? &settled : err) != 0) {
		/* Of none it is known that it is there. */
		for (i = 0; i < events->n; i++)
			if (events->progress[i] == PROGRESS_SENT)
				events->progress[i] = PROGRESS_NONE;
		return -1;
	}
	for (i = 0; i < events->n; i++)
		if (events->progress[i] == PROGRESS_SENT)
			events->progress[i] = PROGRESS_DONE;
	return rc < 0 ? -1 : 0;
}

static bool
are_done(const struct events *events)
{
	size_t i;

	for (i = 0; i < events->n; i++)
		if (events->progress[i] != PROGRESS_DONE)
			return false;
	return true;
}

/* Stays a member of the group, and reads nothing meanwhile. */
static void
rest_paused(struct events *events)
{
	struct kafka_record none;
	struct error ignored;

	if (!kafka_consumer_is_paused(events->consumer) &&
	    kafka_consumer_pause(events->consumer, &ignored) != 0)
		clock_wait(AGAIN_MS);
	else if (kafka_consumer_poll(
		     events->consumer, &none, 1, AGAIN_MS, &ignored) > 0)
		abort(); /* it is paused: nothing may come */
}

static void
tell_state(struct events *events, const struct error *err)
{
	struct error lacking;

	if (err == NULL &&
	    kafka_consumer_lacks(events->consumer, events->topics, 2, &lacking))
		err = &lacking;
	if (err != NULL && health_check_is_ok(events->check))
		log_event(
		    LOG_WARN, "trigger", "events_wait", err->message, LOG_END);
	if (err != NULL)
		health_bad(events->check, "%s", err->message);
	else if (!kafka_consumer_is_joined(events->consumer))
		health_bad(events->check, "not a member of the group %s",
		    config_text(events->settings.config, "trigger.group"));
	else
		health_ok(events->check);
}

/* Until all are done, or nobody waits for us any more. */
static void
finish_records(struct events *events)
{
	struct error err;

	while (!events->is_lost && !atomic_load(&events->is_over)) {
		int rc = take_records(events, &err);

		if (are_done(events)) {
			move_places(events);
			commit_places(events);
			tell_state(events, NULL);
			return;
		}
		tell_state(events, rc != 0 ? &err : NULL);
		if (rc != 0) /* also in place of a producer that is broken */
			firing_probe(events->firing, &err);
		health_turn(events->beat);
		rest_paused(events);
	}
}

static void
turn_events(struct events *events)
{
	struct error err = { 0 };
	int n;

	if (kafka_consumer_is_paused(events->consumer))
		kafka_consumer_resume(events->consumer, &err);
	events->is_lost = false;
	n = kafka_consumer_poll(
	    events->consumer, events->records, RECORDS, POLL_MS, &err);
	if (n > 0) {
		events->n = (size_t)n;
		events->polled_ms = clock_monotonic_ms();
		memset(events->progress, 0, sizeof events->progress);
		finish_records(events);
		kafka_records_release(events->records, events->n);
		events->n = 0;
	} else {
		redis_drop_closed(events->redis);
		if (n == 0 && redis_connect(events->redis, &err) != 0)
			n = -1;
		move_places(events);
		commit_places(events);
		tell_state(events, n < 0 ? &err : NULL);
	}
	if (n < 0)
		clock_wait(AGAIN_MS);
	health_turn(events->beat);
}

static int
find_topics(struct events *events, struct error *err)
{
	if (kafka_consumer_find(
		events->consumer, events->topics, 2, CALL_MS, err) != 0)
		return -1;
	return firing_learn(events->firing, err);
}

int
events_check(struct events *events, struct error *err)
{
	return find_topics(events, err);
}

static void *
run_events(void *argument)
{
	struct events *events = argument;
	struct error err;

	while (!atomic_load(&events->is_over) &&
	    (find_topics(events, &err) != 0 ||
		kafka_consumer_subscribe(
		    events->consumer, events->topics, 2, &err) != 0)) {
		health_bad(events->check, "%s", err.message);
		health_turn(events->beat);
		clock_wait(AGAIN_MS);
	}
	while (!atomic_load(&events->is_over))
		turn_events(events);
	return NULL;
}

/* Making ------------------------------------------------------------------ */

static int
open_consumer(struct events *events, struct error *err)
{
	const struct kafka_consumer_options options = {
		.settings = { .config = events->settings.config,
		    .health = events->kafka,
		    .client_id = "schedrun-trigger" },
		.group = config_text(events->settings.config, "trigger.group"),
		.accept_loss = true,
		.refresh_ms = REFRESH_MS,
		.events = { .assigned = on_assigned,
		    .revoked = on_revoked,
		    .moved = on_moved,
		    .ended = on_reached,
		    .opaque = events },
	};

	events->consumer = kafka_consumer_create(&options, err);
	return events->consumer != NULL ? 0 : -1;
}

static int
open_all(struct events *events, struct error *err)
{
	const struct config *config = events->settings.config;
	const struct redis_settings redis =
	    redis_settings_of(config, "redis.url", "schedrun-trigger");

	events->redis = redis_create(&redis, err);
	if (events->redis == NULL)
		return -1;
	events->firing =
	    firing_create(config, events->kafka, events->settings.metrics, err);
	if (events->firing == NULL)
		return -1;
	events->reader = event_reader_create(config, err);
	if (events->reader == NULL)
		return -1;
	events->results =
	    message_decoder_create(MESSAGE_SCHEDULE_RUN, config, err);
	if (events->results == NULL)
		return -1;
	message_decoder_start(events->results);
	events->store =
	    event_store_create(config, events->redis, events->keyspace, err);
	if (events->store == NULL)
		return -1;
	fan_out_init(&events->fan_out, events->redis, events->keyspace,
	    events->firing, config_number(config, "dedup.ttl"));
	return open_consumer(events, err);
}

struct events *
events_create(const struct events_settings *settings, struct error *err)
{
	struct events *events = memory_zalloc(1, sizeof *events);

	events->settings = *settings;
	events->topics[0] = topic_name(settings->config, TOPIC_EVENTS);
	events->topics[1] = topic_name(settings->config, TOPIC_RESULTS);
	events->keyspace =
	    keyspace_create(config_text(settings->config, "redis.prefix"));
	events->arena = arena_create(0);
	events->check = health_check(settings->health, "events", FRESH_MS);
	events->beat = health_beat_start(settings->health, "events", BEAT_MS);
	events->kafka = kafka_health_create();
	kafka_health_on_error(
	    events->kafka, trigger_count_kafka_error, settings->metrics);
	if (open_all(events, err) == 0)
		return events;
	events_destroy(events);
	return NULL;
}

void
events_start(struct events *events)
{
	if (pthread_create(&events->thread, NULL, run_events, events) != 0)
		abort();
	events->is_started = true;
}

void
events_destroy(struct events *events)
{
	if (events == NULL)
		return;
	atomic_store(&events->is_over, true);
	if (events->is_started) {
		kafka_consumer_wake(events->consumer);
		pthread_join(events->thread, NULL);
	}
	if (events->consumer != NULL)
		kafka_consumer_close(events->consumer, CLOSE_MS);
	event_store_destroy(events->store);
	message_decoder_destroy(events->results);
	event_reader_destroy(events->reader);
	firing_destroy(events->firing);
	redis_destroy(events->redis);
	keyspace_destroy(events->keyspace);
	arena_destroy(events->arena);
	kafka_health_destroy(events->kafka);
	free(events->places);
	free(events);
}
