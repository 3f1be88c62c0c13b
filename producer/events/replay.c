#include "producer/events/replay.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/kafka/consumer.h"
#include "producer/runs/decoder.h"
#include "schemas/topics.h"

#define READERS_MAX 8
#define SLICE_BYTES ((size_t)512 * 1024)
#define SLICE_MS 5000
#define QUEUE_KIB 1024
#define RECORDS 500
#define POLL_MS 100
#define CALL_MS 5000
#define IDLE_MS 5000 /* then a reader gives its connection back */

struct reader {
	struct event_replay *replay;
	pthread_t thread;
	bool started;
	struct kafka_consumer *consumer;
	struct message_decoder *decoder;
	struct arena *arena;
	/* The slice that is being read: */
	struct replay_slice *slice;
	int32_t left; /* partitions that have not come to `until` */
	size_t bytes;
	struct result_event **last;
};

struct event_replay {
	const struct config *config;
	struct kafka_health *kafka;
	struct loop *loop;
	const char *topic;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t asked;
	struct replay_slice *first, **end;
	size_t n_idle;
	bool stop;
	struct reader readers[READERS_MAX];
};

void
replay_slice_free(struct replay_slice *slice)
{
	if (slice == NULL)
		return;
	event_position_finish(&slice->from);
	event_position_finish(&slice->until);
	event_position_finish(&slice->position);
	result_events_free(slice->events);
	free(slice);
}

/* One slice -------------------------------------------------------------- */

static int64_t
until_of(const struct replay_slice *slice, int32_t partition)
{
	return partition < slice->until.n ? slice->until.next[partition] : 0;
}

/* The partition has been read as far as the ring needs. */
static void
finish_partition(struct reader *reader, int32_t partition)
{
	struct replay_slice *slice = reader->slice;
	int64_t until = until_of(slice, partition);

	if (slice->position.next[partition] >= until)
		return;
	slice->position.next[partition] = until;
	reader->left--;
}

static void
on_ended(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	(void)topic;
	(void)offset;
	finish_partition(opaque, partition);
}

static void
on_moved(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
	struct reader *reader = opaque;

	(void)topic;
	reader->slice->gap = true;
	if (offset >= until_of(reader->slice, partition))
		finish_partition(reader, partition);
	else
		reader->slice->position.next[partition] = offset;
}

static int
create_parts(struct reader *reader, struct error *err)
{
	const struct event_replay *replay = reader->replay;
	const struct kafka_consumer_options options = {
		.settings = { .config = replay->config,
		    .health = replay->kafka,
		    .client_id = "schedrun-http-replay" },
		.accept_loss = true,
		.queue_kib = QUEUE_KIB,
		.events = { .moved = on_moved,
		    .ended = on_ended,
		    .opaque = reader },
	};

	if (reader->decoder == NULL)
		reader->decoder = message_decoder_create(
		    MESSAGE_SCHEDULE_RUN, replay->config, err);
	if (reader->decoder == NULL)
		return -1;
	if (reader->consumer == NULL)
		reader->consumer = kafka_consumer_create(&options, err);
	return reader->consumer != NULL ? 0 : -1;
}

/* A place that the log doesn't hold becomes its oldest one. */
static int
check_place(struct reader *reader, int32_t partition, struct error *err)
{
	struct replay_slice *slice = reader->slice;
	struct kafka_partition of = { reader->replay->topic, partition };
	int64_t *next = &slice->position.next[partition];
	struct kafka_range range;

	if (kafka_consumer_range(reader->consumer, of, &range, CALL_MS, err) !=
	    0)
		return -1;
	if (*next >= range.start && *next <= range.end)
		return 0;
	slice->gap = true;
	*next = range.start;
	return 0;
}

static int
check_places(struct reader *reader, struct error *err)
{
	struct replay_slice *slice = reader->slice;
	int32_t n = kafka_consumer_partitions(
	    reader->consumer, reader->replay->topic, CALL_MS, err);
	int32_t i;

	if (n <= 0)
		return n < 0
		    ? -1
		    : error_set(err, ERROR_RETRY, "there is no topic %s",
			  reader->replay->topic);
	slice->gap |= slice->position.n > n;
	event_position_resize(&slice->position, n);
	for (i = 0; i < n; i++)
		if (check_place(reader, i, err) != 0)
			return -1;
	event_position_copy(&slice->from, &slice->position);
	return 0;
}

/* Reads the partitions that are behind the ring, and only those. */
static int
assign_partitions(struct reader *reader, struct error *err)
{
	struct replay_slice *slice = reader->slice;
	int32_t n = slice->position.n, i;
	struct kafka_start *starts = memory_zalloc((size_t)n, sizeof *starts);
	int rc = 0;

	reader->left = 0;
	for (i = 0; i < n; i++) {
		int64_t next = slice->position.next[i];

		if (next < until_of(slice, i))
			starts[reader->left++] =
			    (struct kafka_start){ reader->replay->topic, i,
				    KAFKA_FROM_OFFSET, next };
	}
	if (reader->left > 0)
		rc = kafka_consumer_assign(reader->consumer, starts,
		    (size_t)reader->left, CALL_MS, err);
	free(starts);
	return rc;
}

static int
take_record(
    struct reader *reader, const struct kafka_record *record, struct error *err)
{
	struct replay_slice *slice = reader->slice;
	struct result_event *event;
	struct schedule_run run;

	if (record->offset >= until_of(slice, record->partition)) {
		finish_partition(reader, record->partition);
		return 0;
	}
	arena_reset(reader->arena, 65536);
	if (decode_result(reader->decoder, record, reader->arena, &run, err) !=
	    0) {
		if (err->kind == ERROR_RETRY)
			return -1;
	} else {
		event = result_event_create(&run);
		reader->bytes += event->size;
		*reader->last = event;
		reader->last = &event->next;
	}
	slice->position.next[record->partition] = record->offset + 1;
	if (record->offset + 1 >= until_of(slice, record->partition))
		reader->left--;
	return 0;
}

