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
#include "producer/trigger/burial.h"
#include "producer/trigger/event_reader.h"
#include "producer/trigger/event_store.h"
#include "producer/trigger/fan_out.h"
#include "schemas/message/dead_letter.h"
#include "schemas/topics.h"

#define RECORDS 500 /* that are open */
#define POLL_MS 250
#define TRY_MS 100    /* until one that had to wait is tried again */
#define COMMIT_MS 500 /* between two of offsets */
#define AGAIN_MS 250  /* after something did not answer */
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
	int64_t taken;     /* all before it is done, but for what is open */
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
	struct burial *burial;
	struct event_reader *reader;
	struct message_decoder *results;
	struct event_store *store;
	struct fan_out fan_out;
	struct arena *arena; /* of one record, or of all commits */
	struct event_place *places;
	size_t n_places;
	struct health_check *check;
	struct health_beat *beat;
	pthread_t thread;
	bool is_started;
	atomic_bool is_over;

	/* The records that are not done, in the order in which they came: */
	struct kafka_record records[RECORDS + 1]; /* for a poll always */
	struct open_record {
		enum progress {
			PROGRESS_NONE,
			PROGRESS_SENT, /* what it led to is handed over */
			PROGRESS_DEAD, /* a letter is to be written of it */
			PROGRESS_DONE,
		} progress;
		enum dead_reason reason;   /* of the dead ... */
		char *detail;              /* ... ours */
		int64_t polled_ms, try_ms; /* monotonic */
	} open[RECORDS];
	size_t n;
	size_t n_lost; /* the first of them are somebody else's by now */
	int64_t committed_ms;
	bool is_failing; /* nothing more is read meanwhile */
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
			.taken = positions[i].offset,
			.committed = positions[i].committed,
		};
	}
	events->n_places = n;
	return 0;
}

/* Behind all that is done, and what is `done` at least; before the first that
 * is not. */
static int64_t
offset_to_commit(const struct events *events, const struct event_place *place,
    enum progress done)
{
	int64_t offset = place->taken;
	size_t i;

	for (i = events->n_lost; i < events->n; i++)
		if (events->open[i].progress < done &&
		    events->records[i].partition == place->partition &&
		    events->records[i].offset < offset &&
		    strcmp(events->records[i].topic, place->topic) == 0)
			offset = events->records[i].offset;
	return offset;
}

/* One that is lost costs no more than doing the same again. */
static void
commit_places(struct events *events)
{
	struct error ignored;
	int64_t lag = 0;
	size_t i;

	events->committed_ms = clock_monotonic_ms();
	for (i = 0; i < events->n_places; i++) {
		struct event_place *place = &events->places[i];
		int64_t offset = offset_to_commit(events, place, PROGRESS_DONE);
		int64_t end = kafka_consumer_end(
		    events->consumer, place->topic, place->partition);

		if (offset >= 0 && end > offset)
			lag += end - offset;
		if (offset > place->committed && offset >= 0 &&
		    kafka_consumer_commit(events->consumer, place->topic,
			(struct kafka_offset){ place->partition, offset },
			&ignored) == 0)
			place->committed = offset;
	}
	metrics_set(events->settings.metrics, TRIGGER_LAG, 0, (double)lag);
}

static void
on_revoked(void *opaque, bool lost)
{
	struct events *events = opaque;

	if (!lost)
		commit_places(events);
	events->n_places = 0;
	/* Not so what comes behind the next assignment, by this same poll. */
	events->n_lost = events->n;
}

/* Markers of transactions are behind us as well, once what comes with this is
 * done. */
static void
on_reached(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct event_place *place = find_place(opaque, topic, partition);

	if (place != NULL && place->taken < offset)
		place->taken = offset;
}

/* The topic was made anew, or retention was faster than we. */
static void
on_moved(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct event_place *place = find_place(opaque, topic, partition);

	if (place == NULL)
		return;
	place->taken = offset;
	place->committed = -1;
}

/* Records that came now, behind those that are open. */
static void
open_records(struct events *events, size_t n)
{
	int64_t now = clock_monotonic_ms();
	size_t i;

	for (i = events->n; i < events->n + n; i++) {
		const struct kafka_record *record = &events->records[i];
		struct event_place *place =
		    find_place(events, record->topic, record->partition);

		events->open[i] = (struct open_record){ .polled_ms = now };
		if (place != NULL && place->taken <= record->offset)
			place->taken = record->offset + 1;
	}
	events->n += n;
}

/* Lets go of what is done or lost. */
static void
close_records(struct events *events)
{
	size_t n = 0, i;

	for (i = 0; i < events->n; i++) {
		if (i < events->n_lost ||
		    events->open[i].progress == PROGRESS_DONE) {
			kafka_records_release(&events->records[i], 1);
			free(events->open[i].detail);
			continue;
		}
		events->records[n] = events->records[i];
		events->open[n++] = events->open[i];
	}
	events->n = n;
	events->n_lost = 0;
}

/* One record -------------------------------------------------------------- */

static void
count_event(struct events *events, enum trigger_event outcome)
{
	metrics_add(events->settings.metrics, TRIGGER_EVENTS, outcome, 1);
}

static void
bury_record(struct events *events, const struct kafka_record *record,
    enum dead_reason reason, struct text detail)
{
	struct open_record *open = &events->open[record - events->records];

	open->progress = PROGRESS_DEAD;
	open->reason = reason;
	open->detail = memory_alloc(detail.size + 1);
	memcpy(open->detail, detail.at != NULL ? detail.at : "", detail.size);
	open->detail[detail.size] = '\0';
}

/* Whether its build may come yet: the adapter folds it beside us. */
static bool
may_wait(const struct events *events, const struct kafka_record *record)
{
	const struct open_record *open =
	    &events->open[record - events->records];
	int64_t wait_ms =
	    config_number(events->settings.config, "trigger.build.wait");

	return clock_wall_ms() - record->timestamp_ms < wait_ms &&
	    clock_monotonic_ms() - open->polled_ms < wait_ms;
}

static int
fire(struct events *events, const struct kafka_record *record,
    const struct facts *facts, struct buffer *cause, struct error *err)
{
	const struct happening happening = { *facts,
		buffer_keep(cause, events->arena), record->timestamp_ms };

	return fan_out_fire(
	    &events->fan_out, &happening, 1, events->arena, err);
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
		bury_record(events, record, DEAD_NOT_APPLICABLE,
		    TEXT("its build is not in the run view"));
		return 1;
	}
	if (effect.outcome == OUTCOME_REFUSED) {
		bury_record(events, record, DEAD_NOT_APPLICABLE,
		    text_from(effect.why.message));
		return 1;
	}
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
	bury_record(events, record, (enum dead_reason)reading.rejection.reason,
	    text_from(reading.rejection.detail));
	return 1;
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

/* Commits ------------------------------------------------------------------ */

/* Those that are not done yet, in their order. */
struct commits {
	size_t *records; /* their positions */
	struct schedule_event *events;
	struct event_effect *effects;
	size_t n;
};

/* -1: one of them can't be read yet, nor told from other events. */
static int
list_commits(struct events *events, struct commits *commits, struct error *err)
{
	struct arena *arena = events->arena;
	struct event_reading reading;
	size_t i;

	commits->records =
	    arena_zalloc(arena, events->n + 1, sizeof *commits->records);
	commits->events =
	    arena_zalloc(arena, events->n + 1, sizeof *commits->events);
	for (i = 0; i < events->n; i++) {
		const struct kafka_record *record = &events->records[i];

		if (events->open[i].progress != PROGRESS_NONE ||
		    own_topic(events, record->topic) != events->topics[0])
			continue;
		if (event_reader_read(
			events->reader, record, arena, &reading, err) != 0)
			return -1;
		if (!reading.is_event ||
		    reading.event.message != MESSAGE_DATASET_COMMITTED)
			continue;
		commits->records[commits->n] = i;
		commits->events[commits->n++] = reading.event;
	}
	return 0;
}

/* What each has led to; those that can't be applied are buried. */
static int
fire_commits(
    struct events *events, const struct commits *commits, struct error *err)
{
	struct happening *happenings =
	    arena_zalloc(events->arena, commits->n + 1, sizeof *happenings);
	size_t n = 0, i;