static int
read_records(struct reader *reader, struct error *err)
{
	struct kafka_record records[RECORDS];
	int n = kafka_consumer_poll(
	    reader->consumer, records, RECORDS, POLL_MS, err);
	int rc = n < 0 ? -1 : 0, i;

	for (i = 0; rc == 0 && i < n && reader->bytes < SLICE_BYTES; i++)
		rc = take_record(reader, &records[i], err);
	if (n > 0)
		kafka_records_release(records, (size_t)n);
	return rc;
}

static int
read_slice(struct reader *reader, struct error *err)
{
	struct replay_slice *slice = reader->slice;
	int64_t deadline = clock_monotonic_ms() + SLICE_MS;

	event_position_copy(&slice->position, &slice->from);
	reader->bytes = 0;
	reader->last = &slice->events;
	if (create_parts(reader, err) != 0 ||
	    (slice->first && check_places(reader, err) != 0) ||
	    assign_partitions(reader, err) != 0)
		return -1;
	while (reader->left > 0 && reader->bytes < SLICE_BYTES &&
	    clock_monotonic_ms() < deadline)
		if (read_records(reader, err) != 0)
			return -1;
	return 0;
}

static void
close_reader(struct reader *reader)
{
	if (reader->consumer != NULL)
		kafka_consumer_close(reader->consumer, CALL_MS);
	reader->consumer = NULL;
}

/* The pool --------------------------------------------------------------- */

static void
tell_done(void *argument)
{
	struct replay_slice *slice = argument;

	slice->done(slice);
}

/* NULL: none came for a while, or the end. */
static struct replay_slice *
take_slice(struct event_replay *replay)
{
	struct replay_slice *slice;
	struct timespec until = clock_after(IDLE_MS);

	pthread_mutex_lock(&replay->lock);
	replay->n_idle++;
	while (replay->first == NULL && !replay->stop &&
	    pthread_cond_timedwait(&replay->asked, &replay->lock, &until) == 0)
		;
	replay->n_idle--;
	slice = replay->stop ? NULL : replay->first;
	if (slice != NULL) {
		replay->first = slice->next;
		if (replay->first == NULL)
			replay->end = &replay->first;
	}
	pthread_mutex_unlock(&replay->lock);
	return slice;
}

static bool
is_stopped(struct event_replay *replay)
{
	bool stop;

	pthread_mutex_lock(&replay->lock);
	stop = replay->stop;
	pthread_mutex_unlock(&replay->lock);
	return stop;
}

static void *
run_reader(void *argument)
{
	struct reader *reader = argument;

	while (!is_stopped(reader->replay)) {
		struct replay_slice *slice = take_slice(reader->replay);
		struct error err = { 0 };

		if (slice == NULL) {
			close_reader(reader);
			continue;
		}
		reader->slice = slice;
		if (read_slice(reader, &err) != 0) {
			log_event(LOG_WARN, "http", "replay_failed",
			    err.message, LOG_END);
			slice->failed = true;
			close_reader(reader);
		}
		loop_post(reader->replay->loop, tell_done, slice);
	}
	close_reader(reader);
	return NULL;
}

struct event_replay *
event_replay_create(
    const struct config *config, struct kafka_health *kafka, struct loop *loop)
{
	struct event_replay *replay = memory_zalloc(1, sizeof *replay);

	replay->config = config;
	replay->kafka = kafka;
	replay->loop = loop;
	replay->topic = topic_name(config, TOPIC_RESULTS);
	replay->end = &replay->first;
	pthread_mutex_init(&replay->lock, NULL);
	clock_condition_init(&replay->asked);
	return replay;
}

void
event_replay_ask(struct event_replay *replay, struct replay_slice *slice)
{
	struct reader *reader;
	size_t i = READERS_MAX;

	slice->next = NULL;
	pthread_mutex_lock(&replay->lock);
	if (replay->first != NULL || replay->n_idle == 0)
		for (i = 0; i < READERS_MAX && replay->readers[i].started; i++)
			;
	*replay->end = slice;
	replay->end = &slice->next;
	pthread_cond_signal(&replay->asked);
	pthread_mutex_unlock(&replay->lock);
	if (i < READERS_MAX) {
		reader = &replay->readers[i];
		reader->replay = replay;
		reader->arena = arena_create(0);
		if (pthread_create(&reader->thread, NULL, run_reader, reader) !=
		    0)
			memory_exhausted();
		reader->started = true;
	}
}

void
event_replay_stop(struct event_replay *replay)
{
	size_t i;

	if (replay == NULL)
		return;
	pthread_mutex_lock(&replay->lock);
	replay->stop = true;
	pthread_cond_broadcast(&replay->asked);
	pthread_mutex_unlock(&replay->lock);
	for (i = 0; i < READERS_MAX; i++)
		if (replay->readers[i].started)
			pthread_join(replay->readers[i].thread, NULL);
}

void
event_replay_destroy(struct event_replay *replay)
{
	struct replay_slice *slice;
	size_t i;

	if (replay == NULL)
		return;
	while ((slice = replay->first) != NULL) {
		replay->first = slice->next;
		replay_slice_free(slice);
	}
	for (i = 0; i < READERS_MAX; i++) {
		message_decoder_destroy(replay->readers[i].decoder);
		arena_destroy(replay->readers[i].arena);
	}
	pthread_cond_destroy(&replay->asked);
	pthread_mutex_destroy(&replay->lock);
	free(replay);
}