	for (i = 0; i < commits->n; i++) {
		const struct kafka_record *record =
		    &events->records[commits->records[i]];
		struct buffer cause = { 0 };

		if (commits->effects[i].outcome == OUTCOME_REFUSED) {
			bury_record(events, record, DEAD_NOT_APPLICABLE,
			    text_from(commits->effects[i].why.message));
			continue;
		}
		schedule_event_identity(&commits->events[i], &cause);
		happenings[n++] = (struct happening){ commits->effects[i].facts,
			buffer_keep(&cause, events->arena),
			record->timestamp_ms };
	}
	return fan_out_fire(
	    &events->fan_out, happenings, n, events->arena, err);
}

/*
 * All commits together, before what else there is: a round trip for each of a
 * hundred thousand is minutes.  Who wants an order between a commit
 * and another event has none anyway, by their keys.
 */
static int
take_commits(struct events *events, struct error *err)
{
	struct commits commits = { 0 };
	size_t i;

	arena_reset(events->arena, ARENA_KEPT);
	if (list_commits(events, &commits, err) != 0)
		return -1;
	if (commits.n == 0)
		return 0;
	commits.effects =
	    arena_zalloc(events->arena, commits.n, sizeof *commits.effects);
	if (event_store_commit(events->store, commits.events, commits.n,
		events->arena, commits.effects, err) != 0 ||
	    fire_commits(events, &commits, err) != 0)
		return -1;
	for (i = 0; i < commits.n; i++) {
		enum event_outcome outcome = commits.effects[i].outcome;

		if (outcome == OUTCOME_REFUSED)
			continue;
		events->open[commits.records[i]].progress = PROGRESS_SENT;
		count_event(events,
		    outcome == OUTCOME_APPLIED ? EVENT_APPLIED
					       : EVENT_REPEATED);
	}
	return 0;
}

/* All that is open -------------------------------------------------------- */

/* 1: done with it; 0: later; -1: see the error. */
static int
take_record(struct events *events, size_t i, struct error *err)
{
	const struct kafka_record *record = &events->records[i];
	int rc;

	health_turn(events->beat);
	arena_reset(events->arena, ARENA_KEPT);
	rc = own_topic(events, record->topic) == events->topics[0]
	    ? take_event(events, record, err)
	    : take_result(events, record, err);
	if (rc == 1 && events->open[i].progress == PROGRESS_NONE)
		events->open[i].progress = PROGRESS_SENT;
	if (rc == 0)
		events->open[i].try_ms = clock_monotonic_ms() + TRY_MS;
	return rc;
}

/* Behind the brokers' word on all that was handed over; of none of it it is
 * known that it is there, unless of all. */
static void
note_settled(struct events *events, enum progress progress)
{
	size_t i;

	for (i = 0; i < events->n; i++)
		if (events->open[i].progress == PROGRESS_SENT)
			events->open[i].progress = progress;
}

/* Letters ----------------------------------------------------------------- */

static void
note_buried(struct events *events, const struct kafka_record *record)
{
	struct open_record *open = &events->open[record - events->records];

	open->progress = PROGRESS_DONE;
	count_event(events, EVENT_BURIED);
	log_event(LOG_WARN, "trigger", "record_buried",
	    "a record went to the dead letters", LOG_S("topic", record->topic),
	    LOG_I("partition", record->partition),
	    LOG_I("offset", record->offset),
	    LOG_S("reason", dead_reason_text(open->reason)), LOG_END);
}

/* The dead of a partition before which nothing is open. */
static size_t
list_dead(struct events *events, const struct event_place *place,
    int64_t before, struct buried *list)
{
	size_t n = 0, i;

	for (i = 0; i < events->n; i++) {
		const struct kafka_record *record = &events->records[i];
		const struct dead_letter letter = { record,
			events->open[i].reason,
			text_from(events->open[i].detail != NULL
				? events->open[i].detail
				: "") };

		if (events->open[i].progress != PROGRESS_DEAD ||
		    record->partition != place->partition ||
		    record->offset >= before ||
		    strcmp(record->topic, place->topic) != 0)
			continue;
		list[n].record = record;
		dead_letter_write(&letter, TOPIC_DLQ_LEAST, clock_wall_ms(),
		    events->arena, &list[n++].letter);
	}
	return n;
}

/*
 * Letters go with the offset behind their records: so one that stands behind an
 * event which waits for its build waits, too.
 */
static int
bury_dead(struct events *events, struct error *err)
{
	struct arena *arena = events->arena;
	struct burials dead = { .next = { .topic = events->topics[0] } };
	struct kafka_offset *offsets;
	size_t found, i;

	arena_reset(arena, ARENA_KEPT);
	dead.at = arena_zalloc(arena, events->n + 1, sizeof *dead.at);
	offsets = arena_zalloc(arena, events->n_places + 1, sizeof *offsets);
	dead.next.at = offsets;
	for (i = 0; i < events->n_places; i++) {
		struct event_place *place = &events->places[i];
		int64_t offset = offset_to_commit(events, place, PROGRESS_DEAD);

		if (place->topic != events->topics[0])
			continue;
		found = list_dead(events, place, offset, dead.at + dead.n);
		if (found > 0)
			offsets[dead.next.n++] =
			    (struct kafka_offset){ place->partition, offset };
		dead.n += found;
	}
	if (dead.n == 0)
		return 0;
	if (burial_bury(events->burial, &dead, err) != 0)
		return -1;
	for (i = 0; i < dead.next.n; i++)
		find_place(events, dead.next.topic, offsets[i].partition)
		    ->committed = offsets[i].offset;
	for (i = 0; i < dead.n; i++)
		note_buried(events, dead.at[i].record);
	return 0;
}

/* What is not done yet is done once more.  -1: see the error. */
static int
take_records(struct events *events, struct error *err)
{
	int64_t now = clock_monotonic_ms();
	struct error settled;
	size_t i;
	int rc = redis_connect(events->redis, err);

	if (rc == 0)
		rc = take_commits(events, err);
	for (i = 0; rc >= 0 && i < events->n; i++)
		if (events->open[i].progress == PROGRESS_NONE &&
		    events->open[i].try_ms <= now)
			rc = take_record(events, i, err);
	if (firing_settle(events->firing, rc < 0 ? &settled : err) != 0) {
		note_settled(events, PROGRESS_NONE);
		return -1;
	}
	note_settled(events, PROGRESS_DONE);
	return rc < 0 ? -1 : bury_dead(events, err);
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

/*
 * Polls, however much is open: that keeps us in the group.  What waits for its
 * build does not hold up what comes behind it, until there is no room.
 */
static int
poll_records(struct events *events, struct error *err)
{
	bool is_full = events->is_failing || events->n == RECORDS;
	int n;

	if (is_full != kafka_consumer_is_paused(events->consumer) &&
	    (is_full ? kafka_consumer_pause(events->consumer, err)
		     : kafka_consumer_resume(events->consumer, err)) != 0)
		return -1;
	n = kafka_consumer_poll(events->consumer, events->records + events->n,
	    RECORDS - events->n + is_full, events->n > 0 ? TRY_MS : POLL_MS,
	    err);
	if (n > 0 && is_full)
		abort(); /* it is paused: nothing may come */
	if (n > 0)
		open_records(events, (size_t)n);
	return n < 0 ? -1 : 0;
}

static void
turn_events(struct events *events)
{
	struct error err = { 0 }, polled = { 0 };
	int rc = poll_records(events, &polled), taken;

	if (rc != 0)
		clock_wait(AGAIN_MS);
	close_records(events);
	redis_drop_closed(events->redis);
	taken = take_records(events, &err);
	close_records(events);
	events->is_failing = taken != 0;
	if (clock_monotonic_ms() - events->committed_ms >= COMMIT_MS)
		commit_places(events);
	tell_state(events, taken != 0 ? &err : rc != 0 ? &polled : NULL);
	if (taken != 0) /* also in place of a producer that is broken */
		firing_probe(events->firing, &err);
	health_turn(events->beat);
}

static int
find_topics(struct events *events, struct error *err)
{
	if (kafka_consumer_find(
		events->consumer, events->topics, 2, CALL_MS, err) != 0 ||
	    burial_ready(events->burial, err) != 0)
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
		.end_wait_ms = KAFKA_LOOKING_WAIT_MS,
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
	if (open_consumer(events, err) != 0)
		return -1;
	events->burial = burial_create(config, events->kafka, events->consumer);
	return 0;
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
	burial_destroy(events->burial);
	if (events->consumer != NULL) {
		commit_places(events);
		events->n_places = 0;
		events->n_lost = events->n;
		close_records(events); /* the library waits for them */
		kafka_consumer_close(events->consumer, CLOSE_MS);
	}
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
